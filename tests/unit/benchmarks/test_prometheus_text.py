from __future__ import annotations

import math

from benchmarks.prometheus_text import grown, histogram, samples, value

TEXT = """\
# HELP classes Distinct classes.
# TYPE classes gauge
classes{profile="a"} 2.0
classes{profile="b",note="x\\"y"} 3
lag_bucket{le="0.01"} 5
lag_bucket{le="+Inf"} 7
lag_count 7
"""


def test_value_sums_the_samples_that_match() -> None:
    assert value(TEXT, "classes") == 5.0
    assert value(TEXT, "classes", profile="a") == 2.0
    assert value(TEXT, "classes", profile="c") == 0.0


def test_labels_may_hold_quotes() -> None:
    assert [dict(labels) for labels, _ in samples(TEXT, "classes")][1]["note"] == 'x\\"y'


def test_histogram_is_read_by_upper_bound() -> None:
    assert histogram(TEXT, "lag") == {0.01: 5.0, math.inf: 7.0}


def test_what_grew_between_two_looks() -> None:
    assert grown({0.01: 5.0, math.inf: 7.0}, {0.01: 6.0, math.inf: 10.0}) == {
        0.01: 1.0,
        math.inf: 3.0,
    }
