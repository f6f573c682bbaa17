"""A workload as upstream runs it: the scheduler first, then the operations, measured meanwhile.

What counts begins with the first measured write and ends with the last event, so CPU seconds
include everything a pod costs: its watch events, its cycle, its writes. Pods may come more slowly
than the scheduler could take them; rates are then those of whoever makes the pods.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.places.bench_cluster import BenchCluster
from benchmarks.places.contestants import Setup, start
from benchmarks.places.outcome import Outcome
from benchmarks.places.place import Place
from benchmarks.places.watching import followed
from benchmarks.workloads import Workload, run
from benchmarks.workloads.operations import CreatePods, StartCollectingMetrics


class NothingBoundError(Exception):
    """A workload has run, and none of the pods that it measures was bound."""


async def run_as_upstream(
    place: Place, name: str, workload: Workload, *, progress: Callable[[str], None]
) -> Outcome:
    """Returns what a scheduler made of the workload, on a place nobody has written to.

    Raises:
        NothingBoundError: there is nothing to measure.
        TimeoutError: pods that an operation waits for were not scheduled.
    """
    contestant = await start(place, name, setup=Setup.of(workload, name), tells_ready=True)
    namespaces = measured_namespaces(workload)
    async with followed(place, contestant, concerns=lambda of, _: of in namespaces) as watch:
        await contestant.until_ready()
        cluster = BenchCluster(place, on_start=watch.begin)
        measurements = await run(workload, cluster, progress=progress)
        bound = watch.bound()
        if not bound:
            raise NothingBoundError(f"{workload.name}: no measured pod was bound")
        await watch.until_done(bound)
        return watch.outcome(throughput=measurements[0].throughput if measurements else None)


def measured_namespaces(workload: Workload) -> frozenset[str]:
    """Returns the namespaces whose pods count."""
    found: set[str] = set()
    for operation in workload.operations:
        if isinstance(operation, StartCollectingMetrics):
            found.update(operation.namespaces)
        elif isinstance(operation, CreatePods) and operation.collects_metrics:
            found.add(operation.target)
    return frozenset(found)
