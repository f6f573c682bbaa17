"""Runs `pyscheduler` under py-spy, which draws what it was seen doing.

    python -m benchmarks.spied GRAPH.svg run --kubeconfig ...

py-spy starts the scheduler itself, so it may look into it without privileges. SIGTERM and SIGINT go
to the scheduler alone: it ends in its own time, and then py-spy writes the graph.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

#: Samples per second; py-spy stops the process for each, some 0.1 ms.
RATE_HZ = 200


def command(graph: Path, arguments: list[str]) -> list[str]:
    """Returns the command line of py-spy around the scheduler's.

    Raises:
        FileNotFoundError: py-spy is not installed.
    """
    spy = Path(sys.executable).with_name("py-spy")
    if not spy.exists():
        raise FileNotFoundError("py-spy is not installed: pip install -e '.[bench]'")
    how = ["record", "--format=flamegraph", f"--rate={RATE_HZ}", "--function", f"--output={graph}"]
    return [str(spy), *how, "--", sys.executable, "-m", "pyscheduler", *arguments]


def children(pid: int) -> list[int]:
    """Returns the processes that this one started and that still run."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    with contextlib.suppress(FileNotFoundError):
        return [int(child) for child in path.read_text().split()]
    return []


def main() -> int:
    graph, *arguments = sys.argv[1:]
    spy = subprocess.Popen(command(Path(graph), arguments))

    def pass_on(number: int, _frame: object) -> None:
        for child in children(spy.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    return spy.wait()


if __name__ == "__main__":
    sys.exit(main())
