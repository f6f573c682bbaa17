"""Keeps one cycle from holding the event loop: yields once a slice of time is used up.

The scheduling loop passes a checkpoint after each pod and, in a cycle that judges many nodes, after
each plugin. So a backlog never keeps watches, binds or timers waiting.
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
    """Counts the time since the loop was last free."""

    def __init__(self, clock: Clock, *, slice_s: float = SLICE_S) -> None:
        self._clock = clock
        self._slice_s = slice_s
        self._since = clock.monotonic()

    async def checkpoint(self) -> bool:
        """Yields if the slice is used up; True when it did."""
        if self._clock.monotonic() - self._since < self._slice_s:
            return False
        await self._clock.sleep(0)
        self._since = self._clock.monotonic()
        return True

    def restart(self) -> None:
        """The loop was free just now, because its owner waited for something."""
        self._since = self._clock.monotonic()
