"""Workloads of benchmarks run: every short one of ours, and some of upstream's where they are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

import benchmarks.workloads
from benchmarks.workloads import (
    UPSTREAM,
    Execution,
    Workload,
    gates_of_ours,
    load,
    measured_pods,
    run,
    selects,
    split,
    unsupported,
)
from benchmarks.workloads.operations import CreatePods
from pyscheduler.app.assembly import assemble, in_tree_registry
from pyscheduler.clock import Clock
from pyscheduler.config.feature_gates import with_gates
from pyscheduler.config.load import default_config, load_config
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics
from tests.controlplane.api_client import ApiClient

FILES = sorted(Path(benchmarks.workloads.__file__).parent.glob("*.yaml"))
OURS = {
    workload.name: workload for file in FILES for case in load(file) for workload in case.workloads
}
SHORT = [name for name, workload in OURS.items() if selects("short", workload.labels)]

#: One of upstream's for what ours do not do: other files, and operations with other fields.
UPSTREAMS = [
    ("dra/consumablecapacity", "ConsumableCapacity/fast"),
    ("dra/extendedresource", "ExtendedResource/fast"),
    ("default_preemption", "PreemptionBasic/5Nodes"),
    ("event_handling", "EventHandlingNodeUpdate/2Nodes_20Pods"),
    ("event_handling", "EventHandlingPodUpdate/1Node_10Pods"),
    ("misc", "SchedulingDeletedPodsWithFinalizers/10Node_100DeletingPods"),
    ("nodedeclaredfeatures", "NodeDeclaredFeaturesEnabled/5Nodes5DeclaredFeatures"),
    ("volumes", "SchedulingMigratedInTreePVs/5Nodes"),
]


@dataclass(frozen=True)
class Place:
    """An embedded cluster with a scheduler at it, as a workload sees it."""

    api: ApiClient
    clock: Clock
    heard: list[str]
    scheduler_name: str = "default-scheduler"
    makes_claims: bool = False

    async def start_collecting(self, name: str) -> None:
        self.heard.append(f"start {name}")

    async def stop_collecting(self) -> None:
        self.heard.append("stop")


class Scene:
    """A place for one workload; use as an async context manager."""

    def __init__(self, workload: Workload, folder: Path) -> None:
        self._workload = workload
        self._folder = folder
        self._exits: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Place:
        self._cluster = EmbeddedCluster(http=True, live=False)
        await self._cluster.__aenter__()
        registry = in_tree_registry()
        path = self._workload.scheduler_config
        self._assembly = assemble(
            load_config(path, registry)
            if path
            else default_config(registry, scheduler_name=Place.scheduler_name),
            registry,
            transport=self._cluster.transport(),
            clock=self._cluster.clock,
            rng=Random(1),
            metrics=SchedulerMetrics(),
            work=CurrentWork(),
            instance="test",
            feature_gates=with_gates(gates_of_ours(self._workload)),
        )
        self._exits.append(asyncio.create_task(self._assembly.follow()))
        await self._assembly.wait_synced()
        self._exits.append(asyncio.create_task(self._assembly.schedule()))
        self._client = ApiClient.connect(self._cluster.kubeconfig(self._folder / "kubeconfig"))
        return Place(await self._client.__aenter__(), self._cluster.clock, [])

    async def __aexit__(self, *exc: object) -> None:
        await self._client.__aexit__(None, None, None)
        for task in self._exits:
            task.cancel()
        await asyncio.gather(*self._exits, return_exceptions=True)
        await self._assembly.dispatcher.close()
        await self._cluster.__aexit__(None, None, None)


async def measured(workload: Workload, folder: Path) -> tuple[str, int, int]:
    """Runs a workload; returns its one measurement's name and count, and how many pods it has."""
    async with Scene(workload, folder) as place, asyncio.timeout(20):
        (measurement,) = await run(workload, place, progress=lambda _: None)
        assert place.heard == [f"start {measurement.name}", "stop"]
        pods = await place.api.list("/api/v1/pods")
    return measurement.name, measurement.scheduled, len(pods)


@pytest.mark.parametrize("name", SHORT)
async def test_a_short_workload_runs_and_all_its_measured_pods_are_counted(
    name: str, tmp_path: Path
) -> None:
    workload = OURS[name]
    _, scheduled, _ = await measured(workload, tmp_path)
    last = workload.operations[-1]
    if isinstance(last, CreatePods) and last.steady_state:
        assert scheduled > last.count  # they were replaced
    elif isinstance(last, CreatePods):
        assert scheduled == last.count
    else:
        assert scheduled == workload.parameters["gatedPods"]


@pytest.mark.skipif(not UPSTREAM.is_dir(), reason=f"no sources of Kubernetes: {UPSTREAM}")
@pytest.mark.parametrize(("folder", "name"), UPSTREAMS)
async def test_an_upstream_workload_runs_as_it_is(folder: str, name: str, tmp_path: Path) -> None:
    cases = load(UPSTREAM / folder / "performance-config.yaml")
    (workload,) = (one for case in cases for one in case.workloads if one.name == name)
    _, scheduled, _ = await measured(workload, tmp_path)
    assert scheduled > 0


async def test_a_workload_runs_in_two_parts_as_in_one(tmp_path: Path) -> None:
    workload = OURS["SchedulingWhileGated/5Nodes_10GatedPods"]
    async with Scene(workload, tmp_path) as place, asyncio.timeout(20):
        async with Execution(workload, place, progress=lambda _: None) as execution:
            before, rest = split(workload)
            await execution.perform(before)
            assert not execution.measurements
            await execution.perform(rest)
            (measurement,) = execution.measurements
        assert measurement.scheduled == 10
        names = {pod["metadata"]["name"] for pod in await place.api.list("/api/v1/pods")}
    assert {pod["metadata"]["name"] for pod in measured_pods(workload)} <= names


async def test_a_caller_may_make_the_measured_pods_itself(tmp_path: Path) -> None:
    workload = OURS["PreemptionBasic/5Nodes"]
    before, (pods,) = split(workload)
    assert isinstance(pods, CreatePods)
    async with (
        Scene(workload, tmp_path) as place,
        asyncio.timeout(20),
        Execution(workload, place, progress=lambda _: None) as execution,
    ):
        await execution.perform(before)
        await execution.prepare(pods)
        path = f"/api/v1/namespaces/{pods.target}/pods"
        stored = await place.api.create_all(path, measured_pods(workload))
    assert [pod["spec"]["priority"] for pod in stored] == [1000] * 5


def test_none_of_ours_is_broken_and_all_can_run() -> None:
    assert {name: why for name, one in OURS.items() if (why := unsupported(one))} == {}


def test_every_case_has_a_short_size_and_a_large_one() -> None:
    labels: dict[str, set[str]] = {}
    for workload in OURS.values():
        labels.setdefault(workload.case, set()).update(workload.labels)
    assert all({"short", "performance"} <= found for found in labels.values())
