"""Who may preempt, where, and whom; with the words of kube-scheduler."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.nodes import NodeInfo
from pyscheduler.framework.status import Code, Status
from pyscheduler.preemption import Candidate, Evaluator, ScoreFunction, SearchLimits, Victims
from pyscheduler.preemption.executor import Executor
from pyscheduler.runtime.what_if import RowsWhatIf
from pyscheduler.testing import make_node, make_pod
from tests.unit.preemption.stage import Stage, make_budget, make_preemptor

OLD, YOUNG = "2020-01-01T00:00:00Z", "2020-06-01T00:00:00Z"


def node(name: str, cpu: str = "4") -> Node:
    return make_node(name).capacity({"cpu": cpu, "memory": "16Gi"}).obj()


def running(name: str, on: str, *, cpu: str = "1", priority: int = 0, app: str = "") -> Pod:
    built = make_pod(name).node(on).req({"cpu": cpu}).priority(priority).started(OLD)
    return (built.label("app", app) if app else built).obj()


def preemptor(*, cpu: str = "2", priority: int = 100) -> Pod:
    return make_preemptor(cpu=cpu, priority=priority).obj()


def victims_of(stage: Stage) -> dict[str, list[str]]:
    """Node -> names of the victims of what is under way."""
    return {
        preemption.node_name: [pod.name for pod in preemption.victims]
        for preemption in stage.evaluator._executor._under_way.values()
    }


# --- who may ---


async def test_a_pod_that_must_not_preempt_keeps_its_nomination() -> None:
    stage = Stage([node("n0")], [running("low", "n0", cpu="4")])
    pod = make_preemptor(cpu="2").preemption_policy("Never").obj()

    named, status = await stage.preempt(pod)

    assert (named, status.code) == (None, Code.UNSCHEDULABLE)
    assert status.message == "not eligible due to preemptionPolicy=Never."
    assert victims_of(stage) == {}


def leaving(name: str, on: str, *, priority: int = 0, reason: str = "PreemptionByScheduler") -> Pod:
    built = make_pod(name).node(on).req({"cpu": "4"}).priority(priority).terminating()
    return built.condition("DisruptionTarget", "True", reason=reason).obj()


async def test_a_pod_waits_for_its_victims_to_go() -> None:
    stage = Stage([node("n0"), node("n1")], [leaving("a", "n0"), running("b", "n1", cpu="4")])
    pod = preemptor()
    stage.nominator.add(pod, node_name="n0")

    named, status = await stage.preempt(pod)

    assert named is None
    assert status.code is Code.UNSCHEDULABLE
    assert status.message == "not eligible due to a terminating pod on the nominated node."
    assert stage.nominator.node_of(pod.uid) == "n0"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(leaving("a", "n0", reason="EvictionByEvictionAPI"), id="not by a scheduler"),
        pytest.param(leaving("a", "n0", priority=100), id="not of lower priority"),
        pytest.param(
            make_pod("a").node("n0").req({"cpu": "4"}).terminating().obj(), id="by a user"
        ),
    ],
)
async def test_a_pod_that_terminates_for_other_reasons_keeps_nobody_waiting(other: Pod) -> None:
    stage = Stage([node("n0"), node("n1")], [other, running("b", "n1", cpu="4")])
    pod = preemptor()
    stage.nominator.add(pod, node_name="n0")

    named, _ = await stage.preempt(pod)

    assert named is not None


async def test_a_nominated_node_that_can_never_take_the_pod_is_given_up() -> None:
    cordoned = make_node("n0").capacity({"cpu": "4"}).unschedulable().obj()
    stage = Stage([cordoned, node("n1")], [leaving("a", "n0"), running("b", "n1", cpu="4")])
    pod = preemptor()
    stage.nominator.add(pod, node_name="n0")

    named, _ = await stage.preempt(pod)

    assert named == "n1"
    assert victims_of(stage) == {"n1": ["b"]}


async def test_a_nominated_node_that_is_gone_is_given_up() -> None:
    stage = Stage([node("n1")], [running("b", "n1", cpu="4")])
    pod = preemptor()
    stage.nominator.add(pod, node_name="n0")

    assert (await stage.preempt(pod))[0] == "n1"


async def test_a_pod_deleted_meanwhile_evicts_nobody() -> None:
    stage = Stage([node("n0")], [running("a", "n0", cpu="4")])
    pod = preemptor()
    stage.add(make_pod("urgent").uid("another").obj())

    named, status = await stage.preempt(pod)

    assert named is None
    assert status.is_rejected
    assert victims_of(stage) == {}


# --- where ---


async def test_where_nothing_helps_the_message_counts_the_reasons_and_the_nomination_is_void() -> (
    None
):
    tainted = [make_node(f"t{i}").taint("gpu").obj() for i in range(2)]
    stage = Stage([node("n0"), *tainted], [running("high", "n0", cpu="4", priority=100)])

    named, status = await stage.preempt(preemptor())

    assert (named, status.code) == ("", Code.UNSCHEDULABLE)
    assert status.message == (
        "0/3 nodes are available: 1 No preemption victims found for incoming pod,"
        " 2 Preemption is not helpful for scheduling."
    )


async def test_without_a_node_that_could_help_nothing_is_tried() -> None:
    stage = Stage([make_node("t0").taint("gpu").obj()], [])
    pod = preemptor()
    stage.nominator.add(pod, node_name="t0")

    named, status = await stage.preempt(pod)

    assert named == ""
    assert stage.nominator.node_of(pod.uid) == ""
    assert status.message == (
        "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )


async def test_a_node_that_is_too_full_even_then_says_what_is_missing() -> None:
    pods = [running("high", "n0", cpu="3", priority=100), running("low", "n0")]
    stage = Stage([node("n0")], pods)

    _, status = await stage.preempt(preemptor())

    assert status.message == "0/1 nodes are available: 1 Insufficient cpu."


async def test_success_names_the_node_and_the_number_of_victims() -> None:
    stage = Stage([node("n0")], [running("a", "n0", cpu="3"), running("b", "n0")])

    named, status = await stage.preempt(preemptor(cpu="4"))

    assert (named, status.code) == ("n0", Code.SUCCESS)
    assert status.message == (
        "found a potential placement for pod on node n0, preempting 2 victims"
    )


async def test_other_pods_of_equal_or_higher_priority_keep_their_promised_room() -> None:
    stage = Stage(
        [node("n0"), node("n1")], [running("a", "n0", cpu="4"), running("b", "n1", cpu="4")]
    )
    rival = make_pod("rival").req({"cpu": "3"}).priority(100).obj()
    stage.nominator.add(rival, node_name="n0")

    assert (await stage.preempt(preemptor()))[0] == "n1"


# --- whom ---


async def test_as_few_as_necessary_the_least_important_of_them() -> None:
    pods = [
        running("high", "n0", priority=5),
        running("low", "n0", priority=1),
        running("mid", "n0", priority=3),
        running("mid2", "n0", priority=2),
    ]
    stage = Stage([node("n0")], pods)

    await stage.preempt(preemptor(cpu="2"))

    assert victims_of(stage) == {"n0": ["mid2", "low"]}


async def test_a_large_pod_goes_so_that_smaller_less_important_ones_can_stay() -> None:
    pods = [running("large", "n0", cpu="3", priority=5), running("small", "n0", priority=1)]
    stage = Stage([node("n0")], pods)

    await stage.preempt(preemptor(cpu="3"))

    assert victims_of(stage) == {"n0": ["large"]}


async def test_of_equals_the_one_that_has_run_for_less_long_goes() -> None:
    young = make_pod("young").node("n0").req({"cpu": "2"}).started(YOUNG).obj()
    old = make_pod("old").node("n0").req({"cpu": "2"}).started(OLD).obj()
    stage = Stage([node("n0")], [young, old])

    await stage.preempt(preemptor(cpu="2"))

    assert victims_of(stage) == {"n0": ["young"]}


async def test_who_is_protected_by_a_budget_is_spared_before_the_more_important() -> None:
    pods = [
        running("guarded", "n0", cpu="2", priority=1, app="web"),
        running("important", "n0", cpu="2", priority=9),
    ]
    stage = Stage([node("n0")], pods, budgets=[make_budget("b", {"app": "web"}, allowed=0)])

    await stage.preempt(preemptor(cpu="2"))

    assert victims_of(stage) == {"n0": ["important"]}
    assert stage.observed.choices == [(1, 0)]


async def test_a_budget_is_broken_where_nothing_else_helps() -> None:
    pods = [running("a", "n0", cpu="2", app="web"), running("b", "n0", cpu="2", app="web")]
    stage = Stage([node("n0")], pods, budgets=[make_budget("b", {"app": "web"}, allowed=1)])

    await stage.preempt(preemptor(cpu="4"))

    assert stage.observed.choices == [(2, 1)]


async def test_a_node_without_broken_budgets_is_preferred() -> None:
    pods = [
        running("guarded", "n0", cpu="4", priority=1, app="web"),
        running("important", "n1", cpu="4", priority=9),
    ]
    budgets = [make_budget("b", {"app": "web"}, allowed=0)]
    stage = Stage([node("n0"), node("n1")], pods, budgets=budgets)

    assert (await stage.preempt(preemptor()))[0] == "n1"


def fails_for(monkeypatch: pytest.MonkeyPatch, **faults: str) -> None:
    """From now on nobody can be judged together with these nodes."""
    judge = RowsWhatIf.judge

    def judge_or_fail(
        what_if: RowsWhatIf, rows: Sequence[int] | None = None
    ) -> list[Status | None]:
        for row in rows if rows is not None else range(len(what_if.nodes)):
            if fault := faults.get(what_if.nodes.node(row).name):
                raise PySchedulerError(fault)
        return judge(what_if, rows)

    monkeypatch.setattr(RowsWhatIf, "judge", judge_or_fail)


async def test_a_plugin_that_fails_for_a_node_costs_no_other_node_its_chance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pods = [running(f"r{n}", f"n{n}", cpu="4", priority=n) for n in range(3)]
    stage = Stage([node(f"n{n}") for n in range(3)], pods)
    fails_for(monkeypatch, n0="no device")

    named, status = await stage.preempt(preemptor())

    assert (named, status.code) == ("n1", Code.SUCCESS)
    assert victims_of(stage) == {"n1": ["r1"]}


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        pytest.param({"n0": "no device", "n1": "no device"}, "no device", id="the same"),
        pytest.param({"n0": "no device", "n1": "no disk"}, "[no device, no disk]", id="several"),
    ],
)
async def test_faults_are_told_where_no_node_can_be_made_room_on(
    faults: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods = [running(f"r{n}", f"n{n}", cpu="4") for n in range(2)]
    stage = Stage([node("n0"), node("n1")], pods)
    fails_for(monkeypatch, **faults)

    named, status = await stage.preempt(preemptor())

    assert (named, status.code, status.message) == (None, Code.ERROR, told)


async def test_victims_are_in_the_order_of_importance_though_budgets_were_asked_first() -> None:
    pods = [
        running("guarded", "n0", cpu="2", priority=1, app="web"),
        running("important", "n0", cpu="2", priority=9),
    ]
    stage = Stage([node("n0")], pods, budgets=[make_budget("b", {"app": "web"}, allowed=0)])

    await stage.preempt(preemptor(cpu="4"))

    assert victims_of(stage) == {"n0": ["important", "guarded"]}


# --- how far ---


@pytest.mark.parametrize(
    ("nodes", "limits", "wanted"),
    [
        pytest.param(50, SearchLimits(), 50, id="never more than there are"),
        pytest.param(500, SearchLimits(), 100, id="the absolute minimum"),
        pytest.param(5000, SearchLimits(), 500, id="the percentage"),
        pytest.param(1009, SearchLimits(), 100, id="a percentage is cut to whole nodes"),
        pytest.param(40, SearchLimits(min_percentage=10, min_absolute=0), 4, id="percentage alone"),
        pytest.param(5, SearchLimits(min_percentage=10, min_absolute=0), 0, id="none is enough"),
    ],
)
def test_how_many_candidates_are_wanted(nodes: int, limits: SearchLimits, wanted: int) -> None:
    assert limits.wanted(nodes) == wanted


async def test_the_search_ends_once_there_are_enough_clean_candidates() -> None:
    seen: list[str] = []

    class Noting(Evaluator):
        def may_evict(self, node: NodeInfo, victim: Pod, preemptor: Pod) -> bool:
            seen.append(node.name)
            return True

    names = [f"n{i:03}" for i in range(200)]
    stage = Stage(
        map(node, names),
        [running(f"p-{name}", name, cpu="4") for name in names],
        evaluator=Noting,
        limits=SearchLimits(min_percentage=1, min_absolute=10),
    )

    await stage.preempt(preemptor())

    assert 10 <= len(set(seen)) < 100


async def test_candidates_that_break_budgets_do_not_end_the_search() -> None:
    names = [f"n{i:03}" for i in range(150)]
    pods = [running(f"p-{name}", name, cpu="4", app="web") for name in names[:-1]]
    pods.append(running("free", names[-1], cpu="4", priority=50))
    stage = Stage(
        map(node, names),
        pods,
        budgets=[make_budget("b", {"app": "web"}, allowed=0)],
        limits=SearchLimits(min_percentage=0, min_absolute=1),
    )

    assert (await stage.preempt(preemptor()))[0] == names[-1]


async def test_the_search_begins_at_a_random_node_and_goes_round() -> None:
    names = ["n0", "n1", "n2", "n3"]
    stage = Stage(map(node, names), [running(f"p-{name}", name, cpu="4") for name in names])
    stage.rng.drawn = 2

    assert (await stage.preempt(preemptor()))[0] == "n2"


async def test_the_loop_is_offered_to_others_during_a_long_search() -> None:
    names = [f"n{i:03}" for i in range(130)]
    stage = Stage(map(node, names), [running(f"p-{name}", name, cpu="4") for name in names])
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    class Slow(Evaluator):
        def may_evict(self, node: NodeInfo, victim: Pod, preemptor: Pod) -> bool:
            stage.clock.advance(0.001)
            return True

    stage.evaluator.__class__ = Slow
    task = asyncio.ensure_future(others())
    await stage.preempt(preemptor())
    task.cancel()

    assert turns > 10


# --- what plugins and extenders change ---


async def test_a_plugin_says_who_may_be_evicted() -> None:
    class SparesWeb(Evaluator):
        def may_evict(self, node: NodeInfo, victim: Pod, preemptor: Pod) -> bool:
            return victim.labels.get("app") != "web"

    pods = [running("web", "n0", cpu="4", app="web"), running("db", "n1", cpu="4", priority=9)]
    stage = Stage([node("n0"), node("n1")], pods, evaluator=SparesWeb)

    assert (await stage.preempt(preemptor()))[0] == "n1"


async def test_a_plugin_says_who_is_spared_first() -> None:
    class ByName(Evaluator):
        def importance(self, pod: Pod, now: float) -> tuple[float, ...]:
            return (float(pod.name.removeprefix("p")),)

    pods = [running("p1", "n0", cpu="2", priority=0), running("p2", "n0", cpu="2", priority=9)]
    stage = Stage([node("n0")], pods, evaluator=ByName)

    await stage.preempt(preemptor())

    assert victims_of(stage) == {"n0": ["p2"]}


async def test_a_plugin_says_which_node_is_best() -> None:
    class MostVictims(Evaluator):
        def score_functions(self, now: float) -> Sequence[ScoreFunction]:
            return [lambda candidate: len(candidate.victims.pods)]

    pods = [running("a", "n0", cpu="4"), running("b", "n1", cpu="2"), running("c", "n1", cpu="2")]
    stage = Stage([node("n0"), node("n1")], pods, evaluator=MostVictims)

    assert (await stage.preempt(preemptor(cpu="4")))[0] == "n1"


async def test_extenders_may_drop_candidates_and_change_victims() -> None:
    extra = running("extra", "n1", cpu="1", priority=50)

    async def extend(pod: Pod, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        (kept,) = (c for c in candidates if c.node_name == "n1")
        return [Candidate("n1", Victims((extra, *kept.victims.pods)))]

    pods = [running("a", "n0", cpu="4"), running("b", "n1", cpu="3"), extra]
    stage = Stage([node("n0"), node("n1")], pods, extend=extend)

    named, _ = await stage.preempt(preemptor())

    assert named == "n1"
    assert victims_of(stage) == {"n1": ["extra", "b"]}


async def test_extenders_may_leave_nothing() -> None:
    async def extend(pod: Pod, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        return []

    stage = Stage([node("n0")], [running("a", "n0", cpu="4")], extend=extend)

    named, status = await stage.preempt(preemptor())

    assert (named, status.message) == (None, "no candidate node for preemption")


async def test_configured_extenders_are_asked_unless_a_plugin_asks_others() -> None:
    class Extenders:
        async def narrow_candidates(
            self, pod: Pod, candidates: Sequence[Candidate]
        ) -> Sequence[Candidate]:
            return [one for one in candidates if one.node_name == "n1"]

    pods = [running("a", "n0", cpu="4"), running("b", "n1", cpu="4", priority=5)]
    stage = Stage([node("n0"), node("n1")], pods)
    handle = dataclasses.replace(stage.handle, extenders=Extenders())
    stage.evaluator = Evaluator(handle, plugin="DefaultPreemption")

    assert (await stage.preempt(preemptor(cpu="4")))[0] == "n1"


# --- what is counted ---


async def test_evaluations_and_choices_are_counted() -> None:
    stage = Stage([node("n0")], [running("a", "n0", cpu="2"), running("b", "n0", cpu="2")])

    await stage.preempt(preemptor(cpu="4"))
    await stage.preempt(make_preemptor("huge", cpu="9").obj())

    assert stage.observed.evaluations == ["Success", "Unschedulable"]
    assert stage.observed.choices == [(2, 0)]


def test_an_idle_executor_keeps_nothing() -> None:
    stage = Stage([node("n0")])

    assert isinstance(stage.evaluator._executor, Executor)
    assert stage.executor_is_idle
