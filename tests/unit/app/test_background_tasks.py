from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from random import Random

import pytest
from structlog.testing import capture_logs

from pyscheduler.app.background_tasks import PluginTasks
from pyscheduler.clock import FakeClock


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.tasks = PluginTasks(clock=self.clock, rng=Random(1))
        self.began: list[float] = []
        self.ended = 0
        self._runs: list[asyncio.Task[None]] = []

    async def schedule(self) -> None:
        """Scheduling begins."""
        self._runs.append(asyncio.ensure_future(self.tasks.run()))
        await settle()

    async def stop(self) -> None:
        """Scheduling ends."""
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)
        self._runs.clear()

    async def poll(self) -> None:
        """A task without end."""
        self.began.append(self.clock.monotonic())
        try:
            await self.clock.sleep(1e9)
        finally:
            self.ended += 1

    async def fail(self) -> None:
        self.began.append(self.clock.monotonic())
        if len(self.began) == 1:
            raise SystemExit("a library gave up")
        raise RuntimeError("no answer")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.stop()


async def test_task_begins_with_scheduling_and_ends_with_it(bench: Bench) -> None:
    bench.tasks.start(bench.poll, name="poller")
    await settle()
    assert bench.began == []
    await bench.schedule()
    assert len(bench.began) == 1
    await bench.stop()

    assert bench.ended == 1


async def test_task_started_while_scheduling_begins_at_once(bench: Bench) -> None:
    await bench.schedule()
    bench.tasks.start(bench.poll, name="poller")
    await settle()

    assert len(bench.began) == 1


async def test_task_begins_anew_when_scheduling_does(bench: Bench) -> None:
    bench.tasks.start(bench.poll, name="poller")
    for _ in range(2):
        await bench.schedule()
        await bench.stop()

    assert (len(bench.began), bench.ended) == (2, 2)


async def test_task_that_raises_is_logged_and_begun_again_after_growing_pauses(
    bench: Bench,
) -> None:
    bench.tasks.start(bench.fail, name="celsius poller")
    bench.tasks.start(bench.poll, name="other")
    with capture_logs() as logged:
        await bench.schedule()
        for _ in range(200):
            bench.clock.advance(0.5)
            await settle()

    began = bench.began[:1] + bench.began[2:]  # the second is the other task
    pauses = [later - sooner for sooner, later in pairwise(began)]
    assert 1 <= pauses[0] <= 2.5
    assert all(pause <= 60.5 for pause in pauses)
    assert pauses[3] > 2 * pauses[0]
    assert {entry["task"] for entry in logged} == {"celsius poller"}
    assert len(logged) == len(began)
    assert bench.ended == 0


async def test_task_that_returns_is_not_begun_again(bench: Bench) -> None:
    done: list[str] = []

    async def once() -> None:
        done.append("done")

    bench.tasks.start(once, name="once")
    await bench.schedule()
    await bench.stop()
    await bench.schedule()

    assert done == ["done"]


async def test_task_cancelled_by_what_it_awaits_is_begun_again(bench: Bench) -> None:
    async def cancelled() -> None:
        bench.began.append(bench.clock.monotonic())
        raise asyncio.CancelledError

    bench.tasks.start(cancelled, name="gives up")
    await bench.schedule()
    bench.clock.advance(3)
    await settle()

    assert len(bench.began) == 2
