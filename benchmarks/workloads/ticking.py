"""Doing something at a rate, on a cluster's clock."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

from pyscheduler.clock import Clock


async def ticks(
    clock: Clock, interval_s: float, *, goes_on: asyncio.Event | None = None
) -> AsyncIterator[float]:
    """Yields the time at the end of every interval, for ever.

    Ticks that were missed meanwhile are left out; those that come keep to the same beat.

    Args:
        goes_on: there are no ticks while it is not set.
    """
    due_s = clock.monotonic()
    while True:
        missed = max(0, math.floor((clock.monotonic() - due_s) / interval_s))
        due_s += (missed + 1) * interval_s
        await clock.sleep(due_s - clock.monotonic())
        if goes_on is None or goes_on.is_set():
            yield clock.monotonic()
        else:
            await goes_on.wait()
