"""Every conformance check catches the plugin that breaks its promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from pydantic import Field, field_validator

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.testing import (
    CheckFailedError,
    checks,
    fake_handle,
    follow_checks,
    hook_checks,
    make_node,
    make_pod,
    node_checks,
)
from pyscheduler.testing.subject import Subject

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


class LabelScoresDisagree(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 7 if "zone" in node.labels else 0

    def score_by_label(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> tuple[str, Int64Array]:
        _, values = nodes.label_codes("zone")
        return "zone", np.full(len(values) + 1, 7)  # the last is that of nodes without the label


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


class SignsName(fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    depends_on = ()
    signs_spec = True

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return (pod.name,)

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return len(pod.name)


class SkipsNobody(fwk.PreScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    depends_on = ()
    skips_unsigned = True

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> None:
        return None


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


class UnreserveForgets(fwk.ReservePlugin, fwk.Plugin[fwk.NoArgs]):
    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._seen: set[str] = set()

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        if pod.uid in self._seen:
            return fwk.unschedulable("taken")
        self._seen.add(pod.uid)
        return None

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        pass


class WaitsForNoTime(fwk.PermitPlugin, fwk.Plugin[fwk.NoArgs]):
    answer: Any = (fwk.wait("for others"), 0)

    def permit(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> tuple[fwk.Status | None, float]:
        answer: tuple[fwk.Status | None, float] = self.answer
        return answer


class PermitsWithoutTime(WaitsForNoTime):
    answer = None


class SortsByMood(fwk.QueueSortPlugin, fwk.Plugin[fwk.NoArgs]):
    def sort_key(self, entity: fwk.QueuedEntity) -> tuple[Any, ...]:
        return (None if entity.pod.priority else 1,)


class SortsByNumber(SortsByMood):
    def sort_key(self, entity: fwk.QueuedEntity) -> tuple[Any, ...]:
        return entity.pod.priority  # type: ignore[return-value]  # what is being caught


class SortsAnew(SortsByMood):
    calls = 0

    def sort_key(self, entity: fwk.QueuedEntity) -> tuple[Any, ...]:
        self.calls += 1
        return (self.calls,)


class GatesWithText(fwk.PreEnqueuePlugin, fwk.Plugin[fwk.NoArgs]):
    def pre_enqueue(self, pod: Pod) -> fwk.Status | None:
        return "no"  # type: ignore[return-value]  # what is being caught


class ReservesWithText(UnreserveForgets):
    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        return "no"  # type: ignore[return-value]  # what is being caught


class FractionalScores(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 0.5  # type: ignore[return-value]  # what is being caught


class RelabelsPods(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        msgspec.structs.force_setattr(pod.metadata, "name", "changed")
        return 0


class LooksAround(fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Scores by how many nodes have labels like this one's."""

    depends_on = (fwk.Aspect.LABELS,)

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        codes, _ = nodes.label_codes("pyscheduler.test/label")
        return np.full(len(nodes), np.count_nonzero(codes >= 0), dtype=np.int64)


