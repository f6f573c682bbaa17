"""Waiting for pods.

Called by: ``workloads.execution`` (``barrier``), ``workloads.pods``.

Source: waitUntilPodsScheduled and waitUntilPodsAttempted of test/integration/scheduler_perf,
Kubernetes 1.37.1; it looks once a second, here it is sooner seen that the last pod has a node.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.workloads.operations import Barrier
from benchmarks.workloads.stage import Stage
from benchmarks.workloads.ticking import ticks

#: How long pods may take. Upstream's, too: it is enough for 10 pods/s at its sizes.
TIMEOUT_S = 600.0
#: Between two looks at what the watch has told.
_LOOK_EVERY_S = 0.05
#: Looks between two reports of progress.
_REPORT_EVERY = 40


async def barrier(operation: Barrier, stage: Stage) -> None:
    """The pods of earlier operations are scheduled, or were tried.

    Raises:
        TimeoutError: they are not.
        ValueError: a namespace in which no operation has made pods.
    """
    for namespace in operation.namespaces:
        if namespace not in stage.awaited:
            raise ValueError(f"barrier: no pods to wait for in namespace {namespace}")
    namespaces = operation.namespaces or tuple(stage.awaited)
    attempted = operation.stage_requirement == "Attempted"
    for namespace in namespaces:
        await until_scheduled(
            namespace,
            stage,
            count=stage.awaited[namespace],
            labels=operation.label_selector,
            attempted=attempted,
        )
    if not attempted:
        for namespace in namespaces:
            del stage.awaited[namespace]


async def until_scheduled(
    namespace: str,
    stage: Stage,
    *,
    count: int,
    labels: Mapping[str, str] | None = None,
    attempted: bool = False,
) -> None:
    """So many pods of the namespace have a node.

    Args:
        namespace: theirs.
        stage: where.
        count: how many.
        labels: of those that count; all unless given.
        attempted: pods count that were tried without success, too.

    Raises:
        TimeoutError: it took more than `TIMEOUT_S`.
    """
    began_s = stage.clock.monotonic()
    looks = 0
    async for now_s in ticks(stage.clock, _LOOK_EVERY_S):
        stage.raise_faults()
        pods = stage.pods.meant((namespace,), labels or {})
        there = sum(pod.is_scheduled or (attempted and pod.is_attempted) for pod in pods)
        if there >= count:
            return
        if now_s - began_s > TIMEOUT_S:
            waiting = next((pod.name for pod in pods if not pod.is_scheduled), "none")
            raise TimeoutError(
                f"{there} of {count} pods of namespace {namespace} are"
                f" {'attempted' if attempted else 'scheduled'} after {TIMEOUT_S:.0f} s;"
                f" one that is not: {waiting}"
            )
        looks += 1
        if looks % _REPORT_EVERY == 0:
            stage.progress(f"{namespace}: {there} of {count} pods")
