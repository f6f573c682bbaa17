"""NodeResourcesFit and NodeResourcesBalancedAllocation: room, scores, arguments, hints."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.framework import Plugin, QueueingHint
from pyscheduler.framework.extended_resources import DEVICE_CLASSES
from pyscheduler.intree.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from pyscheduler.testing import (
    FakeInformers,
    NodeBuilder,
    PluginHarness,
    PodBuilder,
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
)
from pyscheduler.testing.device_builders import make_device_class

GPU = "example.com/gpu"
QUEUE, SKIP = QueueingHint.QUEUE, QueueingHint.SKIP


def _fit(node: NodeBuilder, *pods: PodBuilder, args: dict[str, Any] | None = None) -> PluginHarness:
    existing = [pod.node("n").obj() for pod in pods]
    return PluginHarness(NodeResourcesFit, args=args, nodes=[node.obj()], pods=existing)


NODE = make_node("n").capacity({"cpu": "2", "memory": "4Gi", GPU: "2", "hugepages-2Mi": "8Mi"})


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(make_pod("p"), None, id="asks-for-nothing"),
        pytest.param(make_pod("p").req({"cpu": "1", "memory": "2Gi"}), None, id="exactly-fits"),
        pytest.param(
            make_pod("p").req({"cpu": "1001m"}),
            fwk.unschedulable("Insufficient cpu"),
            id="a-milli-short",
        ),
        pytest.param(
            make_pod("p").req({"cpu": "2", "memory": "3Gi", GPU: "1"}),
            fwk.unschedulable("Insufficient cpu", "Insufficient memory"),
            id="every-shortage-is-told",
        ),
        pytest.param(
            make_pod("p").req({"cpu": "1500m", "memory": "5Gi"}),
            fwk.unresolvable("Insufficient cpu", "Insufficient memory"),
            id="one-larger-than-the-node",
        ),
        pytest.param(
            make_pod("p").req({GPU: "3"}),
            fwk.unresolvable(f"Insufficient {GPU}"),
            id="extended-resource",
        ),
        pytest.param(
            make_pod("p").req({"example.com/unheard-of": "1"}),
            fwk.unresolvable("Insufficient example.com/unheard-of"),
            id="resource-that-no-node-has",
        ),
        pytest.param(
            make_pod("p").req({"ephemeral-storage": "1Gi"}),
            fwk.unresolvable("Insufficient ephemeral-storage"),
            id="ephemeral-storage",
        ),
        pytest.param(
            make_pod("p").req({"hugepages-2Mi": "16Mi"}),
            fwk.unresolvable("Insufficient hugepages-2Mi"),
            id="hugepages",
        ),
        pytest.param(
            make_pod("p").req({"cpu": "500m"}).init_req({"cpu": "1500m"}),
            fwk.unschedulable("Insufficient cpu"),
            id="init-container-needs-more",
        ),
        pytest.param(
            make_pod("p").req({"cpu": "600m"}).sidecar_req({"cpu": "600m"}),
            fwk.unschedulable("Insufficient cpu"),
            id="sidecar-adds",
        ),
        pytest.param(
            make_pod("p").req({"cpu": "600m"}).overhead({"cpu": "600m"}),
            fwk.unschedulable("Insufficient cpu"),
            id="overhead-adds",
        ),
        pytest.param(
            make_pod("p").req({"cpu": "100m"}).pod_level({"cpu": "1500m"}),
            fwk.unschedulable("Insufficient cpu"),
            id="pod-level-request-replaces",
        ),
    ],
)
def test_what_is_asked_for_must_be_free(pod: PodBuilder, expected: fwk.Status | None) -> None:
    harness = _fit(NODE, make_pod("there").req({"cpu": "1", "memory": "2Gi"}))

    assert harness.filter(pod.obj()) == {"n": expected}


def test_a_full_node_takes_not_even_an_empty_pod() -> None:
    harness = _fit(NODE.capacity({"cpu": "1", "pods": "1"}), make_pod("there"))

    assert harness.filter(make_pod("p").obj()) == {"n": fwk.unschedulable("Too many pods")}
    assert harness.filter(make_pod("p").req({"cpu": "2"}).obj()) == {
        "n": fwk.unresolvable("Too many pods", "Insufficient cpu")
    }


@pytest.mark.parametrize(
    ("args", "fits"),
    [
        pytest.param({}, False, id="checked"),
        pytest.param({"ignoredResources": ["example.com/fpga"]}, True, id="resource-ignored"),
        pytest.param({"ignoredResourceGroups": ["example.com"]}, True, id="group-ignored"),
        pytest.param({"ignoredResources": ["cpu"]}, False, id="only-extended-resources"),
    ],
)
def test_extended_resources_can_be_ignored(args: dict[str, Any], fits: bool) -> None:
    harness = _fit(make_node("n"), args=args)
    pod = make_pod("p").req({"example.com/fpga": "1"}).obj()

    assert harness.feasible(pod) == (["n"] if fits else [])
    if "cpu" in args.get("ignoredResources", ()):
        assert harness.feasible(make_pod("q").req({"cpu": "100"}).obj()) == []


def test_a_node_without_allocatable_fits_nothing() -> None:
    harness = _fit(make_node("n").allocatable({}))

    assert harness.filter(make_pod("p").obj()) == {"n": fwk.unschedulable("Too many pods")}


def _strategy(kind: str, **others: Any) -> dict[str, Any]:
    return {"scoringStrategy": {"type": kind, **others}}


def _ratio(*points: tuple[int, int], **others: Any) -> dict[str, Any]:
    shape = [{"utilization": u, "score": s} for u, s in points]
    others["requestedToCapacityRatio"] = {"shape": shape}
    return _strategy("RequestedToCapacityRatio", **others)


CPU_AND_GPU = [{"name": "cpu", "weight": 1}, {"name": GPU, "weight": 3}]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        # with the pod 750m of 2 and 3 of 4 GiB are requested: free 62 % and 25 %
        pytest.param({}, (62 + 25) // 2, id="least-allocated"),
        pytest.param(_strategy("MostAllocated"), (37 + 75) // 2, id="most-allocated"),
        # 37 % and 75 % on a rising line: 37 and 75, rounded half up
        pytest.param(_ratio((0, 0), (100, 10)), 56, id="ratio-bin-packing"),
        pytest.param(_ratio((0, 10), (100, 0)), 44, id="ratio-spreading"),
        pytest.param(_ratio((50, 4)), 40, id="ratio-of-one-point"),
        pytest.param(
            _strategy("LeastAllocated", resources=CPU_AND_GPU),
            62,
            id="extended-resource-not-asked-for",
        ),
        pytest.param(
            _strategy("LeastAllocated", resources=[{"name": "cpu", "weight": 3}]),
            62,
            id="one-resource",
        ),
        pytest.param(
            _strategy(
                "LeastAllocated",
                resources=[{"name": "cpu", "weight": 3}, {"name": "memory", "weight": 1}],
            ),
            (3 * 62 + 25) // 4,
            id="weights",
        ),
    ],
)
def test_the_strategy_scores_what_would_be_requested(args: dict[str, Any], expected: int) -> None:
    harness = _fit(NODE, make_pod("there").req({"cpu": "250m", "memory": "2Gi"}), args=args)

    assert harness.score(make_pod("p").req({"cpu": "500m", "memory": "1Gi"}).obj()) == {
        "n": expected
    }


def test_pods_that_ask_for_nothing_count_with_defaults() -> None:
    node = make_node("n").capacity({"cpu": "1", "memory": "2000Mi"})
    there = make_pod("there").req({})

    # two containers of 100m and 200 MiB: 80 % are free of both
    assert _fit(node, there).score(make_pod("p").req({}).obj()) == {"n": 80}


def test_the_score_knows_nothing_of_what_the_pod_asks_for_as_a_whole() -> None:
    """As in 1.37.1, whose scorer is made without the feature; the filter and the balance know."""
    containers = make_pod("p").req({"cpu": "1", "memory": "1Gi"})
    harness = _fit(NODE)

    with_pod_level = containers.pod_level({"cpu": "2", "memory": "4Gi"})

    assert harness.score(with_pod_level.obj()) == harness.score(containers.obj())


FULL = str(2**63 - 1)


def test_what_is_requested_of_a_node_wraps_around_as_upstream() -> None:
    node = make_node("n").capacity({"cpu": "4", "memory": FULL})
    bound_by_hand = [make_pod(f"q{i}").req({"memory": str(2**62)}).node("n").obj() for i in (1, 2)]
    harness = PluginHarness(NodeResourcesFit, nodes=[node.obj()], pods=bound_by_hand)

    # -2^63 are requested; FULL - (-2^63) is -1 in an int64
    assert harness.filter(make_pod("p").req({"memory": "1"}).obj()) == {
        "n": fwk.unschedulable("Insufficient memory")
    }
    assert harness.filter(make_pod("p").req({"cpu": "1"}).obj()) == {"n": None}


def test_more_than_there_is_scores_as_all_of_it_however_large() -> None:
    node = make_node("n").capacity({"memory": FULL})
    strategy = {
        "type": "RequestedToCapacityRatio",
        "resources": [{"name": "memory", "weight": 1}],
        "requestedToCapacityRatio": {
            "shape": [{"utilization": 0, "score": 1}, {"utilization": 100, "score": 9}]
        },
    }
    harness = PluginHarness(
        NodeResourcesFit,
        args={"scoringStrategy": strategy},
        nodes=[node.obj(), make_node("tiny").capacity({"memory": "1"}).obj()],
        pods=[make_pod(f"q{i}").req({"memory": str(2**62)}).node("tiny").obj() for i in (1, 2)],
    )

    # of n: 2^62 * 100 wraps around to 0; of tiny: -2^63 + 2^62, times 100 wraps around to 0, too
    assert harness.raw_score(make_pod("p").req({"memory": str(2**62)}).obj()) == {
        "n": 10,
        "tiny": 10,
    }


def test_an_extended_resource_counts_if_asked_for() -> None:
    harness = _fit(NODE, args=_strategy("LeastAllocated", resources=CPU_AND_GPU))
    pod = make_pod("p").req({"cpu": "1", GPU: "2"}).obj()

    assert harness.score(pod) == {"n": (50 + 3 * 0) // 4}


def test_resources_that_score_nothing_do_not_weigh_in_the_ratio() -> None:
    harness = _fit(NODE, args=_ratio((50, 0), (100, 10), resources=CPU_AND_GPU))
    pod = make_pod("p").req({"cpu": "1", GPU: "2"}).obj()

    assert harness.score(pod) == {"n": 100}


# --- balanced allocation ---


def _balanced(
    node: NodeBuilder, *pods: PodBuilder, args: dict[str, Any] | None = None
) -> PluginHarness:
    existing = [pod.node("n").obj() for pod in pods]
    return PluginHarness(
        NodeResourcesBalancedAllocation, args=args, nodes=[node.obj()], pods=existing
    )


EVEN = make_node("n").capacity({"cpu": "10", "memory": "10Gi", GPU: "10"})


@pytest.mark.parametrize(
    ("there", "pod", "expected"),
    [
        pytest.param(None, make_pod("p").req({"cpu": "4", "memory": "4Gi"}), 75, id="stays-even"),
        # balance 100 -> 80: 50 + (50 - 20) / 2
        pytest.param(None, make_pod("p").req({"cpu": "4"}), 65, id="becomes-lopsided"),
        # balance 80 -> 100: 50 + (50 + 20) / 2
        pytest.param(
            make_pod("t").req({"memory": "4Gi"}),
            make_pod("p").req({"cpu": "4"}),
            85,
            id="becomes-even",
        ),
        # both fractions are capped at 1
        pytest.param(
            None, make_pod("p").req({"cpu": "40", "memory": "40Gi"}), 75, id="over-committed"
        ),
    ],
)
def test_what_counts_is_how_the_pod_changes_the_balance(
    there: PodBuilder | None, pod: PodBuilder, expected: int
) -> None:
    harness = _balanced(EVEN, *([there] if there is not None else []))

    assert harness.score(pod.obj()) == {"n": expected}


def test_pods_that_ask_for_nothing_are_not_balanced() -> None:
    assert _balanced(EVEN).score(make_pod("p").obj()) == {}
    assert _balanced(EVEN).score(make_pod("p").req({GPU: "1"}).obj()) == {}


def test_a_node_with_one_of_the_resources_is_balanced() -> None:
    harness = _balanced(make_node("n").capacity({"cpu": "10"}))

    assert harness.score(make_pod("p").req({"cpu": "4"}).obj()) == {"n": 75}


def test_three_resources_use_the_standard_deviation() -> None:
    args = {"resources": [{"name": name, "weight": 1} for name in ("cpu", "memory", GPU)]}
    harness = _balanced(EVEN, args=args)

    # fractions 0.6, 0, 0.3: deviation 0.2449, balance 75: 50 + (50 + 75 - 100) / 2
    assert harness.score(make_pod("p").req({"cpu": "6", GPU: "3"}).obj()) == {"n": 62}


# --- arguments ---


@pytest.mark.parametrize(
    ("plugin", "args", "path"),
    [
        pytest.param(
            NodeResourcesFit, _strategy("LeastUsed"), "scoringStrategy.type", id="unknown-type"
        ),
        pytest.param(
            NodeResourcesFit,
            _strategy("LeastAllocated", resources=[{"name": "cpu", "weight": 101}]),
            "scoringStrategy.resources.0.weight",
            id="weight-too-large",
        ),
        pytest.param(
            NodeResourcesFit,
            _strategy("LeastAllocated", resources=[{"name": "cpu", "weight": "1"}]),
            "scoringStrategy.resources.0.weight",
            id="weight-is-text",
        ),
        pytest.param(
            NodeResourcesFit,
            {"ignoredResourceGroups": ["example.com/gpu"]},
            "ignoredResourceGroups",
            id="group-with-slash",
        ),
        pytest.param(
            NodeResourcesFit,
            _strategy("RequestedToCapacityRatio"),
            "scoringStrategy.requested_to_capacity_ratio",
            id="ratio-without-shape",
        ),
        pytest.param(
            NodeResourcesFit,
            {
                "scoringStrategy": {
                    "type": "MostAllocated",
                    "requestedToCapacityRatio": {"shape": [{"utilization": 0, "score": 0}]},
                }
            },
            "scoringStrategy.requestedToCapacityRatio",
            id="shape-of-another-type",
        ),
        pytest.param(
            NodeResourcesFit,
            {"scoringStrategy": {"resources": [{"name": "cpu"}]}},
            "scoringStrategy.type",
            id="strategy-without-type",
        ),
        pytest.param(
            NodeResourcesFit,
            {"ignoredResources": ["example.com/gpu", "-"]},
            "ignoredResources.1",
            id="ignored-is-no-name",
        ),
        pytest.param(
            NodeResourcesFit,
            _ratio(),
            "scoringStrategy.requestedToCapacityRatio.shape",
            id="empty-shape",
        ),
        pytest.param(
            NodeResourcesFit,
            _ratio((50, 1), (50, 2)),
            "scoringStrategy.requestedToCapacityRatio.shape",
            id="shape-does-not-increase",
        ),
        pytest.param(
            NodeResourcesFit,
            _ratio((0, 11)),
            "scoringStrategy.requestedToCapacityRatio.shape.0.score",
            id="score-out-of-range",
        ),
        pytest.param(
            NodeResourcesBalancedAllocation,
            {"resources": [{"name": "cpu", "weight": 2}]},
            "resources",
            id="balanced-with-weight",
        ),
        pytest.param(
            NodeResourcesBalancedAllocation,
            {"resources": [{"name": "cpu", "weight": 1}, {"name": "cpu", "weight": 1}]},
            "resources",
            id="balanced-twice",
        ),
    ],
)
def test_bad_arguments_are_refused_with_their_path(
    plugin: type[Plugin[Any]], args: dict[str, Any], path: str
) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        make_plugin(plugin, args, handle=fake_handle())

    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [path]


# --- hints ---

WAITING = make_pod("p").req({"cpu": "2", "memory": "1Gi"}).obj()
SMALL = make_node("n").capacity({"cpu": "1", "memory": "4Gi"}).obj()
LARGE = make_node("n").capacity({"cpu": "4", "memory": "4Gi"}).obj()
SCALE_DOWN = fwk.ActionType.UPDATE_POD_SCALE_DOWN


@pytest.mark.parametrize(
    ("event", "old", "new", "expected"),
    [
        pytest.param(fwk.NODE_ADDED, None, LARGE, QUEUE, id="large-node-joins"),
        pytest.param(fwk.NODE_ADDED, None, SMALL, SKIP, id="small-node-joins"),
        pytest.param(fwk.NODE_ALLOCATABLE_CHANGED, SMALL, LARGE, QUEUE, id="node-grows"),
        pytest.param(fwk.NODE_ALLOCATABLE_CHANGED, LARGE, SMALL, SKIP, id="node-shrinks"),
        pytest.param(
            fwk.NODE_ALLOCATABLE_CHANGED,
            LARGE,
            make_node("n").capacity({"cpu": "4", "memory": "4Gi", GPU: "1"}).obj(),
            SKIP,
            id="grows-in-what-is-not-needed",
        ),
        pytest.param(
            fwk.NODE_ALLOCATABLE_CHANGED,
            LARGE,
            make_node("n").capacity({"cpu": "4", "memory": "4Gi", "pods": "120"}).obj(),
            QUEUE,
            id="more-pods-allowed",
        ),
        pytest.param(
            fwk.ASSIGNED_POD_DELETED, make_pod("q").node("n").obj(), None, QUEUE, id="pod-leaves"
        ),
        pytest.param(
            fwk.ASSIGNED_POD_DELETED, make_pod("q").obj(), None, SKIP, id="unplaced-pod-leaves"
        ),
        pytest.param(
            fwk.ClusterEvent(fwk.EventResource.ASSIGNED_POD, SCALE_DOWN),
            make_pod("q").req({"cpu": "2"}).node("n").obj(),
            make_pod("q").req({"cpu": "1"}).node("n").obj(),
            QUEUE,
            id="pod-gives-cpu-back",
        ),
        pytest.param(
            fwk.ClusterEvent(fwk.EventResource.ASSIGNED_POD, SCALE_DOWN),
            make_pod("q").req({GPU: "2"}).node("n").obj(),
            make_pod("q").req({GPU: "1"}).node("n").obj(),
            SKIP,
            id="pod-gives-back-what-is-not-needed",
        ),
        pytest.param(
            fwk.ClusterEvent(fwk.EventResource.TARGET_POD, SCALE_DOWN),
            WAITING,
            make_pod("p").req({"cpu": "1"}).obj(),
            QUEUE,
            id="pod-itself-asks-for-less",
        ),
    ],
)
def test_room_that_may_suffice_wakes_the_pod(
    event: fwk.ClusterEvent, old: Node | Pod | None, new: Node | Pod | None, expected: QueueingHint
) -> None:
    assert PluginHarness(NodeResourcesFit).hint(event, WAITING, old=old, new=new) is expected


def _with_device_class() -> FakeInformers:
    informers = FakeInformers()
    device_class = make_device_class("gpus").extended_resource("example.com/gpu")
    informers.of(DEVICE_CLASSES).put(device_class.obj())
    return informers


def test_resources_of_a_device_class_are_not_counted_where_a_node_has_none() -> None:
    nodes = [
        make_node("devices").capacity({"cpu": "4", "memory": "8Gi"}).obj(),
        make_node("zero").capacity({"cpu": "4", "memory": "8Gi", "example.com/gpu": "0"}).obj(),
        make_node("too-few").capacity({"cpu": "4", "memory": "8Gi", "example.com/gpu": "1"}).obj(),
        make_node("enough").capacity({"cpu": "4", "memory": "8Gi", "example.com/gpu": "2"}).obj(),
        make_node("small").capacity({"cpu": "500m", "memory": "8Gi"}).obj(),
    ]
    pod = make_pod("p").req({"cpu": "1", "example.com/gpu": "2", "example.com/other": "0"}).obj()

    known = PluginHarness(NodeResourcesFit, nodes=nodes, informers=_with_device_class())
    unknown = PluginHarness(NodeResourcesFit, nodes=nodes)

    assert known.feasible(pod) == ["devices", "zero", "enough"]
    assert known.filter(pod)["too-few"] == fwk.unresolvable("Insufficient example.com/gpu")
    assert unknown.feasible(pod) == ["enough"]


def test_nothing_is_kept_of_pods_whose_resources_may_become_devices() -> None:
    known = PluginHarness(NodeResourcesFit, informers=_with_device_class())
    unknown = PluginHarness(NodeResourcesFit)
    pod = make_pod("p").req({"cpu": "1", "example.com/gpu": "2"}).obj()

    assert known.sign(pod) is None
    assert known.sign(make_pod("p").req({"cpu": "1", "example.com/nic": "1"}).obj()) is not None
    assert unknown.sign(pod) is not None


@pytest.mark.parametrize("plugin", [NodeResourcesFit, NodeResourcesBalancedAllocation])
def test_pods_that_ask_for_the_same_are_signed_alike(plugin: type[Plugin[Any]]) -> None:
    signer = make_plugin(plugin, handle=fake_handle())
    assert isinstance(signer, fwk.SignPlugin)
    web = signer.sign_pod(make_pod("a").req({"cpu": "1"}, image="web:1").obj())

    assert signer.sign_pod(make_pod("b").req({"cpu": "1000m"}, image="web:2").obj()) == web
    assert signer.sign_pod(make_pod("c").req({"cpu": "1001m"}, image="web:1").obj()) != web
