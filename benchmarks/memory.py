"""What a template's thousandth pod costs: no new class, and little memory.

    python -m benchmarks.memory [--more 4000]

On a control plane with the real controller-manager (so ServiceAccount admission and the
controllers' own labels are as in life) and kwok nodes:

- 1,000 pods of one ReplicaSet, then 1,000 of one StatefulSet, are bound while the scheduler runs;
  its metric `pyscheduler_pod_classes` must say one class after the first and two after both.
- The ReplicaSet then gets `--more` pods. The very objects that the server sends are put through
  decoder, informer and cache under tracemalloc: bytes per stored pod beyond the first 1,000. Beside
  it the resident memory of two freshly started scheduler processes, before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.figures import save
from benchmarks.metrics_endpoint import get, until_ready
from benchmarks.pending_pods import SCHEDULER_NAME, start_pyscheduler
from benchmarks.prometheus_text import value
from pyscheduler.api.codec import PODS, Interner, decoder
from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache import SchedulerCache
from pyscheduler.client.informer import Informer
from tests.controlplane.api_client import Manifest, Manifests
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.load import pod_manifest
from tests.controlplane.ports import free_port

#: Bytes per stored pod beyond the first 1,000 of its template.
BYTES_WANTED = 2000

_NODES = 100
_REPLICAS = 1000
_PAGE_KB = 4


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes per pod, by two ways of measuring."""

    traced_bytes: float
    resident_bytes: float
    pods: int


def replica_set(replicas: int) -> Manifest:
    return _workload("ReplicaSet", "web", replicas, cpu="10m")


def stateful_set(replicas: int) -> Manifest:
    # Other requests than the ReplicaSet's: a class of its own.
    workload = _workload("StatefulSet", "store", replicas, cpu="12m")
    # One at a time would measure the controller.
    workload["spec"] |= {"serviceName": "store", "podManagementPolicy": "Parallel"}
    return workload


def _workload(kind: str, name: str, replicas: int, *, cpu: str) -> Manifest:
    labels = {"app": name}
    requests = {"cpu": cpu, "memory": "16Mi"}
    pod = pod_manifest(name, scheduler_name=SCHEDULER_NAME, requests=requests, labels=labels)
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod["spec"]},
        },
    }


async def measure_classes(plane: ControlPlane) -> tuple[int, int]:
    """Returns the scheduler's classes after the ReplicaSet's pods, and after the StatefulSet's."""
    port = free_port()
    process = start_pyscheduler(plane, port=port)
    counts = []
    try:
        await until_ready(process, port)
        for index, workload in enumerate((replica_set(_REPLICAS), stateful_set(_REPLICAS))):
            path = f"/apis/apps/v1/namespaces/default/{workload['kind'].lower()}s"
            await plane.api.create(path, workload)
            await plane.wait_bound(_REPLICAS * (index + 1), timeout_s=300)
            counts.append(int(value(await get(port, "/metrics"), "pyscheduler_pod_classes")))
            print(f"  {workload['kind']}: {counts[-1]} classes known", flush=True)
    finally:
        await plane.stop(process)
    return counts[0], counts[1]


async def measure_memory(plane: ControlPlane, *, more: int) -> Memory:
    """Returns the bytes per pod of the ReplicaSet beyond those that are there."""
    resident_before = await resident_bytes(plane)
    replicas = _REPLICAS + more
    process = start_pyscheduler(plane)
    try:
        await plane.api.patch(
            "/apis/apps/v1/namespaces/default/replicasets/web", {"spec": {"replicas": replicas}}
        )
        await plane.wait_bound(replicas + _REPLICAS, timeout_s=600)
    finally:
        await plane.stop(process)
    resident_after = await resident_bytes(plane)
    pods = await plane.api.list("/api/v1/namespaces/default/pods", label_selector="app=web")
    return Memory(
        traced_bytes=await traced_bytes(pods, beyond=_REPLICAS),
        resident_bytes=(resident_after - resident_before) / more,
        pods=more,
    )


async def traced_bytes(pods: Manifests, *, beyond: int) -> float:
    """Returns what each pod after the first `beyond` adds to informer and cache, in bytes."""
    lines = [msgspec.json.encode({"type": "ADDED", "object": pod}) for pod in pods]
    informer: Informer[Pod] = Informer()
    cache = SchedulerCache(on_malformed=_refuse)
    decode = decoder(PODS, Interner()).watch_event

    async def store(part: Sequence[bytes]) -> int:
        decoded = [decode(line).object for line in part]
        await informer.replace(
            [*informer.list(), *(pod for pod in decoded if isinstance(pod, Pod))],
            resource_version="1",
        )
        for pod in decoded:
            assert isinstance(pod, Pod)
            cache.add_pod(pod)
        del decoded
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = await store(lines[:beyond])
        after = await store(lines[beyond:])
    finally:
        tracemalloc.stop()
    return (after - before) / (len(lines) - beyond)


def _refuse(malformed: object, error: Exception) -> None:
    raise error


async def resident_bytes(plane: ControlPlane) -> int:
    """Returns the resident memory of a scheduler that has just come in sync, and is gone now."""
    port = free_port()
    process = start_pyscheduler(plane, port=port)
    try:
        await until_ready(process, port)
        await asyncio.sleep(2)
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    finally:
        await plane.stop(process)
    return pages * _PAGE_KB * 1024


async def measure(*, more: int) -> tuple[tuple[int, int], Memory]:
    print(f"starting a control plane with {_NODES} kwok nodes", flush=True)
    async with ControlPlane.start(kwok=True) as plane:
        await plane.create_nodes(_NODES)
        print(f"{_REPLICAS} pods of a ReplicaSet and of a StatefulSet", flush=True)
        classes = await measure_classes(plane)
        print(f"{more} more pods of the ReplicaSet", flush=True)
        return classes, await measure_memory(plane, more=more)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--more", type=int, default=4000, help="pods beyond the first 1,000")
    options = parser.parse_args()
    classes, memory = asyncio.run(measure(more=options.more))
    print(f"\nclasses: {classes[0]} of the ReplicaSet, {classes[1]} with the StatefulSet")
    print(
        f"per stored pod beyond {_REPLICAS}: {memory.traced_bytes:.0f} bytes traced "
        f"(wanted: at most {BYTES_WANTED}), {memory.resident_bytes:.0f} bytes of resident memory"
    )
    path = save(
        "memory",
        {
            "classes": list(classes),
            "pods": memory.pods,
            "traced_bytes_per_pod": round(memory.traced_bytes),
            "resident_bytes_per_pod": round(memory.resident_bytes),
        },
    )
    print(f"written to {path}")
    return 0 if classes == (1, 2) and memory.traced_bytes <= BYTES_WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
