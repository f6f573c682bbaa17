from __future__ import annotations

import asyncio

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.testing import FakeWrites, make_node, make_pod
from tests.unit.cycle.rig import Rig, node, pod


async def test_a_pod_lands_on_the_node_that_fits() -> None:
    rig = Rig()
    rig.add_node(node("small", cpu="500m"))
    rig.add_node(node("large"))

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.bound == {"a": "large"}
    assert [(e.reason, e.note) for e in rig.recorder.events] == [
        ("Scheduled", "Successfully assigned default/a to large")
    ]
    assert rig.attempts.results == ["scheduled"]


async def test_pods_of_one_class_never_exceed_a_node() -> None:
    rig = Rig()
    for i in range(3):
        rig.add_node(node(f"n{i}", cpu="3"))

    for i in range(10):
        rig.add_pod(pod(f"p{i}"))
    await rig.settle()

    per_node = [list(rig.bound.values()).count(f"n{i}") for i in range(3)]
    assert per_node == [3, 3, 3]
    assert list(rig.messages.values()) == ["0/3 nodes are available: 3 Insufficient cpu."]


async def test_reasons_are_counted_for_the_first_plugin_that_rejects() -> None:
    rig = Rig()
    rig.add_node(make_node("tainted").capacity({"cpu": "1"}).taint("k").obj())
    rig.add_node(make_node("cordoned").capacity({"cpu": "1", "pods": "9"}).unschedulable().obj())
    rig.add_node(make_node("full").capacity({"cpu": "1m", "memory": "1", "pods": "0"}).obj())

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.messages["a"] == (
        "0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Too many pods,"
        " 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable."
    )


async def test_a_waiting_pod_is_woken_by_a_node_that_fits() -> None:
    rig = Rig()
    rig.add_node(node("small", cpu="500m"))
    rig.add_pod(pod("a"))
    await rig.settle()
    rig.clock.advance(30)

    rig.add_node(node("useless", cpu="900m"))
    await rig.settle()
    assert rig.attempts.results == ["unschedulable"]
    rig.add_node(node("large"))
    await rig.settle()

    assert rig.bound == {"a": "large"}


async def test_a_pod_leaving_makes_room() -> None:
    rig = Rig()
    rig.add_node(node("n", cpu="1"))
    running = make_pod("old").req({"cpu": "1"}).node("n").scheduler_name("other").obj()
    rig.add_pod(running)
    rig.add_pod(pod("a"))
    await rig.settle()
    assert rig.bound == {}
    rig.clock.advance(30)

    rig.delete_pod(running)
    await rig.settle()

    assert rig.bound == {"a": "n"}


async def test_without_nodes_the_pod_is_told_so() -> None:
    rig = Rig()

    rig.add_pod(pod("a"))
    await rig.settle()

    assert [(r, m) for _, r, m in rig.writes.conditions] == [
        ("Unschedulable", "no nodes available to schedule pods")
    ]


async def test_a_failed_bind_gives_the_room_back_and_is_retried() -> None:
    rig = Rig(writes=FakeWrites(failure=RuntimeError("the server is on fire")))
    rig.add_node(node("n", cpu="1"))
    rig.add_pod(pod("a"))
    await rig.settle()
    assert rig.cache.assumed_count == 0
    assert [(r, m) for _, r, m in rig.writes.conditions] == [
        (
            "SchedulerError",
            'running Bind plugin "DefaultBinder": RuntimeError: the server is on fire',
        )
    ]

    rig.writes.failure = None
    rig.clock.advance(2)
    rig.queue.flush_backoff()
    await rig.settle()

    assert rig.bound == {"a": "n"}
    assert rig.attempts.results == ["error", "scheduled"]


async def test_a_pod_bound_by_somebody_else_is_not_touched() -> None:
    rig = Rig(writes=FakeWrites(failure=RuntimeError("already assigned")))
    rig.add_node(node("n"))
    rig.add_node(node("m"))
    ours = pod("a")
    rig.add_pod(ours)
    entity = rig.queue.pop()
    assert entity is not None
    rig.update_pod(make_pod("a").req({"cpu": "1"}).node("m").scheduler_name("pyscheduler").obj())

    await rig.scheduler.schedule_one(entity)
    await rig.settle()

    assert rig.bound == {}
    assert rig.writes.conditions == []
    assert rig.cache.node_of(ours.uid) == "m"


async def test_a_pod_deleted_while_it_is_bound_is_forgotten() -> None:
    rig = Rig(writes=FakeWrites(failure=RuntimeError("not found")))
    rig.add_node(node("n"))
    doomed = pod("a")
    rig.add_pod(doomed)
    entity = rig.queue.pop()
    assert entity is not None
    await rig.scheduler.schedule_one(entity)
    rig.delete_pod(doomed)
    await rig.settle()

    assert rig.cache.pod_count == 0
    assert rig.queue.counts().pending == 0
    assert rig.writes.conditions == []


async def test_a_terminating_pod_is_skipped() -> None:
    rig = Rig()
    rig.add_node(node("n"))

    rig.add_pod(make_pod("a").scheduler_name("pyscheduler").terminating().obj())
    await rig.settle()

    assert rig.bound == {}
    assert [e.note for e in rig.recorder.events] == ["skip schedule deleting pod: default/a"]
    assert rig.queue.counts().in_flight == 0


async def test_a_pod_of_another_scheduler_counts_and_is_left_alone() -> None:
    rig = Rig()
    rig.add_node(node("n", cpu="1"))

    rig.add_pod(make_pod("waiting").scheduler_name("other").obj())
    rig.add_pod(make_pod("running").req({"cpu": "1"}).node("n").scheduler_name("other").obj())
    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.bound == {}
    assert list(rig.messages) == ["a"]


class Thrower(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Raises for pods named bad."""

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        if pod.name == "bad":
            raise KeyError("no such thing")
        return None


async def test_a_plugin_that_raises_costs_its_pod_an_attempt_and_nobody_else() -> None:
    rig = Rig(Thrower)
    rig.add_node(node("n"))

    rig.add_pod(pod("bad"))
    rig.add_pod(pod("good"))
    await rig.settle()

    assert rig.bound == {"good": "n"}
    assert rig.messages == {"bad": "running \"Thrower\" filter plugin: KeyError: 'no such thing'"}
    assert rig.queue.counts().backoff == 1


class Gatekeeper(fwk.PermitPlugin, fwk.ReservePlugin, fwk.Plugin[fwk.NoArgs]):
    """Reserves, and permits nobody."""

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self.reserved: list[str] = []

    def reserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        self.reserved.append(pod.name)
        return None

    def unreserve(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        self.reserved.remove(pod.name)

    def permit(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> tuple[fwk.Status | None, float]:
        return fwk.unschedulable("not today"), 0.0


async def test_a_rejection_at_permit_undoes_the_reservation() -> None:
    rig = Rig(Gatekeeper)
    rig.add_node(node("n"))

    rig.add_pod(pod("a"))
    await rig.settle()

    plugin = rig.profile.plugins["Gatekeeper"]
    assert isinstance(plugin, Gatekeeper)
    assert plugin.reserved == []
    assert rig.cache.pod_count == 0
    assert rig.messages == {"a": "0/1 nodes are available: 1 not today."}


async def test_no_pod_is_popped_while_too_many_binds_wait() -> None:
    rig = Rig()
    rig.add_node(node("n"))
    rig.window.unsent_binds = 65
    rig.add_pod(pod("a"))

    loop = asyncio.create_task(rig.scheduler.run())
    for _ in range(5):
        await asyncio.sleep(0)

    assert rig.queue.counts().active == 1
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
