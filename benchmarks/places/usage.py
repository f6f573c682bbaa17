"""What processes use while they are watched: CPU seconds at any moment, and the memory's peak.

The kernel counts CPU in ticks of 10 ms. Samples are taken far more seldom than that, and a moment
between two of them gets its share: over the seconds of a run the error is below a tick.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

from tests.controlplane.process import Process

#: Between two samples: 0.1 ms of work each, so next to nothing of a core.
_EVERY_S = 0.05


class Usage:
    """Samples of what some processes together have used.

    Fields of state:
        peak_memory_bytes: the largest resident size so far, added up over the processes.
    """

    def __init__(self, processes: Sequence[Process]) -> None:
        self.peak_memory_bytes = 0
        self._processes = processes
        self._at_s: list[float] = []
        self._cpu_s: list[float] = []

    def sample(self) -> None:
        """What they have used is known for this moment; one that has ended is left out."""
        cpu_s, memory_bytes = 0.0, 0
        for process in self._processes:
            try:
                used = process.usage()
            except (FileNotFoundError, ProcessLookupError, StopIteration):
                return  # it ends: of a zombie the kernel tells no memory
            cpu_s += used.cpu_s
            memory_bytes += used.peak_memory_bytes
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory_bytes)
        self.add(time.time(), cpu_s)

    def add(self, at_s: float, cpu_s: float) -> None:
        """The sample is kept; times come in order."""
        self._at_s.append(at_s)
        self._cpu_s.append(cpu_s)

    def cpu_s_at(self, moment_s: float) -> float:
        """Returns the CPU seconds used up to a moment (unix time), between samples by share."""
        after = bisect.bisect_left(self._at_s, moment_s)
        if after == len(self._at_s):
            return self._cpu_s[-1] if self._cpu_s else 0.0
        if after == 0:
            return self._cpu_s[0]
        begin, end = self._at_s[after - 1], self._at_s[after]
        low, high = self._cpu_s[after - 1], self._cpu_s[after]
        return low + (high - low) * (moment_s - begin) / (end - begin)

    def cpu_s_between(self, begin_s: float, end_s: float) -> float:
        """Returns the CPU seconds used between two moments."""
        return self.cpu_s_at(end_s) - self.cpu_s_at(begin_s)


@contextlib.asynccontextmanager
async def watched(*processes: Process) -> AsyncIterator[Usage]:
    """Yields what these processes use, sampled meanwhile."""
    usage = Usage(processes)
    usage.sample()

    async def keep_sampling() -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            usage.sample()

    task = asyncio.create_task(keep_sampling())
    try:
        yield usage
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
