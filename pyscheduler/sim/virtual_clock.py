"""A clock that jumps: hours of cluster life replay in milliseconds.

Time stands still while anything can run; `run_for` and `run_until` let the tasks run until they
all wait, then move to the next timer. Everything that sleeps on this clock therefore keeps its
order, and two runs of the same script see the same times.

Waits that do not go through the clock (sockets, ``loop.call_later``) are not seen: use it with
the in-process transport.
"""

from __future__ import annotations

import asyncio
import heapq
import types
from collections.abc import Callable, Generator

from pyscheduler.errors import PySchedulerError

#: Loop turns without any use of the clock after which every task counts as waiting. A guess:
#: the longest chain of awaits between two uses in this code base is under ten.
_QUIET_TURNS = 25
#: Midnight of a day on which nothing happened.
_EPOCH_S = 1_750_000_000.0


class NeverHappened(PySchedulerError):  # noqa: N818  # reads as what a test waited for
    """The awaited state did not come within the time given."""


class VirtualClock:
    """A `Clock` whose time is moved by `run_for` and `run_until` alone."""

    def __init__(self, now_s: float = _EPOCH_S) -> None:
        self._start_s = now_s
        self._elapsed_s = 0.0
        self._timers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._uses = 0

    def now(self) -> float:
        """The virtual wall time in seconds since the Unix epoch."""
        return self._start_s + self._elapsed_s

    def monotonic(self) -> float:
        """Virtual seconds since the clock was made."""
        return self._elapsed_s

    async def sleep(self, delay_s: float) -> None:
        """Return once the clock has been moved past the delay; zero or less yields once."""
        self._uses += 1
        if delay_s <= 0:
            await _loop_turn()
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._timers, (self._elapsed_s + delay_s, self._uses, woken))
        await woken

    async def run_for(self, duration_s: float) -> None:
        """Everything due within the duration has happened, in order."""
        end_s = self._elapsed_s + duration_s
        await self.settle()
        while self._advance(end_s):
            await self.settle()
        self._elapsed_s = end_s

    async def run_until(
        self, happened: Callable[[], bool], *, limit_s: float = 3600.0, what: str = "the state"
    ) -> float:
        """The state has come; returns the virtual seconds that took.

        Raises:
            NeverHappened: it did not within the limit.
        """
        start_s = self._elapsed_s
        end_s = start_s + limit_s
        await self.settle()
        while not happened():
            if not self._advance(end_s):
                raise NeverHappened(f"{what} did not come within {limit_s:g} s")
            await self.settle()
        return self._elapsed_s - start_s

    async def settle(self) -> None:
        """Every task waits for a timer, or for something outside."""
        seen, quiet = self._uses, 0
        while quiet < _QUIET_TURNS:
            await _loop_turn()
            quiet = quiet + 1 if seen == self._uses else 0
            seen = self._uses

    def _advance(self, end_s: float) -> bool:
        """Move to the next timer and wake all due then; False if none is before the end."""
        while self._timers and self._timers[0][2].done():
            heapq.heappop(self._timers)
        if not self._timers or self._timers[0][0] > end_s:
            return False
        self._elapsed_s = self._timers[0][0]
        while self._timers and self._timers[0][0] <= self._elapsed_s:
            _, _, woken = heapq.heappop(self._timers)
            if not woken.done():
                woken.set_result(None)
        return True


@types.coroutine
def _loop_turn() -> Generator[None, None, None]:
    """Let everything else that is ready run once."""
    yield
