"""What is kept between pods of a class, and when it must not be used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.cycle import scheduling
from pyscheduler.runtime import filtering, signing
from pyscheduler.testing import make_pod
from tests.unit.cycle.rig import Rig, node, pod
from tests.unit.runtime.liar import Liar


def _plugin(rig: Rig, kind: type[Any]) -> Any:
    return rig.profile.plugins[kind.__name__]


class Undeclared(fwk.PreFilterPlugin, fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Prepares in PreFilter what Filter uses, and does not say what it depends on."""

    NAME = fwk.StateKey[str]("Undeclared.name")

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        state.write(self.NAME, pod.name)
        return None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return fwk.unschedulable("bad") if state.read(self.NAME) == "bad" else None


async def test_what_was_prepared_for_one_pod_is_not_used_for_another() -> None:
    rig = Rig(Undeclared)
    rig.add_node(node("n"))

    rig.add_pod(pod("good"))
    rig.add_pod(pod("bad"))
    await rig.settle()

    assert rig.bound == {"good": "n"}
    assert rig.messages == {"bad": "0/1 nodes are available: 1 bad."}


class OneFaultyTurn(fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Rejects nodes with pods on them; raises when told to."""

    depends_on = (fwk.Aspect.PODS, fwk.Aspect.REQUESTED)
    is_faulty = False

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        if self.is_faulty:
            raise OSError("not now")
        return fwk.unschedulable("taken") if node.pods else None

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


async def test_answers_are_not_kept_when_bringing_them_up_to_date_failed() -> None:
    rig = Rig(OneFaultyTurn)
    rig.add_node(node("n"))
    rig.add_pod(pod("first"))
    await rig.settle()
    _plugin(rig, OneFaultyTurn).is_faulty = True
    rig.add_pod(pod("second"))
    await rig.settle()

    _plugin(rig, OneFaultyTurn).is_faulty = False
    rig.add_pod(pod("third"))
    await rig.settle()

    assert rig.bound == {"first": "n"}
    assert rig.messages["third"] == "0/1 nodes are available: 1 taken."


class CountsNodes(fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Rejects every node while the cluster has an odd number of them."""

    depends_on = (fwk.Aspect.IDENTITY,)
    cross_node = fwk.Aspect.IDENTITY

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        odd = np.full(len(nodes), len(nodes) % 2 == 1)
        return nodes.verdict().reject(odd, "odd")

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


async def test_a_filter_that_looks_across_nodes_judges_all_of_them_again() -> None:
    rig = Rig(CountsNodes)
    for i in range(8):
        rig.add_node(node(f"n{i}"))
    rig.add_pod(pod("first"))
    await rig.settle()

    rig.add_node(node("n8"))
    rig.add_pod(pod("second"))
    await rig.settle()

    assert list(rig.bound) == ["first"]
    assert rig.messages["second"] == "0/9 nodes are available: 9 odd."


async def test_a_pod_whose_check_shows_a_wrong_answer_gets_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduling, "_COLD_CHECK_ONE_IN", 1)
    rig = Rig(Liar)
    for i in range(8):
        rig.add_node(node(f"n{i}"))

    rig.add_pod(pod("good"))
    rig.add_pod(pod("bad"))
    rig.add_pod(pod("fine"))
    await rig.settle()

    assert sorted(rig.bound) == ["fine", "good"]
    assert rig.messages == {"bad": "0/8 nodes are available: 8 bad."}
    assert not rig.profile.is_cacheable("Liar")


class Preparer(fwk.PreFilterPlugin, fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Prepares what depends on the pod's name, and says that it does not."""

    depends_on = ()
    NAME = fwk.StateKey[str]("Preparer.name")

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        state.write(self.NAME, pod.name)
        return None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        bad = state.read(self.NAME).startswith("bad")
        return nodes.verdict().reject(np.full(len(nodes), bad), "bad")

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


async def test_pods_signed_before_a_plugin_was_distrusted_are_judged_for_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduling, "_COLD_CHECK_ONE_IN", 3)
    rig = Rig(Preparer)
    for i in range(8):
        rig.add_node(node(f"n{i}"))
    for name in ("bad-first", "good-but-signed", "bad-last", "found-out"):
        rig.add_pod(pod(name))
    await rig.settle()
    assert not rig.profile.is_cacheable("Preparer")
    assert sorted(rig.messages) == ["bad-first", "bad-last", "good-but-signed"]

    rig.clock.advance(100.0)
    rig.queue.activate([pod("bad-first"), pod("good-but-signed")])
    await rig.settle()

    assert sorted(rig.bound) == ["found-out", "good-but-signed"]


