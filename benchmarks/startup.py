"""From the start of a scheduler's process to the first bind, beside the real kube-scheduler.

    python -m benchmarks.startup [--runs 5] [--nodes 500] [--pods 0]

One pod is pending when the process starts, and `--pods` others run on the nodes. Seconds are from
just before the start to the server's time stamp of the bind; CPU and memory are the process's by
then, as the kernel counts them. Without leader election, whose first step is a wait.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from benchmarks.figures import Spread, save, table
from benchmarks.pending_pods import (
    SCHEDULER_NAME,
    nodes_and_no_more,
    pending_pods,
    pod_template,
    start_pyscheduler,
)
from benchmarks.places.contestants import OURS, THEIRS
from tests.controlplane.api_client import Manifest
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.process import Process
from tests.controlplane.scheduler_process import json_records

#: Seconds to the first bind, by the median.
SECONDS_WANTED = 2.0

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start of one scheduler.

    Attributes:
        stages_s: seconds since the start of what the process logged before the first bind.
    """

    contestant: str
    seconds: float
    cpu_s: float
    peak_memory_bytes: int
    stages_s: dict[str, float]


async def measure(*, runs: int, nodes: int, pods: int) -> list[Start]:
    """Returns each start, in alternating order."""
    print(f"starting a control plane with {nodes} nodes and {pods} pods", flush=True)
    starts = []
    async with nodes_and_no_more(nodes) as plane:
        on_nodes = itertools.cycle(f"node-{number}" for number in range(nodes))
        await plane.create_pods(pods, template=lambda name: _bound_pod(name, next(on_nodes)))

        async def ours() -> Process:
            return start_pyscheduler(plane)

        starters: dict[str, Callable[[], Awaitable[Process]]] = {
            OURS: ours,
            THEIRS: lambda: plane.start_kube_scheduler(scheduler_name=SCHEDULER_NAME, verbosity=0),
        }
        for index in range(runs):
            for name in (OURS, THEIRS) if index % 2 == 0 else (THEIRS, OURS):
                namespace = f"start-{index}-{name}"
                starts.append(await _start(plane, name, starters[name], namespace=namespace))
                print(f"  {_line(starts[-1])}", flush=True)
    return starts


def _bound_pod(name: str, node_name: str) -> Manifest:
    pod = pod_template(name)
    pod["spec"]["nodeName"] = node_name
    return pod


async def _start(
    plane: ControlPlane,
    name: str,
    starter: Callable[[], Awaitable[Process]],
    *,
    namespace: str,
) -> Start:
    async with pending_pods(plane, namespace, 1):
        offset = plane.audit_path.stat().st_size
        logged = plane.folder / f"{name}.log"
        seen = logged.stat().st_size if logged.exists() else 0
        started = time.time()
        process = await starter()
        try:
            bound_at = await _first_bind(plane, process, namespace=namespace, offset=offset)
            usage = process.usage()
        finally:
            await plane.stop(process, kill=True)
        stages = {
            str(record["msg"]): datetime.fromisoformat(str(record["ts"])).timestamp() - started
            for record in json_records(logged.read_bytes()[seen:].decode())
            if record.get("msg") in ("starting", "in sync with the cluster")
        }
    return Start(name, bound_at - started, usage.cpu_s, usage.peak_memory_bytes, stages)


async def _first_bind(
    plane: ControlPlane, process: Process, *, namespace: str, offset: int
) -> float:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        for bind in plane.audit(offset=offset).bindings():
            if bind.namespace == namespace:
                return bind.time_s
        process.check()
        await asyncio.sleep(0.02)
    raise TimeoutError(f"{process.name} bound nothing in {_TIMEOUT_S:.0f} s\n{process.log_tail()}")


def report(starts: list[Start]) -> str:
    """Returns the table of medians and spreads."""
    rows = []
    for name in (OURS, THEIRS):
        own = [start for start in starts if start.contestant == name]
        rows.append(
            [
                name,
                Spread.of([start.seconds for start in own]).text(2),
                Spread.of([start.cpu_s for start in own]).text(2),
                Spread.of([start.peak_memory_bytes / 1e6 for start in own]).text(),
            ]
        )
    return table(("", "s to the first bind", "CPU s by then", "peak MB"), rows)


def is_reached(starts: list[Start]) -> bool:
    """Claims that our median is as wanted."""
    ours = [start.seconds for start in starts if start.contestant == OURS]
    return Spread.of(ours).median <= SECONDS_WANTED


def _line(start: Start) -> str:
    stages = "".join(f", {what} at {at:.2f} s" for what, at in start.stages_s.items())
    return (
        f"{start.contestant:14} {start.seconds:5.2f} s, CPU {start.cpu_s:4.2f} s, "
        f"{start.peak_memory_bytes / 1e6:4.0f} MB{stages}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--pods", type=int, default=0, help="that run already (default: none)")
    options = parser.parse_args()
    starts = asyncio.run(measure(runs=options.runs, nodes=options.nodes, pods=options.pods))
    print("\n" + report(starts))
    results = {"nodes": options.nodes, "pods": options.pods, "runs": [*map(asdict, starts)]}
    path = save("startup", results)
    print(f"written to {path}")
    return 0 if is_reached(starts) else 1


if __name__ == "__main__":
    sys.exit(main())
