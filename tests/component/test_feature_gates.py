"""What a feature gate switches on, on a cluster."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pyscheduler import framework as fwk
from pyscheduler import testing
from pyscheduler.api.core_v1 import Pod
from pyscheduler.config.feature_gates import with_gates
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry
from pyscheduler.sim.workload import make_node, make_pod
from pyscheduler.testing.cluster import embedded_cluster
from tests.component.world import World


class ByName(fwk.FilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """Lets a pod onto nodes that are called as it is; knows at once whom a node concerns."""

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None if node.name == pod.name else fwk.unschedulable("node(s) had another name")

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        return [fwk.ClusterEventWithHint(fwk.NODE_ADDED, self.after_node, self.names_of)]

    def after_node(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        return fwk.QueueingHint.QUEUE

    def names_of(self, old: object, new: object) -> list[str]:
        return [f"default/{getattr(new, 'name', '')}"]


@pytest.mark.parametrize(
    ("is_on", "attempts_of_the_other"),
    [pytest.param(True, 1, id="on"), pytest.param(False, 2, id="off, as by default")],
)
async def test_pre_hints_are_asked_if_their_gate_is_on(
    world: World, is_on: bool, attempts_of_the_other: int
) -> None:
    registry = Registry({**IN_TREE, "ByName": ByName}, [*DEFAULT_PLUGINS, ("ByName", 1)])
    world.create(make_node("node-0"), make_pod("node-1"), make_pod("node-2"))
    scheduler = await world.start_scheduler(
        registry=registry, feature_gates=with_gates({"SchedulerPreQueueingHints": is_on})
    )
    await world.run_for(10)

    world.create(make_node("node-1"))
    await world.until_bound("node-1")
    await world.run_for(10)

    (other,) = [entity for _, entity in scheduler.assembly.queue.pending()]
    assert other.pod.name == "node-2"
    assert other.attempts == attempts_of_the_other
    world.assert_sound()


class WhenOn(fwk.FilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """Lets pods in while a feature is on."""

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        is_on = self.handle.features["TaintTolerationComparisonOperators"]
        return None if is_on else fwk.unschedulable("the feature is off")

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        return ()


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        pytest.param({"TaintTolerationComparisonOperators": True}, "", id="on"),
        pytest.param({}, "the feature is off", id="off, as by default"),
    ],
)
async def test_plugins_see_the_gates_of_their_cluster(gates: dict[str, bool], message: str) -> None:
    node = testing.make_node("n").obj()

    async with embedded_cluster(WhenOn, nodes=[node], feature_gates=gates) as cluster:
        cluster.create(testing.make_pod("p").obj())
        await cluster.run_for(5)

        assert cluster.node_of("p") == ("" if message else "n")
        assert message in cluster.message("p")