class Chatty(fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Gives every rejection a text of its own."""

    depends_on = ()
    said = 0

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        self.said += 1
        return fwk.unschedulable(f"reason {self.said}")

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return (pod.name,)


async def test_reasons_that_never_come_again_do_not_pile_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filtering, "_MAX_REASONS", 10)
    rig = Rig(Chatty)
    rig.add_node(node("n"))

    for i in range(30):
        rig.add_pod(pod(f"p{i}"))
    await rig.settle()

    assert rig.messages["p29"] == "0/1 nodes are available: 1 reason 30."
    (algorithm,) = rig.scheduler._algorithms.values()
    assert len(algorithm._filtering.classes.reasons) <= 12


async def test_nodes_that_join_are_feasible_when_no_filter_has_a_say() -> None:
    rig = Rig()
    rig.profile.filters.clear()
    for i in range(8):
        rig.add_node(node(f"n{i}"))
    rig.add_pod(pod("first"))
    await rig.settle()

    for i in range(8):
        rig.delete_node(node(f"n{i}"))
    rig.add_node(node("new"))
    rig.add_pod(pod("second"))
    await rig.settle()

    assert rig.bound["second"] == "new"


async def test_a_column_that_nobody_declared_changes_no_kept_answer() -> None:
    rig = Rig()
    for i in range(8):
        rig.add_node(node(f"n{i}"))
    rig.add_pod(pod("first"))
    await rig.settle()
    rig.snapshot.refresh()
    before = rig.snapshot.store.change_log.position

    rig.cache.mark_state("n0")
    rig.snapshot.refresh()

    assert rig.snapshot.store.change_log.position > before
    judged = rig.profile.judged_aspects(hook.name for hook in rig.profile.filters)
    assert rig.snapshot.store.change_log.since(before, judged) == {}


class SignsSpec(fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Signs the priority; nothing is to be kept of negative ones. Remembers whom it signed."""

    depends_on = ()
    signs_spec = True

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.signed: list[str] = []

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None

    def sign_pod(self, pod: Pod) -> tuple[Any, ...] | None:
        self.signed.append(pod.name)
        return (pod.priority,) if pod.priority >= 0 else None


def test_who_signs_the_spec_is_asked_once_for_each_spec() -> None:
    rig = Rig(SignsSpec)

    ours = rig.profile.sign(make_pod("a").obj())
    same = rig.profile.sign(make_pod("b").label("app", "web").obj())
    other = rig.profile.sign(make_pod("c").priority(7).obj())

    assert _plugin(rig, SignsSpec).signed == ["a", "c"]
    assert ours == same != other


def test_that_nothing_is_kept_of_a_spec_is_remembered_too() -> None:
    rig = Rig(SignsSpec)

    signatures = [rig.profile.sign(make_pod(name).priority(-1).obj()) for name in ("a", "b")]

    assert signatures == [None, None]
    assert _plugin(rig, SignsSpec).signed == ["a"]


def test_signatures_of_specs_that_never_come_again_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signing, "_SPECS_KEPT", 2)
    rig = Rig(SignsSpec)

    first = rig.profile.sign(make_pod("0").priority(0).obj())
    for priority in (1, 2, 0):
        last = rig.profile.sign(make_pod(str(priority)).priority(priority).obj())

    assert _plugin(rig, SignsSpec).signed == ["0", "1", "2", "0"]
    assert first == last


class ReadsSums(fwk.FilterPlugin, fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Reads what is requested of a node; remembers which it judged and which it scored."""

    depends_on = (fwk.Aspect.REQUESTED,)

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.judged: list[str] = []
        self.scored: list[str] = []

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        self.judged.append(node.name)
        return None

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        self.scored.append(node.name)
        return 100 if node.name == "n0" else 0

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()


async def test_only_rows_that_changed_in_what_a_plugin_reads_are_judged_again() -> None:
    rig = Rig(ReadsSums)
    for i in range(12):
        rig.add_node(node(f"n{i}"))
    runs = make_pod("runs").req({"cpu": "1"}).node("n5")
    rig.add_pod(runs.obj())
    rig.add_pod(pod("first"))
    await rig.settle()
    plugin = _plugin(rig, ReadsSums)
    plugin.judged.clear()
    plugin.scored.clear()

    rig.cache.update_pod(runs.phase("Running").obj())
    rig.add_pod(pod("second"))
    await rig.settle()

    assert rig.bound["first"] == "n0"
    assert plugin.judged == plugin.scored == ["n0"]
