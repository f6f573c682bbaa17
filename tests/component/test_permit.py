"""Pods that wait for each other at Permit: bound together, timed out, deleted, and left waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry
from pyscheduler.sim.exchange import Request
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.world import SchedulerUnderTest, World, is_status

PATIENCE_S = 60


class Pair(fwk.PermitPlugin, fwk.Plugin[fwk.NoArgs]):
    """Binds pods of one ``pair`` label only together."""

    def permit(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> tuple[fwk.Status | None, float]:
        pair = pod.labels.get("pair")
        if pair is None:
            return None, 0
        for waiting in self.handle.waiting_pods:
            if waiting.pod.labels.get("pair") == pair:
                waiting.allow(self.name)
                return None, 0
        return fwk.wait("waits for its partner"), PATIENCE_S


class SlowVolume(fwk.PreBindPlugin, fwk.Plugin[fwk.NoArgs]):
    """Takes half a minute to prepare pods labelled ``volume``."""

    def pre_bind_pre_flight(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> fwk.Status | None:
        return None if "volume" in pod.labels else fwk.SKIP

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        await self.handle.clock.sleep(30)
        return None


def half(name: str, **settings: Any) -> JsonObject:
    """One of a pair."""
    return make_pod(name, labels={"pair": "x"}, **settings)


async def start(world: World, *, leads: bool = True) -> SchedulerUnderTest:
    plugins = (Pair, SlowVolume)
    registry = Registry(
        {**IN_TREE, **{plugin.name: plugin for plugin in plugins}},
        [*DEFAULT_PLUGINS, *((plugin.name, 1) for plugin in plugins)],
        installed=(),
    )
    return await world.start_scheduler(leads=leads, registry=registry)


def waits_of(scheduler: SchedulerUnderTest, result: str) -> tuple[int, float]:
    """How many waits ended so, and how long they took together."""
    waits = scheduler.metrics.permit_wait_duration.labels(result)
    return waits.count, waits.sum


def expected_node(world: World, name: str) -> str:
    node: str = world.pod(name)["status"].get("nominatedNodeName", "")
    return node


async def test_a_pair_is_bound_together_and_others_meanwhile(world: World) -> None:
    world.create(make_node("node-1"), half("one"))
    scheduler = await start(world)
    await world.run_for(20)
    world.create(make_pod("bystander"))
    await world.until_bound("bystander")

    assert world.node_of("default/one") == ""
    assert expected_node(world, "one") == "node-1"
    assert scheduler.assembly.cache.assumed_count == 1
    assert world.message("one") == ""

    world.create(half("two"))
    await world.until_bound("one", "two")
    assert expected_node(world, "one") == ""
    assert waits_of(scheduler, "Success")[0] == 1
    assert waits_of(scheduler, "Success")[1] == pytest.approx(20, abs=1)
    world.assert_sound()


async def test_a_pod_that_waits_in_vain_leaves_its_room_to_others(world: World) -> None:
    world.create(make_node("node-1", cpu="1"), half("one", cpu="800m"))
    scheduler = await start(world)
    await world.run_for(1)
    world.create(make_pod("next", cpu="800m"))
    await world.run_for(1)
    assert world.message("next").startswith("0/1 nodes are available: 1 Insufficient cpu.")

    took_s = await world.until_bound("next")
    assert took_s == pytest.approx(PATIENCE_S - 2, abs=1)
    await world.run_for(1)

    in_vain = "1 rejected due to timeout after waiting 1m0s at plugin Pair."
    assert ("FailedScheduling", f"0/1 nodes are available: {in_vain}") in world.events("one")
    assert expected_node(world, "one") == ""
    assert waits_of(scheduler, "Unschedulable")[0] == 1
    world.assert_sound()


@pytest.mark.parametrize("finalizer", [False, True], ids=["gone", "held by a finalizer"])
@pytest.mark.parametrize("labels", [{"pair": "x"}, {"volume": "x"}], ids=["permit", "pre_bind"])
async def test_a_pod_deleted_before_its_binding_leaves_its_room_at_once(
    world: World, labels: dict[str, str], *, finalizer: bool
) -> None:
    doomed = make_pod("doomed", cpu="800m", labels=labels)
    if finalizer:
        doomed["metadata"]["finalizers"] = ["example.com/hold"]
    world.create(make_node("node-1", cpu="1"), doomed)
    scheduler = await start(world)
    await world.run_for(1)
    world.create(make_pod("next", cpu="800m"))
    await world.run_for(5)
    assert scheduler.assembly.cache.assumed_count == 1

    world.delete_pod("doomed")
    took_s = await world.until_bound("next")

    assert took_s < 0.5
    assert world.bound_to("doomed") == []
    await world.run_for(PATIENCE_S * 2)
    assert scheduler.assembly.cache.assumed_count == 0
    assert scheduler.assembly.queue.counts().in_flight == 0
    world.assert_sound()


async def test_a_scheduler_that_stops_leaves_waiting_pods_to_its_successor(world: World) -> None:
    world.create(make_node("node-1"), make_node("node-2"), half("one"))
    old = await start(world)
    await world.run_for(10)
    node = expected_node(world, "one")
    assert node
    written: list[str] = []
    world.fail(lambda request: _note_status(request, written), _unreachable)

    old.tasks.pop().cancel()  # no more pops
    before_s = world.clock.monotonic()
    drained = asyncio.create_task(old.assembly.drain(15))
    await world.until(drained.done)

    assert drained.result()
    assert world.clock.monotonic() - before_s < 0.1
    assert written == []
    assert old.assembly.cache.assumed_count == 0
    await old.kill()
    world.schedulers.remove(old)

    await start(world)
    world.create(half("two"))
    await world.until_bound("one", "two")
    assert world.bound_to("one") == [node], "the next leader tries the expected node first"
    world.assert_sound()


async def test_a_scheduler_that_stops_does_not_wait_for_ever(world: World) -> None:
    world.create(make_node("node-1"), make_pod("prepared", labels={"volume": "x"}))
    old = await start(world)
    await world.run_for(10)

    old.tasks.pop().cancel()
    before_s = world.clock.monotonic()
    drained = asyncio.create_task(old.assembly.drain(15))
    await world.until(drained.done)

    assert not drained.result(), "it takes 20 seconds more"
    assert world.clock.monotonic() - before_s == pytest.approx(15, abs=0.1)


async def test_who_lost_the_lease_neither_binds_nor_marks_waiting_pods(world: World) -> None:
    world.create(make_node("node-1"), half("one"), make_pod("prepared", labels={"volume": "x"}))
    old = await start(world)
    await world.run_for(10)
    new = await start(world, leads=False)

    old.assembly.dispatcher.fence()
    old.tasks.pop().cancel()
    drained = asyncio.create_task(old.assembly.drain(15))
    world.lead(new)
    world.create(half("two"))
    await world.until_bound("one", "two", "prepared")
    await world.until(drained.done)

    assert all(count == 1 for count in _bindings(world).values())
    await world.run_for(PATIENCE_S)
    assert world.message("one") == world.message("prepared") == ""
    world.assert_sound()


def _bindings(world: World) -> dict[str, int]:
    pods = [binding.pod for binding in world.bindings]
    return {pod: pods.count(pod) for pod in pods}


def _note_status(request: Request, written: list[str]) -> bool:
    if is_status(request):
        written.append(request.path)
    return False


def _unreachable(request: Request) -> Any:
    raise AssertionError(request)
