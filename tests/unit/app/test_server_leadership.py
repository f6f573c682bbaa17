"""Who may write: nobody whose Lease could have gone to another one meanwhile."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pyscheduler.app.options import RunOptions
from pyscheduler.app.server import LeadershipLostError, _Process
from pyscheduler.clock import FakeClock
from pyscheduler.config.load import default_config
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry


class Fence:
    """A dispatcher as far as leadership goes."""

    is_closed = False

    def fence(self) -> None:
        self.is_closed = True


class Leader:
    """A process that leads until ``holds_until``."""

    def __init__(self, *, holds_until: float) -> None:
        registry = Registry(IN_TREE, DEFAULT_PLUGINS, installed=())
        self.process = _Process(RunOptions(), default_config(registry), registry)
        self.clock = FakeClock()
        self.fence = Fence()
        self.lost = asyncio.get_running_loop().create_future()
        parts: dict[str, Any] = {
            "_clock": self.clock,
            "_assembly": SimpleNamespace(dispatcher=self.fence),
            "_elector": SimpleNamespace(holds_until=holds_until),
            "_lost": self.lost,
        }
        for name, part in parts.items():
            setattr(self.process, name, part)


async def test_a_leader_that_slept_through_its_lease_writes_nothing_and_ends() -> None:
    leader = Leader(holds_until=10.0)
    leader.clock.advance(9)
    assert leader.process._may_write()

    leader.clock.advance(30)

    assert not leader.process._may_write()
    assert leader.fence.is_closed
    with pytest.raises(LeadershipLostError, match="its time ran out"):
        await leader.lost


async def test_the_lease_lost_amid_the_drain_closes_the_fence_and_raises_nothing() -> None:
    leader = Leader(holds_until=10.0)
    leader.process._stop.set()

    leader.process._stop_leading("taken")

    assert leader.fence.is_closed
    assert not leader.lost.done()
