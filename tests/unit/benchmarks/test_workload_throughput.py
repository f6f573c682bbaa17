from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from benchmarks.workloads.throughput import Throughput, ThroughputCollector
from benchmarks.workloads.ticking import ticks
from pyscheduler.clock import FakeClock


def rates(counts: Sequence[int], *, interval_s: float = 1.0) -> list[float]:
    collector = ThroughputCollector()
    for tick, count in enumerate(counts, start=1):
        collector.sample(tick * interval_s, count)
    return list(collector.rates)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([0, 0, 0], [], id="nobody was scheduled"),
        pytest.param([5], [], id="the first sample says where counting begins"),
        pytest.param([0, 5, 15, 35], [10, 20], id="new pods of each second"),
        pytest.param([5, 5, 5, 35], [10, 10, 10], id="idle seconds share what comes after"),
        pytest.param([5, 15, 15], [10], id="what stays idle does not count"),
        pytest.param([5, 15, 15, 15, 30, 31], [10, 5, 5, 5, 1], id="idle in between"),
    ],
)
def test_samples(counts: Sequence[int], expected: Sequence[float]) -> None:
    assert rates(counts) == pytest.approx(expected)


def test_the_time_that_really_went_by_counts() -> None:
    assert rates([10, 20, 40], interval_s=2.0) == pytest.approx([5, 10])


def test_percentiles_are_of_the_ascending_samples_by_rank_rounded_up() -> None:
    assert Throughput.of([float(rate) for rate in range(10, 0, -1)]) == Throughput(
        average=5.5, perc50=5.0, perc90=9.0, perc95=10.0, perc99=10.0
    )


def test_one_sample_is_every_percentile() -> None:
    assert Throughput.of([7.0]) == Throughput(7.0, 7.0, 7.0, 7.0, 7.0)


def test_too_short_a_measurement_has_no_figure() -> None:
    collector = ThroughputCollector()
    collector.sample(1.0, 10)
    assert collector.result() is None


@pytest.mark.asyncio
async def test_ticks_come_at_the_end_of_every_interval_and_missed_ones_do_not() -> None:
    clock = FakeClock()
    began_s = clock.monotonic()
    seen: list[float] = []

    async def follow() -> None:
        async for now_s in ticks(clock, 1.0):
            seen.append(now_s - began_s)

    following = asyncio.create_task(follow())
    for step_s in (0.5, 0.5, 1.0, 2.5, 1.0):
        await asyncio.sleep(0)
        clock.advance(step_s)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    following.cancel()
    assert seen == [1.0, 2.0, 4.5, 5.5]


@pytest.mark.asyncio
async def test_ticks_that_would_have_come_while_things_stood_still_do_not() -> None:
    clock, goes_on = FakeClock(), asyncio.Event()
    goes_on.set()
    seen: list[float] = []

    async def follow() -> None:
        async for now_s in ticks(clock, 1.0, goes_on=goes_on):
            seen.append(now_s)

    async def pass_by(seconds: int) -> None:
        for _ in range(seconds):
            clock.advance(1.0)
            for _ in range(3):
                await asyncio.sleep(0)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await pass_by(2)
    goes_on.clear()
    await pass_by(10)
    goes_on.set()
    await asyncio.sleep(0)
    await pass_by(2)
    following.cancel()
    assert seen == [1.0, 2.0, 13.0, 14.0]
