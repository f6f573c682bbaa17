"""Plugins whose answer for one node depends on others: asked again by themselves, and rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.selectors import EVERYTHING
from pyscheduler.framework.status import Int64Array
from pyscheduler.runtime.what_if import RowsWhatIf
from pyscheduler.testing import make_node, make_pod
from tests.unit.cycle.rig import Rig, node, pod

ANY_POD = fwk.PodMatcher([fwk.PodTerm(None, EVERYTHING)])


class Quota(fwk.PreFilterPlugin, fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """At most two pods in the whole cluster, none of its business while there is none."""

    depends_on = (fwk.Aspect.PODS,)
    cross_node = fwk.Aspect.PODS
    USED = fwk.StateKey[int]("Quota.used")

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        used = int(nodes.pod_counts(ANY_POD).sum())
        if used == 0:
            return fwk.SKIP
        if used == 3:
            return fwk.unschedulable("over the quota")
        state.write(self.USED, used)
        return None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        is_full = state.read(self.USED) >= 2
        return nodes.verdict().reject(np.full(len(nodes), is_full), "quota is used up")

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


class Bystander(fwk.PreFilterPlugin, fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Depends on nothing that changes; remembers how often it was asked, and about how many."""

    depends_on = ()

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.prepared = 0
        self.judged = 0

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        self.prepared += 1
        return None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        self.judged += len(nodes)
        return nodes.verdict()

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


async def _bind(rig: Rig, *names: str) -> None:
    for name in names:
        rig.add_pod(pod(name))
        await rig.settle()


async def test_a_plugin_that_looks_across_nodes_takes_part_as_soon_as_it_is_concerned() -> None:
    rig = Rig(Quota)
    for i in range(12):
        rig.add_node(node(f"n{i}"))

    await _bind(rig, "first", "second", "third")

    assert sorted(rig.bound) == ["first", "second"]
    assert rig.messages == {"third": "0/12 nodes are available: 12 quota is used up."}


async def test_the_others_keep_their_answers_then() -> None:
    rig = Rig(Quota, Bystander)
    for i in range(12):
        rig.add_node(node(f"n{i}"))

    await _bind(rig, "first", "second", "third")

    bystander: Any = rig.profile.plugins["Bystander"]
    assert (bystander.prepared, bystander.judged) == (1, 12)


async def test_a_rejection_by_what_was_prepared_again_turns_the_pod_away() -> None:
    rig = Rig(Quota)
    for i in range(12):
        rig.add_node(node(f"n{i}"))
    await _bind(rig, "first")
    for name in ("other", "another"):
        rig.add_pod(make_pod(name).node("n1").obj())

    await _bind(rig, "second")

    assert rig.messages == {"second": "0/12 nodes are available: over the quota."}


async def test_what_promised_pods_take_is_kept_while_nobody_who_looks_across_has_a_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[Sequence[int]] = []

    class Noted(RowsWhatIf):
        def __init__(self, *parts: Any, rows: Sequence[int], **others: Any) -> None:
            tried.append(rows)
            super().__init__(*parts, rows=rows, **others)

    monkeypatch.setattr("pyscheduler.runtime.narrowing.RowsWhatIf", Noted)
    rig = Rig(Bystander)
    for i in range(12):
        rig.add_node(node(f"n{i}"))
    promised = make_pod("promised").req({"cpu": "1"}).priority(10).gate("example.com/wait")
    rig.add_pod(promised.scheduler_name("pyscheduler").nominated("n5").obj())
    await _bind(rig, "first")
    assert len(tried) == 1

    await _bind(rig, "second", "third")

    assert "n5" not in rig.bound.values()
    assert len(tried) == 1


class RanksAmongFeasible(
    fwk.PreScorePlugin, fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]
):
    """Prefers the last of the feasible nodes by name."""

    depends_on = ()
    scores_feasible_set = True
    LAST = fwk.StateKey[str]("RanksAmongFeasible.last")

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        state.write(self.LAST, max(nodes.names))
        return None

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return fwk.MAX_NODE_SCORE if node.name == state.read(self.LAST) else 0

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


