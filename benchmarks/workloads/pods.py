"""``createPods`` and ``deletePods``.

    createPods:  all at once, then wait until they have nodes
                 steadyState: every pod that gets a node is deleted and replaced, for a while

Called by: ``workloads.execution``.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable
from itertools import count

from benchmarks.workloads.barriers import until_scheduled
from benchmarks.workloads.operations import CreatePods, DeletePods
from benchmarks.workloads.pod_manifests import pod_manifest, volume_pair
from benchmarks.workloads.pod_watch import PodChange
from benchmarks.workloads.stage import Stage
from tests.controlplane.api_client import Manifest, in_parallel


async def create_pods(operation: CreatePods, stage: Stage) -> None:
    """The pods exist and, unless it is left to a barrier, have nodes.

    Raises:
        TimeoutError: they have not.
    """
    await stage.objects.ensure_namespace(operation.target)
    if operation.steady_state:
        await _create_steadily(operation, stage)
        return
    stage.progress(f"{operation.count} pods in {operation.target}")
    await _create(operation, stage, numbers=range(operation.count))
    stage.awaited[operation.target] += operation.count if operation.skip_wait_to_completion else 0
    if not operation.skip_wait_to_completion:
        await until_scheduled(operation.target, stage, count=operation.count)


async def _create(operation: CreatePods, stage: Stage, *, numbers: Iterable[int]) -> None:
    await in_parallel(
        functools.partial(_create_one, operation, stage, number=number) for number in numbers
    )


async def _create_one(operation: CreatePods, stage: Stage, *, number: int) -> Manifest:
    pair = volume_pair(operation, number)
    if pair is not None:
        await _create_bound(pair.claim, stage)
        await _create_bound(pair.volume, stage)
    index = number if number < operation.count else 0
    pod = pod_manifest(operation, index, serial=number)
    pod["spec"].setdefault("schedulerName", stage.cluster.scheduler_name)
    return await stage.objects.create(pod, operation.target)


async def _create_bound(manifest: Manifest, stage: Stage) -> None:
    """The volume or claim exists with its status, which a POST does not take."""
    stored = await stage.objects.create(manifest)
    path = await stage.objects.collection(stored, stored["metadata"].get("namespace", ""))
    status = f"{path}/{stored['metadata']['name']}/status"
    await stage.api.patch(status, {"status": manifest["status"]}, kind="merge-patch")


async def _create_steadily(operation: CreatePods, stage: Stage) -> None:
    bound: asyncio.Queue[str] = asyncio.Queue()

    def notice(change: PodChange) -> None:
        if change.got_scheduled and change.new and change.new.namespace == operation.target:
            bound.put_nowait(change.new.name)

    async def replace() -> None:
        for number in count(operation.count):
            name = await bound.get()
            path = f"/api/v1/namespaces/{operation.target}/pods/{name}"
            await stage.api.delete(path, grace_period_s=0)
            await _create(operation, stage, numbers=(number,))

    stage.pods.listen(notice)
    replacing: asyncio.Task[None] | None = None
    try:
        end_s = stage.clock.monotonic() + operation.duration
        await _create(operation, stage, numbers=range(operation.count))
        replacing = asyncio.create_task(replace(), name="steady state")
        while not replacing.done() and (left_s := end_s - stage.clock.monotonic()) > 0:
            await stage.clock.sleep(min(left_s, 0.1))
            stage.raise_faults()
        if replacing.done():
            replacing.result()
    finally:
        stage.pods.forget(notice)
        if replacing is not None:
            replacing.cancel()
            await asyncio.gather(replacing, return_exceptions=True)


async def delete_pods(operation: DeletePods, stage: Stage) -> None:
    """The pods are asked to go, or will be while further operations run."""
    if operation.skip_wait_to_completion:
        stage.beside(_delete(operation, stage), name="deletePods")
    else:
        await _delete(operation, stage)


async def _delete(operation: DeletePods, stage: Stage) -> None:
    path = f"/api/v1/namespaces/{operation.namespace}/pods"
    if not operation.delete_pods_per_second:
        selector = ",".join(f"{name}={value}" for name, value in operation.label_selector.items())
        params = {"labelSelector": selector} if selector else {}
        await stage.api.request("DELETE", path, params=params)
        return
    pods = stage.pods.meant((operation.namespace,), operation.label_selector)
    names = iter([pod.name for pod in pods])
    async for _ in stage.ticks(1 / operation.delete_pods_per_second):
        name = next(names, None)
        if name is None:
            return
        await stage.api.delete(f"{path}/{name}")
