"""The loop, and entities still backing off: tried early, but not at the cost of everybody else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import FakeClock
from pyscheduler.testing import make_pod
from tests.unit.cycle.rig import Rig, node, pod

#: What an attempt takes here, in seconds.
ATTEMPT_S = 0.01


class Slow(fwk.PreFilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Takes its time, and notes who came."""

    name = "Slow"
    clock: ClassVar[FakeClock]
    came: ClassVar[list[str]]

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.PreFilterResult | fwk.Status | None:
        self.came.append(pod.name)
        self.clock.advance(ATTEMPT_S)
        return None


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A loop at work, which has rejected `big-0` to `big-2` once."""
    rig = Rig(Slow)
    Slow.clock, Slow.came = rig.clock, []
    rig.add_node(node("a"))
    for name in ("leaving", "staying"):
        rig.add_pod(make_pod(name).req({"cpu": "2"}).node("a").obj())
    for number in range(3):
        rig.add_pod(pod(f"big-{number}", cpu="4"))
    loop = asyncio.create_task(rig.scheduler.run())
    await rig.turns()
    Slow.came.clear()
    yield rig
    loop.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loop


async def wake(rig: Rig) -> None:
    """A pod goes, which is reason enough to try them again, and the loop has its turns."""
    rig.delete_pod(rig.known["default/leaving"])
    await rig.turns()


async def test_one_still_backing_off_is_tried_when_no_other_is_ready(rig: Rig) -> None:
    await wake(rig)

    assert Slow.came == ["big-0"]


async def test_tries_in_vain_take_a_fifth_of_the_time(rig: Rig) -> None:
    await wake(rig)
    for _ in range(3):
        rig.clock.advance(ATTEMPT_S)
        await rig.turns()
    assert Slow.came == ["big-0"]
    rig.clock.advance(1.1 * ATTEMPT_S)
    await rig.turns()

    assert Slow.came == ["big-0", "big-1"]


async def test_one_that_is_ready_does_not_wait_for_that(rig: Rig) -> None:
    await wake(rig)
    rig.add_pod(pod("small", cpu="100m"))
    await rig.turns()

    assert Slow.came == ["big-0", "small"]
    rig.queue.validate()


async def test_a_try_that_succeeds_holds_up_nobody(rig: Rig) -> None:
    rig.delete_pod(rig.known["default/staying"])
    rig.add_node(node("b"))
    await wake(rig)

    assert Slow.came == ["big-0", "big-1", "big-2"]
    assert sorted(rig.bound) == ["big-0", "big-1"]
