from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import kopf
import pytest
from kopf._core.engines import posting

from pyscheduler.clock import FakeClock
from pyscheduler.controllers.pod_group_status import Member
from pyscheduler.controllers.pod_groups import PodGroupOperator, configure, run_operator

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {}}]
"""
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
        self.group: dict[str, Any] = {
            "apiVersion": "scheduling.x-k8s.io/v1alpha1",
            "kind": "PodGroup",
            "metadata": {"name": "gang", "namespace": "default"},
            "spec": {"minMember": 2},
        }
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


async def test_members_that_differ_are_announced_by_an_event_when_that_begins() -> None:
    events = events_of_kopf()
    rig = Rig()
    rig.members = [RUNNING, replace(RUNNING, scheduler_name="other")]
    await rig.pod_changes()
    await rig.settle()
    rig.group["status"] = rig.written.statuses[-1]
    rig.members.append(RUNNING)
    await rig.pod_changes()
    await rig.settle()

    event = events.get_nowait()
    assert (event.type, event.reason) == ("Warning", "MembersDiffer")
    assert event.message == "members differ in schedulerName: other, pyscheduler"
    assert event.ref["name"] == "gang"
    assert events.empty()


async def test_the_operator_needs_no_user_with_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kopf asks for one where it is given no identity, and fails in a container without."""
    given: dict[str, Any] = {}

    async def operator(**arguments: Any) -> None:
        given.update(arguments)

    monkeypatch.setattr(kopf, "operator", operator)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)

    await run_operator(
        kubeconfig=kubeconfig, liveness=None, clock=FakeClock(), stop=asyncio.Event()
    )

    assert given["identity"].startswith("pyscheduler-controllers@")


def events_of_kopf() -> asyncio.Queue[posting.K8sEvent]:
    """What kopf would post under the operator's settings, as inside of its handlers."""
    settings = kopf.OperatorSettings()
    configure(settings)
    queue: asyncio.Queue[posting.K8sEvent] = asyncio.Queue()
    posting.settings_var.set(settings)
    posting.event_queue_loop_var.set(asyncio.get_running_loop())
    posting.event_queue_var.set(queue)
    return queue
