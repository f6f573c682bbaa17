from __future__ import annotations

import pytest

from pyscheduler.testing import FakeActivator, FakeTasks, FakeWrites, fake_handle, make_pod
from pyscheduler.testing.fakes import SetCondition

POD = make_pod("a").obj()


async def test_writes_are_remembered() -> None:
    writes = FakeWrites()
    writes.answers["POST", "/apis/example.com/v1/gangs"] = {"kind": "Gang"}
    handle = fake_handle(writes=writes)
    await handle.writes.patch_pod_condition(
        POD, condition_type="DisruptionTarget", reason="Preempted", message="make room"
    )
    handle.writes.nominate(POD, "n1")
    answer = await handle.writes.request("POST", "/apis/example.com/v1/gangs", {"spec": {}})

    assert writes.set_conditions == [
        SetCondition(POD, "DisruptionTarget", "Preempted", "make room")
    ]
    assert writes.nominations == [(POD, "n1")]
    assert writes.requests == [("POST", "/apis/example.com/v1/gangs", {"spec": {}})]
    assert answer == {"kind": "Gang"}
    assert await handle.writes.request("DELETE", "/x") == {}


async def test_awaited_writes_fail_as_told() -> None:
    writes = FakeWrites(OSError("no server"))

    with pytest.raises(OSError, match="no server"):
        await writes.patch_pod_condition(POD, condition_type="T", reason="R", message="")
    with pytest.raises(OSError, match="no server"):
        await writes.request("POST", "/x")
    assert (writes.set_conditions, writes.requests) == ([], [])


async def test_tasks_run_when_the_test_runs_them() -> None:
    tasks, activator = FakeTasks(), FakeActivator()
    handle = fake_handle(tasks=tasks, activator=activator)

    async def wake() -> None:
        handle.activator.activate([POD])

    handle.tasks.start(wake, name="waker")
    assert activator.activated == []
    await tasks.started["waker"]()

    assert activator.activated == [POD]


def test_nominations_are_real() -> None:
    handle = fake_handle()
    handle.nominator.add(POD, node_name="n1")

    assert handle.nominator.node_of(POD.uid) == "n1"
    assert handle.nominator.nominated_on("n1") == (POD,)
