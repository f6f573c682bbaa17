"""Contests: the same pending pods for one contestant after another, on one cluster.

What comes before the measured pods is laid out once, by this scheduler, and kept. For each run the
measured pods are made while nobody schedules; then the contestant begins, and from its first bind
on its queue is full. Afterwards these pods are deleted, and nothing else.

A contestant is either started when the pods are there (`Contest.run`), so that its start counts
too, or it knows the cluster already, has come to rest, and is stopped by the kernel while they are
made (`Contest.run_synced`): CPU seconds then are all that the pods cost, from the first that it
sees, and nothing of what was there before them. A backlog's own first attempts are over by then.

What comes at a rate beside the measured pods (churn) comes while a contestant has them, and stands
still whenever nobody schedules: otherwise it would pile up, and be done before any of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from benchmarks.audit_tail import among
from benchmarks.places.bench_cluster import BenchCluster
from benchmarks.places.contestants import (
    OURS,
    RAW,
    RAW_WITH_EVENTS,
    Contestant,
    Setup,
    start,
    start_raw,
)
from benchmarks.places.outcome import Outcome
from benchmarks.places.place import Place
from benchmarks.places.rest import until_at_rest
from benchmarks.places.watching import followed
from benchmarks.spied import SPIED, spied
from benchmarks.workloads import Execution, Workload, measured_pods, split
from benchmarks.workloads.api_objects import ApiObjects
from benchmarks.workloads.operations import CreatePods
from tests.controlplane import load
from tests.controlplane.api_client import Manifest, Manifests


class Contest:
    """One workload on one place, laid out up to the measured pods; made by `contest`."""

    def __init__(
        self,
        place: Place,
        workload: Workload,
        execution: Execution,
        *,
        nodes: Sequence[str],
        shares_namespace: bool,
    ) -> None:
        self._place = place
        self._workload = workload
        self._execution = execution
        self._nodes = nodes
        #: pods that stay are in the namespace of the measured ones, too
        self._shares_namespace = shares_namespace
        self._pods = [_of_one_template(pod) for pod in measured_pods(workload)]

    @property
    def most(self) -> int:
        """How many pods the workload measures."""
        return len(self._pods)

    async def run(
        self, name: str, *, pods: int | None = None, profile: Path | None = None
    ) -> Outcome:
        """Returns what a contestant made of the measured pods, which are gone then.

        Args:
            pods: only so many of them.
            profile: file for a flame graph of this scheduler, from ready on; of no other.

        Raises:
            TimeoutError: they were not all bound.
            ProcessEndedError: the contestant ended before that.
        """
        made = await self._create(pods)
        try:
            self._execution.go_on()
            contestant = await self._start(name, made, is_spied=profile is not None)
            async with followed(self._place, contestant, concerns=among(_keys(made))) as watch:
                async with _drawn(contestant, profile):
                    await watch.until_done(len(made), events=name != RAW)
                return watch.outcome()
        finally:
            self._execution.stand_still()
            await self._delete(made)

    async def run_synced(self, *, pods: int | None = None, profile: Path | None = None) -> Outcome:
        """Returns what this scheduler made of them, given that it was at rest before.

        CPU seconds count from the first pod that it sees. Arguments and faults as for `run`.
        """
        wanted = self._pods[:pods]
        contestant = await self._start(OURS, wanted, is_spied=profile is not None)
        try:
            async with followed(self._place, contestant, concerns=among(_keys(wanted))) as watch:
                await contestant.until_ready()
                await until_at_rest(contestant)
                async with _drawn(contestant, profile):
                    await watch.begin()
                    contestant.process.pause()
                    try:
                        await self._create(pods)
                    finally:
                        contestant.process.resume()
                    self._execution.go_on()
                    await watch.until_done(len(wanted))
                return watch.outcome()
        finally:
            self._execution.stand_still()
            await self._delete(wanted)

    async def _create(self, limit: int | None) -> Manifests:
        return await ApiObjects(self._place.api).create_all(self._pods[:limit])

    async def _delete(self, pods: Manifests) -> None:
        if self._shares_namespace:
            await load.delete_pods(self._place.api, pods)
        else:  # the server's own workers are faster
            path = _collection(pods[0])
            await self._place.api.delete_collection(path, grace_period_s=0)

    async def _start(self, name: str, pods: Manifests, *, is_spied: bool) -> Contestant:
        if name in (RAW, RAW_WITH_EVENTS):
            return start_raw(self._place, name, pods=pods, nodes=self._nodes)
        setup = Setup.of(self._workload, name)
        return await start(self._place, name, setup=setup, program=SPIED if is_spied else ())


@contextlib.asynccontextmanager
async def _drawn(contestant: Contestant, graph: Path | None) -> AsyncIterator[None]:
    """A flame graph shows what the contestant does meanwhile, if there is to be one."""
    if graph is None:
        yield
        return
    await contestant.until_ready()
    async with spied(contestant.process, graph):
        yield


def _collection(pod: Manifest) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods"


def _of_one_template(pod: Manifest) -> Manifest:
    """Returns the pod without the label by which upstream makes each a template of its own.

    Pods that nobody could treat alike are a workload of their own here.
    """
    labels = {
        name: value
        for name, value in (pod["metadata"].get("labels") or {}).items()
        if name != "signature"
    }
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}}


def _keys(pods: Manifests) -> list[tuple[str, str]]:
    return [(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in pods]


@contextlib.asynccontextmanager
async def contest(
    place: Place, workload: Workload, *, progress: Callable[[str], None]
) -> AsyncIterator[Contest]:
    """Yields a contest whose operations before the measured pods are done.

    Raises:
        ValueError: what the workload measures is not just pods.
    """
    before, measured = split(workload)
    async with Execution(workload, BenchCluster(place), progress=progress) as execution:
        helper = await start(place, OURS, setup=Setup.of(workload, OURS))
        try:
            await execution.perform(before)
            execution.stand_still()
        finally:
            await helper.stop()
        for operation in measured:
            if isinstance(operation, CreatePods):
                await execution.prepare(operation)
        nodes = await place.api.list("/api/v1/nodes")
        yield Contest(
            place,
            workload,
            execution,
            nodes=[node["metadata"]["name"] for node in nodes],
            shares_namespace=not await place.api.is_empty(_collection(measured_pods(workload)[0])),
        )
