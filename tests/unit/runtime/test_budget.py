"""When a cycle yields, and when the loop does between cycles."""

from __future__ import annotations

import asyncio

from pyscheduler.clock import FakeClock
from pyscheduler.runtime.budget import Budget


def _budget() -> tuple[Budget, FakeClock]:
    clock = FakeClock()
    return Budget(clock, slice_s=0.005), clock


def test_the_loop_yields_between_cycles_once_a_slice_is_used_up() -> None:
    async def play() -> None:
        budget, clock = _budget()
        clock.advance(0.004)
        assert not await budget.between_cycles()
        clock.advance(0.001)
        assert await budget.between_cycles()
        assert not await budget.between_cycles()

    asyncio.run(play())


def test_a_short_cycle_that_began_late_in_a_slice_ends_before_others_have_a_turn() -> None:
    async def play() -> None:
        budget, clock = _budget()
        clock.advance(0.004)
        await budget.between_cycles()
        clock.advance(0.004)
        assert not await budget.checkpoint()
        assert await budget.between_cycles()

    asyncio.run(play())


def test_a_long_cycle_yields_after_each_slice_of_its_own() -> None:
    async def play() -> None:
        budget, clock = _budget()
        clock.advance(0.004)
        await budget.between_cycles()
        clock.advance(0.005)
        assert await budget.checkpoint()
        clock.advance(0.004)
        assert not await budget.checkpoint()
        clock.advance(0.001)
        assert await budget.checkpoint()

    asyncio.run(play())


def test_waiting_starts_the_slice_anew() -> None:
    async def play() -> None:
        budget, clock = _budget()
        clock.advance(0.005)
        budget.restart()
        assert not await budget.between_cycles()

    asyncio.run(play())
