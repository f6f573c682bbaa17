"""Waiting pods one by one: who decides, when time is up, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import FakeClock
from pyscheduler.framework.status import Code, Status, unschedulable
from pyscheduler.runtime.waiting_pods import PodsInPreBindMap, WaitingPodsMap
from pyscheduler.testing import make_pod


class Room:
    """Waiting pods, a clock, and the answers that binding cycles got."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.observed: list[tuple[str, float]] = []
        self.pods = WaitingPodsMap(self.clock, observer=lambda *seen: self.observed.append(seen))
        self.answers: dict[str, Status | None] = {}

    def add(self, name: str, **timeouts_s: float) -> Pod:
        pod = make_pod(name).obj()
        self.pods.add(pod, "node-1", timeouts_s=timeouts_s)
        return pod

    def start(self, pod: Pod) -> asyncio.Task[None]:
        async def wait() -> None:
            self.answers[pod.name] = await self.pods.wait(pod.uid)

        return asyncio.create_task(wait())

    async def pass_time(self, seconds: float) -> None:
        await turns()
        self.clock.advance(seconds)
        await turns()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_pod_that_need_not_wait_goes_on_at_once() -> None:
    assert await Room().pods.wait("nobody") is None


async def test_a_pod_goes_on_once_every_plugin_allows_it() -> None:
    room = Room()
    pod = room.add("a", Gang=60, Quota=30)
    room.start(pod)
    wait = room.pods.get(pod.uid)
    assert wait is not None
    assert (wait.pod, wait.node_name, wait.pending_plugins) == (pod, "node-1", ("Gang", "Quota"))

    wait.allow("Gang")
    wait.allow("Stranger")
    await room.pass_time(5)
    assert wait.pending_plugins == ("Quota",)
    assert room.answers == {}

    wait.allow("Quota")
    await turns()
    assert room.answers == {"a": None}
    assert len(room.pods) == 0
    assert room.observed == [("Success", 5.0)]


async def test_one_rejection_is_enough_and_the_first_counts() -> None:
    room = Room()
    pod = room.add("a", Gang=60, Quota=30)
    room.start(pod)
    wait = room.pods.get(pod.uid)
    assert wait is not None

    assert wait.reject("Quota", "over budget")
    assert not wait.reject("Gang", "too late")
    assert not wait.preempt("Gang", "too late")
    wait.allow("Gang")
    wait.allow("Quota")
    await turns()

    assert room.answers == {"a": Status(Code.UNSCHEDULABLE, ("over budget",), "Quota")}
    assert room.observed == [("Unschedulable", 0.0)]
    assert not wait.reject("Gang", "over")


@pytest.mark.parametrize(
    ("timeout_s", "text"),
    [
        pytest.param(90, "1m30s", id="minutes"),
        pytest.param(0.25, "250ms", id="milliseconds"),
        pytest.param(0, "0s", id="no patience at all"),
        pytest.param(-5, "-5s", id="less than none"),
        pytest.param(3600, "15m0s", id="more than a plugin may ask for"),
        pytest.param(float("inf"), "15m0s", id="for ever"),
    ],
)
async def test_time_runs_out(timeout_s: float, text: str) -> None:
    room = Room()
    room.start(room.add("a", Gang=timeout_s))
    capped = max(0.0, min(timeout_s, 900.0))

    if capped:
        await room.pass_time(capped * 0.99)
        assert room.answers == {}
    await room.pass_time(capped * 0.01 + 1e-9)

    reason = f"rejected due to timeout after waiting {text} at plugin Gang"
    assert room.answers == {"a": Status(Code.UNSCHEDULABLE, (reason,), "Gang")}


async def test_each_plugin_has_its_own_patience() -> None:
    room = Room()
    pod = room.add("a", Slow=60, Quick=10)
    room.start(pod)
    await room.pass_time(9)
    wait = room.pods.get(pod.uid)
    assert wait is not None
    wait.allow("Quick")

    await room.pass_time(50)
    assert room.answers == {}
    await room.pass_time(1)

    status = room.answers["a"]
    assert status is not None
    assert status.plugin == "Slow"


async def test_a_pod_allowed_in_time_is_not_timed_out_later() -> None:
    room = Room()
    pod = room.add("a", Gang=10)
    wait = room.pods.get(pod.uid)
    assert wait is not None
    await room.pass_time(9)
    wait.allow("Gang")
    await room.pass_time(100)

    room.start(pod)
    await turns()
    assert room.answers == {"a": None}


async def test_an_allowed_pod_can_be_taken_back_until_its_cycle_goes_on() -> None:
    room = Room()
    pod = room.add("a", Gang=10)
    wait = room.pods.get(pod.uid)
    assert wait is not None
    wait.allow("Gang")

    assert wait.preempt("DefaultPreemption", "preempted")
    room.start(pod)
    await turns()

    status = room.answers["a"]
    assert status is not None
    assert status.code is Code.ERROR
    assert status.message == "waiting on permit for pod: preempted"
    assert room.observed == [("Error", 0.0)]


async def test_a_pod_is_rejected_by_uid_in_nobodys_name() -> None:
    room = Room()
    pod = room.add("a", Gang=10)
    room.start(pod)

    assert room.pods.reject(pod.uid)
    assert not room.pods.reject(pod.uid)
    assert not room.pods.reject("nobody")
    await turns()

    assert room.answers == {"a": Status(Code.UNSCHEDULABLE, ("removed",))}


