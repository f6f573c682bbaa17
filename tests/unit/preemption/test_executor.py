"""What happens to the victims, whoever interferes: never stuck, never evicted twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.testing import PodBuilder, make_node, make_pod
from tests.unit.preemption.stage import Stage, make_preemptor

NAMES = ["a", "b", "c"]


def node(name: str) -> Node:
    return make_node(name).capacity({"cpu": "3", "memory": "16Gi"}).obj()


def victim(name: str, on: str = "n0") -> PodBuilder:
    started = f"2020-01-01T00:00:0{NAMES.index(name) if name in NAMES else 9}Z"
    return make_pod(name).node(on).req({"cpu": "1"}).started(started)


def urgent(name: str = "urgent", *, priority: int = 100) -> Pod:
    return make_preemptor(name, cpu="3", priority=priority).obj()


@asynccontextmanager
async def scheduling(stage: Stage) -> AsyncIterator[None]:
    stage.tasks.begin()
    try:
        yield
    finally:
        await stage.tasks.end()


@pytest.fixture
def stage() -> Stage:
    """One node with three victims, `a` the most important and `c`, which goes last, the least."""
    return Stage([node("n0")], [victim(name).obj() for name in NAMES])


def vanish(stage: Stage, name: str) -> None:
    stage.remove(make_pod(name).obj())


def terminate(stage: Stage, name: str) -> None:
    known = stage.known(name)
    terminating = PodBuilder(known).terminating()
    marked = terminating.condition("DisruptionTarget", "True", reason="PreemptionByScheduler")
    stage.add(marked.obj())


# --- the plain course ---


async def test_victims_are_marked_and_deleted_the_last_one_after_the_others(stage: Stage) -> None:
    stage.writes.gate.close("delete", "b")
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()
        assert set(stage.writes.asked) == {
            (verb, name) for verb in ("condition", "delete") for name in "ab"
        }

        stage.writes.gate.open()
        await stage.settle()

        assert sorted(stage.deleted[:2]) == ["a", "b"]
        assert stage.deleted[2:] == ["c"]
    assert stage.activated == [], "the victims' ends will wake it"
    assert stage.observed.executions == ["success"]
    assert stage.executor_is_idle


async def test_the_condition_is_worded_as_kube_scheduler_words_it(stage: Stage) -> None:
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()

    assert {(c.condition_type, c.reason, c.message) for c in stage.writes.set_conditions} == {
        (
            "DisruptionTarget",
            "PreemptionByScheduler",
            "pyscheduler: preempting to accommodate a higher priority pod",
        )
    }


async def test_every_victim_gets_an_event_that_names_the_preemptor(stage: Stage) -> None:
    pod = urgent()
    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()

    assert [
        (e.regarding.name, e.event_type, e.reason, e.action, e.note, e.related)
        for e in stage.recorder.events
    ] == [
        (name, "Normal", "Preempted", "Preempting", f"Preempted by pod {pod.uid} on node n0", pod)
        for name in NAMES
    ]


async def test_the_preemptor_is_gated_until_all_victims_were_told(stage: Stage) -> None:
    pod = urgent()
    stage.writes.gate.close("delete", "c")
    async with scheduling(stage):
        await stage.preempt(pod)
        assert stage.evaluator.is_preempting(pod)
        await stage.settle()
        assert stage.evaluator.is_preempting(pod)
        assert not stage.evaluator.is_preempting(urgent("somebody-else"))

        stage.writes.gate.open()
        await stage.settle()

        assert not stage.evaluator.is_preempting(pod)


@pytest.mark.parametrize("ends", [vanish, terminate], ids=["gone", "terminating"])
async def test_the_gate_opens_with_the_last_victim_even_before_the_answer(
    stage: Stage, ends: Callable[[Stage, str], None]
) -> None:
    pod = urgent()
    stage.writes.gate.close("delete", "c")
    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()
        ends(stage, "a")
        assert stage.evaluator.is_preempting(pod)
        assert not stage.evaluator.may_be_done

        ends(stage, "c")

        assert set(stage.evaluator.may_be_done) == {pod.key}
        assert not stage.evaluator.is_preempting(pod)
        assert not stage.evaluator.may_be_done, "it is through"


async def test_an_event_may_let_in_those_alone_whose_victims_were_told(stage: Stage) -> None:
    pod = urgent()
    stage.writes.gate.close("delete", "c")
    async with scheduling(stage):
        await stage.preempt(pod)
        assert stage.evaluator.is_preempting(pod)
        await stage.settle()
        assert not stage.evaluator.may_be_done

        stage.writes.gate.open()
        await stage.settle()

        assert set(stage.evaluator.may_be_done) == {pod.key}


async def test_a_preemptor_that_was_never_kept_out_is_not_remembered(stage: Stage) -> None:
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()

        assert not stage.evaluator.may_be_done


async def test_a_preemptor_that_is_gone_is_not_remembered(stage: Stage) -> None:
    pod = urgent()
    stage.add(pod)
    async with scheduling(stage):
        await stage.preempt(pod)
        assert stage.evaluator.is_preempting(pod)
        await stage.settle()
        assert stage.evaluator.may_be_done

        stage.remove(pod)

        assert not stage.evaluator.may_be_done


async def test_a_victim_that_is_marked_already_is_only_deleted() -> None:
    marked = victim("a").condition("DisruptionTarget", "True", reason="PreemptionByScheduler").obj()
    stage = Stage([node("n0")], [marked])
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()

    assert stage.writes.asked == [("delete", "a")]


# --- pods that are not bound yet ---


@pytest.mark.parametrize("where", ["waiting_pods", "pods_in_pre_bind"])
async def test_a_victim_without_a_binding_is_taken_back_in_memory(stage: Stage, where: str) -> None:
    bindable = getattr(stage, where).put(victim("b").obj())
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()

    assert "preempted" in bindable.taken_back
    assert stage.deleted == ["a", "c"]
    notes = {e.regarding.name: e.note for e in stage.recorder.events}
    assert notes["b"].endswith("on node n0 (in kube-scheduler memory).")


@pytest.mark.parametrize("where", ["waiting_pods", "pods_in_pre_bind"])
async def test_a_victim_whose_binding_is_being_sent_is_deleted(stage: Stage, where: str) -> None:
    getattr(stage, where).put(victim("b").obj(), is_too_late=True)
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()

    assert sorted(stage.deleted) == ["a", "b", "c"]


def assumed_victim() -> tuple[Stage, Pod, Pod]:
    """A stage with one assumed pod in PreBind; that pod, and how the API server has it."""
    seen = make_pod("a").req({"cpu": "1"}).obj()
    stage = Stage([node("n0")])
    stage.watch.put(seen)
    stage.cache.assume(seen, "n0")
    stage.snapshot.refresh()
    (assumed,) = stage.snapshot.nodes.node(0).pods.values()
    stage.pods_in_pre_bind.put(assumed)
    return stage, assumed, seen


async def test_a_victim_taken_back_is_not_deleted_while_it_is_being_given_up() -> None:
    stage, _, _ = assumed_victim()
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()
        stage.pods_in_pre_bind.by_uid.clear()
        named, status = await stage.preempt(urgent())
        assert (await stage.preempt(urgent("second", priority=200)))[0] == "n0"
        await stage.settle()

    assert named is None
    assert status.message == "not eligible due to a terminating pod on the nominated node."
    assert stage.writes.asked == []


async def test_a_victim_taken_back_and_assumed_again_can_be_taken_back_again() -> None:
    stage, assumed, seen = assumed_victim()
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()
        stage.cache.forget(assumed)
        stage.cache.assume(seen, "n0")
        again = stage.pods_in_pre_bind.put(seen)
        await stage.preempt(urgent("second", priority=200))
        await stage.settle()

    assert again.taken_back
    assert stage.writes.asked == []


async def test_nothing_is_remembered_of_a_victim_taken_back_once_it_changes() -> None:
    stage, _, seen = assumed_victim()
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()
        assert len(stage.evaluator._executor.departures) == 1
        stage.watch.put(PodBuilder(seen).label("x", "y").obj())

    assert len(stage.evaluator._executor.departures) == 0


# --- interference ---


@pytest.mark.parametrize("ends", [vanish, terminate], ids=["gone", "terminating"])
@pytest.mark.parametrize("at", ["before", "condition", "delete"])
@pytest.mark.parametrize("name", NAMES)
async def test_somebody_else_deletes_a_victim(
    stage: Stage, name: str, at: str, ends: Callable[[Stage, str], None]
) -> None:
    pod = urgent()
    stage.writes.gate.close(at, name)
    async with scheduling(stage):
        await stage.preempt(pod)
        if at != "before":
            await stage.settle()
        ends(stage, name)
        await stage.settle()
        stage.writes.gate.open()
        await stage.settle()

    assert len(stage.deleted) == len(set(stage.deleted))
    assert set(stage.deleted) >= set(NAMES) - {name}
    assert (name in stage.deleted) == (at == "delete")
    assert stage.activated == [], "the others' ends will wake it"
    assert not stage.evaluator.is_preempting(pod)
    assert stage.executor_is_idle


@pytest.mark.parametrize("at", ["before", "condition", "delete"])
async def test_a_preemptor_whose_victims_all_went_before_its_gate_opened_is_activated(
    stage: Stage, at: str
) -> None:
    pod = urgent()
    stage.writes.gate.close(at, "c")
    async with scheduling(stage):
        await stage.preempt(pod)
        if at != "before":
            await stage.settle()
        for name in NAMES:
            vanish(stage, name)
        stage.writes.gate.open()
        await stage.settle()

        assert not stage.evaluator.is_preempting(pod)
        assert stage.activated == ["urgent"], "their ends came while it was gated"


async def test_a_preemptor_waits_for_the_one_victim_that_still_terminates(stage: Stage) -> None:
    async with scheduling(stage):
        stage.writes.gate.close("delete", "c")
        await stage.preempt(urgent())
        await stage.settle()
        vanish(stage, "a")
        vanish(stage, "b")
        terminate(stage, "c")
        stage.writes.gate.open()
        await stage.settle()

        assert stage.activated == []


@pytest.mark.parametrize("verb", ["condition", "delete"])
@pytest.mark.parametrize("name", NAMES)
async def test_the_api_server_refuses(stage: Stage, name: str, verb: str) -> None:
    pod = urgent()
    stage.writes.gate.fail(verb, name)
    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()

        others = ["a", "b"] if name == "c" else [n for n in ("a", "b") if n != name]
        assert stage.deleted == others, "the last one is spared for the next attempt"
        assert stage.observed.executions == ["error"]
        assert not stage.evaluator.is_preempting(pod)
        assert stage.activated == [], "not without a pause"
        stage.clock.advance(1)
        await stage.settle()
        assert stage.activated == ["urgent"]
        assert stage.executor_is_idle

        stage.writes.gate.failing.clear()
        for told in others:
            vanish(stage, told)
        await stage.preempt(pod)
        await stage.settle()

        assert sorted(stage.deleted) == NAMES, "each of them once"


async def test_a_fault_in_one_preemption_does_not_touch_another() -> None:
    stage = Stage([node("n0"), node("n1")], [victim("a").obj(), victim("b", "n1").obj()])
    stage.writes.gate.fail("delete", "a")
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.preempt(urgent("second"))
        await stage.settle()
        assert stage.deleted == ["b"]
        assert stage.activated == []

        stage.clock.advance(1)
        await stage.settle()
        assert stage.activated == ["second"]


async def test_an_event_may_bring_a_failed_preemptor_back_before_its_pause_is_over(
    stage: Stage,
) -> None:
    pod = urgent()
    stage.writes.gate.fail("condition")
    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()
        stage.writes.gate.failing.clear()
        stage.writes.gate.close("delete")
        await stage.preempt(pod)
        await stage.settle()
        stage.clock.advance(1)
        await stage.settle()
        assert stage.activated == [], "it preempts anew: that will bring it back"
        assert stage.evaluator.is_preempting(pod)

        stage.writes.gate.open()
        await stage.settle()
        assert not stage.evaluator.is_preempting(pod)
        assert stage.activated == [], "its victims' ends will"

    assert sorted(stage.deleted) == NAMES


@pytest.mark.parametrize("fate", ["deleted", "recreated", "bound elsewhere", "terminating"])
async def test_without_a_preemptor_nobody_else_is_evicted(stage: Stage, fate: str) -> None:
    pod = urgent()
    stage.writes.gate.close("condition", "b")
    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()
        if fate == "deleted":
            stage.remove(pod)
        elif fate == "recreated":
            stage.remove(pod)
            stage.add(PodBuilder(pod).uid("another").obj())
        elif fate == "terminating":
            stage.watch.put(PodBuilder(pod).terminating().obj())
        else:
            stage.watch.put(PodBuilder(pod).node("n9").obj())
        stage.writes.gate.open()
        await stage.settle()

    assert stage.deleted == ["a"]
    assert stage.executor_is_idle


async def test_a_preemptor_made_again_preempts_for_itself(stage: Stage) -> None:
    pod = urgent()
    again = PodBuilder(pod).uid("another").obj()
    stage.writes.gate.close("condition", "b")
    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()
        stage.remove(pod)
        stage.nominator.delete(pod.uid)
        stage.add(again)
        assert not stage.evaluator.is_preempting(again)

        await stage.preempt(again)
        stage.writes.gate.open()
        await stage.settle()
        # the victim that was left to the first, which is gone, comes with the next attempt
        await stage.preempt(again)
        await stage.settle()

    assert sorted(stage.deleted) == NAMES
    assert stage.executor_is_idle


async def test_a_victim_made_again_under_its_name_is_spared(stage: Stage) -> None:
    stage.writes.gate.close("condition", "c")
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()
        vanish(stage, "c")
        stage.add(victim("c").uid("another").obj())
        stage.writes.gate.open()
        await stage.settle()

    assert stage.deleted == ["a", "b"]


async def test_a_nominated_node_that_goes_away_holds_nobody_back(stage: Stage) -> None:
    stage.cache.add_node(node("n1"))
    stage.add(victim("d", "n1").priority(50).obj())
    stage.writes.gate.close("delete", "c")
    pod = urgent()
    async with scheduling(stage):
        assert (await stage.preempt(pod))[0] == "n0"
        await stage.settle()
        stage.cache.remove_node("n0")
        for name in NAMES:
            vanish(stage, name)
        stage.writes.gate.open()
        await stage.settle()

        assert stage.activated == ["urgent"]
        assert (await stage.preempt(pod))[0] == "n1"
        await stage.settle()

    assert stage.deleted[-1] == "d"


# --- between the answer and its echo ---


async def test_a_preemptor_that_is_back_before_the_echo_waits(stage: Stage) -> None:
    stage.cache.add_node(node("n1"))
    stage.add(victim("d", "n1").priority(50).obj())
    pod = urgent()
    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()

        named, status = await stage.preempt(pod)

        assert named is None
        assert status.message == "not eligible due to a terminating pod on the nominated node."
        for name in NAMES:
            terminate(stage, name)
        assert (await stage.preempt(pod))[1].message == status.message
    assert sorted(stage.deleted) == NAMES


async def test_nothing_is_remembered_of_victims_once_they_are_seen_to_go(stage: Stage) -> None:
    departures = stage.evaluator._executor.departures
    async with scheduling(stage):
        await stage.preempt(urgent())
        await stage.settle()
        assert len(departures) == 3

        terminate(stage, "a")
        vanish(stage, "b")
        stage.add(PodBuilder(stage.known("c")).label("x", "y").obj())
        assert len(departures) == 1, "a label says nothing"
        vanish(stage, "c")

    assert len(departures) == 0


# --- several preemptors ---


@pytest.mark.parametrize("second_at", ["at once", "while they are told", "before the echo"])
async def test_a_second_preemptor_for_the_same_victims_tells_nobody_again(
    stage: Stage, second_at: str
) -> None:
    stage.writes.gate.close("delete")
    first, second = urgent("first"), urgent("second", priority=200)
    async with scheduling(stage):
        await stage.preempt(first)
        if second_at != "at once":
            await stage.settle()
        if second_at == "before the echo":
            stage.writes.gate.open()
            await stage.settle()
        assert (await stage.preempt(second))[0] == "n0"
        await stage.settle()
        stage.writes.gate.open()
        await stage.settle()

    assert sorted(stage.deleted) == NAMES
    assert len(stage.writes.asked) == 6
    assert not stage.evaluator.is_preempting(second)
    assert stage.activated == ["first"], "its nomination to the node is void"
    assert stage.executor_is_idle


async def test_a_preemptor_that_shares_a_victim_shares_the_failure(stage: Stage) -> None:
    stage.writes.gate.close("condition", "a")
    first, second = urgent("first"), urgent("second", priority=200)
    async with scheduling(stage):
        await stage.preempt(first)
        await stage.settle()
        await stage.preempt(second)
        await stage.settle()
        stage.writes.gate.fail("condition", "a")
        stage.writes.gate.open()
        await stage.settle()
        stage.clock.advance(1)
        await stage.settle()

        assert {"first", "second"} <= set(stage.activated)
        assert stage.observed.executions == ["error", "error"]
        assert not stage.evaluator.is_preempting(second)
    assert stage.executor_is_idle


async def test_lower_nominations_to_the_node_are_void_and_their_pods_look_elsewhere(
    stage: Stage,
) -> None:
    lower = make_pod("lower").req({"cpu": "1"}).priority(50).nominated("n0").obj()
    equal = make_pod("equal").req({"cpu": "100m"}).priority(100).nominated("n9").obj()
    elsewhere = make_pod("elsewhere").priority(50).nominated("n1").obj()
    for pod in (lower, equal, elsewhere):
        stage.add(pod)
        stage.nominator.add(pod)
    stage.nominator.add(equal, node_name="n9")

    await stage.preempt(urgent())

    assert [(pod.name, name) for pod, name in stage.writes.nominations] == [("lower", "")]
    assert stage.nominator.node_of(lower.uid) == ""
    assert stage.nominator.node_of(equal.uid) == "n9"
    assert stage.nominator.node_of(elsewhere.uid) == "n1"
    assert stage.activated == ["lower"]


# --- nothing to do, and the end ---


async def test_without_a_victim_to_be_told_nobody_is_gated() -> None:
    stage = Stage([node("n0")], [victim(name).terminating().obj() for name in NAMES])
    pod = urgent()
    async with scheduling(stage):
        named, _ = await stage.preempt(pod)
        await stage.settle()

    assert named == "n0"
    assert not stage.evaluator.is_preempting(pod)
    assert stage.writes.asked == []


async def test_the_end_of_scheduling_leaves_nobody_gated(stage: Stage) -> None:
    pod, later = urgent(), urgent("later", priority=200)
    stage.writes.gate.close("delete")
    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()
        await stage.preempt(later)

    assert not stage.evaluator.is_preempting(pod)
    assert not stage.evaluator.is_preempting(later)
    assert {"urgent", "later"} <= set(stage.activated)
    assert stage.executor_is_idle


async def test_scheduling_that_begins_again_preempts_again(stage: Stage) -> None:
    pod = urgent()
    stage.writes.gate.close("delete")
    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()
    stage.writes.gate.open()

    async with scheduling(stage):
        await stage.preempt(pod)
        await stage.settle()

    assert sorted(stage.deleted) == NAMES