class JudgesLabels(fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    depends_on = (fwk.Aspect.LABELS,)
    judges_sums = True

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return fwk.unschedulable("odd") if len(node.labels) % 2 else None


class CountsPorts(DeclaresTooLittle):
    depends_on = (fwk.Aspect.REQUESTED,)

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return len(node.host_ports)


LOAD = fwk.StateColumn("load", np.int64)


class ReadsLoad(DeclaresTooLittle):
    score = fwk.ScorePlugin.score

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        loads: Int64Array = nodes.column(LOAD)
        return loads


class Neighbours:
    """How many pods each node has: state of a PreFilter that follows what-ifs."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = counts

    def clone(self) -> Neighbours:
        return Neighbours(dict(self.counts))


NEIGHBOURS = fwk.StateKey[Neighbours]("neighbours")


class Follows(fwk.PreFilterPlugin, fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Rejects nodes with a pod; keeps step with what-ifs, as it should."""

    def pre_filter(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> None:
        counts = {name: len(nodes.node(row).pods) for row, name in enumerate(nodes.names)}
        state.write(NEIGHBOURS, Neighbours(counts))

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return fwk.unschedulable("taken") if state.read(NEIGHBOURS).counts[node.name] else None

    def add_pod(
        self, state: fwk.CycleState, pod: Pod, added: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        state.read(NEIGHBOURS).counts[node.name] += 1
        return None

    def remove_pod(
        self, state: fwk.CycleState, pod: Pod, removed: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        state.read(NEIGHBOURS).counts[node.name] -= 1
        return None


class FollowsNobody(Follows):
    add_pod = fwk.PreFilterPlugin.add_pod
    remove_pod = fwk.PreFilterPlugin.remove_pod


class NeverLetsGo(Follows):
    remove_pod = fwk.PreFilterPlugin.remove_pod


class SharesItsState(Follows):
    def pre_filter(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> None:
        super().pre_filter(state, pod, nodes)
        shared = state.read(NEIGHBOURS)
        shared.clone = lambda: shared  # type: ignore[method-assign]  # what is being caught


class ForgetsInClones(Follows):
    def pre_filter(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> None:
        everywhere = Neighbours(dict.fromkeys(nodes.names, 1))
        everywhere.clone = lambda: Neighbours(  # type: ignore[method-assign]  # what is being caught
            dict.fromkeys(nodes.names, 0)
        )
        state.write(NEIGHBOURS, everywhere)


TAKEN = fwk.StateKey[list[int]]("taken")


class FollowsTheCrowd(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.SignPlugin,
    fwk.Plugin[fwk.NoArgs],
):
    """Rejects taken nodes and scores them; follows the pods that take them, as it should."""

    depends_on = (fwk.Aspect.PODS,)
    cross_node = fwk.Aspect.PODS

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()

    def pre_filter(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> None:
        state.write(TAKEN, [len(nodes.node(row).pods) for row in range(len(nodes))])

    def pre_filter_again(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable, rows: Sequence[int]
    ) -> npt.NDArray[np.intp]:
        for row in rows:
            state.read(TAKEN)[row] = len(nodes.node(row).pods)
        return np.array(rows, dtype=np.intp)

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> None:
        self.pre_filter(state, pod, nodes)

    pre_score_again = pre_filter_again

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        return nodes.verdict().reject(np.array(state.read(TAKEN)) > 0, "node(s) were taken")

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        return np.array(state.read(TAKEN), dtype=np.int64)


class KeepsWhatItCounted(FollowsTheCrowd):
    def pre_filter_again(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable, rows: Sequence[int]
    ) -> npt.NDArray[np.intp]:
        return np.array(rows, dtype=np.intp)

    pre_score_again = pre_filter_again


class ScoresStay(FollowsTheCrowd):
    def pre_score_again(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable, rows: Sequence[int]
    ) -> npt.NDArray[np.intp]:
        super().pre_score_again(state, pod, nodes, rows)
        return np.empty(0, dtype=np.intp)


class PreHintNamesText(HintRaisesOnAdd):
    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        return [fwk.ClusterEventWithHint(fwk.NODE_ADDED, pre_hint=lambda old, new: "default/p")]


class HintOnWidgets(HintRaisesOnAdd):
    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        event = fwk.ClusterEvent("widgets.v1.example.com", fwk.ActionType.DELETE)
        return [fwk.ClusterEventWithHint(event, self.after_node_added)]


class ClampedArgs(fwk.Args):
    percent: int = Field(default=5, ge=0, lt=100)

    @field_validator("percent", mode="before")
    @classmethod
    def _clamp(cls, value: object) -> object:
        return min(max(value, 0), 99) if isinstance(value, int) else value


class Clamps(fwk.Plugin[ClampedArgs]):
    """No roles are needed to have arguments."""


class LenientArgs(fwk.Args):
    extra: Any = None


class TakesAnyType(fwk.Plugin[LenientArgs]):
    """No roles are needed to have arguments."""


class LaxArgs(fwk.Args):
    model_config = {"extra": "ignore"}


class AcceptsAnything(fwk.Plugin[LaxArgs]):
    """No roles are needed to have arguments."""


def _subject(plugin: type[fwk.Plugin[Any]]) -> Subject:
    return Subject(plugin(plugin.args_model(), fake_handle()), PODS, NODES)


@pytest.mark.parametrize(
    ("plugin", "check", "message"),
    [
        pytest.param(FormsDisagree, node_checks.check_forms_agree, "forms of filter", id="forms"),
        pytest.param(
            LabelScoresDisagree, node_checks.check_forms_agree, "score_by_label gives", id="labels"
        ),
        pytest.param(ScoresTooHigh, node_checks.check_scores_are_valid, "0..100", id="range"),
        pytest.param(ScoresAreFloats, node_checks.check_scores_are_valid, "float64", id="dtype"),
        pytest.param(DependsOnPosition, node_checks.check_few_nodes, "b alone is 0", id="one-row"),
        pytest.param(
            DependsOnPosition, node_checks.check_order_does_not_matter, "order of nodes", id="order"
        ),
        pytest.param(
            Forgets, node_checks.check_two_calls_agree, "two calls disagree", id="two-calls"
        ),
        pytest.param(
            SignsTooLittle, node_checks.check_signature_decides, "same signature", id="signature"
        ),
        pytest.param(
            SignsName, node_checks.check_signature_decides, "more than its spec", id="signs-spec"
        ),
        pytest.param(
            SkipsNobody, node_checks.check_signature_decides, "not skipped", id="skips-unsigned"
        ),
        pytest.param(
            DeclaresTooLittle, node_checks.check_depends_on_is_complete, "PODS", id="depends-on"
        ),
        pytest.param(
            JudgesLabels, node_checks.check_depends_on_is_complete, "judges_sums", id="sums"
        ),
        pytest.param(
            RejectsForever,
            hook_checks.check_rejections_have_events,
            "EnqueueExtensions",
            id="events",
        ),
        pytest.param(
            HintAnswersNothing, hook_checks.check_hints_answer, "answered None", id="hint"
        ),
        pytest.param(
            AcceptsAnything,
            hook_checks.check_wrong_args_are_refused,
            "accepts arguments",
            id="args",
        ),
        pytest.param(
            CountsPorts, node_checks.check_depends_on_is_complete, "HOST_PORTS", id="ports"
        ),
        pytest.param(
            ReadsLoad,
            node_checks.check_depends_on_is_complete,
            r"reads StateColumn\('load'\), which is not in depends_on",
            id="column",
        ),
        pytest.param(
            LooksAround,
            node_checks.check_depends_on_is_complete,
            "LABELS of a: declare it in cross_node",
            id="cross-node",
        ),
        pytest.param(
            FollowsNobody, node_checks.check_what_ifs_are_exact, "add_pod gives", id="add-pod"
        ),
        pytest.param(
            NeverLetsGo, node_checks.check_what_ifs_are_exact, "remove_pod gives", id="remove-pod"
        ),
        pytest.param(
            SharesItsState, node_checks.check_what_ifs_are_exact, "changed the original", id="share"
        ),
        pytest.param(
            ForgetsInClones, node_checks.check_what_ifs_are_exact, "clone of the state", id="clone"
        ),
        pytest.param(
            KeepsWhatItCounted,
            follow_checks.check_following_is_exact,
            r"pre_filter_again leaves a at .* for default/p, after default/p came to a",
            id="following",
        ),
        pytest.param(
            ScoresStay,
            follow_checks.check_following_is_exact,
            r"pre_score_again does not name a, .* for default/p, after default/p came to a",
            id="named-rows",
        ),
        pytest.param(
            UnreserveForgets,
            hook_checks.check_reserve_can_be_undone,
            "unreserve leaves something behind",
            id="unreserve",
        ),
        pytest.param(
            WaitsForNoTime, hook_checks.check_permit_answers_a_pair, "permit answered", id="wait"
        ),
        pytest.param(
            PermitsWithoutTime,
            hook_checks.check_permit_answers_a_pair,
            "permit answered None",
            id="permit",
        ),
        pytest.param(
            SortsByMood, hook_checks.check_sort_keys_compare, "cannot be ordered", id="sort-order"
        ),
        pytest.param(
            SortsByNumber, hook_checks.check_sort_keys_compare, "not a tuple", id="sort-type"
        ),
        pytest.param(
            SortsAnew, hook_checks.check_sort_keys_compare, "another place", id="sort-stable"
        ),
        pytest.param(
            GatesWithText,
            hook_checks.check_answers_have_their_types,
            "pre_enqueue answered 'no'",
            id="gate-type",
        ),
        pytest.param(
            ReservesWithText,
            hook_checks.check_answers_have_their_types,
            "reserve answered 'no'",
            id="reserve-type",
        ),
        pytest.param(
            PreHintNamesText, hook_checks.check_hints_answer, "the pre-hint for", id="pre-hint"
        ),
        pytest.param(
            HintOnWidgets, hook_checks.check_hints_answer, "give objects=", id="no-samples"
        ),
        pytest.param(
            Clamps, hook_checks.check_wrong_args_are_refused, "accepts -1", id="args-range"
        ),
        pytest.param(
            TakesAnyType,
            hook_checks.check_wrong_args_are_refused,
            "for its argument extra",
            id="args-type",
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
        pytest.param(
            FractionalScores, node_checks.check_scores_are_valid, TypeError, id="fraction"
        ),
        pytest.param(HintRaisesOnAdd, hook_checks.check_hints_answer, AssertionError, id="hint"),
        pytest.param(
            UnreserveNeedsReserve, hook_checks.check_unreserve_is_safe, KeyError, id="unreserve"
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
        node_checks.check_inputs_stay_unchanged(_subject(WritesColumns))


def test_state_that_follows_what_ifs_passes() -> None:
    node_checks.check_what_ifs_are_exact(_subject(Follows))


def test_who_follows_pods_as_it_prepares_passes() -> None:
    follow_checks.check_following_is_exact(_subject(FollowsTheCrowd))


class Widgets(HintOnWidgets):
    """Sees its samples."""

    def after_node_added(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        assert old == {"spec": 1}
        assert new is None
        return fwk.QueueingHint.SKIP


def test_hints_are_tried_with_samples_of_other_kinds() -> None:
    checks.check_plugin(
        Widgets, pods=PODS, nodes=NODES, objects={"widgets.v1.example.com": [{"spec": 1}]}
    )


def test_a_plugin_of_plain_functions_is_checked() -> None:
    functions = fwk.plugin("Functions")

    @functions.score
    def score(pod: Pod, node: fwk.NodeInfo) -> int:
        return 101

    with pytest.raises(CheckFailedError, match="plugin Functions: scores for default/p"):
        checks.check_plugin(functions, pods=PODS, nodes=NODES)


def test_every_check_runs_for_every_plugin() -> None:
    mark = checks.parametrize_with_checks([Forgets, Follows], pods=PODS, nodes=NODES)

    ids = [param.id for param in mark.args[1]]
    assert len(ids) == len(set(ids)) == 2 * len(checks.CHECKS)
    assert ids[0] == "Forgets-answers_have_their_types"


def test_no_check_is_forgotten() -> None:
    defined = [
        value
        for module in (node_checks, hook_checks, follow_checks)
        for name, value in vars(module).items()
        if name.startswith("check_")
    ]

    assert set(defined) == set(checks.CHECKS)


def test_a_changed_pod_is_found() -> None:
    subject = replace(_subject(RelabelsPods), pods=[make_pod("innocent").obj()])

    with pytest.raises(CheckFailedError, match="changed changed while judging default/changed"):
        node_checks.check_inputs_stay_unchanged(subject)


class ForgetsWhatItSaw(Follows):
    """Asks the table it is given, and not its state, how many pods there are in all."""

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        return nodes.verdict().reject(np.full(len(nodes), len(nodes) > 1), "node(s) were too many")

    filter = fwk.FilterPlugin.filter


def test_filter_may_be_asked_about_a_part() -> None:
    node_checks.check_few_nodes(_subject(Follows))
    with pytest.raises(CheckFailedError, match="a alone is None"):
        node_checks.check_few_nodes(_subject(ForgetsWhatItSaw))


class ForgetsWidgets(Widgets):
    """Answers otherwise every time, but only for the widgets that there are."""

    calls = 0

    def pre_filter(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status:
        self.calls += bool(self.handle.listers.of("widgets.v1.example.com").list())
        return fwk.unschedulable(f"no {self.calls}")

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None


class FiltersWidgets(ForgetsWidgets, fwk.FilterPlugin):
    """The same with a Filter, so that its answers are compared."""


def test_listers_find_the_samples() -> None:
    widgets = {"widgets.v1.example.com": [{"spec": 1}, {"metadata": {"name": "w"}, "spec": 1}]}
    subject = replace(_subject(FiltersWidgets), objects=widgets)

    node_checks.check_two_calls_agree(replace(subject, objects={}))
    with pytest.raises(CheckFailedError, match="two calls disagree"):
        node_checks.check_two_calls_agree(subject)