async def test_pods_are_listed_oldest_first_while_the_set_changes() -> None:
    room = Room()
    for name in "abc":
        room.start(room.add(name, Gang=10))

    seen = []
    for wait in room.pods:
        seen.append(wait.pod.name)
        wait.allow("Gang")
        await turns()

    assert seen == ["a", "b", "c"]
    assert len(room.pods) == 0


async def test_whoever_nobody_decided_about_can_be_given_up() -> None:
    room = Room()
    allowed, undecided = room.add("allowed", Gang=10), room.add("undecided", Gang=10)
    tasks = [room.start(allowed), room.start(undecided)]
    wait = room.pods.get(allowed.uid)
    assert wait is not None
    wait.allow("Gang")

    room.pods.give_up()
    await turns()

    assert room.answers == {"allowed": None}
    assert [task.cancelled() for task in tasks] == [False, True]
    assert len(room.pods) == 0


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    room = Room()
    pod = room.add("a", Gang=10)
    task = room.start(pod)
    await turns()
    before = len(asyncio.all_tasks())

    task.cancel()
    await turns()

    assert len(room.pods) == 0
    assert len(asyncio.all_tasks()) == before - 2, "the cycle and the timer have ended"


async def test_thousands_of_waiting_pods_cost_one_timer_each_and_no_turn() -> None:
    room = Room()
    many = [room.add(f"p{n}", Gang=600) for n in range(300)]
    tasks = [room.start(pod) for pod in many]
    await turns()
    sleeping = len(room.clock._sleepers)
    with counted_steps(room.clock) as steps:
        await room.pass_time(599)
    assert sleeping == 300
    assert steps == []

    await room.pass_time(1)
    await asyncio.gather(*tasks)
    assert {status and status.code for status in room.answers.values()} == {Code.UNSCHEDULABLE}


@contextmanager
def counted_steps(clock: FakeClock) -> Iterator[list[float]]:
    """The sleeps begun meanwhile: a pod that polls would begin some."""
    steps: list[float] = []
    sleep = clock.sleep

    async def counting(delay_s: float) -> None:
        steps.append(delay_s)
        await sleep(delay_s)

    clock.sleep = counting  # type: ignore[method-assign]  # a spy
    yield steps
    clock.sleep = sleep  # type: ignore[method-assign]  # as it was


async def test_pods_decided_together_leave_the_loop_to_others_in_between() -> None:
    room = Room()
    going_on: list[str] = []
    pods = [room.add(f"p{n}", Gang=60) for n in range(20)]

    async def cycle(pod: Pod) -> None:
        await room.pods.wait(pod.uid)
        going_on.append(pod.name)

    tasks = [asyncio.create_task(cycle(pod)) for pod in pods]
    await turns()
    for wait in room.pods:
        wait.allow("Gang")

    most = 0
    while not all(task.done() for task in tasks):
        before = len(going_on)
        await asyncio.sleep(0)
        most = max(most, len(going_on) - before)
    assert most == 1
    assert going_on == [pod.name for pod in pods]


async def never() -> Status | None:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("not reached")


async def test_a_pod_in_pre_bind_can_be_cancelled() -> None:
    pods, pod = PodsInPreBindMap(), make_pod("a").obj()
    task = asyncio.create_task(pods.run(pod, never()))
    await turns()
    entry = pods.get(pod.uid)
    assert entry is not None
    assert entry.pod is pod

    assert entry.cancel("preempted by DefaultPreemption")
    assert entry.cancel("once more"), "it is on its way back"
    status = await task

    assert status == Status(Code.ERROR, ("preempted by DefaultPreemption",))
    assert pods.get(pod.uid) is None
    assert not entry.cancel("too late")


async def test_pre_bind_that_has_ended_cannot_be_cancelled() -> None:
    pods, pod = PodsInPreBindMap(), make_pod("a").obj()

    async def work() -> Status | None:
        await asyncio.sleep(0)
        return unschedulable("no volume")

    task = asyncio.create_task(pods.run(pod, work()))
    await asyncio.sleep(0)
    entry = pods.get(pod.uid)
    assert entry is not None
    assert await task == unschedulable("no volume")
    assert not entry.cancel("too late")


async def test_a_cancelled_pre_bind_that_goes_on_regardless_binds_nothing() -> None:
    pods, pod = PodsInPreBindMap(), make_pod("a").obj()

    async def stubborn() -> Status | None:
        with suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return None

    task = asyncio.create_task(pods.run(pod, stubborn()))
    await turns()
    entry = pods.get(pod.uid)
    assert entry is not None
    entry.cancel("preempted")

    assert await task == Status(Code.ERROR, ("preempted",))


@pytest.mark.parametrize("is_stubborn", [False, True], ids=["yielding", "stubborn"])
async def test_a_binding_cycle_that_is_cancelled_is_not_taken_for_a_cancelled_pod(
    is_stubborn: bool,
) -> None:
    pods, pod = PodsInPreBindMap(), make_pod("a").obj()

    async def work() -> Status | None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if not is_stubborn:
                raise
        return None

    task = asyncio.create_task(pods.run(pod, work()))
    await turns()
    task.cancel()
    await turns()

    assert task.cancelled()
    assert len(pods) == 0
