"""Whatever hooks answer and whenever they are interrupted, no room leaks and no pod is lost.

One pod goes from its node to Bind through plugins with random outcomes, and somebody deletes it,
cancels its binding cycle or ends scheduling on the way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.interface import Plugin
from pyscheduler.testing import make_pod
from tests.unit.cycle.rig import Rig, node, pod

REJECTED = fwk.unschedulable("no")
PENDING = fwk.pending("not yet")
BROKEN = fwk.Status(fwk.Code.ERROR, ("broken",))

#: What any hook may come to: a status, or True: it raises. Most answers let the pod go on, so
#: that it is seen at every stage.
PLAIN: list[Any] = [*[None] * 20, fwk.SUCCESS, REJECTED, PENDING, BROKEN, fwk.SKIP, True]
WAITS = [(fwk.wait(), 5.0), (fwk.wait(), 1e9), (fwk.wait(), 0.0)]
FLIGHTS: list[Any] = [
    *[None, fwk.SKIP, fwk.PreBindPreFlightResult()] * 3,
    *[fwk.PreBindPreFlightResult(allow_parallel=True)] * 9,
    REJECTED,
    True,
]
INTERRUPTIONS = ["allow", "cancel", "deleted", "drain", "preempt", "reject", "terminating"]


@dataclass
class Script:
    """What one plugin answers, and what it was asked."""

    reserve: Any
    permit: Any
    flight: Any
    pre_bind: Any
    bind: Any
    post_bind: Any
    #: loop turns that PreBind and Bind take
    turns: int
    reserved: int = 0
    unreserved: int = 0
    bound: int = 0


def scripts() -> st.SearchStrategy[Script]:
    plain = st.sampled_from(PLAIN)
    return st.builds(
        Script,
        reserve=plain,
        permit=st.one_of(
            plain.map(_without_wait), plain.map(_without_wait), st.sampled_from(WAITS)
        ),
        flight=st.sampled_from(FLIGHTS),
        pre_bind=plain,
        bind=st.sampled_from([fwk.SKIP, None, *PLAIN]),
        post_bind=st.sampled_from([None, True]),
        turns=st.integers(0, 3),
    )


def _without_wait(answer: Any) -> Any:
    return answer if answer is True else (answer, 0.0)


def _play(answer: Any) -> Any:
    if answer is True:
        raise ZeroDivisionError("boom")
    return answer


class One(
    fwk.ReservePlugin,
    fwk.PermitPlugin,
    fwk.PreBindPlugin,
    fwk.BindPlugin,
    fwk.PostBindPlugin,
    fwk.Plugin[fwk.NoArgs],
):
    """Follows its script at every point from Reserve on."""

    script: Script

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        self.script.reserved += 1
        return _play(self.script.reserve)  # type: ignore[no-any-return]  # as scripted

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        self.script.unreserved += 1

    def permit(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Any:
        return _play(self.script.permit)

    def pre_bind_pre_flight(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Any:
        return _play(self.script.flight)

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        for _ in range(self.script.turns):
            await asyncio.sleep(0)
        return _play(self.script.pre_bind)  # type: ignore[no-any-return]  # as scripted

    async def bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        for _ in range(self.script.turns):
            await asyncio.sleep(0)
        answer: fwk.Status | None = _play(self.script.bind)
        if answer is None or answer.is_success:
            self.script.bound += 1
        return answer

    async def post_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        await asyncio.sleep(0)
        _play(self.script.post_bind)


class Two(One):
    """Another one of the same kind."""


class Three(One):
    """Yet another one."""


PLUGINS: tuple[type[Plugin[Any]], ...] = (One, Two, Three)


def interrupt(rig: Rig, ours: Pod, interruption: str) -> None:
    match interruption:
        case "deleted" if ours.key in rig.known:
            rig.delete_pod(ours)
        case "terminating" if ours.key in rig.known:
            rig.update_pod(make_pod("a").scheduler_name("pyscheduler").terminating().obj())
        case "cancel":
            for task in tuple(rig.scheduler._binding_tasks):
                task.cancel()
        case "drain":
            rig.binding.give_up_waiting()
        case "allow" | "preempt" | "reject":
            wait = rig.waiting_pods.get(ours.uid)
            in_pre_bind = rig.pods_in_pre_bind.get(ours.uid)
            if wait is not None:
                for plugin in wait.pending_plugins:
                    if interruption == "allow":
                        wait.allow(plugin)
                    elif interruption == "preempt":
                        wait.preempt(plugin, "preempted")
                    else:
                        wait.reject(plugin, "no")
            elif in_pre_bind is not None and interruption == "preempt":
                in_pre_bind.cancel("preempted")


async def story(three: list[Script], interruptions: list[tuple[int, str]]) -> None:
    rig = Rig(*PLUGINS)
    rig.profile.binds.reverse()
    for plugin, script in zip(PLUGINS, three, strict=True):
        one = rig.profile.plugins[plugin.name]
        assert isinstance(one, One)
        one.script = script
    rig.add_node(node("n"))
    ours = pod("a")
    rig.add_pod(ours)
    entity = rig.queue.pop()
    assert entity is not None

    await rig.scheduler.schedule_one(entity)
    for turns, interruption in interruptions:
        await rig.turns(turns)
        interrupt(rig, ours, interruption)
    for _ in range(3):
        await rig.turns(40)
        rig.clock.advance(1000)
    await rig.turns(40)

    check(rig, ours, three)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"still running: {left}"


def check(rig: Rig, ours: Pod, three: list[Script]) -> None:
    is_bound = bool(rig.writes.bindings) or any(script.bound for script in three)
    is_deleted = ours.key not in rig.known or rig.known[ours.key].is_terminating
    is_counted = rig.cache.node_of(ours.uid) is not None
    is_queued = rig.queue.contains(ours.uid)

    assert sum(script.bound for script in three) + len(rig.writes.bindings) <= 1
    assert is_counted == (is_bound and not is_deleted)
    assert not (is_queued and is_bound and not is_deleted)
    assert [script.unreserved for script in three] == [0 if is_bound else 1] * 3
    assert all(script.reserved <= 1 for script in three)
    assert len(rig.waiting_pods) == len(rig.pods_in_pre_bind) == 0
    assert rig.scheduler.binding_count == 0
    assert rig.queue.counts().in_flight == 0
    rig.cache.validate()
    rig.queue.validate()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(scripts(), min_size=3, max_size=3),
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(INTERRUPTIONS)), max_size=3),
)
def test_an_assumed_pod_is_bound_or_given_back_exactly_once(
    three: list[Script], interruptions: list[tuple[int, str]]
) -> None:
    asyncio.run(story(three, interruptions))
