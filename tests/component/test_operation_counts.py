"""What a pod costs in operations, and how that grows: with nodes, with pods, with who else waits.

Seconds depend on the machine; how often a hook is called, how many rows it judges and what is sent
do not. Each workload here is a small one of a kind that the benchmarks run at full size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import HOSTNAME_LABEL, ZONE_LABEL, make_node, make_pod
from tests.component.devices import claim, device_class, device_slice, user
from tests.component.operations import CountedWorld, Operations, count_decoding

_APP = {"app": "web"}
_WEB = {"matchLabels": _APP}
_TOO_BIG = "64"

#: Filter and Score of NodeResourcesFit and Score of NodeResourcesBalancedAllocation, whose columns
#: are all that a pod changes on its node.
_ROWS_OF_A_CHANGED_NODE = 3


def _spread(when_unsatisfiable: str) -> JsonObject:
    constraint = {
        "maxSkew": 5,
        "topologyKey": ZONE_LABEL,
        "whenUnsatisfiable": when_unsatisfiable,
        "labelSelector": _WEB,
    }
    return {"labels": _APP, "topologySpreadConstraints": [constraint]}


def _required(kind: str, key: str) -> JsonObject:
    term = {"topologyKey": key, "labelSelector": _WEB}
    terms = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"labels": _APP, "affinity": {kind: terms}}


def _preferred(kind: str, key: str) -> JsonObject:
    term = {"weight": 1, "podAffinityTerm": {"topologyKey": key, "labelSelector": _WEB}}
    terms = {"preferredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"labels": _APP, "affinity": {kind: terms}}


def _node_affinity() -> JsonObject:
    zones = {"key": ZONE_LABEL, "operator": "In", "values": ["z0", "z1"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [zones]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def _pods(count: int, prefix: str = "pod", **spec: Any) -> Iterator[JsonObject]:
    return (make_pod(f"{prefix}-{number}", **spec) for number in range(count))


def _nodes(count: int) -> Iterator[JsonObject]:
    return (
        make_node(f"node-{number}", labels={ZONE_LABEL: f"z{number % 3}"})
        for number in range(count)
    )


async def _of_a_known_class(
    spec: Mapping[str, Any], *, nodes: int, pods: int, known: int = 2
) -> Operations:
    """What pods cost whose class has been met, until all are bound and their events are out."""
    async with CountedWorld(live=False) as world:
        world.create(*_nodes(nodes))
        await world.start_counted()
        for pod in _pods(known, "known", **spec):  # one by one: the second may be another class
            world.create(pod)
            await world.until_bound()
        await world.run_for(1)
        world.operations.clear()
        world.create(*_pods(pods, **spec))
        await world.until_bound()
        await world.run_for(1)
        return world.operations


# --- rows judged


LOCAL = {"plain": {}, "required node affinity": _node_affinity()}
ACROSS = {
    "required spread": (_spread("DoNotSchedule"), "PodTopologySpread", 1),
    "preferred spread": (_spread("ScheduleAnyway"), "PodTopologySpread", 1),
    # it filters by the required term, and scores by it as well
    "required affinity": (_required("podAffinity", ZONE_LABEL), "InterPodAffinity", 2),
    "preferred affinity": (_preferred("podAffinity", ZONE_LABEL), "InterPodAffinity", 1),
    "required anti-affinity": (_required("podAntiAffinity", HOSTNAME_LABEL), "InterPodAffinity", 1),
    "preferred anti-affinity": (_preferred("podAntiAffinity", ZONE_LABEL), "InterPodAffinity", 1),
}


@pytest.mark.parametrize("spec", LOCAL.values(), ids=LOCAL.keys())
@pytest.mark.parametrize(("nodes", "pods"), [(60, 20), (120, 20), (60, 40)])
async def test_a_pod_of_a_known_class_has_the_node_judged_that_the_one_before_it_took(
    spec: JsonObject, nodes: int, pods: int
) -> None:
    counted = await _of_a_known_class(spec, nodes=nodes, pods=pods)
    assert counted.rows() <= pods * _ROWS_OF_A_CHANGED_NODE
    assert counted.most_rows() == 1, "nothing is judged on all nodes"
    assert counted.called("pre_filter") == counted.called("pre_score") == 0
    assert counted.called("normalize") == 0


@pytest.mark.parametrize(("spec", "plugin", "hooks"), ACROSS.values(), ids=ACROSS.keys())
@pytest.mark.parametrize(("nodes", "pods"), [(60, 20), (120, 20), (60, 40)])
async def test_only_the_plugin_that_looks_across_nodes_judges_more_than_what_changed(
    spec: JsonObject, plugin: str, hooks: int, nodes: int, pods: int
) -> None:
    counted = await _of_a_known_class(spec, nodes=nodes, pods=pods)
    over_all = counted.over(nodes // 2)
    assert set(over_all) <= {plugin}, over_all
    assert over_all.get(plugin, 0) <= hooks * pods
    assert counted.rows() - counted.rows(plugin) <= pods * _ROWS_OF_A_CHANGED_NODE
    prepared = {call.plugin for call in counted.calls if call.hook in ("pre_filter", "pre_score")}
    assert prepared <= {plugin}, "the others keep what they prepared"
    assert counted.called("pre_filter") <= pods
    assert counted.called("pre_score") <= pods


async def test_a_pod_like_no_other_is_judged_once_by_who_signs_what_is_its_own() -> None:
    for nodes, pods in ((60, 20), (120, 20), (60, 40)):
        async with CountedWorld(live=False) as world:
            world.create(*_nodes(nodes))
            await world.start_counted()
            world.create(*(make_pod(f"pod-{n}", cpu=f"{n + 1}m") for n in range(pods)))
            await world.until_bound()
            counted = world.operations
            times = {(call.plugin, call.hook): times for call, times in counted.calls.items()}
            assert max(times.values()) == pods, "no hook is called twice for a pod"
            over_all = {plugin for plugin, n in counted.over(nodes).items() if n >= pods}
            assert over_all == {"NodeResourcesFit", "NodeResourcesBalancedAllocation"}
            assert counted.rows() <= 3 * nodes * (pods + 2), "others are asked about the first pod"


# --- the class key


async def test_the_spec_is_signed_once_and_what_differs_from_pod_to_pod_once_a_pod() -> None:
    counted = await _of_a_known_class({}, nodes=20, pods=30)
    signing = {
        call.plugin: times for call, times in counted.calls.items() if call.hook == "sign_pod"
    }
    assert set(signing.values()) <= {30}
    assert len(signing) <= 4, "only those that read more than the spec"


async def test_a_plain_pod_is_shown_to_few_plugins_and_to_each_once() -> None:
    counted = await _of_a_known_class({}, nodes=20, pods=30)
    times = {(call.hook, call.plugin): count for call, count in counted.calls.items()}
    assert set(times.values()) == {30}
    beside_signing = {hook for hook, _ in times} - {"sign_pod"}
    assert beside_signing == {"pre_enqueue", "filter", "score", "bind"}
    assert counted.calls.total() <= 30 * 11


# --- requests and decoding


async def test_a_pod_costs_a_binding_and_an_event_and_nothing_else_is_sent() -> None:
    counted = await _of_a_known_class({}, nodes=20, pods=30)
    assert counted.writes == {"binding": 30, "event": 30}


async def test_a_pod_is_decoded_when_it_comes_and_when_it_is_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with CountedWorld(live=False) as world:
        count_decoding(monkeypatch, world.operations)
        world.create(*_nodes(10))
        await world.start_counted()
        world.operations.clear()
        world.create(*_pods(30))
        await world.until_bound()
        await world.run_for(1)
        assert world.operations.watch_events == {"pods": 60}
        assert world.operations.decoded == {"Pod": 60}


# --- those who wait


@pytest.mark.parametrize("waiting", [0, 30, 60])
async def test_who_fits_nowhere_costs_others_nothing(waiting: int) -> None:
    async with CountedWorld(live=False) as world:
        world.create(*_nodes(40))
        await world.start_counted()
        world.create(make_pod("known"), *_pods(waiting, "big", cpu=_TOO_BIG))
        await world.until_bound("known")
        await world.run_for(3)
        world.operations.clear()

        world.create(*_pods(20))
        await world.until_bound(*(f"pod-{n}" for n in range(20)))
        await world.run_for(1)
        counted = world.operations
        assert counted.hints == {}, "a pod that takes room gives hope to nobody"
        assert counted.writes == {"binding": 20, "event": 20}
        assert counted.rows() == 20 * _ROWS_OF_A_CHANGED_NODE
        assert counted.called("pre_enqueue", "SchedulingGates") == 20
        assert counted.called("post_filter") == 0


async def test_who_fits_nowhere_costs_one_event_and_one_condition_and_its_class_one_look() -> None:
    async with CountedWorld(live=False) as world:
        world.create(*_nodes(40))
        await world.start_counted()
        world.operations.clear()
        world.create(*_pods(30, "big", cpu=_TOO_BIG))
        await world.run_for(3)
        counted = world.operations
        assert counted.writes == {"event": 30, "PATCH pods/status": 30}
        assert set(counted.over(40).values()) == {1}, "the first was judged, the others are like it"


@pytest.mark.parametrize("waiting", [20, 40])
async def test_a_new_node_asks_each_that_waits_one_hint_of_the_plugin_that_rejected_it(
    waiting: int,
) -> None:
    async with CountedWorld(live=False) as world:
        world.create(*_nodes(40))
        await world.start_counted()
        world.create(*_pods(waiting, "big", cpu=_TOO_BIG))
        await world.run_for(3)
        world.operations.clear()
        world.create(make_node("small"))
        await world.run_for(1)
        assert world.operations.hints == {"NodeResourcesFit": waiting}
        assert not world.operations.calls, "nobody was tried again"
        assert not world.operations.writes


async def test_a_gated_pod_costs_a_look_at_its_gate_and_once_released_what_any_costs() -> None:
    async with CountedWorld(live=False) as world:
        world.create(*_nodes(40))
        await world.start_counted()
        world.create(make_pod("known"))
        await world.until_bound("known")
        await world.run_for(1)
        world.operations.clear()

        world.create(*_pods(30, "gated", schedulingGates=[{"name": "example.com/wait"}]))
        await world.run_for(3)
        counted = world.operations
        assert counted.called("pre_enqueue") == 30
        assert not counted.hints
        assert not counted.writes
        counted.clear()

        world.create(*_pods(20))
        await world.until_bound(*(f"pod-{n}" for n in range(20)))
        await world.run_for(1)
        assert counted.hints == {}
        assert counted.called("pre_enqueue", "SchedulingGates") == 20
        counted.clear()

        for number in range(30):
            world.patch_pod(f"gated-{number}", {"spec": {"schedulingGates": None}})
        await world.until_bound()
        await world.run_for(1)
        assert counted.hints == {"SchedulingGates": 30}
        assert counted.called("pre_enqueue", "SchedulingGates") == 30
        assert counted.writes == {"binding": 30, "event": 30}
        assert all(calls <= 1 for calls in counted.over(40).values()), "at most one look at it all"


# --- preemption


@pytest.mark.parametrize(("nodes", "preemptors"), [(20, 10), (40, 10), (40, 20)])
async def test_a_preemptor_tries_each_node_once_and_sends_one_delete(
    nodes: int, preemptors: int
) -> None:
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "high"},
        "value": 10,
    }
    async with CountedWorld() as world:
        world.create(priority, *(make_node(f"node-{n}", cpu="1") for n in range(nodes)))
        world.create(*(make_pod(f"low-{n}", cpu="1", nodeName=f"node-{n}") for n in range(nodes)))
        await world.start_counted()
        await world.run_for(3)
        counted = world.operations
        counted.clear()
        world.create(*_pods(preemptors, "high", cpu="1", priorityClassName="high"))
        await world.until_bound(*(f"high-{n}" for n in range(preemptors)))

        assert counted.writes["DELETE pods"] == counted.writes["binding"] == preemptors
        assert set(counted.hints) == {"NodeResourcesFit"}, "who rejected them"
        # without and again with the victim, by the three filters that are concerned; and what an
        # attempt judges again
        assert counted.rows() <= preemptors * 7 * nodes
        assert counted.called("pre_filter", "NodeResourcesFit") <= 2, "of one class"


# --- a changing cluster, devices


@pytest.mark.parametrize("nodes", [40, 80])
async def test_a_node_that_comes_and_goes_is_judged_alone(nodes: int) -> None:
    rounds = 10
    async with CountedWorld(live=False) as world:
        world.create(*_nodes(nodes))
        await world.start_counted()
        world.create(make_pod("known"))
        await world.until_bound()
        counted = world.operations
        counted.clear()
        for number in range(rounds):
            world.create(make_node("new"), make_pod(f"pod-{number}"))
            await world.until_bound(f"pod-{number}")
            world.delete_pod(f"pod-{number}", at_once=True)
            world.send("DELETE", "/api/v1/nodes/new", {})
            await world.run_for(1)
        # the share of nodes that have an image is another with each node
        assert set(counted.over(nodes // 2)) <= {"ImageLocality"}
        assert counted.over(nodes // 2).get("ImageLocality", 0) <= rounds
        assert counted.rows() - counted.rows("ImageLocality") <= 12 * rounds
        assert counted.writes == {"binding": rounds, "event": rounds}
        assert not counted.hints


@pytest.mark.parametrize("nodes", [10, 20])
async def test_a_pod_with_a_claim_costs_three_writes_more(nodes: int) -> None:
    pods = 10
    async with CountedWorld(live=False) as world:
        world.create(*_nodes(nodes), device_class())
        world.create(*(device_slice(f"node-{n}", "a", "b") for n in range(nodes)))
        world.create(*(claim(f"claim-{n}") for n in range(pods)))
        await world.start_counted()
        world.operations.clear()
        world.create(*(user(f"pod-{n}", f"claim-{n}") for n in range(pods)))
        await world.until_bound()
        await world.run_for(1)
        counted = world.operations
        assert counted.writes == {
            "PATCH pods/status": pods,  # the node it is expected on
            "PATCH resourceclaims": pods,  # the finalizer
            "PATCH resourceclaims/status": pods,  # the devices
            "binding": pods,
            "event": pods,
        }
        # each plugin at most once on each node: a claim makes a pod like no other
        assert counted.rows("DynamicResources") <= nodes * pods
        assert counted.called("pre_filter", "DynamicResources") == pods


# --- plugins of one's own


class _Kept(fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Says what its answers depend on."""

    name = "Kept"
    depends_on = (fwk.Aspect.REQUESTED,)

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 1


