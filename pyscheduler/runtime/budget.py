"""Keeps the scheduling loop from holding the event loop: yields once a slice of time is used up.

The loop asks between cycles, so that a backlog never keeps watches, binds or timers waiting. A
cycle asks, too, after each plugin, for judging many nodes may take a while; but it counts from its
own beginning, because a short one that began late in a slice had better end: others' turns in the
middle of it would only make the attempt longer.
"""

from __future__ import annotations

from typing import Protocol

from pyscheduler.clock import Clock

#: Seconds the loop may be held. A quarter of the lag that users were promised at p99 (20 ms),
#: because other tasks have their slices, too.
SLICE_S = 0.005


class Checkpoint(Protocol):
    """Where long work offers the loop to others."""

    async def checkpoint(self) -> bool:
        """Returns False at once, or True after everybody else had a turn."""


class Budget:
    """Counts the time since the loop was last free, and since the cycle began."""

    def __init__(self, clock: Clock, *, slice_s: float = SLICE_S) -> None:
        self._clock = clock
        self._slice_s = slice_s
        self._since = clock.monotonic()
        #: when the last cycle was over, so that the next one could begin
        self._began = self._since

    async def checkpoint(self) -> bool:
        """Within a cycle: yields if it alone used up a slice; True when it did."""
        held_s = self._clock.monotonic() - max(self._since, self._began)
        return held_s >= self._slice_s and await self._yield()

    async def between_cycles(self) -> bool:
        """Between cycles: yields if a slice is used up; True when it did."""
        now = self._began = self._clock.monotonic()
        return now - self._since >= self._slice_s and await self._yield()

    def restart(self) -> None:
        """The loop was free just now, because its owner waited for something."""
        self._since = self._clock.monotonic()

    async def _yield(self) -> bool:
        await self._clock.sleep(0)
        self._since = self._clock.monotonic()
        return True
