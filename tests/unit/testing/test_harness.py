"""The harness calls every hook as the runtime would, and fakes remember what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.testing import PluginHarness, make_node, make_pod

NODES = [make_node("a").obj(), make_node("b").obj()]
ON_A = make_pod("on-a").node("a").obj()
POD = make_pod("p").priority(5).obj()
GANGS = "gangs.v1.example.com"
LOAD = fwk.StateColumn("example.com/load", np.int64)


@dataclass
class Count:
    """Of the pods on each node."""

    of: dict[str, int]

    def clone(self) -> Count:
        return Count(dict(self.of))


COUNT = fwk.StateKey[Count]("Everything.count")


class Everything(
    fwk.PreEnqueuePlugin,
    fwk.QueueSortPlugin,
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.PostFilterPlugin,
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.ReservePlugin,
    fwk.PermitPlugin,
    fwk.PreBindPlugin,
    fwk.BindPlugin,
    fwk.PostBindPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[fwk.NoArgs],
):
    """Has a say at every point: nodes may have one pod."""

    depends_on = (fwk.Aspect.PODS, LOAD)

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.gangs = handle.listers.of(GANGS)
        self.bound = handle.metrics.counter("bound", "Pods bound.")
        handle.tasks.start(self.poll, name="poll")

    async def poll(self) -> None:
        self.handle.columns.set(LOAD, "b", 70)

    def pre_enqueue(self, pod: Pod) -> fwk.Status | None:
        gang = self.gangs.get(f"default/{pod.labels.get('gang', '')}")
        return None if gang else fwk.unresolvable("no gang")

    def sort_key(self, entity: fwk.QueuedEntity) -> tuple[Any, ...]:
        return (-entity.pod.priority, entity.timestamp)

    def pre_filter(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> None:
        names = nodes.names
        state.write(COUNT, Count({n: len(nodes.node(row).pods) for row, n in enumerate(names)}))

    def add_pod(
        self, state: fwk.CycleState, pod: Pod, added: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        state.read(COUNT).of[node.name] += 1
        return None

    def remove_pod(
        self, state: fwk.CycleState, pod: Pod, removed: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        state.read(COUNT).of[node.name] -= 1
        return None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return fwk.unschedulable("taken") if state.read(COUNT).of[node.name] else None

    async def post_filter(
        self, state: fwk.CycleState, pod: Pod, statuses: fwk.NodeStatuses
    ) -> tuple[fwk.PostFilterResult | None, fwk.Status | None]:
        (victim,) = self.handle.snapshot.nodes.node(0).pods.values()
        await self.handle.writes.delete_pod(victim)
        return fwk.PostFilterResult(statuses.nodes_with(fwk.Code.UNSCHEDULABLE)[0]), None

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        return fwk.SKIP if "unscored" in pod.labels else None

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Any:
        return nodes.column(LOAD)

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Any) -> Any:
        return 100 - scores

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        state.read(COUNT).of[node_name] += 1
        return None

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        state.read(COUNT).of[node_name] -= 1

    def permit(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> tuple[fwk.Status | None, float]:
        for sibling in self.handle.waiting_pods:
            sibling.allow(self.name)
        return (fwk.wait("for the gang"), 30.0) if state.read(COUNT).of[node_name] else (None, 0.0)

    def pre_bind_pre_flight(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> fwk.PreBindPreFlightResult | fwk.Status | None:
        return fwk.PreBindPreFlightResult(allow_parallel=True)

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        await self.handle.writes.request("PATCH", "/apis/example.com/v1/gangs/g", {"x": 1})
        return None

    async def bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        await self.handle.writes.bind(pod, node_name)
        return None

    async def post_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        self.handle.activator.activate([pod])
        self.bound.inc()

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return (pod.labels.get("gang"),)

    def events_to_register(self) -> list[fwk.ClusterEventWithHint]:
        return [fwk.ClusterEventWithHint(fwk.NODE_ADDED)]


class Nothing(fwk.Plugin[fwk.NoArgs]):
    """Has no point at all."""


@pytest.fixture
def harness() -> PluginHarness:
    return PluginHarness(Everything, nodes=NODES, pods=[ON_A])


def test_what_comes_before_the_cycle(harness: PluginHarness) -> None:
    in_gang = make_pod("q").label("gang", "g").obj()

    assert harness.pre_enqueue(in_gang) == fwk.unresolvable("no gang")
    harness.informers.of(GANGS).put({"metadata": {"name": "g", "namespace": "default"}})
    assert harness.pre_enqueue(in_gang) is None
    assert harness.pop_order([make_pod("low").obj(), make_pod("low-2").obj(), POD]) == [
        "p",
        "low",
        "low-2",
    ]
    assert harness.sign(in_gang) == ("g",)


def test_what_ifs_follow_pods(harness: PluginHarness) -> None:
    assert harness.feasible(POD) == ["b"]
    assert harness.what_if(POD, "a") == fwk.unschedulable("taken")
    assert harness.what_if(POD, "a", remove=[ON_A]) is None
    assert harness.what_if(POD, "b", add=[make_pod("new").obj()]) == fwk.unschedulable("taken")
    assert harness.what_if(POD, "b") is None


async def test_making_room(harness: PluginHarness) -> None:
    assert await harness.post_filter(POD) == (fwk.PostFilterResult("a"), None)
    assert harness.writes.deleted == [ON_A]


async def test_columns_set_by_a_task_are_seen_from_the_next_cycle_on(
    harness: PluginHarness,
) -> None:
    await harness.tasks.started["poll"]()
    harness.refresh()

    assert harness.raw_score(POD) == {"a": 0, "b": 70}
    assert harness.score(POD) == {"a": 100, "b": 30}
    assert harness.score(make_pod("q").label("unscored", "").obj()) == {}


def test_later_hooks_find_what_earlier_ones_left(harness: PluginHarness) -> None:
    assert harness.permit(POD, "b") == (None, 0.0)
    assert harness.reserve(POD, "b") is None
    assert harness.permit(POD, "b") == (fwk.wait("for the gang"), 30.0)
    harness.unreserve(POD, "b")
    assert harness.permit(POD, "b") == (None, 0.0)


async def test_a_pod_that_waits_is_allowed_by_its_sibling(harness: PluginHarness) -> None:
    sibling = make_pod("sibling").obj()
    harness.wait(sibling, "b")

    harness.permit(POD, "b")

    assert await harness.waiting_pods.wait(sibling.uid) is None


async def test_the_binding_cycle(harness: PluginHarness) -> None:
    work = harness.pre_bind_pre_flight(POD, "b")

    assert work == fwk.PreBindPreFlightResult(allow_parallel=True)
    assert await harness.pre_bind(POD, "b") is None
    assert await harness.bind(POD, "b") is None
    await harness.post_bind(POD, "b")
    assert harness.writes.requests == [("PATCH", "/apis/example.com/v1/gangs/g", {"x": 1})]
    assert harness.writes.bindings == [(POD, "b")]
    assert harness.activator.activated == [POD]


def test_events(harness: PluginHarness) -> None:
    assert harness.hint(fwk.NODE_ADDED, POD, new=NODES[0]) is fwk.QueueingHint.QUEUE
    assert harness.hint(fwk.NODE_DELETED, POD, old=NODES[0]) is fwk.QueueingHint.SKIP


@pytest.mark.parametrize(
    ("call", "role"),
    [
        pytest.param(lambda h: h.pre_enqueue(POD), "PreEnqueuePlugin", id="pre-enqueue"),
        pytest.param(lambda h: h.pop_order([POD]), "QueueSortPlugin", id="sort"),
        pytest.param(lambda h: h.pre_filter(POD), "PreFilterPlugin", id="pre-filter"),
        pytest.param(lambda h: h.reserve(POD, "a"), "ReservePlugin", id="reserve"),
        pytest.param(lambda h: h.permit(POD, "a"), "PermitPlugin", id="permit"),
        pytest.param(lambda h: h.sign(POD), "SignPlugin", id="sign"),
        pytest.param(lambda h: h.hint(fwk.NODE_ADDED, POD), "EnqueueExtensions", id="hint"),
    ],
)
def test_a_hook_that_is_not_there(call: Callable[[PluginHarness], object], role: str) -> None:
    with pytest.raises(TypeError, match=f"plugin Nothing is no {role}"):
        call(PluginHarness(Nothing, nodes=NODES))


def test_a_plugin_of_plain_functions() -> None:
    plugin = fwk.plugin("OnlyA")

    @plugin.filter(events=[])
    def only_a(pod: Pod, node: fwk.NodeInfo) -> str | None:
        return None if node.name == "a" else "not a"

    assert PluginHarness(plugin, nodes=NODES).feasible(POD) == ["a"]
