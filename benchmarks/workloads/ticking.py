"""Doing something at a rate, on a cluster's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pyscheduler.clock import Clock


async def ticks(clock: Clock, interval_s: float) -> AsyncIterator[float]:
    """Yields the time at the end of every interval, for ever.

    Who is late for a tick is not made to hurry: missed ticks are left out, as Go's are.
    """
    due_s = clock.monotonic()
    while True:
        due_s = max(due_s + interval_s, clock.monotonic())
        await clock.sleep(due_s - clock.monotonic())
        yield clock.monotonic()
