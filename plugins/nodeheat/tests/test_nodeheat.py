"""What NodeHeat decides."""

from __future__ import annotations

import pydantic
import pytest
from pyscheduler_nodeheat import NodeHeat
from pyscheduler_nodeheat.plugin import ANNOTATION, TOO_HOT, UNREADABLE

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node
from pyscheduler.testing import PluginHarness, fake_handle, make_node, make_plugin, make_pod

POD = make_pod("p").obj()


def _node(celsius: str) -> Node:
    return make_node(f"at-{celsius}").annotation(ANNOTATION, celsius).obj()


def _harness(*celsius: str) -> PluginHarness:
    return PluginHarness(
        NodeHeat, args={"maxCelsius": 70}, nodes=[_node(degrees) for degrees in celsius]
    )


@pytest.mark.parametrize(
    ("celsius", "expected"),
    [
        pytest.param("20", None, id="cool"),
        pytest.param("70", None, id="at-the-limit"),
        pytest.param("71", fwk.unresolvable(TOO_HOT), id="above-the-limit"),
        pytest.param("warm", fwk.unresolvable(UNREADABLE), id="no-number"),
    ],
)
def test_hot_and_unreadable_nodes_are_rejected(celsius: str, expected: fwk.Status | None) -> None:
    assert _harness(celsius).filter(POD) == {f"at-{celsius}": expected}


def test_a_node_without_annotation_passes() -> None:
    harness = PluginHarness(NodeHeat, nodes=[make_node("n").obj()])

    assert harness.feasible(POD) == ["n"]


def test_the_coolest_node_scores_highest() -> None:
    assert _harness("-5", "0", "30", "140").score(POD) == {
        "at--5": 100,
        "at-0": 100,
        "at-30": 70,
        "at-140": 0,
    }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, _node("20"), fwk.QueueingHint.QUEUE, id="cool-node-joins"),
        pytest.param(None, _node("90"), fwk.QueueingHint.SKIP, id="hot-node-joins"),
        pytest.param(_node("90"), _node("60"), fwk.QueueingHint.QUEUE, id="cools-down"),
        pytest.param(_node("90"), _node("80"), fwk.QueueingHint.SKIP, id="cools-too-little"),
        pytest.param(_node("20"), _node("10"), fwk.QueueingHint.SKIP, id="was-cool-before"),
        pytest.param(_node("warm"), _node("20"), fwk.QueueingHint.QUEUE, id="becomes-readable"),
    ],
)
def test_a_waiting_pod_is_woken_by_nodes_it_can_use_now(
    old: Node | None, new: Node, expected: fwk.QueueingHint
) -> None:
    event = fwk.NODE_ADDED if old is None else fwk.NODE_ANNOTATIONS_CHANGED

    assert _harness().hint(event, POD, old=old, new=new) is expected


def test_a_limit_out_of_range_is_refused_with_its_path() -> None:
    with pytest.raises(pydantic.ValidationError, match="maxCelsius"):
        make_plugin(NodeHeat, {"maxCelsius": 500}, handle=fake_handle())
