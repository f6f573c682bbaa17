"""This scheduler beside the real kube-scheduler, on one control plane, in alternating order.

    python -m benchmarks.basic [--runs 3] [--nodes 500] [--pods 2000] [--profile]

Each run binds a fresh set of pods that were made beforehand, ServiceAccount admission and events
on. kube-scheduler has qps and burst of 5000, no leader election and its default log level; this
scheduler is as it comes, also without leader election. Each round ends with the raw limit: a plain
client that binds from a list, without and with an event each. All times are those of
kube-apiserver's audit log; CPU and memory are the kernel's figures for the process.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from benchmarks.contest import (
    SCHEDULER_NAME,
    Outcome,
    contest,
    nodes_and_no_more,
    pending_pods,
    start_plain_binder,
    start_pyscheduler,
)
from benchmarks.figures import Spread, paired_ratio, save, table
from tests.controlplane.api_client import Manifests
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.process import Process

OURS, THEIRS = "pyscheduler", "kube-scheduler"
PLAIN, PLAIN_WITH_EVENTS = "plain binds", "plain binds + events"
PROFILED = "pyscheduler, profiled"

PACE, RECORDED_PACE = "pods/s to the last bind", "pods/s to the last event"
CPU, MEMORY = "CPU seconds", "peak memory"

#: What is to be reached, by the medians: as fast as kube-scheduler, and no more memory.
WANTED = {PACE: ">= 1", RECORDED_PACE: ">= 1", MEMORY: "<= 1"}

#: Pods of the run that nobody counts: it fills caches and opens etcd's file.
_WARM_UP_PODS = 200


class Arena:
    """The runs on one control plane, and their outcomes."""

    def __init__(self, plane: ControlPlane, *, nodes: int, pods: int) -> None:
        self.outcomes: dict[str, list[Outcome]] = {}
        self._plane = plane
        self._nodes = nodes
        self._pods = pods
        self._count = 0

    async def run(self, name: str, *, pods: int | None = None, counts: bool = True) -> None:
        """One run of a contestant is measured."""
        self._count += 1
        namespace = f"bench-{self._count}"
        wanted = pods or self._pods
        async with pending_pods(self._plane, namespace, wanted) as made:
            outcome = await contest(
                self._plane,
                name,
                self._starter(name, made),
                namespace=namespace,
                pods=wanted,
                events=name != PLAIN,
            )
        if counts:
            self.outcomes.setdefault(name, []).append(outcome)
            print(f"  {_line(outcome)}", flush=True)

    def _starter(self, name: str, pods: Manifests) -> Callable[[], Awaitable[Process]]:
        plane = self._plane
        if name == OURS:
            return lambda: start_pyscheduler(plane)
        if name == PROFILED:
            probe = ("--profile", str(plane.folder / "profile.txt"), "--pods", str(len(pods)))
            return lambda: start_pyscheduler(
                plane, program=("-m", "benchmarks.instrumented", *probe)
            )
        if name == THEIRS:
            # Its default log level; ours logs a line for each decision.
            return lambda: plane.start_kube_scheduler(scheduler_name=SCHEDULER_NAME, verbosity=0)
        return lambda: start_plain_binder(
            plane, pods, nodes=self._nodes, events=name == PLAIN_WITH_EVENTS
        )


async def profile(*, nodes: int, pods: int) -> str:
    """Returns what each function of this scheduler costs a pod, in one run of its own."""
    async with nodes_and_no_more(nodes) as plane:
        await Arena(plane, nodes=nodes, pods=pods).run(PROFILED)
        return (plane.folder / "profile.txt").read_text()


async def measure(*, runs: int, nodes: int, pods: int) -> dict[str, list[Outcome]]:
    """Returns the outcomes of each contestant, in the order of the rounds."""
    print(f"starting a control plane with {nodes} nodes", flush=True)
    async with nodes_and_no_more(nodes) as plane:
        arena = Arena(plane, nodes=nodes, pods=pods)
        await arena.run(PLAIN_WITH_EVENTS, pods=_WARM_UP_PODS, counts=False)
        for index in range(runs):
            print(f"round {index + 1} of {runs}", flush=True)
            schedulers = (OURS, THEIRS) if index % 2 == 0 else (THEIRS, OURS)
            for name in (*schedulers, PLAIN, PLAIN_WITH_EVENTS):
                await arena.run(name)
        return arena.outcomes


def report(outcomes: dict[str, list[Outcome]]) -> str:
    """Returns the table of medians and spreads, and the ratios."""
    rows = [
        [
            name,
            Spread.of([o.pace.pods_per_s for o in runs]).text(),
            Spread.of([o.pace.recorded_pods_per_s for o in runs]).text(),
            Spread.of([o.cpu_s for o in runs]).text(1),
            Spread.of([o.peak_memory_bytes / 1e6 for o in runs]).text(),
            Spread.of([o.server_cpu_s for o in runs]).text(1),
        ]
        for name, runs in outcomes.items()
    ]
    head = ("", "pods/s to last bind", "to last event", "CPU s", "peak MB", "servers' CPU s")
    ours, theirs = outcomes[OURS], outcomes[THEIRS]
    lines = [table(head, rows), ""]
    for what, figures in ratios(ours, theirs).items():
        wanted = f", wanted {WANTED[what]}" if what in WANTED else ""
        lines.append(f"{what}, {OURS} / {THEIRS}: {figures.text(2)}{wanted}")
    share = paired_ratio(
        [o.pace.recorded_pods_per_s for o in ours],
        [o.pace.recorded_pods_per_s for o in outcomes[PLAIN_WITH_EVENTS]],
    )
    lines.append(f"share of the raw limit (with events): {share.text(2)}")
    lines.append(f"transport of {OURS}'s writes: {ours[-1].transport}")
    lost = sum(o.pace.bound - o.pace.events for o in theirs)
    if lost:
        lines.append(f"{THEIRS} left out {lost} events in all runs together")
    return "\n".join(lines)


def ratios(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> dict[str, Spread]:
    """Returns each figure of ours over theirs, round by round."""
    figures: dict[str, Callable[[Outcome], float]] = {
        PACE: lambda o: o.pace.pods_per_s,
        RECORDED_PACE: lambda o: o.pace.recorded_pods_per_s,
        CPU: lambda o: o.cpu_s,
        MEMORY: lambda o: o.peak_memory_bytes,
    }
    return {
        what: paired_ratio([figure(o) for o in ours], [figure(o) for o in theirs])
        for what, figure in figures.items()
    }


def is_reached(found: Mapping[str, Spread]) -> bool:
    """Claims that the medians of the ratios are as wanted."""
    return (
        found[PACE].median >= 1 and found[RECORDED_PACE].median >= 1 and found[MEMORY].median <= 1
    )


def _line(outcome: Outcome) -> str:
    pace = outcome.pace
    return (
        f"{outcome.contestant:22} {pace.pods_per_s:6.0f} pods/s, {pace.recorded_pods_per_s:6.0f} "
        f"with events ({pace.events}), CPU {outcome.cpu_s:5.1f} s, "
        f"{outcome.peak_memory_bytes / 1e6:4.0f} MB, servers {outcome.server_cpu_s:5.1f} s"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--pods", type=int, default=2000, help="pods of each run (default: 2000)")
    parser.add_argument(
        "--profile", action="store_true", help="instead: what each function costs a pod"
    )
    options = parser.parse_args()
    if options.profile:
        print(asyncio.run(profile(nodes=options.nodes, pods=options.pods)))
        return 0
    outcomes = asyncio.run(measure(runs=options.runs, nodes=options.nodes, pods=options.pods))
    print("\n" + report(outcomes))
    ours, theirs = outcomes[OURS], outcomes[THEIRS]
    path = save(
        "basic",
        {
            "nodes": options.nodes,
            "pods": options.pods,
            "runs": [outcome.as_json() for runs in outcomes.values() for outcome in runs],
            "ratios": {what: s.median for what, s in ratios(ours, theirs).items()},
        },
    )
    print(f"written to {path}")
    return 0 if is_reached(ratios(ours, theirs)) else 1


if __name__ == "__main__":
    sys.exit(main())
