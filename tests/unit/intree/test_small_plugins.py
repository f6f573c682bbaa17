"""Plugins of one question: names, order, gates, binding, cordons, ports, images."""

from __future__ import annotations

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.framework import CycleState, QueuedEntity, QueueingHint
from pyscheduler.intree.default_binder import DefaultBinder
from pyscheduler.intree.image_locality import ImageLocality
from pyscheduler.intree.node_name import NodeName
from pyscheduler.intree.node_ports import NodePorts
from pyscheduler.intree.node_unschedulable import NodeUnschedulable
from pyscheduler.intree.priority_sort import PrioritySort
from pyscheduler.intree.scheduling_gates import SchedulingGates
from pyscheduler.testing import (
    FakeWrites,
    NodeBuilder,
    PluginHarness,
    PodBuilder,
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
)
from pyscheduler.testing.answers import Form, filter_rows

MIB = 1024**2
PORTS_TAKEN = "node(s) didn't have free ports for the requested pod ports"
QUEUE, SKIP = QueueingHint.QUEUE, QueueingHint.SKIP


def _own_update(action: fwk.ActionType) -> fwk.ClusterEvent:
    return fwk.ClusterEvent(fwk.EventResource.TARGET_POD, action)


# --- PrioritySort, SchedulingGates, DefaultBinder ---


def test_pods_are_ordered_by_priority_then_by_time() -> None:
    plugin = make_plugin(PrioritySort, handle=fake_handle())
    entities = [
        QueuedEntity(make_pod("late").priority(5).obj(), timestamp=2.0),
        QueuedEntity(make_pod("low").obj(), timestamp=0.0),
        QueuedEntity(make_pod("early").priority(5).obj(), timestamp=1.0),
        QueuedEntity(make_pod("negative").priority(-1).obj(), timestamp=0.0),
    ]

    ordered = sorted(entities, key=plugin.sort_key)

    assert [entity.pod.name for entity in ordered] == ["early", "late", "low", "negative"]


def test_gates_are_named_in_the_message() -> None:
    plugin = make_plugin(SchedulingGates, handle=fake_handle())

    assert plugin.pre_enqueue(make_pod("free").obj()) is None
    assert plugin.pre_enqueue(make_pod("p").gate("a").gate("b").obj()) == fwk.unresolvable(
        "waiting for scheduling gates: [a b]"
    )


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        pytest.param(make_pod("p").obj(), QUEUE, id="own-last-gate"),
        pytest.param(make_pod("p").gate("b").obj(), SKIP, id="one-gate-left"),
        pytest.param(make_pod("other").obj(), SKIP, id="other-pod"),
    ],
)
def test_the_last_gate_of_the_pod_itself_wakes_it(new: Pod, expected: QueueingHint) -> None:
    gated = make_pod("p").gate("a").obj()
    event = _own_update(fwk.ActionType.UPDATE_POD_SCHEDULING_GATES_ELIMINATED)

    assert PluginHarness(SchedulingGates).hint(event, gated, old=gated, new=new) is expected


async def test_bind_posts_the_binding() -> None:
    writes, pod = FakeWrites(), make_pod("p").obj()
    plugin = make_plugin(DefaultBinder, handle=fake_handle(writes=writes))

    assert await plugin.bind(CycleState(), pod, "n1") is None

    assert writes.bindings == [(pod, "n1")]


async def test_a_refused_binding_is_raised() -> None:
    plugin = make_plugin(DefaultBinder, handle=fake_handle(writes=FakeWrites(OSError("refused"))))

    with pytest.raises(OSError, match="refused"):
        await plugin.bind(CycleState(), make_pod("p").obj(), "n1")


# --- NodeName, NodeUnschedulable ---


def test_a_named_node_is_the_only_one_left() -> None:
    harness = PluginHarness(NodeName, nodes=[make_node(name).obj() for name in "abc"])
    left_out = fwk.unresolvable("node(s) didn't satisfy plugin(s) [NodeName]")

    assert harness.filter(make_pod("p").node("b").obj()) == {
        "a": left_out,
        "b": None,
        "c": left_out,
    }
    assert harness.filter(make_pod("p").node("z").obj()) == dict.fromkeys("abc", left_out)
    assert harness.pre_filter(make_pod("p").obj()) is fwk.SKIP


