"""How long preemption takes, beside the real kube-scheduler on one control plane.

    python -m benchmarks.preemption [--runs 3] [--nodes 300]

Every node is full of one pod of low priority; as many pods of high priority wait for the nodes, and
as many of low priority for an empty node beside them. kwok ends the victims. A run is timed from
the start of the scheduler's process to the last bind of the preemptors, by kube-apiserver's audit
log; the ordinary pods' last bind is reported beside it. Order alternates between the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass

from benchmarks.audit_tail import AuditTail, Writes, in_namespace
from benchmarks.contest import SCHEDULER_NAME, start_pyscheduler
from benchmarks.figures import Spread, paired_ratio, save, table
from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.process import Process
from tests.controlplane.waiting import eventually

OURS, THEIRS = "pyscheduler", "kube-scheduler"

LOW, HIGH = "bench-low", "bench-high"
#: CPU of a node, of the pod that fills it and of one that wants it.
_WHOLE_NODE = "4"
#: An ordinary pod takes next to nothing of the empty node.
_CRUMB = {"cpu": "1m", "memory": "1Mi"}

_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run.

    Attributes:
        preempted_s: from the start of the process to the last bind of a preemptor.
        ordinary_s: the same for the ordinary pods.
        cpu_s: of the process until then.
    """

    contestant: str
    preempted_s: float
    ordinary_s: float
    cpu_s: float
    victims: int


async def measure(*, runs: int, nodes: int) -> dict[str, list[Outcome]]:
    """Returns the outcomes of each contestant, in the order of the rounds."""
    print(f"starting a control plane with {nodes} full nodes", flush=True)
    outcomes: dict[str, list[Outcome]] = {OURS: [], THEIRS: []}
    async with ControlPlane.start(controller_manager=False, kwok=True) as plane:
        await _create_priorities(plane)
        await plane.create_nodes(nodes)
        await plane.create_nodes(
            1,
            prefix="empty",
            template=lambda name: load.node_manifest(name, allocatable=_empty_node(nodes)),
        )
        for index in range(runs):
            print(f"round {index + 1} of {runs}", flush=True)
            order = (OURS, THEIRS) if index % 2 == 0 else (THEIRS, OURS)
            for place, name in enumerate(order):
                outcome = await _run(plane, name, f"preemption-{index}-{place}", nodes=nodes)
                outcomes[name].append(outcome)
                print(
                    f"  {name:16} preemptors {outcome.preempted_s:5.1f} s, "
                    f"ordinary pods {outcome.ordinary_s:5.1f} s, CPU {outcome.cpu_s:5.1f} s, "
                    f"{outcome.victims} victims",
                    flush=True,
                )
    return outcomes


def _empty_node(pods: int) -> dict[str, str]:
    """Room for the ordinary pods and for no preemptor."""
    return {"cpu": "3", "pods": str(pods)}


async def _create_priorities(plane: ControlPlane) -> None:
    for name, value in ((LOW, 100), (HIGH, 1000)):
        await plane.api.create(
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
            },
        )


async def _run(plane: ControlPlane, name: str, namespace: str, *, nodes: int) -> Outcome:
    await plane.create_namespace(namespace)
    pods = f"/api/v1/namespaces/{namespace}/pods"
    fillers = [_pod(f"filler-{i}", LOW, _WHOLE_NODE, node=f"node-{i}") for i in range(nodes)]
    await plane.api.create_all(pods, fillers)
    await plane.api.create_all(
        pods, [_pod(f"preemptor-{i}", HIGH, _WHOLE_NODE) for i in range(nodes)]
    )
    await plane.api.create_all(pods, [_ordinary(i) for i in range(nodes)])
    try:
        return await _timed(plane, name, namespace, nodes=nodes)
    finally:
        await plane.api.delete_collection(pods, grace_period_s=0)

        async def empty() -> bool:
            return await plane.api.is_empty(pods)

        await eventually(empty, what="the pods to be gone", timeout_s=_TIMEOUT_S)


