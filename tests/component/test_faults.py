"""Writes that fail, watches that break, a server that forgets or is gone, a scheduler that dies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyscheduler.client.errors import ServerUnreachable
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.world import (
    World,
    is_binding,
    is_event,
    is_pod_read,
    is_status,
    refusal,
)

PODS = 20

Answer = Callable[[Request], Response]


def _overloaded(request: Request) -> Response:
    answer = refusal(429, "TooManyRequests", "too many requests")(request)
    return Response(answer.status, answer.body, headers={"Retry-After": "2"})


def _lost(_request: Request) -> Response:
    raise ServerUnreachable("embedded API server: connection reset")


WRITE_FAULTS: dict[str, Answer] = {
    "500": refusal(500, "InternalError", "etcdserver: leader changed"),
    "503": refusal(503, "ServiceUnavailable", "apiserver is shutting down"),
    "429": _overloaded,
    "409": refusal(409, "Conflict", "Operation cannot be fulfilled: the object has been modified"),
    "connection lost": _lost,
}


def populate(world: World, *, pods: int = PODS) -> None:
    world.create(*(make_node(f"node-{n}", cpu="2") for n in range(4)))
    world.create(*(make_pod(f"web-{n}", cpu="100m") for n in range(pods)))


@pytest.mark.parametrize("answer", WRITE_FAULTS.values(), ids=WRITE_FAULTS)
async def test_every_pod_is_bound_once_though_binds_fail(world: World, answer: Answer) -> None:
    populate(world)
    world.fail(is_binding, answer, times=7)
    await world.start_scheduler()

    await world.until_bound()
    assert len(world.bindings) == PODS
    world.assert_sound()


@pytest.mark.parametrize("answer", WRITE_FAULTS.values(), ids=WRITE_FAULTS)
async def test_failing_conditions_and_events_keep_no_pod_from_its_node(
    world: World, answer: Answer
) -> None:
    populate(world)
    world.create(make_pod("giant", cpu="64"))
    world.fail(lambda request: is_status(request) or is_event(request), answer, times=1000)
    await world.start_scheduler()

    await world.until_bound(*(f"web-{n}" for n in range(PODS)))
    world.assert_sound()


async def test_a_pod_that_changed_while_the_watch_was_deaf_is_told_why_it_waits(
    world: World,
) -> None:
    world.create(make_node("node-1"))
    await world.start_scheduler()
    world.weather.there_s = lambda request: 5.0 if is_status(request) else 0.0
    world.create(make_pod("giant", cpu="64"))
    await world.run_for(1)
    world.outage(60, matches=is_pod_read)
    world.patch_pod("giant", {"metadata": {"labels": {"app": "web"}}})
    await world.run_for(20)

    assert "Insufficient cpu" in world.message("giant")


async def test_a_bind_that_was_done_though_its_answer_was_lost(world: World) -> None:
    def done_but_lost(request: Request) -> Response:
        world.handle(request)
        raise ServerUnreachable("embedded API server: connection reset")

    populate(world)
    world.fail(is_binding, done_but_lost, times=5)
    scheduler = await world.start_scheduler()

    await world.until_bound()
    await world.run_for(60)
    assert len(world.bindings) == PODS
    assert scheduler.assembly.cache.pod_count == PODS
    assert scheduler.assembly.cache.assumed_count == 0
    world.assert_sound()


async def test_binds_refused_for_long_go_back_to_the_queue_with_the_reason(world: World) -> None:
    world.create(make_node("node-1"), make_pod("web"))
    world.fail(is_binding, refusal(403, "Forbidden", "binding pods is forbidden"), times=3)
    await world.start_scheduler()
    await world.run_for(0.5)
    assert world.node_of("default/web") == ""
    assert world.events("web")[0][0] == "FailedScheduling"
    assert "binding pods is forbidden" in world.events("web")[0][1]

    took_s = await world.until_bound("web")
    # Three failures: one, two and four seconds of backoff.
    assert 5 < took_s < 10
    world.assert_sound()


async def test_a_pod_deleted_while_it_is_being_bound(world: World) -> None:
    def delete_then_bind(request: Request) -> Response:
        world.delete_pod("web", at_once=True)
        return world.handle(request)

    world.create(make_node("node-1", cpu="1"), make_pod("web", cpu="1"))
    world.fail(is_binding, delete_then_bind)
    scheduler = await world.start_scheduler()
    await world.run_for(1)
    assert not world.bindings
    assert scheduler.assembly.cache.assumed_count == 0
    assert scheduler.assembly.queue.counts().pending == 0

    world.create(make_pod("next", cpu="1"))
    assert await world.until_bound("next") < 0.1


async def test_a_pod_that_another_scheduler_binds_first(world: World) -> None:
    def theirs_first(request: Request) -> Response:
        world.bind_elsewhere("web", "theirs")
        return world.handle(request)

    world.create(make_node("ours", cpu="1"))
    await world.start_scheduler()
    world.create(
        make_node(
            "theirs", cpu="1", labels={"x": "y"}, taints=[{"key": "theirs", "effect": "NoSchedule"}]
        )
    )
    world.fail(is_binding, theirs_first)
    world.create(make_pod("web", cpu="600m"))
    await world.run_for(30)
    assert world.bound_to("web") == ["theirs"]

    # What was assumed on our node is free again.
    world.create(make_pod("next", cpu="600m"))
    assert await world.until_bound("next") < 0.1
    world.assert_sound()


async def test_a_node_that_goes_while_pods_are_bound_to_it(world: World) -> None:
    def node_goes(request: Request) -> Response:
        world.send("DELETE", "/api/v1/nodes/node-1", {})
        return world.handle(request)

    world.create(make_node("node-1"), make_pod("web"))
    world.fail(is_binding, node_goes)
    await world.start_scheduler()
    await world.run_for(5)
    world.create(make_node("node-2"), make_pod("next"))

    await world.until_bound("next")
    assert world.node_of("default/next") == "node-2"


@pytest.mark.parametrize("watch_list", [True, False], ids=["watch-list", "pages"])
async def test_watches_that_break_again_and_again(watch_list: bool) -> None:
    async with World(watch_list=watch_list) as world:
        populate(world)
        await world.start_scheduler()
        for number in range(10):
            world.cluster.server.disconnect_watches()
            world.create(make_pod(f"late-{number}", cpu="100m"))
            await world.run_for(0.7)

        await world.until_bound()
        assert len(world.bindings) == PODS + 10
        world.assert_sound()


async def test_history_that_is_gone_costs_one_full_sync(world: World) -> None:
    world.create(make_node("node-1", cpu="1"), make_pod("old", cpu="800m"))
    scheduler = await world.start_scheduler()
    await world.until_bound("old")
    await world.run_for(5)

    # Unseen by the scheduler: one pod goes, three come, and nobody remembers how.
    world.outage(20, matches=is_pod_read)
    world.delete_pod("old", at_once=True)
    world.create(*(make_pod(f"new-{n}", cpu="300m") for n in range(3)))
    world.forget_history()

    await world.until_bound("new-0", "new-1", "new-2")
    assert scheduler.metrics.reflector_expired.labels("pods").value == 1
    assert scheduler.assembly.cache.pod_count == 3
    world.assert_sound()


async def test_the_server_is_gone_for_ten_seconds(world: World) -> None:
    populate(world)
    await world.start_scheduler()
    await world.until(lambda: len(world.bindings) > 0)
    world.outage(10)
    world.create(*(make_pod(f"late-{n}", cpu="100m") for n in range(PODS)))

    await world.until_bound(limit_s=60)
    assert len(world.bindings) == 2 * PODS
    world.assert_sound()


async def test_a_scheduler_that_dies_midway_and_its_successor(world: World) -> None:
    populate(world, pods=60)
    first = await world.start_scheduler(leads=False)
    world.outage(5, matches=lambda request: is_binding(request) and len(world.bindings) >= 25)
    world.lead(first)
    await world.until(lambda: len(world.bindings) >= 25)
    await first.kill()
    assert len(world.bindings) < 60

    world.schedulers.clear()
    await world.run_for(10)
    await world.start_scheduler()
    await world.until_bound()
    assert len(world.bindings) == 60
    world.assert_sound()


async def test_a_malformed_pod_and_node_concern_nobody_else(world: World) -> None:
    world.create(make_node("node-1"))
    scheduler = await world.start_scheduler()
    bad_node, bad_pod = make_node("bad"), make_pod("bad")
    store = world.cluster.store
    bad_node["status"]["allocatable"] = {"cpu": "plenty"}
    bad_pod["metadata"].update(uid="bad", creationTimestamp="2026-01-01T00:00:00Z")
    bad_pod["spec"]["tolerations"] = [{"key": "a", "operator": "Exists", "effect": 5}]
    bad_pod["status"] = {"phase": "Pending"}
    # Past the server's checks, as a server of another release might hold them.
    store.put("nodes", "bad", bad_node)
    store.put("pods", "default/bad", bad_pod)
    world.create(make_pod("good"))

    await world.until_bound("good")
    assert world.node_of("default/good") == "node-1"
    assert scheduler.metrics.malformed_objects.labels("pods").value == 1
