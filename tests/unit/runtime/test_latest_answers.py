"""What a plugin said of one class is not asked again for the next that it signs alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cycle import scheduling
from pyscheduler.framework.status import Int64Array
from pyscheduler.testing import make_node, make_pod
from tests.unit.cycle.rig import Rig
from tests.unit.runtime.liar import Liar


class Shelves(fwk.FilterPlugin, fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Nodes need a shelf, the higher the better; remembers how often it was asked."""

    depends_on = (fwk.Aspect.LABELS,)

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.asked = {"filter": 0, "score": 0}

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return (pod.labels.get("shelf"),)

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        self.asked["filter"] += 1
        codes, _ = nodes.label_codes("shelf")
        return nodes.verdict().reject(codes < 0, "no shelf")

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        self.asked["score"] += 1
        codes, values = nodes.label_codes("shelf")
        return np.array([*map(int, values), 0], dtype=np.int64)[codes]


@pytest.fixture
def rig() -> Rig:
    """Twelve nodes with shelves."""
    rig = Rig(Shelves)
    for i in range(12):
        rig.add_node(_node(f"n{i}"))
    return rig


def _node(name: str, shelf: str = "1") -> Node:
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    return make_node(name).capacity(capacity).label("shelf", shelf).obj()


async def _bind(rig: Rig, name: str, cpu: str, shelf: str = "") -> None:
    """Binds a pod of the class that asks for so much."""
    builder = make_pod(name).scheduler_name("pyscheduler").req({"cpu": cpu})
    rig.add_pod(builder.label("shelf", shelf).obj())
    await rig.settle()


def _asked(rig: Rig) -> dict[str, int]:
    plugin: Any = rig.profile.plugins["Shelves"]
    asked: dict[str, int] = plugin.asked
    return asked


async def test_who_signs_two_classes_alike_is_asked_about_the_first(rig: Rig) -> None:
    await _bind(rig, "first", "100m")
    await _bind(rig, "second", "200m")
    await _bind(rig, "third", "300m")

    assert _asked(rig) == {"filter": 1, "score": 1}
    assert sorted(rig.bound) == ["first", "second", "third"]


async def test_and_about_each_that_it_signs_otherwise(rig: Rig) -> None:
    await _bind(rig, "first", "100m", shelf="1")
    await _bind(rig, "second", "200m", shelf="2")

    assert _asked(rig) == {"filter": 2, "score": 2}


async def test_it_is_asked_again_once_a_node_changed_in_what_it_depends_on(rig: Rig) -> None:
    await _bind(rig, "first", "100m")
    rig.update_node(_node("n3"), _node("n3", "9"))
    await _bind(rig, "second", "200m")

    assert _asked(rig) == {"filter": 2, "score": 2}
    assert rig.bound["second"] == "n3"


async def test_a_class_keeps_its_answer_while_that_of_another_changes(rig: Rig) -> None:
    await _bind(rig, "first", "100m")
    await _bind(rig, "second", "200m")
    rig.update_node(_node("n3"), _node("n3", "9"))
    await _bind(rig, "again", "100m")
    await _bind(rig, "and-again", "200m")

    assert rig.bound["again"] == rig.bound["and-again"] == "n3"


async def test_an_answer_of_another_class_is_held_against_a_fresh_one_as_a_kept_one_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduling, "_COLD_CHECK_ONE_IN", 1)
    rig = Rig(Liar)
    for i in range(8):
        rig.add_node(_node(f"n{i}"))

    await _bind(rig, "good", "100m")
    await _bind(rig, "bad", "200m")

    assert rig.messages == {"bad": "0/8 nodes are available: 8 bad."}
    assert not rig.profile.is_cacheable("Liar")
