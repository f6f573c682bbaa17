from __future__ import annotations

import pytest

from benchmarks.figures import Spread
from benchmarks.places.contestants import THEIRS
from benchmarks.places.outcome import Comparison, curve
from tests.unit.benchmarks.outcomes import outcome


def test_comparison_is_left_over_right() -> None:
    left = [outcome(seconds=1.0, cpu_s=1.0, memory_bytes=50, last_bind_s=2.0)]
    right = [outcome(THEIRS, seconds=2.0, cpu_s=4.0, memory_bytes=100, last_bind_s=4.0)]
    found = Comparison.of(left, right)
    assert found.rate == Spread(2.0, 2.0, 2.0)
    assert found.bind_rate.median == 2.0
    assert (found.cpu.median, found.memory.median, found.duration.median) == (0.25, 0.5, 0.5)


def test_comparison_of_cpu_is_per_pod() -> None:
    found = Comparison.of([outcome(pods=200, cpu_s=1.0)], [outcome(pods=100, cpu_s=1.0)])
    assert found.cpu.median == 0.5


def test_comparison_takes_the_rounds_that_both_have() -> None:
    ours = [outcome(seconds=1.0), outcome(seconds=8.0)]
    assert Comparison.of(ours, [outcome(seconds=1.0)]).rate == Spread(1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("moments", "points", "thinned"),
    [
        pytest.param([], 10, [], id="nothing bound"),
        pytest.param([0.0, 0.5], 10, [(0.0, 1), (0.5, 2)], id="few are all kept"),
        pytest.param(
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            3,
            [(0.0, 1), (2.0, 3), (4.0, 5), (5.0, 6)],
            id="many are thinned out and the last is kept",
        ),
    ],
)
def test_curve(moments: list[float], points: int, thinned: list[tuple[float, int]]) -> None:
    assert curve(moments, points=points) == thinned


def test_figures_of_a_result_file_name_their_units() -> None:
    written = outcome(pods=100, cpu_s=0.5).as_json()
    assert written["pods_per_cpu_s"] == 200.0
    assert written["requests_per_pod"] == 2.0
    assert written["curve"] == [[0.0, 1], [0.5, 2]]
