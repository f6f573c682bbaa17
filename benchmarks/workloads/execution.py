"""Runs a workload: its operations in order, and what goes on beside them.

    before, measured = split(workload)
    async with Execution(workload, cluster, progress=print) as execution:
        await execution.perform(before)
        ...
        await execution.perform(measured)

Called by: ``benchmarks.places``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.workloads.cluster import Cluster
from benchmarks.workloads.operations import Operation
from benchmarks.workloads.test_case import Workload
from benchmarks.workloads.throughput import Throughput
from tests.controlplane.api_client import Manifest


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was seen between the start and the stop of collecting metrics."""

    #: of the measured namespace, or what startCollectingMetrics is called
    name: str
    #: pods bound while it lasted
    scheduled: int
    duration_s: float
    #: None if it was too short for a sample
    throughput: Throughput | None
    #: (seconds since the start, pods scheduled so far) at every tick
    progress: tuple[tuple[float, int], ...]


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

    @property
    def measurements(self) -> Sequence[Measurement]:
        """Those that have ended, in order."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    async def perform(self, operations: Sequence[Operation]) -> None:
        """The operations are done, in order.

        Raises:
            TimeoutError: pods that an operation waits for were not scheduled.
            ApiError: the server refused what an operation writes.
        """
        raise NotImplementedError


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

    Raises:
        ValueError: what is measured is not just pods: a steady state, pods with volumes, or
            several operations.
    """
    raise NotImplementedError
