"""Two schedulers and one Lease: takeover, and no bind by one that leads no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from pyscheduler.client.errors import ServerUnreachable
from pyscheduler.client.leader_election import LeaderElector, LeaseTimes
from pyscheduler.client.rest import Rest
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.world import SchedulerUnderTest, World, is_binding

TIMES = LeaseTimes()
#: The lease duration and two retry periods, from the last renewal.
TAKEOVER_S = TIMES.lease_duration_s + 2 * TIMES.retry_period_s


@dataclass
class Candidate:
    """A scheduler with its elector, joined as ``app.server`` joins them."""

    scheduler: SchedulerUnderTest
    elector: LeaderElector
    task: asyncio.Task[str]
    started: list[float] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)


async def start_candidate(
    world: World, name: str, *, may_renew: Callable[[], bool] = lambda: True
) -> Candidate:
    scheduler = await world.start_scheduler(leads=False)
    started: list[float] = []
    stopped: list[str] = []

    def lead() -> None:
        started.append(world.clock.monotonic())
        world.lead(scheduler)

    def stop(reason: str) -> None:
        stopped.append(reason)
        scheduler.assembly.dispatcher.fence()

    elector = LeaderElector(
        Rest(world.transport()),
        namespace="kube-system",
        name="pyscheduler",
        identity=name,
        times=TIMES,
        clock=world.clock,
        rng=Random(name),
        on_started=lead,
        on_stopped=stop,
        may_renew=may_renew,
    )
    task = asyncio.create_task(elector.run())
    return Candidate(scheduler, elector, task, started, stopped)


async def leader_and_standby(world: World) -> tuple[Candidate, Candidate]:
    leader = await start_candidate(world, "one")
    await world.until(lambda: leader.elector.is_leading)
    standby = await start_candidate(world, "two")
    await world.run_for(10)
    assert not standby.elector.is_leading
    return leader, standby


async def cancel(*candidates: Candidate) -> None:
    for candidate in candidates:
        candidate.task.cancel()
    await asyncio.gather(*(candidate.task for candidate in candidates), return_exceptions=True)


async def test_a_standby_takes_over_when_the_leader_dies(world: World) -> None:
    world.create(*(make_node(f"node-{n}") for n in range(3)))
    leader, standby = await leader_and_standby(world)
    world.create(make_pod("before"))
    await world.until_bound("before")

    # As kill -9 does: neither the lease is released nor a bind finished.
    died_s = world.clock.monotonic()
    world.fail(lambda request: _is_lease_of(request, b'"one"'), _lost, times=1_000_000)
    await leader.scheduler.kill()
    world.create(make_pod("after"))
    await world.until_bound("after")

    assert world.clock.monotonic() - died_s <= TAKEOVER_S
    assert len(standby.started) == 1
    world.assert_sound()
    await cancel(leader, standby)


async def test_a_leader_that_stops_in_order_hands_over_within_a_retry(world: World) -> None:
    world.create(make_node("node-1"))
    leader, standby = await leader_and_standby(world)

    leader.task.cancel()
    took_s = await world.until(lambda: standby.elector.is_leading)
    assert took_s <= 1.2 * TIMES.retry_period_s
    await cancel(leader, standby)


async def test_a_leader_cut_off_binds_nothing_once_another_may_lead(world: World) -> None:
    world.create(*(make_node(f"node-{n}") for n in range(3)))
    leader, standby = await leader_and_standby(world)
    cut_off = world.clock.monotonic()
    reached: list[float] = []

    # The leader's requests for its lease are lost, its binds hang until the lease is long gone.
    def held_back(request: Request) -> Response:
        reached.append(world.clock.monotonic())
        return _lost(request)

    world.fail(lambda request: _is_lease_of(request, b'"one"'), _lost, times=1_000_000)
    world.fail(lambda request: is_binding(request) and not standby.started, held_back, times=10_000)
    world.create(*(make_pod(f"web-{n}") for n in range(30)))
    await world.until_bound(limit_s=60)

    assert leader.stopped
    # Nothing of the old leader's reached the server after its renew deadline.
    assert max(reached) - cut_off <= TIMES.renew_deadline_s + 0.1
    assert len(world.bindings) == 30
    assert min(binding.at_s for binding in world.bindings) >= standby.started[0]
    await world.run_for(60)
    world.assert_sound()
    await cancel(leader, standby)


async def test_a_fenced_scheduler_sends_no_bind(world: World) -> None:
    world.create(make_node("node-1"))
    scheduler = await world.start_scheduler()
    scheduler.assembly.dispatcher.fence()
    world.create(make_pod("web"))
    await world.run_for(60)

    assert not world.bindings
    assert world.message("web") == ""


async def test_a_leader_whose_loop_is_held_is_not_renewed(world: World) -> None:
    world.create(make_node("node-1"))
    is_alive = True
    leader = await start_candidate(world, "one", may_renew=lambda: is_alive)
    await world.until(lambda: leader.elector.is_leading)
    is_alive = False
    held_s = await world.until(leader.task.done)

    assert "held" in leader.task.result()
    assert held_s <= TIMES.renew_deadline_s + TIMES.retry_period_s
    assert leader.stopped


def _is_lease_of(request: Request, identity: bytes) -> bool:
    return "/leases" in request.path and identity in request.body


def _lost(_request: Request) -> Response:
    raise ServerUnreachable("embedded API server: connection reset")