class _Asked(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    """Does not."""

    name = "Asked"

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 1


class _AskedAtOnce(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    """Does not, but judges all nodes in one call."""

    name = "AskedAtOnce"

    def score_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> npt.NDArray[np.int64]:
        return np.ones(nodes.n, dtype=np.int64)


_WITH = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: pyscheduler
  plugins:
    multiPoint:
      enabled:
      - name: {name}
"""


@pytest.mark.parametrize(
    ("plugin", "calls", "rows"),
    [(_Kept, 1, 1), (_Asked, 40, 40), (_AskedAtOnce, 1, 40)],
    ids=["per node, kept", "per node, not kept", "whole cluster, not kept"],
)
async def test_what_a_plugin_of_ones_own_is_asked_for_each_pod(
    plugin: type[fwk.Plugin[fwk.NoArgs]], calls: int, rows: int
) -> None:
    pods = 10
    async with CountedWorld(live=False) as world:
        world.create(*_nodes(40))
        await world.start_counted(configuration=_WITH.format(name=plugin.name), plugins=(plugin,))
        world.create(make_pod("known"))
        await world.until_bound()
        world.operations.clear()
        world.create(*_pods(pods))
        await world.until_bound()
        counted = world.operations
        asked = counted.called("score", plugin.name) + counted.called("score_nodes", plugin.name)
        assert (asked, counted.rows(plugin.name)) == (calls * pods, rows * pods)
        assert counted.rows() - counted.rows(plugin.name) == pods * _ROWS_OF_A_CHANGED_NODE
