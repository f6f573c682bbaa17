from __future__ import annotations

import pytest

from pyscheduler.telemetry.instruments import MetricRegistry, exponential_buckets


def test_counter_adds_up() -> None:
    counter = MetricRegistry().counter("c_total", "text").labels()
    counter.inc()
    counter.inc(2)

    assert counter.value == 3


def test_gauge_goes_up_and_down() -> None:
    gauge = MetricRegistry().gauge("g", "text").labels()
    gauge.set(5)
    gauge.inc()
    gauge.dec(2)

    assert gauge.value == 4


def test_gauge_reads_from_a_function() -> None:
    sizes = [1, 2, 3]
    gauge = MetricRegistry().gauge("g", "text").labels()
    gauge.read_from(lambda: len(sizes))
    sizes.append(4)

    assert gauge.value == 4


@pytest.mark.parametrize(
    ("value", "bucket"),
    [
        pytest.param(0.5, 0, id="below the first bound"),
        pytest.param(1.0, 0, id="on a bound counts below it"),
        pytest.param(1.5, 1, id="between bounds"),
        pytest.param(9.0, 2, id="above all bounds"),
    ],
)
def test_histogram_counts_by_inclusive_upper_bound(value: float, bucket: int) -> None:
    histogram = MetricRegistry().histogram("h", "text", buckets=(1, 2)).labels()
    histogram.observe(value)

    assert histogram.counts[bucket] == 1
    assert (histogram.count, histogram.sum) == (1, value)


def test_observe_many_equals_that_many_observations() -> None:
    registry = MetricRegistry()
    family = registry.histogram("h", "text", ("how",), buckets=(1, 2))
    family.labels("at once").observe_many(1.5, 3)
    for _ in range(3):
        family.labels("singly").observe(1.5)

    assert family.labels("at once").counts == family.labels("singly").counts
    assert family.labels("at once").sum == family.labels("singly").sum


def test_quantile_is_the_bound_of_its_bucket() -> None:
    histogram = MetricRegistry().histogram("h", "text", buckets=(1, 2, 4)).labels()
    assert histogram.quantile(0.99) == 0
    histogram.observe_many(0.5, 98)
    histogram.observe_many(3, 2)

    assert histogram.quantile(0.5) == 1
    assert histogram.quantile(0.99) == 4


def test_labels_gives_the_same_child_for_the_same_values() -> None:
    family = MetricRegistry().counter("c_total", "text", ("a", "b"))

    assert family.labels("x", "y") is family.labels("x", "y")
    assert family.labels("x", "y") is not family.labels("y", "x")
    family.remove("y", "x")
    assert [values for values, _ in family.children()] == [("x", "y")]


def test_labels_refuses_another_number_of_values() -> None:
    family = MetricRegistry().counter("c_total", "text", ("a", "b"))

    with pytest.raises(ValueError, match="c_total takes labels"):
        family.labels("x")


def test_a_name_is_defined_once() -> None:
    registry = MetricRegistry()
    registry.counter("c_total", "text")

    with pytest.raises(ValueError, match="c_total is defined twice"):
        registry.gauge("c_total", "text")


def test_exponential_buckets() -> None:
    assert exponential_buckets(1, 2, 5) == (1, 2, 4, 8, 16)
