"""Whatever goes wrong costs one pod one attempt: no room is lost, no pod, and never the loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.testing import make_pod
from tests.unit.cycle.rig import Rig, node, pod


async def test_a_fault_of_ours_costs_its_pod_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.add_node(node("n"))
    monkeypatch.setattr(rig.snapshot, "refresh", _explode)

    rig.add_pod(pod("a"))
    await rig.settle()
    assert rig.messages == {"a": "ZeroDivisionError: boom"}

    monkeypatch.undo()
    rig.clock.advance(2)
    rig.queue.flush_backoff()
    await rig.settle()
    assert rig.bound == {"a": "n"}


async def test_a_fault_while_binding_gives_the_room_back(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.add_node(node("n"))
    rig.profile.binds[:] = [("Broken", _explode)]

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.messages == {"a": "ZeroDivisionError: boom"}
    assert rig.cache.pod_count == 0
    assert rig.queue.counts().backoff == 1


async def test_a_failure_that_cannot_be_told_leaves_nothing_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    monkeypatch.setattr(rig.recorder, "event", _explode)

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.queue.counts().in_flight == 0


def _explode(*_args: Any, **_kwargs: Any) -> Any:
    raise ZeroDivisionError("boom")


class Meanwhile(fwk.PreFilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Lets something happen in the middle of the cycle."""

    happens: Any = None

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        if self.happens:
            self.happens()
        return None


async def test_a_pod_that_somebody_binds_during_its_cycle_is_let_go() -> None:
    rig = Rig(Meanwhile)
    rig.add_node(node("n"))
    rig.add_node(node("m"))
    ours = pod("a")
    bound = make_pod("a").req({"cpu": "1"}).node("m").scheduler_name("pyscheduler").obj()
    plugin = rig.profile.plugins["Meanwhile"]
    assert isinstance(plugin, Meanwhile)
    plugin.happens = lambda: rig.update_pod(bound)

    rig.add_pod(ours)
    await rig.settle()

    assert rig.bound == {}
    assert rig.writes.conditions == []
    assert rig.cache.node_of(ours.uid) == "m"
    assert rig.queue.counts().in_flight == 0


async def test_a_pod_deleted_during_its_cycle_leaves_nothing_behind() -> None:
    rig = Rig(Meanwhile)
    rig.add_node(node("n"))
    ours = pod("a")
    plugin = rig.profile.plugins["Meanwhile"]
    assert isinstance(plugin, Meanwhile)
    plugin.happens = lambda: rig.delete_pod(ours)

    rig.add_pod(ours)
    await rig.settle()

    assert rig.bound == {}
    assert rig.cache.pod_count == 0
    assert rig.queue.counts().in_flight == 0


async def test_a_cancelled_cycle_leaves_the_cache_open_for_changes() -> None:
    rig = Rig(Meanwhile)
    rig.add_node(node("n"))
    plugin = rig.profile.plugins["Meanwhile"]
    assert isinstance(plugin, Meanwhile)
    rig.add_pod(pod("a"))
    entity = rig.queue.pop()
    assert entity is not None

    async def schedule() -> None:
        task = asyncio.current_task()
        assert task is not None
        plugin.happens = task.cancel
        rig.clock.advance(1)  # the slice is used up: the next checkpoint yields
        await rig.scheduler.schedule_one(entity)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(schedule())

    before = next(rig.cache.nodes())
    rig.cache.assume(pod("b"), "n")
    assert next(rig.cache.nodes()) is before
