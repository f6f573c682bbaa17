"""Hard taints reject, soft ones cost score."""

from __future__ import annotations

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node
from pyscheduler.framework import QueueingHint
from pyscheduler.intree.taint_toleration import TaintToleration
from pyscheduler.testing import NodeBuilder, PluginHarness, PodBuilder, make_node, make_pod

UNTOLERATED = fwk.unresolvable("node(s) had untolerated taint(s)")
QUEUE, SKIP = QueueingHint.QUEUE, QueueingHint.SKIP


@pytest.mark.parametrize(
    ("pod", "node", "fits"),
    [
        pytest.param(make_pod("p"), make_node("n"), True, id="no-taint"),
        pytest.param(make_pod("p"), make_node("n").taint("k", "v"), False, id="untolerated"),
        pytest.param(
            make_pod("p").toleration("k", "v", "NoSchedule"),
            make_node("n").taint("k", "v"),
            True,
            id="equal",
        ),
        pytest.param(
            make_pod("p").toleration("k", "w", "NoSchedule"),
            make_node("n").taint("k", "v"),
            False,
            id="other-value",
        ),
        pytest.param(
            make_pod("p").toleration("k", "v"),
            make_node("n").taint("k", "v", "NoExecute"),
            True,
            id="every-effect",
        ),
        pytest.param(
            make_pod("p").toleration("k", operator="Exists"),
            make_node("n").taint("k", "v"),
            True,
            id="exists",
        ),
        pytest.param(
            make_pod("p").toleration("k", operator="Exists"),
            make_node("n").taint("k").taint("l"),
            False,
            id="one-of-two",
        ),
        pytest.param(
            make_pod("p"),
            make_node("n").taint("k", effect="PreferNoSchedule"),
            True,
            id="soft-taint-does-not-reject",
        ),
        pytest.param(
            make_pod("p"), make_node("n").taint("k", effect="NoExecute"), False, id="no-execute"
        ),
    ],
)
def test_untolerated_hard_taints_reject(pod: PodBuilder, node: NodeBuilder, fits: bool) -> None:
    harness = PluginHarness(TaintToleration, nodes=[node.obj(), make_node("other").obj()])

    assert harness.filter(pod.obj()) == {"n": None if fits else UNTOLERATED, "other": None}


@pytest.mark.parametrize(
    ("operator", "bound", "value", "is_covered"),
    [
        pytest.param("Gt", "10", "11", True, id="greater"),
        pytest.param("Gt", "10", "10", False, id="not-greater"),
        pytest.param("Lt", "10", "-9", True, id="less"),
        pytest.param("Lt", "10", "10", False, id="not-less"),
        pytest.param("Gt", "10", "011", False, id="no-canonical-integer"),
        pytest.param("Gt", "10", str(2**63), False, id="beyond-int64"),
        pytest.param("Gt", "ten", "11", False, id="bound-is-no-integer"),
    ],
)
@pytest.mark.parametrize("is_on", [True, False], ids=["gate-on", "gate-off"])
def test_comparisons_tolerate_with_their_feature_gate(
    operator: str, bound: str, value: str, is_covered: bool, is_on: bool
) -> None:
    nodes = [
        make_node("hard").taint("level", value).obj(),
        make_node("soft").taint("level", value, "PreferNoSchedule").obj(),
        make_node("softer").taint("a", "", "PreferNoSchedule").obj(),
    ]
    features = {"TaintTolerationComparisonOperators": is_on}
    harness = PluginHarness(TaintToleration, nodes=nodes, features=features)
    pod = make_pod("p").toleration("level", bound, operator=operator).obj()
    is_tolerated = is_covered and is_on

    assert ("hard" in harness.feasible(pod)) is is_tolerated
    assert harness.raw_score(pod)["soft"] == (0 if is_tolerated else 1)


def _soft(name: str, *keys: str) -> Node:
    node = make_node(name)
    for key in keys:
        node = node.taint(key, effect="PreferNoSchedule")
    return node.obj()


@pytest.mark.parametrize(
    ("pod", "nodes", "expected"),
    [
        pytest.param(
            make_pod("p"), [_soft("a"), _soft("b")], {"a": 100, "b": 100}, id="no-soft-taints"
        ),
        pytest.param(
            make_pod("p"),
            [_soft("a"), _soft("b", "k"), _soft("c", "k", "l", "m")],
            {"a": 100, "b": 67, "c": 0},
            id="fewest-first",
        ),
        pytest.param(
            make_pod("p").toleration("k", operator="Exists", effect="PreferNoSchedule"),
            [_soft("a", "k"), _soft("b", "l")],
            {"a": 100, "b": 0},
            id="tolerated-soft-taint",
        ),
        pytest.param(
            make_pod("p").toleration("k", operator="Exists", effect="NoSchedule"),
            [_soft("a", "k"), _soft("b")],
            {"a": 0, "b": 100},
            id="toleration-of-another-effect",
        ),
    ],
)
def test_soft_taints_cost_score(
    pod: PodBuilder, nodes: list[Node], expected: dict[str, int]
) -> None:
    assert PluginHarness(TaintToleration, nodes=nodes).score(pod.obj()) == expected


TAINTED, PLAIN = make_node("n").taint("k").obj(), make_node("n").obj()


@pytest.mark.parametrize(
    ("event", "old", "new", "expected"),
    [
        pytest.param(fwk.NODE_ADDED, None, PLAIN, QUEUE, id="joins-tolerated"),
        pytest.param(fwk.NODE_ADDED, None, TAINTED, SKIP, id="joins-untolerated"),
        pytest.param(fwk.NODE_TAINTS_CHANGED, TAINTED, PLAIN, QUEUE, id="taint-goes"),
        pytest.param(fwk.NODE_TAINTS_CHANGED, PLAIN, PLAIN, SKIP, id="tolerated-before"),
        pytest.param(fwk.NODE_TAINTS_CHANGED, PLAIN, TAINTED, SKIP, id="taint-comes"),
    ],
)
def test_a_node_that_is_tolerated_now_wakes_the_pod(
    event: fwk.ClusterEvent, old: Node | None, new: Node, expected: QueueingHint
) -> None:
    harness = PluginHarness(TaintToleration)

    assert harness.hint(event, make_pod("p").obj(), old=old, new=new) is expected


def test_own_tolerations_wake_the_pod_and_others_do_not() -> None:
    harness, pod = PluginHarness(TaintToleration), make_pod("p")
    event = fwk.ClusterEvent(fwk.EventResource.TARGET_POD, fwk.ActionType.UPDATE_POD_TOLERATION)
    tolerant = pod.toleration("k").obj()

    assert harness.hint(event, pod.obj(), old=pod.obj(), new=tolerant) is QUEUE
    assert harness.hint(event, make_pod("q").obj(), old=pod.obj(), new=tolerant) is SKIP
