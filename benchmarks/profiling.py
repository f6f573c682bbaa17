"""A flame graph of the scheduler's process while it works on a workload, and a table of functions.

    python -m benchmarks.profiling SchedulingBasic/5000Nodes_10000Pods [--file F] [--shown 25]

The embedded place runs the workload as upstream would: its server is a process of its own, so all
that the graph shows is the scheduler's, from ready on. See `spied.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.figures import RESULTS_FOLDER, table
from benchmarks.flame_graph import Costs, beneath, costs, read
from benchmarks.places.bench_cluster import BenchCluster
from benchmarks.places.contestants import OURS, Setup, start
from benchmarks.places.embedded import embedded_place
from benchmarks.selection import WORKLOADS, Selection, select
from benchmarks.spied import SPIED, spied
from benchmarks.terminal import Terminal
from benchmarks.workloads import Workload, WorkloadError, run

#: The outermost frame of a running scheduler's work.
_LOOP: Final = "Runner.run (asyncio/runners.py"
_LONGEST_NAME: Final = 90


class UnknownWorkloadError(Exception):
    """The message lists those that there are."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        lines = [f"no workload is named {name!r}; there are", *(f"  {one}" for one in known)]
        super().__init__("\n".join(lines))


class UnsupportedWorkloadError(Exception):
    """The message says why it cannot run here."""


def choose(name: str, known: Selection) -> Workload:
    """Returns the workload of that name, which is "Case/Workload"; of "Case" alone, its first.

    Raises:
        UnknownWorkloadError: there is none.
        UnsupportedWorkloadError: it cannot run here.
    """
    for workload in known.workloads:
        if name in (workload.name, workload.case):
            return workload
    for skipped, reason in known.skipped:
        if name == skipped:
            raise UnsupportedWorkloadError(f"{name} cannot run here: {reason}")
    raise UnknownWorkloadError(name, (workload.name for workload in known.workloads))


async def profile(workload: Workload, graph: Path, terminal: Terminal) -> None:
    """The scheduler has run the workload, and its flame graph is in a file."""
    async with embedded_place() as place:
        contestant = await start(place, OURS, setup=Setup.of(workload, OURS), program=SPIED)
        await contestant.until_ready()
        async with spied(contestant.process, graph):
            await run(workload, BenchCluster(place), progress=terminal.progress)
            terminal.progress("drawing")
        await contestant.stop()


def functions_of(graph: Path, *, shown: int = 25) -> str:
    """Returns the functions of a scheduler's flame graph as a table, those of its loop alone."""
    frames = read(graph)
    return report(costs(beneath(frames, _LOOP) or frames), shown=shown)


def report(found: Costs, *, shown: int) -> str:
    """Returns the functions with the most samples of their own as a table."""
    share = 100 / max(1, found.samples)
    rows = [
        [name[:_LONGEST_NAME], f"{own * share:.1f}", f"{found.total[name] * share:.1f}"]
        for name, own in found.own.most_common(shown)
    ]
    return table(["function", "own %", "with callees %"], rows)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make profile WORKLOAD=...",
        description="Draws a flame graph of the scheduler at work on a workload.",
    )
    parser.add_argument("workload", nargs="?", default="", help="Case/Workload, or Case: its first")
    parser.add_argument("--file", type=Path, help="a file in scheduler_perf's format")
    parser.add_argument("--shown", type=int, default=25, help="rows of the table")
    options = parser.parse_args()
    terminal = Terminal()
    try:
        workload = choose(options.workload, select([options.file or WORKLOADS]))
    except (UnknownWorkloadError, UnsupportedWorkloadError, WorkloadError) as error:
        print(error, file=sys.stderr)
        return 2
    RESULTS_FOLDER.mkdir(exist_ok=True)
    graph = RESULTS_FOLDER / f"profile-{workload.name.replace(os.sep, '-')}.svg"
    graph.unlink(missing_ok=True)
    terminal.say(f"{workload.name} on the embedded cluster")
    asyncio.run(profile(workload, graph.absolute(), terminal))
    terminal.say(functions_of(graph, shown=options.shown))
    terminal.say(f"\nflame graph: {graph}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
