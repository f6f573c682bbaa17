from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pyscheduler.clock import FakeClock
from pyscheduler.controllers.pod_group_status import Member
from pyscheduler.controllers.pod_groups import PodGroupOperator

KEY = ("default", "gang")
RUNNING = Member("Running", is_assigned=True, scheduler_name="pyscheduler", priority=0)


class Written:
    """Takes statuses; fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.statuses: list[dict[str, Any]] = []
        self._failures = failures

    async def write(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        if self._failures:
            self._failures -= 1
            raise OSError("no answer")
        self.statuses.append(dict(status))


class Rig:
    """The operator's handlers, called as kopf would call them."""

    def __init__(self, *, failures: int = 0) -> None:
        self.clock = FakeClock()
        self.written = Written(failures)
        self.operator = PodGroupOperator(self.written, self.clock)
        self.group: dict[str, Any] = {"metadata": {"name": "gang"}, "spec": {"minMember": 2}}
        self.members: list[Member] = []

    async def pod_changes(self) -> None:
        await self.operator._on_pod(
            namespace="default",
            labels={"scheduling.x-k8s.io/pod-group": "gang"},
            groups={KEY: [self.group]} if self.group else {},
            members={KEY: self.members} if self.members else {},
        )

    async def settle(self, *seconds: float) -> None:
        for delta_s in seconds or (1.0,):
            await asyncio.sleep(0)
            self.clock.advance(delta_s)
            for _ in range(5):
                await asyncio.sleep(0)


async def test_changes_gather_into_one_write() -> None:
    rig = Rig()
    rig.members = [RUNNING]
    await rig.pod_changes()
    rig.members.append(RUNNING)
    await rig.pod_changes()
    await rig.settle()

    assert [(s["phase"], s["running"]) for s in rig.written.statuses] == [("Running", 2)]


async def test_a_status_that_is_right_is_not_written_again() -> None:
    rig = Rig()
    rig.members = [RUNNING]
    await rig.pod_changes()
    await rig.settle()
    rig.group["status"] = rig.written.statuses[-1]
    await rig.pod_changes()
    await rig.settle()

    assert len(rig.written.statuses) == 1


async def test_pods_without_their_group_are_waited_with() -> None:
    rig = Rig()
    rig.group = {}
    await rig.pod_changes()
    await rig.settle()

    assert rig.written.statuses == []


async def test_a_write_that_fails_is_tried_again() -> None:
    rig = Rig(failures=2)
    rig.members = [RUNNING]
    await rig.pod_changes()
    await rig.settle(1, 5)
    assert rig.written.statuses == []
    await rig.settle(5)

    assert [s["phase"] for s in rig.written.statuses] == ["Pending"]
