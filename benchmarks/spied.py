"""Looks with py-spy at a scheduler that runs, and has it drawn what it was seen doing.

    contestant = await start(place, OURS, setup=setup, program=SPIED)
    async with spied(contestant.process, graph):
        ...

py-spy looks from outside, at threads that are on a processor, and counts from entering to leaving.
A kernel may let nobody but a process's ancestors look into it: `SPIED` is the scheduler, run with
leave for everybody. Called by: `profiling.py`, `places/contest.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from pyscheduler.cli.main import main as run_pyscheduler
from tests.controlplane.process import Process

#: The scheduler that may be looked into, as the interpreter's arguments.
SPIED: Final = ("-m", "benchmarks.spied")

#: Samples per second; py-spy stops the process for each, some 0.1 ms.
RATE_HZ: Final = 200

#: prctl(2): who may trace this process beside its ancestors, and "anyone".
_PR_SET_PTRACER, _ANYONE = 0x59616D61, -1


@contextlib.asynccontextmanager
async def spied(process: Process, graph: Path) -> AsyncIterator[None]:
    """The process is sampled meanwhile; afterwards there is a flame graph.

    Raises:
        FileNotFoundError: py-spy is not installed.
        ProcessEndedError: it could not look into the process; the message has its words.
    """
    spy = Process.start("py-spy", command(graph, process.pid), log_path=graph.with_suffix(".log"))

    async def looks() -> bool:
        return "Sampling" in spy.log()

    try:
        await spy.until(looks, what="looking")
        yield
    finally:
        if spy.is_running:
            spy.signal(signal.SIGINT)
        await spy.wait(timeout_s=60)
        spy.log_path.unlink()


def command(graph: Path, pid: int) -> list[str]:
    """Returns py-spy's command line.

    Raises:
        FileNotFoundError: py-spy is not installed.
    """
    spy = Path(sys.executable).with_name("py-spy")
    if not spy.exists():
        raise FileNotFoundError("py-spy is not installed: pip install -e '.[bench]'")
    how = ["record", "--format=flamegraph", f"--rate={RATE_HZ}", "--function", f"--output={graph}"]
    return [str(spy), *how, f"--pid={pid}"]


def main() -> None:
    # does nothing, and need not, where anybody may look
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_long(_ANYONE), 0, 0, 0)
    sys.argv[0] = "pyscheduler"
    run_pyscheduler()


if __name__ == "__main__":
    main()
