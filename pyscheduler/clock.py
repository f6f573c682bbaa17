"""Time as the program sees it: the one module that reads the machine's clocks.

Everything else is handed a `Clock`, so that tests and the embedded cluster can run on a virtual
one. Wall time is for what other machines read (leases, conditions, events), monotonic time for
durations and deadlines.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """Where durations, timestamps and waits come from."""

    def now(self) -> float:
        """Return the wall time in seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; never runs backwards."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return once `delay_s` seconds have passed; zero or less yields to the loop once."""
        ...


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    # The functions themselves: a wrapper would double the cost on the hot path.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, delay_s: float) -> None:
        """Return once `delay_s` seconds have passed."""
        await asyncio.sleep(delay_s)


class FakeClock:
    """A clock that stands still until `advance` moves it: for tests without waiting.

    Wall and monotonic time move together; sleepers wake in the order of their deadlines.
    """

    def __init__(self, now_s: float = 1_700_000_000.0) -> None:
        self._epoch_s = now_s
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._sequence = 0

    def now(self) -> float:
        """Return the wall time: where the clock began plus what `advance` added."""
        return self._epoch_s + self._elapsed_s

    def monotonic(self) -> float:
        """Return the seconds that `advance` has added so far."""
        return self._elapsed_s

    async def sleep(self, delay_s: float) -> None:
        """Return once `advance` has moved the clock by `delay_s` seconds."""
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._sleepers, (self._elapsed_s + delay_s, self._sequence, woken))
        await woken

    def advance(self, delta_s: float) -> None:
        """Move time on; everybody whose sleep ended by then is woken at the next loop turn."""
        self._elapsed_s += delta_s
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_s:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
