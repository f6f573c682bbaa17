"""One namespace of pending pods, and one process that is to bind them, measured from outside.

The nodes are plain objects that nobody looks after: without a controller-manager they stay Ready,
and with no kwok, hollow kubelet or controller beside it, the machine's cores go to etcd, the API
server and whoever is measured. Every contestant is the same user, so that priority and fairness
treats them alike, and starts when all pods are there: from its first bind on the queue is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.audit_tail import AuditTail, Pace, Writes, in_namespace
from tests.controlplane import load
from tests.controlplane.api_client import Manifest, Manifests
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.identities import KUBE_SCHEDULER
from tests.controlplane.process import Process
from tests.controlplane.scheduler_process import json_records

#: schedulerName of the pods, whoever binds them.
SCHEDULER_NAME = "bench"

#: Events may be dropped (kube-scheduler's broadcaster does so): none for so long is the end.
_QUIET_S = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to.

    Attributes:
        cpu_s: of the process measured, from its start to the last event.
        server_cpu_s: of kube-apiserver and etcd meanwhile.
        transport: what carried the writes; of another's scheduler, its user agent.
    """

    contestant: str
    pace: Pace
    cpu_s: float
    peak_memory_bytes: int
    server_cpu_s: float
    refused: int
    transport: str

    def as_json(self) -> dict[str, object]:
        return {
            "contestant": self.contestant,
            "pods": self.pace.bound,
            "events": self.pace.events,
            "pods_per_s": round(self.pace.pods_per_s, 1),
            "recorded_pods_per_s": round(self.pace.recorded_pods_per_s, 1),
            "cpu_s": round(self.cpu_s, 2),
            "peak_memory_mb": round(self.peak_memory_bytes / 1e6, 1),
            "server_cpu_s": round(self.server_cpu_s, 2),
            "refused": self.refused,
            "transport": self.transport,
        }


@contextlib.asynccontextmanager
async def nodes_and_no_more(nodes: int) -> AsyncIterator[ControlPlane]:
    """Yields a control plane of etcd and kube-apiserver with that many Ready nodes."""
    async with ControlPlane.start(controller_manager=False) as plane:
        await plane.create_nodes(nodes)
        yield plane


def pod_template(name: str) -> Manifest:
    return load.pod_manifest(name, scheduler_name=SCHEDULER_NAME)


@contextlib.asynccontextmanager
async def pending_pods(plane: ControlPlane, namespace: str, count: int) -> AsyncIterator[Manifests]:
    """Yields that many pending pods in a namespace of their own; afterwards the pods are gone."""
    await plane.create_namespace(namespace)
    try:
        yield await plane.create_pods(count, namespace=namespace, template=pod_template)
    finally:
        await plane.api.delete_collection(f"/api/v1/namespaces/{namespace}/pods", grace_period_s=0)


async def contest(
    plane: ControlPlane,
    name: str,
    start: Callable[[], Awaitable[Process]],
    *,
    namespace: str,
    pods: int,
    events: bool = True,
    timeout_s: float = 300,
) -> Outcome:
    """Returns what the process that `start` starts made of the pending pods; it is gone then."""
    tail = AuditTail(plane.audit_path, in_namespace(namespace))
    server_before = server_cpu_s(plane)
    process = await start()
    try:
        writes, usage = await _until_done(tail, process, pods=pods, events=events, limit=timeout_s)
    finally:
        await plane.stop(process)
    return Outcome(
        contestant=name,
        pace=writes.pace(),
        cpu_s=usage[0],
        peak_memory_bytes=usage[1],
        server_cpu_s=server_cpu_s(plane) - server_before,
        refused=len(writes.refused),
        transport=transport_of(process.log()) or writes.binds[0].user_agent,
    )


def transport_of(log: str) -> str:
    """Returns what carries the writes, as this scheduler's log names it at the start; "" if not."""
    return next(
        (str(line["writes"]) for line in json_records(log) if line.get("msg") == "starting"), ""
    )


async def _until_done(
    tail: AuditTail, process: Process, *, pods: int, events: bool, limit: float
) -> tuple[Writes, tuple[float, int]]:
    """Returns the writes once all pods are bound and recorded, and CPU and memory used by then."""
    deadline = time.monotonic() + limit
    last_count, last_change = 0, time.monotonic()
    usage = (0.0, 0)
    while True:
        if process.is_running:  # the plain client ends by itself
            used = process.usage()
            usage = used.cpu_s, used.peak_memory_bytes
        writes = tail.read()
        now, count = time.monotonic(), len(writes.binds) + len(writes.events)
        if count != last_count:
            last_count, last_change = count, now
        if len(writes.binds) >= pods and (
            not events or len(writes.events) >= pods or now - last_change > _QUIET_S
        ):
            return writes, usage
        if now > deadline:
            raise TimeoutError(
                f"{process.name}: {len(writes.binds)} of {pods} pods bound after {limit:.0f} s\n"
                + process.log_tail()
            )
        if not process.is_running and now - last_change > _QUIET_S:
            process.check()
        await asyncio.sleep(0.1)


def server_cpu_s(plane: ControlPlane) -> float:
    """Returns the CPU seconds that kube-apiserver and etcd have used so far."""
    return sum(
        process.usage().cpu_s
        for process in plane.processes
        if process.name in ("kube-apiserver", "etcd")
    )


async def start_pyscheduler(
    plane: ControlPlane,
    *arguments: str,
    port: int = 0,
    program: Sequence[str] = ("-m", "pyscheduler"),
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Returns this scheduler, started as a user would start it."""
    return Process.start(
        "pyscheduler",
        [
            sys.executable,
            *program,
            "run",
            f"--kubeconfig={plane.kubeconfig(KUBE_SCHEDULER)}",
            f"--scheduler-name={SCHEDULER_NAME}",
            "--no-leader-elect",
            "--bind-address=127.0.0.1",
            f"--port={port}",
            "--log-format=json",
            *arguments,
        ],
        log_path=plane.folder / "pyscheduler.log",
        environment=environment,
    )


async def start_plain_binder(
    plane: ControlPlane, pods: Manifests, *, nodes: int, events: bool
) -> Process:
    """Returns the client that binds from a list, dealing the pods over the nodes in turn."""
    work = {
        "server": plane.server,
        "token": plane.identities.tokens[KUBE_SCHEDULER],
        "ca": str(plane.identities.certificate_authority),
        "events": events,
        "pods": [
            {
                "namespace": pod["metadata"]["namespace"],
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
                "node": f"node-{index % nodes}",
            }
            for index, pod in enumerate(pods)
        ],
    }
    path: Path = plane.folder / "plain-binder.json"
    path.write_text(json.dumps(work))
    return Process.start(
        "plain-binder",
        [sys.executable, "-m", "benchmarks.plain_binder", path],
        log_path=plane.folder / "plain-binder.log",
    )