class OnePod(fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """One pod a node."""

    depends_on = (fwk.Aspect.REQUESTED,)

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        return nodes.verdict().reject(nodes.pod_count > 0, "taken")

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


async def test_scores_that_depend_on_the_feasible_nodes_follow_them() -> None:
    rig = Rig(OnePod, RanksAmongFeasible)
    for i in range(9):
        rig.add_node(node(f"n{i}"))

    await _bind(rig, "first", "second", "third")

    assert rig.bound == {"first": "n8", "second": "n7", "third": "n6"}


class RatherOnEven(fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Prefers nodes with a label; remembers how often it normalised."""

    depends_on = (fwk.Aspect.LABELS,)
    normalizes_by_extremes = True

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.normalized = 0

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return int("even" in node.labels)

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        self.normalized += 1
        return fwk.default_normalize(scores)

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


@pytest.mark.parametrize(
    ("labelled", "normalized"), [pytest.param([], 1, id="alike"), pytest.param([4], 5, id="unlike")]
)
async def test_scores_that_are_all_alike_are_not_normalised_again(
    labelled: list[int], normalized: int
) -> None:
    rig = Rig(OnePod, RatherOnEven)
    for i in range(9):
        rig.add_node(make_node(f"n{i}").label("even", "").obj() if i in labelled else node(f"n{i}"))

    await _bind(rig, *map(str, range(5)))

    plugin: Any = rig.profile.plugins["RatherOnEven"]
    assert plugin.normalized == normalized


async def test_nor_are_they_when_some_nodes_were_not_feasible_at_first() -> None:
    rig = Rig(OnePod, RatherOnEven)
    for i in range(9):
        rig.add_node(node(f"n{i}"))
    rig.add_pod(make_pod("other").uid("other").node("n4").obj())

    await _bind(rig, *map(str, range(3)))

    plugin: Any = rig.profile.plugins["RatherOnEven"]
    assert plugin.normalized == 1


class Indifferent(fwk.PreFilterPlugin, fwk.PreScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Looks across nodes for pods with a label; remembers how often it prepared."""

    depends_on = (fwk.Aspect.PODS,)
    cross_node = fwk.Aspect.PODS
    skips_unsigned = True

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.prepared = 0

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        self.prepared += 1
        return None if pod.labels else fwk.SKIP

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        self.prepared += 1
        return None if pod.labels else fwk.SKIP

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return (pod.labels,) if pod.labels else ()


async def test_who_skips_unsigned_pods_is_not_asked_about_them() -> None:
    rig = Rig(Indifferent)
    for i in range(12):
        rig.add_node(node(f"n{i}"))
    plugin: Any = rig.profile.plugins["Indifferent"]

    await _bind(rig, "first", "second", "third")

    assert plugin.prepared == 0


async def test_and_about_those_it_signs_whenever_nodes_change() -> None:
    rig = Rig(Indifferent)
    for i in range(12):
        rig.add_node(node(f"n{i}"))
    plugin: Any = rig.profile.plugins["Indifferent"]

    for name in ("first", "second", "third"):
        rig.add_pod(make_pod(name).scheduler_name("pyscheduler").label("app", "web").obj())
        await rig.settle()

    assert plugin.prepared == 6


class Provisioner(fwk.ReservePlugin, fwk.PreBindPlugin, Indifferent):
    """Has something to do for pods with labels alone."""

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.reserved: list[str] = []
        self.asked: list[str] = []

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        self.reserved.append(pod.name)
        return None

    def pre_bind_pre_flight(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> fwk.Status | None:
        self.asked.append(pod.name)
        return None if pod.labels else fwk.SKIP

    async def pre_bind(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> fwk.Status | None: ...


async def test_who_skips_unsigned_pods_has_nothing_to_reserve_or_to_write_for_them() -> None:
    rig = Rig(Provisioner)
    for i in range(12):
        rig.add_node(node(f"n{i}"))
    plugin: Any = rig.profile.plugins["Provisioner"]

    await _bind(rig, "first", "second")
    rig.add_pod(make_pod("labelled").scheduler_name("pyscheduler").label("app", "web").obj())
    await rig.settle()

    assert plugin.reserved == plugin.asked == ["labelled"]


class OneInTheCluster(Quota):
    """As `Quota`, for one pod; none of its business any more once that one is gone."""

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        return nodes.verdict().reject(np.ones(len(nodes), dtype=np.bool_), "one is there")


async def test_a_plugin_that_is_concerned_no_longer_rejects_nobody() -> None:
    rig = Rig(OneInTheCluster)
    for i in range(12):
        rig.add_node(node(f"n{i}"))
    first = make_pod("first").node("n0").obj()
    rig.add_pod(first)
    await _bind(rig, "second")
    assert rig.messages == {"second": "0/12 nodes are available: 12 one is there."}

    rig.delete_pod(first)
    await _bind(rig, "third")

    assert "third" in rig.bound
