from __future__ import annotations

import math

import pytest

from benchmarks.figures import Spread, paired_ratio, percentile, quantile, table


def test_spread_is_median_and_extremes() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)


@pytest.mark.parametrize(
    ("values", "digits", "text"),
    [
        pytest.param([100.4, 90.0, 120.0], 0, "100 (90-120)", id="several runs"),
        pytest.param([1.234], 2, "1.23", id="one run has no spread"),
    ],
)
def test_spread_reads_as_median_and_range(values: list[float], digits: int, text: str) -> None:
    assert Spread.of(values).text(digits) == text


def test_ratio_is_taken_round_by_round() -> None:
    # A slow second round slows both: the ratio of the medians would say 1.5.
    assert paired_ratio([100.0, 10.0, 150.0], [100.0, 10.0, 100.0]) == Spread(1.0, 1.0, 1.5)


def test_ratio_refuses_rounds_without_a_partner() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio([1.0, 2.0], [1.0])


def test_quantile_is_the_bound_of_the_bucket_that_holds_it() -> None:
    counts = {0.001: 50.0, 0.005: 98.0, 0.02: 99.0, math.inf: 100.0}
    assert quantile(counts, 0.5) == 0.001
    assert quantile(counts, 0.99) == 0.02
    assert quantile(counts, 0.995) == math.inf


def test_quantile_of_an_empty_histogram_is_zero() -> None:
    assert quantile({}, 0.99) == 0.0
    assert quantile({0.1: 0.0, math.inf: 0.0}, 0.99) == 0.0


def test_percentile_of_samples() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51.0
    assert percentile(values, 1.0) == 100.0


def test_table_aligns_names_left_and_figures_right() -> None:
    text = table(("", "pods/s"), [["ours", "1000"], ["the other", "9"]])
    assert text.splitlines() == [
        "           pods/s",
        "-----------------",
        "ours         1000",
        "the other       9",
    ]
