"""Runs a workload: its operations in order, and what goes on beside them.

    before, measured = split(workload)
    async with Execution(workload, cluster, progress=print) as execution:
        await execution.perform(before)
        ...
        await execution.perform(measured)

Called by: ``benchmarks.places``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from benchmarks.workloads.api_objects import ApiObjects, with_priority_class
from benchmarks.workloads.barriers import barrier
from benchmarks.workloads.churn import churn
from benchmarks.workloads.claim_maker import ClaimMaker
from benchmarks.workloads.claims import alloc_resource_claims, create_resource_claims
from benchmarks.workloads.cluster import Cluster
from benchmarks.workloads.measurement import Measurement, Measuring
from benchmarks.workloads.namespaces import create_namespaces
from benchmarks.workloads.nodes import create_nodes
from benchmarks.workloads.objects import create_any, update_any
from benchmarks.workloads.operations import (
    AllocResourceClaims,
    Barrier,
    Churn,
    CreateAny,
    CreateNamespaces,
    CreateNodes,
    CreatePods,
    CreateResourceClaims,
    DeletePods,
    Operation,
    Sleep,
    StartCollectingMetrics,
    StopCollectingMetrics,
    UpdateAny,
)
from benchmarks.workloads.pod_manifests import pod_manifest
from benchmarks.workloads.pod_watch import PodWatch
from benchmarks.workloads.pods import create_pods, delete_pods
from benchmarks.workloads.stage import Stage
from benchmarks.workloads.test_case import Workload
from tests.controlplane.api_client import Manifest


class Execution:
    """One run of a workload; use as an async context manager.

    Leaving it ends what goes on beside the operations (churn, rated deletions). What the workload
    made stays: clusters are not used twice.
    """

    def __init__(
        self, workload: Workload, cluster: Cluster, *, progress: Callable[[str], None]
    ) -> None:
        """An execution that has not begun.

        Args:
            workload: one that is not `unsupported`.
            cluster: without pods and nodes.
            progress: told in a few words what happens, every second or so.
        """
        self._workload = workload
        self._stage = Stage(cluster, ApiObjects(cluster.api), PodWatch(cluster.api), progress)
        self._measuring: Measuring | None = None
        self._measurements: list[Measurement] = []

    @property
    def measurements(self) -> Sequence[Measurement]:
        """Those that have ended, in order."""
        return self._measurements

    async def __aenter__(self) -> Self:
        stage = self._stage
        if not stage.cluster.makes_claims:
            maker = ClaimMaker(stage.api)
            stage.pods.listen(maker.notice)
            stage.beside(maker.work(), name="claims from templates")
        await stage.pods.sync()
        stage.beside(stage.pods.follow(), name="watch of pods")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._measuring is not None:
            await self._measuring.abandon()
            self._measuring = None
        tasks = self._stage.background
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def prepare(self, operation: CreatePods) -> None:
        """What the operation's pods refer to exists: for a caller who makes them in its place."""
        objects = self._stage.objects
        await objects.ensure_namespace(operation.target)
        if operation.count:
            await objects.admissible(pod_manifest(operation, 0))

    def stand_still(self) -> None:
        """What comes at a rate (churn, rated updates and deletions) stops coming until `go_on`."""
        self._stage.goes_on.clear()

    def go_on(self) -> None:
        """It comes again, at its rate from now on: what would have come meanwhile does not."""
        self._stage.goes_on.set()

    async def perform(self, operations: Sequence[Operation]) -> None:
        """The operations are done, in order.

        Raises:
            TimeoutError: pods that an operation waits for were not scheduled.
            ApiError: the server refused what an operation writes.
            ValueError: an operation cannot be done after those before it.
        """
        for operation in operations:
            self._stage.raise_faults()
            await self._perform(operation)

    async def _perform(self, operation: Operation) -> None:
        stage = self._stage
        match operation:
            case CreateNodes():
                await create_nodes(operation, stage)
            case CreateNamespaces():
                await create_namespaces(operation, stage)
            case CreatePods(collect_metrics=True):
                await self._start(operation.target, (operation.target,), {})
                await create_pods(operation, stage)
                await self._stop()
            case CreatePods():
                await create_pods(operation, stage)
            case DeletePods():
                await delete_pods(operation, stage)
            case CreateAny():
                await create_any(operation, stage)
            case UpdateAny():
                await update_any(operation, stage)
            case CreateResourceClaims():
                await create_resource_claims(operation, stage)
            case AllocResourceClaims():
                await alloc_resource_claims(operation, stage)
            case Churn():
                await churn(operation, stage)
            case Barrier():
                await barrier(operation, stage)
            case Sleep():
                await stage.clock.sleep(operation.duration)
            case StartCollectingMetrics():
                name = operation.name or ",".join(operation.namespaces)
                await self._start(name, operation.namespaces, operation.label_selector)
            case StopCollectingMetrics():
                await self._stop()
            case _:
                raise ValueError(f"{operation.opcode} is not here")

    async def _start(self, name: str, namespaces: Sequence[str], labels: Mapping[str, str]) -> None:
        if self._measuring is not None:
            raise ValueError(f"measurement {name} begins before {self._measuring.name} has ended")
        stage = self._stage
        await stage.cluster.start_collecting(name)
        self._measuring = Measuring(
            name, stage.pods, clock=stage.clock, namespaces=namespaces, labels=labels
        )

    async def _stop(self) -> None:
        if self._measuring is None:
            raise ValueError("a measurement ends that has not begun")
        measuring, self._measuring = self._measuring, None
        self._measurements.append(await measuring.stop())
        await self._stage.cluster.stop_collecting()


async def run(
    workload: Workload, cluster: Cluster, *, progress: Callable[[str], None]
) -> tuple[Measurement, ...]:
    """The workload has run; returns its measurements. See `Execution.perform` for faults."""
    async with Execution(workload, cluster, progress=progress) as execution:
        await execution.perform(workload.operations)
        return tuple(execution.measurements)


def split(workload: Workload) -> tuple[tuple[Operation, ...], tuple[Operation, ...]]:
    """Returns the operations up to the first that collects metrics, and the rest.

    Every operation keeps its `position`: default namespaces and generated names are the same as
    in one go.
    """
    operations = workload.operations
    first = next(
        (at for at, operation in enumerate(operations) if operation.collects_metrics),
        len(operations),
    )
    return operations[:first], operations[first:]


def measured_pods(workload: Workload) -> list[Manifest]:
    """Returns the pods of the one measured createPods, ready to be created, in order.

    They name no scheduler unless the template does, and a PriorityClass in place of a number; see
    `Execution.prepare` for that and for their namespace.

    Raises:
        ValueError: what is measured is not just pods: a steady state, pods with volumes, or
            several operations.
    """
    match split(workload)[1]:
        case (CreatePods(steady_state=False, persistent_volume_claim_template_path=None) as pods,):
            return [with_priority_class(pod_manifest(pods, index)) for index in range(pods.count)]
        case measured:
            opcodes = ", ".join(operation.opcode for operation in measured) or "nothing"
            raise ValueError(f"{workload.name} does not just measure pods: {opcodes}")