async def _timed(plane: ControlPlane, name: str, namespace: str, *, nodes: int) -> Outcome:
    tail = AuditTail(plane.audit_path, in_namespace(namespace))
    began = time.time()
    process = await _start(plane, name)
    cpu_s = 0.0
    try:
        while len((writes := tail.read()).binds) < 2 * nodes:
            if time.time() - began > _TIMEOUT_S:
                bound = len(writes.binds)
                raise TimeoutError(f"{name}: {bound} of {2 * nodes} bound\n{process.log_tail()}")
            cpu_s = process.usage().cpu_s
            await asyncio.sleep(0.1)
    finally:
        await plane.stop(process)
    left = await plane.api.list(f"/api/v1/namespaces/{namespace}/pods")
    standing = sum(pod["metadata"]["name"].startswith("filler-") for pod in left)
    return Outcome(
        name,
        preempted_s=_last(writes, "preemptor-") - began,
        ordinary_s=_last(writes, "ordinary-") - began,
        cpu_s=cpu_s,
        victims=nodes - standing,
    )


async def _start(plane: ControlPlane, name: str) -> Process:
    if name == OURS:
        return await start_pyscheduler(plane)
    return await plane.start_kube_scheduler(scheduler_name=SCHEDULER_NAME, verbosity=0)


def _last(writes: Writes, prefix: str) -> float:
    return max(bind.time_s for bind in writes.binds if bind.name.startswith(prefix))


def _pod(name: str, priority: str, cpu: str, *, node: str = "") -> Manifest:
    spec = {"priorityClassName": priority} | ({"nodeName": node} if node else {})
    requests = {"cpu": cpu, "memory": "1Gi"}
    return load.pod_manifest(name, scheduler_name=SCHEDULER_NAME, requests=requests, spec=spec)


def _ordinary(index: int) -> Manifest:
    return load.pod_manifest(
        f"ordinary-{index}",
        scheduler_name=SCHEDULER_NAME,
        requests=_CRUMB,
        spec={"priorityClassName": LOW},
    )


def report(outcomes: dict[str, list[Outcome]]) -> str:
    """Returns the table of medians and spreads, and the ratios."""
    rows = [
        [
            name,
            Spread.of([o.preempted_s for o in runs]).text(1),
            Spread.of([o.ordinary_s for o in runs]).text(1),
            Spread.of([o.cpu_s for o in runs]).text(1),
            Spread.of([o.victims for o in runs]).text(),
        ]
        for name, runs in outcomes.items()
    ]
    head = ("", "s to the last preemptor", "s to the last ordinary pod", "CPU s", "victims")
    return "\n".join(
        [
            table(head, rows),
            "",
            f"{OURS} / {THEIRS}, last preemptor: {ratio(outcomes).text(2)}, wanted <= 1",
        ]
    )


def ratio(outcomes: dict[str, list[Outcome]]) -> Spread:
    """Returns our time over theirs, round by round."""
    return paired_ratio(
        [o.preempted_s for o in outcomes[OURS]], [o.preempted_s for o in outcomes[THEIRS]]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--nodes", type=int, default=300, help="full nodes (default: 300)")
    options = parser.parse_args()
    outcomes = asyncio.run(measure(runs=options.runs, nodes=options.nodes))
    print("\n" + report(outcomes))
    path = save(
        "preemption",
        {
            "nodes": options.nodes,
            "runs": [
                {
                    "contestant": o.contestant,
                    "preempted_s": round(o.preempted_s, 2),
                    "ordinary_s": round(o.ordinary_s, 2),
                    "cpu_s": round(o.cpu_s, 2),
                    "victims": o.victims,
                }
                for runs in outcomes.values()
                for o in runs
            ],
            "ratio": ratio(outcomes).median,
        },
    )
    print(f"written to {path}")
    return 0 if ratio(outcomes).median <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
