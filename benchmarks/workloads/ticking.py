"""Doing something at a rate, on a cluster's clock."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

from pyscheduler.clock import Clock


async def ticks(clock: Clock, interval_s: float) -> AsyncIterator[float]:
    """Yields the time at the end of every interval, for ever.

    Ticks that were missed meanwhile are left out; those that come keep to the same beat.
    """
    due_s = clock.monotonic()
    while True:
        missed = max(0, math.floor((clock.monotonic() - due_s) / interval_s))
        due_s += (missed + 1) * interval_s
        await clock.sleep(due_s - clock.monotonic())
        yield clock.monotonic()