def test_the_filter_itself_knows_the_name() -> None:
    harness = PluginHarness(NodeName, nodes=[make_node(name).obj() for name in "ab"])
    pod = make_pod("p").node("b").obj()
    plugin = NodeName(fwk.NoArgs(), harness.handle)
    answers = [filter_rows(plugin, fwk.CycleState(), pod, harness.nodes, form) for form in Form]

    assert answers == [
        [fwk.unresolvable("node(s) didn't match the requested node name"), None]
    ] * len(Form)


@pytest.mark.parametrize(
    ("pod", "feasible"),
    [
        pytest.param(make_pod("p"), ["open"], id="plain"),
        pytest.param(
            make_pod("p").toleration("node.kubernetes.io/unschedulable", operator="Exists"),
            ["open", "cordoned"],
            id="tolerates-it",
        ),
        pytest.param(
            make_pod("p").toleration(
                "node.kubernetes.io/unschedulable", effect="NoExecute", operator="Exists"
            ),
            ["open"],
            id="tolerates-another-effect",
        ),
        pytest.param(
            make_pod("p").toleration(operator="Exists"),
            ["open", "cordoned"],
            id="tolerates-everything",
        ),
    ],
)
def test_cordoned_nodes_need_a_toleration(pod: PodBuilder, feasible: list[str]) -> None:
    nodes = [make_node("open").obj(), make_node("cordoned").unschedulable().obj()]

    assert PluginHarness(NodeUnschedulable, nodes=nodes).feasible(pod.obj()) == feasible


OPEN, CORDONED = make_node("n").obj(), make_node("n").unschedulable().obj()


@pytest.mark.parametrize(
    ("event", "old", "new", "expected"),
    [
        pytest.param(fwk.NODE_ADDED, None, OPEN, QUEUE, id="open-node-joins"),
        pytest.param(fwk.NODE_ADDED, None, CORDONED, SKIP, id="cordoned-node-joins"),
        pytest.param(fwk.NODE_TAINTS_CHANGED, CORDONED, OPEN, QUEUE, id="uncordoned"),
        pytest.param(fwk.NODE_TAINTS_CHANGED, OPEN, OPEN, SKIP, id="open-before"),
        pytest.param(fwk.NODE_LABELS_CHANGED, CORDONED, OPEN, SKIP, id="not-registered"),
    ],
)
def test_an_uncordoned_node_wakes_pods(
    event: fwk.ClusterEvent, old: Node | None, new: Node, expected: QueueingHint
) -> None:
    harness = PluginHarness(NodeUnschedulable)

    assert harness.hint(event, make_pod("p").obj(), old=old, new=new) is expected


def test_an_own_toleration_for_cordoned_nodes_wakes_the_pod() -> None:
    harness, pod = PluginHarness(NodeUnschedulable), make_pod("p")
    event = _own_update(fwk.ActionType.UPDATE_POD_TOLERATION)
    tolerant = pod.toleration(operator="Exists").obj()

    assert harness.hint(event, pod.obj(), old=pod.obj(), new=tolerant) is QUEUE
    assert harness.hint(event, pod.obj(), old=pod.obj(), new=pod.toleration("x").obj()) is SKIP


# --- NodePorts ---


