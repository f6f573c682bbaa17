"""What is to be done at a time of the clock: how kubelets and controllers of the cluster act.

An act is a plain call. Acts run one after the other, in the order of their times and, at one
time, of their entry, so that a replay sees the same order.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from pyscheduler.clock import Clock


class Agenda:
    """Things to do at a time of the clock, one after the other."""

    def __init__(self, clock: Clock) -> None:
        """Nothing happens before `start`.

        Args:
            clock: measures the delays.
        """
        self._clock = clock
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._added = asyncio.Event()
        self._sleeper: asyncio.Task[None] | None = None
        self._worker: asyncio.Task[None] | None = None

    def add(self, delay_s: float, act: Callable[[], None]) -> None:
        """The act happens after the delay, once the agenda has been started."""
        self._count += 1
        due_s = self._clock.monotonic() + delay_s
        earliest = not self._entries or due_s < self._entries[0][0]
        heapq.heappush(self._entries, (due_s, self._count, act))
        self._added.set()
        if earliest and self._sleeper is not None:
            self._sleeper.cancel()

    def start(self) -> None:
        """Acts happen from now on."""
        self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """No further act happens. May be called twice."""
        await cancelled(self._worker)
        self._worker = None

    async def _work(self) -> None:
        try:
            while True:
                if not self._entries:
                    self._added.clear()
                    await self._added.wait()
                wait_s = self._entries[0][0] - self._clock.monotonic()
                if wait_s > 0:
                    await self._pause(wait_s)
                    continue
                heapq.heappop(self._entries)[2]()
                await self._clock.sleep(0)
        finally:
            await cancelled(self._sleeper)

    async def _pause(self, wait_s: float) -> None:
        """Sleep; an earlier entry ends it."""
        sleeper = self._sleeper = asyncio.create_task(self._clock.sleep(wait_s))
        await asyncio.wait({sleeper})
        self._sleeper = None


async def cancelled(task: asyncio.Task[None] | None) -> None:
    """The task has ended, if there is one."""
    if task is not None:
        task.cancel()
        # Waited for, not awaited: its cancellation must not be taken for ours, nor hide it.
        await asyncio.wait({task})
