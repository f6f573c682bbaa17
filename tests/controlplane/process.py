"""Child processes of the harness: started with a log file, watched while waited for, ended surely.

A child gets SIGKILL from the kernel when the thread that started it ends, so nothing outlives a
harness that is itself killed. `ProcessEndedError` carries the end of the log, which is where a
server says which of its flags it did not like.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: prctl(2): the signal a process gets when its parent ends.
_PR_SET_PDEATHSIG = 1

#: Pause between two looks at a condition or at a child.
_POLL_S = 0.05


class ProcessEndedError(Exception):
    """A process ended that should have gone on; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far."""

    cpu_s: float
    peak_memory_bytes: int


class Process:
    """One child process. Not restarted: a new life is a new object on the same log file."""

    def __init__(self, name: str, child: subprocess.Popen[bytes], log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._child = child

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Process:
        """Returns the started process; both its outputs are appended to the log file."""
        parent = os.getpid()
        with log_path.open("ab") as log:
            child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                cwd=folder,
                preexec_fn=lambda: _die_with_parent(parent),
            )
        return cls(name, child, log_path)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._child.poll()

    @property
    def is_running(self) -> bool:
        return self.exit_code is None

    def signal(self, number: signal.Signals) -> None:
        """The signal is sent, unless the process has ended."""
        self._child.send_signal(number)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    async def wait(self, *, timeout_s: float) -> int:
        """Returns the exit code.

        Raises:
            TimeoutError: it still runs.
        """
        deadline = time.monotonic() + timeout_s
        while (code := self.exit_code) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} still runs after {timeout_s:.0f} s")
            await asyncio.sleep(_POLL_S)
        return code

    async def kill(self) -> None:
        """The process is gone, by SIGKILL."""
        if self.is_running:
            self.signal(signal.SIGKILL)
        await self.wait(timeout_s=30)

    async def terminate(self, *, grace_s: float = 15) -> int:
        """The process is gone: SIGTERM, then SIGKILL after the grace; returns its exit code."""
        if self.is_running:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)
        try:
            return await self.wait(timeout_s=grace_s)
        except TimeoutError:
            await self.kill()
            return -signal.SIGKILL

    async def until(
        self, claim: Callable[[], Awaitable[bool]], *, what: str, timeout_s: float = 60
    ) -> None:
        """The claim holds.

        Raises:
            ProcessEndedError: the process ended meanwhile.
            TimeoutError: it did not come true in time.
        """
        deadline = time.monotonic() + timeout_s
        while not await claim():
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self.name}: not {what} within {timeout_s:.0f} s\n{self.log_tail()}"
                )
            await asyncio.sleep(_POLL_S)

    def check(self) -> None:
        """Raises `ProcessEndedError` if the process has ended."""
        if not self.is_running:
            raise ProcessEndedError(
                f"{self.name} ended with status {self.exit_code}:\n{self.log_tail()}"
            )

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 15) -> str:
        return "\n".join(self.log().splitlines()[-lines:])

    def usage(self) -> Usage:
        """Returns CPU seconds and peak resident memory of a process that still runs (Linux)."""
        # utime and stime are fields 14 and 15; the name in field 2 may itself hold spaces.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        status = Path(f"/proc/{self.pid}/status").read_text()
        peak_kb = next(
            int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")
        )
        return Usage(cpu_s=ticks / os.sysconf("SC_CLK_TCK"), peak_memory_bytes=peak_kb * 1024)


async def end_all(processes: Sequence[Process]) -> None:
    """Every process is gone, by SIGKILL, at once: for what keeps nothing worth saving."""
    for process in processes:
        if process.is_running:
            with contextlib.suppress(ProcessLookupError):
                process.signal(signal.SIGKILL)
    await asyncio.gather(*(process.wait(timeout_s=30) for process in processes))


def _die_with_parent(parent: int) -> None:
    """Runs in the child before exec: it will be killed when the harness is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