@pytest.mark.parametrize(
    ("pod", "fits"),
    [
        pytest.param(make_pod("p"), True, id="no-host-port"),
        pytest.param(make_pod("p").host_port(8081), True, id="free-port"),
        pytest.param(make_pod("p").host_port(8080), False, id="taken"),
        pytest.param(make_pod("p").host_port(8080, protocol="UDP"), True, id="other-protocol"),
        pytest.param(make_pod("p").host_port(8080, ip="10.0.0.2"), True, id="other-address"),
        pytest.param(make_pod("p").host_port(8080, ip="0.0.0.0"), False, id="any-address"),
        pytest.param(make_pod("p").host_port(80).host_port(8080), False, id="second-taken"),
    ],
)
def test_a_host_port_serves_one_pod_per_address(pod: PodBuilder, fits: bool) -> None:
    existing = make_pod("there").host_port(8080, ip="10.0.0.1").node("n").obj()
    harness = PluginHarness(NodePorts, nodes=[make_node("n").obj()], pods=[existing])

    assert harness.filter(pod.obj()) == {"n": None if fits else fwk.unschedulable(PORTS_TAKEN)}


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(make_pod("q").host_port(80).node("n"), QUEUE, id="held-the-port"),
        pytest.param(make_pod("q").host_port(80).nominated("n"), QUEUE, id="was-promised-it"),
        pytest.param(make_pod("q").host_port(81).node("n"), SKIP, id="another-port"),
        pytest.param(make_pod("q").host_port(80), SKIP, id="had-no-node"),
    ],
)
def test_a_port_given_back_wakes_the_pod(left: PodBuilder, expected: QueueingHint) -> None:
    harness, waiting = PluginHarness(NodePorts), make_pod("p").host_port(80).obj()

    assert harness.hint(fwk.ASSIGNED_POD_DELETED, waiting, old=left.obj()) is expected


# --- ImageLocality ---


def _with_image(name: str, image: str, mib: int) -> NodeBuilder:
    return make_node(name).image(image, size_bytes=mib * MIB)


@pytest.mark.parametrize(
    ("nodes", "pod", "expected"),
    [
        pytest.param(
            [make_node("a"), make_node("b")],
            make_pod("p").image("x:1"),
            {"a": 0, "b": 0},
            id="nobody-has-it",
        ),
        # 500 MiB on one of two nodes count 250: 100 * (250 - 23) / (1000 - 23)
        pytest.param(
            [_with_image("a", "x:1", 500), make_node("b")],
            make_pod("p").image("x:1"),
            {"a": 23, "b": 0},
            id="half-of-the-nodes",
        ),
        pytest.param(
            [_with_image("a", "x:latest", 500), make_node("b")],
            make_pod("p").image("x"),
            {"a": 23, "b": 0},
            id="latest-is-understood",
        ),
        pytest.param(
            [_with_image("a", "x", 500), make_node("b")],
            make_pod("p").image("x"),
            {"a": 0, "b": 0},
            id="what-a-node-reports-without-tag-is-not-latest",
        ),
        pytest.param(
            [_with_image("a", "x:1", 500), _with_image("b", "x:1", 900)],
            make_pod("p").image("x:1"),
            {"a": 48, "b": 48},
            id="the-first-node-says-how-large-it-is",
        ),
        pytest.param(
            [_with_image("a", "x:1", 4000)],
            make_pod("p").image("x:1"),
            {"a": 100},
            id="clamped-at-the-top",
        ),
        pytest.param(
            [_with_image("a", "x:1", 20)],
            make_pod("p").image("x:1"),
            {"a": 0},
            id="clamped-at-the-bottom",
        ),
        # two images raise the top to 2000: 100 * (500 - 23) / (2000 - 23)
        pytest.param(
            [_with_image("a", "x:1", 500)],
            make_pod("p").image("x:1").image("y:1"),
            {"a": 24},
            id="two-containers",
        ),
        pytest.param(
            [_with_image("a", "x:1", 500)],
            make_pod("p").init_req({}, image="x:1"),
            {"a": 48},
            id="init-container",
        ),
        pytest.param(
            [_with_image("a", "x:1", 500)],
            make_pod("p").image_volume("x:1"),
            {"a": 48},
            id="image-volume",
        ),
    ],
)
def test_nodes_with_the_images_score_higher(
    nodes: list[NodeBuilder], pod: PodBuilder, expected: dict[str, int]
) -> None:
    harness = PluginHarness(ImageLocality, nodes=[node.obj() for node in nodes])

    assert harness.score(pod.obj()) == expected


def test_a_pod_without_containers_scores_nothing() -> None:
    harness = PluginHarness(ImageLocality, nodes=[make_node("a").obj()])

    assert harness.score(make_pod("p").obj()) == {"a": 0}
