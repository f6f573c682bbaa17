"""Scores by value of a label: a pod that comes costs a figure per value, not one per node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.selectors import EVERYTHING
from pyscheduler.framework.status import Int64Array
from pyscheduler.runtime.answers import SCORE_BY_LABEL, OddAnswer
from pyscheduler.testing import make_node, make_pod, snapshot_of
from tests.unit.cycle.rig import Rig, pod

ANY_POD = fwk.PodMatcher([fwk.PodTerm(None, EVERYTHING)])
NODES, RACKS = 20, 4


class EmptiestRack(fwk.PreScorePlugin, fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Prefers racks with few pods; remembers how many scores it normalised at a time."""

    depends_on = (fwk.Aspect.PODS, fwk.Aspect.LABELS)
    cross_node = fwk.Aspect.PODS | fwk.Aspect.LABELS | fwk.Aspect.IDENTITY

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.normalized: list[int] = []

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        return None

    def pre_score_again(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable, rows: Sequence[int]
    ) -> npt.NDArray[np.intp] | None:
        return np.zeros(0, dtype=np.intp)

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        _, figures = self.score_by_label(state, pod, nodes)
        return figures.take(nodes.label_codes("rack")[0])

    def score_by_label(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> tuple[str, Int64Array]:
        everywhere = self.handle.snapshot.nodes
        return "rack", -everywhere.pods_by_value(ANY_POD, "rack")

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        self.normalized.append(len(scores))
        return scores - int(scores.min())

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


def _rig() -> Rig:
    rig = Rig(EmptiestRack)
    for i in range(NODES):
        rig.add_node(make_node(f"n{i}").label("rack", f"r{i % RACKS}").obj())
    return rig


async def _bind(rig: Rig, *names: str) -> None:
    for name in names:
        rig.add_pod(pod(name))
        await rig.settle()


def _pods_per_rack(rig: Rig) -> list[int]:
    return sorted(Counter(int(node[1:]) % RACKS for node in rig.bound.values()).values())


async def test_scores_by_label_are_normalised_once_per_value() -> None:
    rig = _rig()

    await _bind(rig, *map(str, range(6)))

    plugin: Any = rig.profile.plugins["EmptiestRack"]
    # by node for the first pod, and for the second, who finds that a label decides
    assert plugin.normalized == [NODES, NODES, RACKS, RACKS, RACKS, RACKS]


async def test_pods_go_where_the_label_scores_most() -> None:
    rig = _rig()

    await _bind(rig, *map(str, range(10)))

    assert _pods_per_rack(rig) == [2, 2, 3, 3]


async def test_a_node_that_comes_with_another_value_is_among_them() -> None:
    rig = _rig()
    await _bind(rig, "0", "1", "2", "3")

    rig.add_node(make_node("lonely").label("rack", "new").obj())
    await _bind(rig, "4")

    assert rig.bound["4"] == "lonely"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param([1], "answered list instead of tuple or None", id="list"),
        pytest.param(
            ("rack",), "answered 1 values instead of a label and scores", id="label-alone"
        ),
        pytest.param(("rack", [1]), "instead of a label and an array of scores", id="no-array"),
        pytest.param(
            ("rack", np.zeros(2, dtype=np.int64)), "scores of shape .2,. for 3", id="too-few"
        ),
        pytest.param(("rack", np.zeros(3)), "scores are float64, not integers", id="floats"),
    ],
)
def test_other_answers_are_faults(answer: object, message: str) -> None:
    nodes = snapshot_of(
        [make_node("a").label("rack", "1").obj(), make_node("b").label("rack", "2").obj()]
    ).nodes

    with pytest.raises(OddAnswer, match=message):
        SCORE_BY_LABEL.check(answer, (fwk.CycleState(), make_pod("p").obj(), nodes))
