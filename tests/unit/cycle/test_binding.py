"""From a chosen node to a bound pod: Permit, PreBind, Bind, and the way back from each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cluster_events import NODE_ALLOCATABLE_CHANGED
from pyscheduler.framework.cycle_state import PODS_TO_ACTIVATE
from pyscheduler.framework.interface import Plugin
from pyscheduler.framework.status import PreBindPreFlightResult
from pyscheduler.testing import make_pod
from tests.unit.cycle.rig import Rig, node, pod

Answer = fwk.Status | None


class Scripted(fwk.Plugin[fwk.NoArgs]):
    """A plugin whose answers a test sets; shares one list of calls with its siblings."""

    calls: list[str]

    def note(self, hook: str) -> None:
        self.calls.append(f"{type(self).name}.{hook}")


class Lock(fwk.ReservePlugin, Scripted):
    reserved: Answer = None

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Answer:
        self.note("reserve")
        return self.reserved

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        self.note("unreserve")


class SecondLock(Lock):
    """Another one of the same kind."""


class Gate(fwk.PermitPlugin, fwk.EnqueueExtensions, Scripted):
    """Answers as told; only nodes that grow help those it rejects."""

    answer: Any = (None, 0.0)

    def permit(self, state: fwk.CycleState, pod: Pod, node_name: str) -> tuple[Answer, float]:
        self.note("permit")
        found: tuple[Answer, float] = self.answer
        return found

    def events_to_register(self) -> list[fwk.ClusterEventWithHint]:
        return [fwk.ClusterEventWithHint(NODE_ALLOCATABLE_CHANGED)]


class SecondGate(Gate):
    """Another one of the same kind."""


class Work(fwk.PreBindPlugin, Scripted):
    """Does its work when the test opens its door; with `PreBindPreFlightResult` beside others."""

    flight: PreBindPreFlightResult | Answer = None
    done: Answer = None
    door: asyncio.Event | None = None

    def pre_bind_pre_flight(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> PreBindPreFlightResult | Answer:
        self.note("pre_flight")
        return self.flight

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Answer:
        self.note("pre_bind")
        try:
            if self.door is not None:
                await self.door.wait()
        except asyncio.CancelledError:
            self.note("cancelled")
            raise
        return self.done


class SecondWork(Work):
    """Another one of the same kind."""


class ThirdWork(Work):
    """Yet another one."""


WAIT = fwk.wait()


@pytest.fixture
def make_rig() -> Callable[..., Rig]:
    """A rig with one node of 4 CPUs, whose scripted plugins share one list of calls."""

    def make(*plugins: type[Plugin[Any]]) -> Rig:
        rig = Rig(*plugins)
        calls: list[str] = []
        for plugin in plugins:
            of(rig, plugin).calls = calls
        rig.add_node(node("n"))
        return rig

    return make


def of(rig: Rig, plugin: type[Plugin[Any]]) -> Any:
    return rig.profile.plugins[plugin.name]


def wait_of(rig: Rig, waiting: Pod) -> fwk.WaitingPod:
    found = rig.waiting_pods.get(waiting.uid)
    assert found is not None, f"{waiting.name} does not wait"
    return found


# --- Reserve


async def test_a_failed_reserve_unreserves_all_in_reverse(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(Lock, SecondLock)
    of(rig, Lock).reserved = fwk.unschedulable("locked")

    rig.add_pod(pod("a"))
    await rig.settle()

    assert of(rig, Lock).calls == ["Lock.reserve", "SecondLock.unreserve", "Lock.unreserve"]
    assert rig.messages == {"a": "0/1 nodes are available: 1 locked."}
    assert rig.cache.pod_count == 0


# --- Permit


async def test_the_first_rejection_wins_and_the_condition_counts_one_node(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Gate, SecondGate, Lock)
    rig.add_node(node("m"))
    of(rig, Gate).answer = (WAIT, 60)
    of(rig, SecondGate).answer = (fwk.unschedulable("closed"), 0)

    ours = pod("a")
    rig.add_pod(ours)
    await rig.settle()

    assert rig.messages == {"a": "0/1 nodes are available: 1 closed."}
    assert len(rig.waiting_pods) == 0
    assert of(rig, Lock).calls[-1] == "Lock.unreserve"
    entity = rig.queue.get(ours.uid)
    assert entity is not None
    assert entity.unschedulable_plugins == {"SecondGate"}
    assert rig.queue.counts().unschedulable == 1
    assert rig.writes.nominations == [(ours, "")]


async def test_a_pod_rejected_at_permit_is_woken_by_that_plugins_events(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Gate)
    of(rig, Gate).answer = (fwk.unschedulable("closed"), 0)
    rig.add_pod(pod("a"))
    await rig.settle()
    rig.clock.advance(30)

    rig.queue.move(fwk.ASSIGNED_POD_DELETED, make_pod("x").node("n").obj(), None)
    assert rig.queue.counts().unschedulable == 1
    rig.queue.move(NODE_ALLOCATABLE_CHANGED, node("n"), node("n", cpu="8"))
    of(rig, Gate).answer = (None, 0)
    await rig.settle()

    assert rig.bound == {"a": "n"}


async def test_a_waiting_pod_keeps_its_room_and_is_bound_when_allowed(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Gate, SecondGate)
    of(rig, Gate).answer = of(rig, SecondGate).answer = (WAIT, 60)
    ours = pod("a", cpu="3")
    rig.add_pod(ours)
    await rig.settle()
    of(rig, Gate).answer = of(rig, SecondGate).answer = (None, 0)
    rig.add_pod(pod("b", cpu="3"))
    await rig.settle()
    assert rig.bound == {}
    assert rig.queue.counts().in_flight == 1, "what a waiting pod misses is remembered"

    waiting = wait_of(rig, ours)
    assert waiting.pending_plugins == ("Gate", "SecondGate")
    waiting.allow("Gate")
    await rig.settle()
    assert rig.bound == {}
    waiting.allow("SecondGate")
    await rig.settle()

    assert rig.bound == {"a": "n"}
    assert rig.queue.counts().in_flight == 0
    assert rig.attempts.results == ["unschedulable", "scheduled"]


async def test_time_out_at_permit_puts_the_pod_back_and_makes_room(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Gate, Lock)
    of(rig, Gate).answer = (WAIT, 60)
    ours = pod("a", cpu="3")
    rig.add_pod(ours)
    await rig.settle()
    of(rig, Gate).answer = (None, 0)
    rig.add_pod(pod("b", cpu="3"))
    await rig.settle()

    rig.clock.advance(60)
    await rig.turns()
    await rig.settle()

    assert rig.messages["a"] == (
        "0/1 nodes are available: 1 rejected due to timeout after waiting 1m0s at plugin Gate."
    )
    assert rig.bound == {"b": "n"}, "woken by the room that the other left"
    assert rig.queue.counts().unschedulable == 1, "and the pod itself was not"
    assert rig.attempts.waits == [("Unschedulable", 60.0)]
    assert of(rig, Lock).calls.count("Lock.unreserve") == 1


async def test_a_waiting_pod_that_is_preempted_is_tried_again_after_its_backoff(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Gate)
    of(rig, Gate).answer = (WAIT, 60)
    ours = pod("a")
    rig.add_pod(ours)
    await rig.settle()

    assert wait_of(rig, ours).preempt("DefaultPreemption", "preempted")
    await rig.turns()

    assert rig.queue.counts().backoff == 1
    assert rig.cache.pod_count == 0
    assert rig.messages == {"a": "waiting on permit for pod: preempted"}
    assert [reason for _, reason, _ in rig.writes.conditions] == ["SchedulerError"]


async def test_what_a_waiting_pod_missed_counts_when_it_is_rejected(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Gate)
    of(rig, Gate).answer = (WAIT, 60)
    ours = pod("a")
    rig.add_pod(ours)
    await rig.settle()

    rig.queue.move(NODE_ALLOCATABLE_CHANGED, node("n"), node("n", cpu="8"))
    wait_of(rig, ours).reject("Gate", "closed")
    await rig.turns()

    assert rig.queue.counts().backoff == 1


# --- expectations


@pytest.mark.parametrize(
    ("permit", "flight", "nominations"),
    [
        pytest.param((None, 0), fwk.SKIP, [], id="nothing to wait for"),
        pytest.param((WAIT, 60), fwk.SKIP, ["n"], id="waits at permit"),
        pytest.param((None, 0), None, ["n"], id="work in PreBind"),
        pytest.param((WAIT, 60), PreBindPreFlightResult(), ["n"], id="both"),
    ],
)
async def test_the_expected_node_is_written_when_binding_may_take_long(
    make_rig: Callable[..., Rig],
    permit: tuple[Answer, float],
    flight: PreBindPreFlightResult | Answer,
    nominations: list[str],
) -> None:
    rig = make_rig(Gate, Work)
    of(rig, Gate).answer, of(rig, Work).flight = permit, flight
    ours = pod("a")
    rig.queue.nominator.add(ours, node_name="elsewhere")
    rig.add_pod(ours)
    await rig.settle()

    assert [name for _, name in rig.writes.nominations] == nominations
    assert rig.queue.nominator.node_of(ours.uid) == "", "the cache counts it from here on"


# --- PreBind


async def test_who_has_no_work_is_not_called(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(Work, SecondWork)
    of(rig, Work).flight = fwk.SKIP

    rig.add_pod(pod("a"))
    await rig.settle()

    assert of(rig, Work).calls == [
        "Work.pre_flight",
        "SecondWork.pre_flight",
        "SecondWork.pre_bind",
    ]
    assert rig.bound == {"a": "n"}


async def test_pre_bind_runs_in_order_unless_neighbours_allow_more(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Work, SecondWork, ThirdWork)
    doors = {}
    for plugin in (Work, SecondWork, ThirdWork):
        doors[plugin] = of(rig, plugin).door = asyncio.Event()
    of(rig, SecondWork).flight = of(rig, ThirdWork).flight = PreBindPreFlightResult(
        allow_parallel=True
    )
    calls = of(rig, Work).calls

    rig.add_pod(pod("a"))
    await rig.settle()
    del calls[:3]
    assert calls == ["Work.pre_bind"]
    doors[Work].set()
    await rig.turns()
    assert calls == ["Work.pre_bind", "SecondWork.pre_bind", "ThirdWork.pre_bind"]
    doors[ThirdWork].set()
    await rig.turns()
    assert rig.bound == {}
    doors[SecondWork].set()
    await rig.turns()

    assert rig.bound == {"a": "n"}


async def test_the_first_failure_in_pre_bind_cancels_what_runs_beside(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Work, SecondWork, Lock)
    of(rig, Work).flight = of(rig, SecondWork).flight = PreBindPreFlightResult(allow_parallel=True)
    of(rig, Work).door = asyncio.Event()
    of(rig, SecondWork).done = fwk.unschedulable("no volume")

    rig.add_pod(pod("a"))
    await rig.settle()

    assert of(rig, Work).calls[-2:] == ["Work.cancelled", "Lock.unreserve"]
    assert rig.messages == {"a": "no volume"}
    assert rig.queue.counts().backoff == 1, "no event helps a pod that failed after Permit"


async def test_of_two_failures_at_once_the_first_in_order_is_told(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Work, SecondWork)
    for plugin, reason in ((Work, "first"), (SecondWork, "second")):
        of(rig, plugin).flight = PreBindPreFlightResult(allow_parallel=True)
        of(rig, plugin).done = fwk.unschedulable(reason)

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.messages == {"a": "first"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(
            fwk.unschedulable("no"),
            'running PreBindPreFlight "Work": status Unschedulable is not for PreBindPreFlight',
            id="rejection",
        ),
        pytest.param(
            fwk.Status(fwk.Code.ERROR, ("no claim",)),
            'running PreBindPreFlight "Work": no claim',
            id="error",
        ),
    ],
)
async def test_a_pre_flight_that_objects_ends_the_attempt(
    make_rig: Callable[..., Rig], answer: fwk.Status, message: str
) -> None:
    rig = make_rig(Lock, Gate, Work)
    of(rig, Gate).answer = (WAIT, 60)
    of(rig, Work).flight = answer

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.messages == {"a": message}
    assert len(rig.waiting_pods) == 0
    assert of(rig, Lock).calls[-1] == "Lock.unreserve"
    assert rig.queue.counts().in_flight == 0


async def test_a_pod_in_pre_bind_can_be_taken_back(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(Work, Lock)
    of(rig, Work).door = asyncio.Event()
    ours = pod("a")
    rig.add_pod(ours)
    await rig.settle()
    assert rig.queue.counts().in_flight == 0, "PreBind may be long: it pins no events"

    in_pre_bind = rig.pods_in_pre_bind.get(ours.uid)
    assert in_pre_bind is not None
    assert in_pre_bind.cancel("preempted by DefaultPreemption")
    await rig.turns()

    assert of(rig, Work).calls[-2:] == ["Work.cancelled", "Lock.unreserve"]
    assert rig.messages == {"a": "preempted by DefaultPreemption"}
    assert rig.queue.counts().backoff == 1
    assert rig.cache.pod_count == 0


class SlowBind(fwk.BindPlugin, Scripted):
    """Lets the test look while a binding is being sent."""

    looks: Callable[[], None]

    async def bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Answer:
        self.looks()
        return fwk.SKIP


async def test_a_pod_whose_binding_is_being_sent_cannot_be_taken_back(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Work, Gate, SlowBind)
    rig.profile.binds.reverse()
    of(rig, Gate).answer = (WAIT, 60)
    ours = pod("a")
    seen: list[object] = []
    of(rig, SlowBind).looks = lambda: seen.extend(
        (rig.waiting_pods.get(ours.uid), rig.pods_in_pre_bind.get(ours.uid))
    )
    rig.add_pod(ours)
    await rig.settle()
    wait_of(rig, ours).allow("Gate")
    await rig.settle()

    assert seen == [None, None]
    assert rig.bound == {"a": "n"}


# --- deleted meanwhile


@pytest.mark.parametrize("is_gone", [False, True], ids=["terminating", "gone"])
@pytest.mark.parametrize("stage", ["permit", "pre_bind"])
async def test_a_pod_deleted_before_bind_is_forgotten_at_once(
    make_rig: Callable[..., Rig], *, stage: str, is_gone: bool
) -> None:
    rig = make_rig(Gate, Work, Lock)
    of(rig, Gate).answer = (WAIT, 60) if stage == "permit" else (None, 0)
    of(rig, Work).door = asyncio.Event()
    ours = pod("a")
    rig.add_pod(ours)
    await rig.settle()
    assert rig.cache.assumed_count == 1

    if is_gone:
        rig.delete_pod(ours)
    else:
        rig.update_pod(make_pod("a").scheduler_name("pyscheduler").terminating().obj())
    await rig.turns()

    assert rig.cache.pod_count == 0
    assert of(rig, Lock).calls.count("Lock.unreserve") == 1
    assert rig.queue.counts().in_flight == 0
    assert rig.bound == {}
    if is_gone:
        assert rig.writes.conditions == []
        assert rig.queue.counts().pending == 0


def test_a_pod_whose_binding_is_being_sent_is_left_to_the_server() -> None:
    assert not Rig().binding.on_assumed_pod_deleting(pod("a"))


# --- Bind, and what others learn of it


class Elsewhere(fwk.BindPlugin, Scripted):
    """Binds as told."""

    answer: Answer = fwk.SKIP

    async def bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Answer:
        self.note("bind")
        return self.answer


async def test_the_first_binder_that_does_not_skip_owns_the_pod(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Elsewhere)
    rig.profile.binds.reverse()

    rig.add_pod(pod("a"))
    await rig.settle()
    of(rig, Elsewhere).answer = None
    rig.add_pod(pod("b"))
    await rig.settle()

    assert rig.bound == {"a": "n"}, "b was bound by the other"
    assert rig.attempts.results == ["scheduled", "scheduled"]


async def test_an_extender_that_binds_goes_before_the_plugins() -> None:
    rig = Rig()
    rig.add_node(node("n"))
    asked: list[str] = []

    async def bind(pod: Pod, node_name: str) -> bool:
        asked.append(f"{pod.name} to {node_name}")
        return pod.name == "theirs"

    rig.binding._extender_bind = bind
    rig.add_pod(pod("theirs"))
    rig.add_pod(pod("ours"))
    await rig.settle()

    assert asked == ["theirs to n", "ours to n"]
    assert rig.bound == {"ours": "n"}
    assert rig.attempts.results == ["scheduled", "scheduled"]


@pytest.mark.parametrize(
    ("answer", "reason", "message"),
    [
        pytest.param(fwk.unschedulable("no"), "Unschedulable", "no", id="rejection"),
        pytest.param(
            fwk.Status(fwk.Code.ERROR, ("broken",)),
            "SchedulerError",
            'running Bind plugin "Elsewhere": broken',
            id="error",
        ),
    ],
)
async def test_a_failed_bind_wakes_others_and_is_tried_again_after_its_backoff(
    make_rig: Callable[..., Rig], answer: fwk.Status, reason: str, message: str
) -> None:
    rig = make_rig(Elsewhere, Work)
    rig.profile.binds.reverse()
    of(rig, Elsewhere).answer = answer
    of(rig, Work).door = asyncio.Event()
    rig.add_pod(pod("a", cpu="3"))
    await rig.settle()
    rig.add_pod(pod("b", cpu="3"))
    await rig.settle()
    rig.clock.advance(30)
    assert rig.queue.counts().unschedulable == 1

    of(rig, Work).door.set()
    await rig.turns()

    tiers = {entity.pod.name: tier for tier, entity in rig.queue.pending()}
    assert tiers == {"a": "backoff", "b": "active"}
    told = [(r, m) for p, r, m in rig.writes.conditions if p.name == "a"]
    assert told == [(reason, message)]
    assert [name for p, name in rig.writes.nominations if p.name == "a"] == ["n", ""]


# --- pods to activate


class Sibling(fwk.PermitPlugin, fwk.PreBindPlugin, Scripted):
    """Wants one pod tried once its own has a node, and another once it is bound."""

    first: Pod
    second: Pod

    def permit(self, state: fwk.CycleState, pod: Pod, node_name: str) -> tuple[Answer, float]:
        state.read(fwk.PODS_TO_ACTIVATE).add(self.first)
        return None, 0.0

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Answer:
        state.read(fwk.PODS_TO_ACTIVATE).add(self.second)
        return None


async def test_pods_are_activated_after_the_cycle_and_after_binding(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(Sibling)
    of(rig, Sibling).first, of(rig, Sibling).second = pod("first"), pod("second")
    activated: list[list[str]] = []
    monkeypatch.setattr(
        rig.queue, "activate", lambda pods: activated.append([pod.name for pod in pods])
    )
    rig.add_pod(pod("a"))
    entity = rig.queue.pop()
    assert entity is not None

    await rig.scheduler.schedule_one(entity)
    assert activated == [["first"]]
    await rig.turns()
    assert activated == [["first"], ["second"]]


async def test_a_cycle_that_fails_activates_nobody(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(Sibling, Gate)
    of(rig, Sibling).first = pod("first")
    of(rig, Gate).answer = (fwk.unschedulable("closed"), 0)
    monkeypatch.setattr(rig.queue, "activate", lambda pods: pytest.fail("activated"))

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.attempts.results == ["unschedulable"]


# --- the end


class OddSiblings(fwk.PermitPlugin, fwk.Plugin[fwk.NoArgs]):
    """Lets its pod wait, and asks for what nobody can activate."""

    def permit(self, state: fwk.CycleState, pod: Pod, node_name: str) -> tuple[Answer, float]:
        state.write(PODS_TO_ACTIVATE, {pod.key: pod})  # type: ignore[misc]  # what it gets wrong
        return WAIT, 60.0


async def test_what_nobody_can_activate_costs_its_pod_an_attempt() -> None:
    rig = Rig(OddSiblings)
    rig.add_node(node("n"))

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.attempts.results == ["error"]
    assert rig.queue.counts().backoff == 1
    assert rig.cache.pod_count == 0
    assert len(rig.waiting_pods) == 0


async def test_drain_gives_up_waiting_pods_and_finishes_the_others(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Gate, Work, Lock)
    of(rig, Gate).answer = (WAIT, 60)
    rig.add_pod(pod("waits"))
    await rig.settle()
    door = of(rig, Work).door = asyncio.Event()
    of(rig, Gate).answer = (None, 0)
    rig.add_pod(pod("works"))
    await rig.settle()

    draining = asyncio.create_task(rig.scheduler.drain())
    await rig.turns()
    assert not draining.done()
    door.set()
    await draining
    await rig.turns()

    assert rig.bound == {"works": "n"}
    assert rig.writes.conditions == []
    assert rig.cache.pod_count == 1
    assert of(rig, Lock).calls.count("Lock.unreserve") == 1
    assert rig.queue.counts().in_flight == 0
    assert rig.queue.counts().pending == 0, "it is the next leader's"


async def test_a_binding_task_cancelled_before_it_ran_gives_the_room_back(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(Lock)
    rig.add_pod(pod("a"))
    entity = rig.queue.pop()
    assert entity is not None
    await rig.scheduler.schedule_one(entity)
    (task,) = rig.scheduler._binding_tasks

    task.cancel()
    await rig.turns()

    assert rig.cache.pod_count == 0
    assert of(rig, Lock).calls == ["Lock.reserve", "Lock.unreserve"]
    assert rig.queue.counts().in_flight == 0
    assert not rig.scheduler._starting


class Careless(fwk.PreBindPlugin, fwk.Plugin[fwk.NoArgs]):
    """Awaits something of its own that was cancelled."""

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Answer:
        poll = asyncio.get_running_loop().create_future()
        poll.cancel()
        await poll
        return None


async def test_a_plugin_whose_own_work_was_cancelled_costs_its_pod_one_attempt() -> None:
    rig = Rig(Careless)
    rig.add_node(node("n"))
    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.messages == {"a": 'running PreBind plugin "Careless": CancelledError: '}
    assert rig.queue.counts().backoff == 1


# --- how many at once


async def run_with_narrow_window(rig: Rig) -> asyncio.Task[None]:
    """The loop runs, and pops no more while over two binds wait."""
    rig.window.bind_window = 1
    loop = asyncio.create_task(rig.scheduler.run())
    await rig.turns(50)
    return loop


async def test_waiting_pods_hold_up_nobody(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(Gate)
    of(rig, Gate).answer = (WAIT, 60)
    for n in range(20):
        rig.add_pod(pod(f"p{n}", cpu="10m", memory="1Mi"))

    loop = await run_with_narrow_window(rig)

    assert len(rig.waiting_pods) == 20
    loop.cancel()


class Afterwards(fwk.PostBindPlugin, fwk.Plugin[fwk.NoArgs]):
    """Never comes to an end."""

    async def post_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        await asyncio.get_running_loop().create_future()


async def test_bound_pods_hold_up_nobody_however_long_post_bind_takes() -> None:
    rig = Rig(Afterwards)
    rig.add_node(node("n"))
    for n in range(20):
        rig.add_pod(pod(f"p{n}", cpu="10m", memory="1Mi"))

    loop = await run_with_narrow_window(rig)

    assert len(rig.bound) == 20
    assert rig.attempts.results == ["scheduled"] * 20, "their attempts are over"
    loop.cancel()
