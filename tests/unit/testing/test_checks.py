"""Every conformance check catches the plugin that breaks its promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.testing import CheckFailedError, checks, fake_handle, make_node, make_pod
from pyscheduler.testing.checks import Subject

NODES = [make_node("a").obj(), make_node("b").label("zone", "b").obj()]
PODS = [make_pod("p").priority(1).obj(), make_pod("q").obj()]

Int64Array = npt.NDArray[np.int64]


class FormsDisagree(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return fwk.unschedulable("no")

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        return nodes.verdict()


class ScoresTooHigh(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 101


class ScoresAreFloats(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        return np.zeros(len(nodes))  # type: ignore[return-value]  # what is being caught


class DependsOnPosition(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        return np.arange(len(nodes), dtype=np.int64)


class Forgets(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    calls = 0

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        self.calls += 1
        return self.calls


class SignsTooLittle(fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    depends_on = ()

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return pod.priority


class DeclaresTooLittle(fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    depends_on = (fwk.Aspect.LABELS,)

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return len(node.pods)


class RejectsForever(fwk.PreFilterPlugin, fwk.Plugin[fwk.NoArgs]):
    def pre_filter(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status:
        return fwk.unschedulable("no")


class HintRaisesOnAdd(fwk.PreFilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    def pre_filter(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status:
        return fwk.unschedulable("no")

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        return [fwk.ClusterEventWithHint(fwk.NODE_ADDED, self.after_node_added)]

    def after_node_added(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        assert isinstance(old, Node)
        return fwk.QueueingHint.QUEUE


class HintAnswersNothing(HintRaisesOnAdd):
    def after_node_added(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        return None  # type: ignore[return-value]  # what is being caught


class UnreserveNeedsReserve(fwk.ReservePlugin, fwk.Plugin[fwk.NoArgs]):
    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._kept: dict[str, str] = {}

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        self._kept[pod.uid] = node_name
        return None

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        del self._kept[pod.uid]


class LaxArgs(fwk.Args):
    model_config = {"extra": "ignore"}


class AcceptsAnything(fwk.Plugin[LaxArgs]):
    """No roles are needed to have arguments."""


def _subject(plugin: type[fwk.Plugin[Any]]) -> Subject:
    return Subject(plugin(plugin.args_model(), fake_handle()), PODS, NODES)


@pytest.mark.parametrize(
    ("plugin", "check", "message"),
    [
        pytest.param(FormsDisagree, checks.check_forms_agree, "forms of filter", id="forms"),
        pytest.param(ScoresTooHigh, checks.check_scores_are_valid, "0..100", id="range"),
        pytest.param(ScoresAreFloats, checks.check_scores_are_valid, "float64", id="dtype"),
        pytest.param(DependsOnPosition, checks.check_few_nodes, "b alone is 0", id="one-row"),
        pytest.param(
            DependsOnPosition, checks.check_order_does_not_matter, "order of nodes", id="order"
        ),
        pytest.param(Forgets, checks.check_two_calls_agree, "two calls disagree", id="two-calls"),
        pytest.param(
            SignsTooLittle, checks.check_signature_decides, "same signature", id="signature"
        ),
        pytest.param(
            DeclaresTooLittle, checks.check_depends_on_is_complete, "PODS", id="depends-on"
        ),
        pytest.param(
            RejectsForever, checks.check_rejections_have_events, "EnqueueExtensions", id="events"
        ),
        pytest.param(HintAnswersNothing, checks.check_hints_answer, "answered None", id="hint"),
        pytest.param(
            AcceptsAnything, checks.check_unknown_args_are_refused, "accepts arguments", id="args"
        ),
    ],
)
def test_a_broken_promise_is_found(
    plugin: type[fwk.Plugin[Any]], check: Callable[[Subject], None], message: str
) -> None:
    with pytest.raises(CheckFailedError, match=f"^plugin {plugin.__name__}: .*{message}"):
        check(_subject(plugin))


@pytest.mark.parametrize(
    ("plugin", "check", "error"),
    [
        pytest.param(HintRaisesOnAdd, checks.check_hints_answer, AssertionError, id="hint"),
        pytest.param(
            UnreserveNeedsReserve, checks.check_unreserve_is_safe, KeyError, id="unreserve"
        ),
    ],
)
def test_a_hook_that_raises_fails_its_check(
    plugin: type[fwk.Plugin[Any]], check: Callable[[Subject], None], error: type[Exception]
) -> None:
    with pytest.raises(error):
        check(_subject(plugin))


def test_columns_refuse_to_be_written() -> None:
    class WritesColumns(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
        def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
            column = nodes.requested("cpu")
            column += 1
            return column

    with pytest.raises(ValueError, match="read-only"):
        checks.check_inputs_stay_unchanged(_subject(WritesColumns))
