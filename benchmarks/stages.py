"""Where a pod's microseconds go, stage by stage, and how they grow: CPU time of the scheduler.

    python -m benchmarks.stages [--write] [WORKLOAD ...]

Each workload runs on the embedded place as upstream would run it. From the first measured pod on,
the scheduler's process samples its own stack by CPU time; every sample counts for the innermost
function that a stage is known by, so that what a stage calls is its own. `--write` puts the table
into docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.document import markdown_table, write_between
from benchmarks.figures import save, table
from benchmarks.metrics_endpoint import until_ready
from benchmarks.places.bench_cluster import BenchCluster
from benchmarks.places.contestants import OURS, Setup, start
from benchmarks.places.embedded import embedded_place
from benchmarks.places.upstream_run import measured_namespaces
from benchmarks.selection import named
from benchmarks.terminal import Terminal
from benchmarks.workloads import Workload, run

_DOCUMENT: Final = Path("docs/performance.md")

#: Column heads of the document's table, with the workloads behind them.
COLUMNS: Final[Mapping[str, str]] = {
    "500 nodes": "SchedulingBasic/500Nodes",
    "5,000": "SchedulingBasic/5000Nodes_10000Pods",
    "50,000": "SchedulingBasic/50000Nodes",
    "5,000, every pod its own template": "SchedulingManyClasses/5000Nodes_10000Pods",
}

#: Seconds for the last events to be written before the process is ended.
_SETTLE_S: Final = 2.0

REST: Final = "event loop, and what is not listed"


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a pod's way, known by the functions that begin it.

    Attributes:
        budget_us: for each pod of a known class.
        known_by: a regular expression that ``file:line function`` matches.
    """

    name: str
    budget_us: float
    known_by: str


#: For one function the first stage counts that knows it.
STAGES: Final = (
    Stage("log line", 5, r"telemetry/logs\.py|structlog/"),
    Stage("metrics", 3, r"telemetry/instruments\.py|app/observers\.py"),
    Stage("class key", 1, r"Profile\.sign$|\bsign_pod$"),
    Stage(
        "reading the watch, decoding: pending and bound",
        36,
        r"api/(codec|wire|interner)\.py"
        r"|client/(reflector|line_splitter|answer_reader)\.py|aiohttp/",
    ),
    Stage(
        "informer and cache: pending and bound", 8, r"client/informer\.py|cycle/event_handlers\.py"
    ),
    Stage("queue", 4, r"queueing/|run_pre_enqueue"),
    # what carries both is known by neither, so that the caller counts
    Stage("event POST", 35, r"client/(recorder|background_writes)\.py|EventRecorder"),
    Stage("bind POST", 35, r"DefaultBinder\.bind|Dispatcher\.(bind|_send_bind)"),
    Stage("taking over changed rows", 4, r"Snapshot\.refresh"),
    Stage("filter, score, pick", 9, r"SchedulingAlgorithm\."),
    Stage("assume, reserve", 4, r"SchedulerCache\.assume|Scheduler\._assume|runtime/reserving\.py"),
    Stage("binding cycle", 8, r"cycle/binding\.py|Scheduler\._bind|Scheduler\._on_bind_ended"),
    Stage("scheduling loop", 4, r"cycle/loop\.py"),
)


def stage_of(stack: Sequence[str]) -> str:
    """Returns the stage of a stack, innermost function first."""
    for function in stack:
        for stage in STAGES:
            if re.search(stage.known_by, function):
                return stage.name
    return REST


@dataclass(frozen=True, slots=True)
class Costs:
    """What one workload's pods cost each.

    Attributes:
        by_stage: microseconds of CPU.
    """

    workload: str
    pods: int
    total_us: float
    by_stage: Mapping[str, float]


def costs_of(workload: str, sampled: Mapping[str, object], *, pods: int) -> Costs:
    """Returns the costs by what `benchmarks.instrumented --stacks` wrote."""
    cpu_s, stacks = sampled["cpu_s"], sampled["stacks"]
    assert isinstance(cpu_s, float)
    assert isinstance(stacks, list)
    counts: Counter[str] = Counter()
    for count, *stack in stacks:
        counts[stage_of(stack)] += count
    each_us = cpu_s / pods * 1e6
    share = each_us / max(1, counts.total())
    return Costs(workload, pods, each_us, {name: n * share for name, n in counts.items()})


async def measure(workload: Workload, terminal: Terminal) -> Costs:
    """Returns what the workload's measured pods cost."""
    async with embedded_place() as place:
        stacks = place.folder / "stacks.json"
        program = ("-m", "benchmarks.instrumented", "--stacks", str(stacks))
        setup = Setup.of(workload, OURS)
        contestant = await start(place, OURS, setup=setup, program=program)
        await until_ready(contestant.process, contestant.metrics_port)

        async def begin() -> None:
            contestant.process.signal(signal.SIGUSR1)

        await run(workload, BenchCluster(place, on_start=begin), progress=terminal.progress)
        await asyncio.sleep(_SETTLE_S)
        pods = 0
        for namespace in measured_namespaces(workload):
            made = await place.api.list(f"/api/v1/namespaces/{namespace}/pods")
            pods += sum(1 for pod in made if pod["spec"].get("nodeName"))
        await contestant.stop()
        return costs_of(workload.name, json.loads(stacks.read_text()), pods=pods)


def rows_of(found: Sequence[Costs]) -> list[list[str]]:
    """Returns the rows of a table: stage, budget, and what it came to in each workload."""
    budgets = {stage.name: stage.budget_us for stage in STAGES}
    rows = [
        [name, f"{budgets[name]:.0f}" if name in budgets else "", *(_us(c, name) for c in found)]
        for name in (*budgets, REST)
    ]
    total = ["together", f"{sum(budgets.values()):.0f}", *(f"{c.total_us:.0f}" for c in found)]
    return [*rows, total]


def _us(costs: Costs, stage: str) -> str:
    return f"{costs.by_stage.get(stage, 0):.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stages",
        description="Tells what each stage of a pod's way costs, in CPU time.",
    )
    parser.add_argument("workloads", nargs="*", help="names (default: those of the document)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {_DOCUMENT}")
    options = parser.parse_args()
    if options.write and options.workloads:
        parser.error("the document's table is about its own workloads")
    columns = {name: name for name in options.workloads} or COLUMNS
    try:
        workloads = [named(name) for name in columns.values()]
    except KeyError as unknown:
        parser.error(f"no workload is named {unknown}; `make profile` without one lists them")
    terminal, found = Terminal(), []
    for workload in workloads:
        found.append(asyncio.run(measure(workload, terminal)))
        terminal.say(f"{workload.name}: {found[-1].total_us:.0f} us of CPU a pod")
    head = ["stage", "budget", *columns]
    terminal.say("\n" + table(head, rows_of(found)))
    path = save("stages", {cost.workload: dict(cost.by_stage) for cost in found})
    terminal.say(f"\nwritten to {path}")
    if options.write:
        write_between(_DOCUMENT, "bench-stages", markdown_table(head, rows_of(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
