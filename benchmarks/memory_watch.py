"""Follows the resident memory of a process from outside, and ends it at a limit.

For a benchmark of how much memory something takes: the end of a process that takes more is then a
result, and the machine stays whole. The limit is ours and not the kernel's: a cgroup needs rights
that a benchmark should not ask for, and a limit of address space is none for programs in Go, which
reserve far more of it than they use. So a process may exceed its limit until the next look.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from tests.controlplane.process import Process

#: Between two looks. At 1 GB/s, about what one core can fill, that is 20 MB.
_PERIOD_S = 0.02


class MemoryWatch:
    """The peak of one process, see `watched`."""

    def __init__(self, process: Process, *, limit_bytes: int) -> None:
        self._process = process
        self._limit_bytes = limit_bytes
        #: The kernel's high-water mark since the watch began, as of the last look.
        self.peak_bytes = 0
        #: Whether the process was killed for its memory.
        self.was_killed = False

    def look(self) -> None:
        """The peak is up to date, and a process above its limit has been killed."""
        # One that has just ended has no figures any more.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, StopIteration):
            self.peak_bytes = max(self.peak_bytes, self._process.usage().peak_memory_bytes)
        if self.peak_bytes > self._limit_bytes and self._process.is_running:
            self.was_killed = True
            self._process.signal(signal.SIGKILL)

    async def follow(self) -> None:
        """The process has ended, of itself or by us."""
        while self._process.is_running:
            self.look()
            await asyncio.sleep(_PERIOD_S)


@contextlib.asynccontextmanager
async def watched(process: Process, *, limit_bytes: int) -> AsyncIterator[MemoryWatch]:
    """Yields the watch over a process, whose peak counts from now on.

    Args:
        process: to be watched.
        limit_bytes: of resident memory; the process is killed above it.
    """
    # Writing 5 sets the high-water mark to what is resident now (proc(5)).
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    watch = MemoryWatch(process, limit_bytes=limit_bytes)
    following = asyncio.create_task(watch.follow())
    try:
        yield watch
        watch.look()
    finally:
        following.cancel()
        await asyncio.wait({following})
