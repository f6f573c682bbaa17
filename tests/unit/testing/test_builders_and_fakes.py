"""Builders give what their methods say; fakes remember what was asked of them."""

from __future__ import annotations

import pytest

from pyscheduler.api.resources import node_allocatable, pod_requests
from pyscheduler.testing import (
    FakeRecorder,
    FakeWrites,
    fake_handle,
    make_node,
    make_pod,
    node_table,
)


def test_a_shared_beginning_is_not_changed_by_what_follows() -> None:
    common = make_pod("p").label("app", "x")

    assert common.label("tier", "db").obj().labels == {"app": "x", "tier": "db"}
    assert common.obj().labels == {"app": "x"}


def test_containers_add_up() -> None:
    pod = make_pod("p").req({"cpu": "1"}).req({"cpu": "500m"}).init_req({"cpu": "1"}).obj()

    assert [c.name for c in (*pod.spec.containers, *pod.spec.init_containers)] == [
        "c0",
        "c1",
        "init-c0",
    ]
    assert pod_requests(pod).requests == {"cpu": 1500}


def test_identities_follow_the_names() -> None:
    assert make_pod("p").namespace("team").obj().uid == "uid-team-p"
    assert make_pod("p").obj().key == "default/p"
    assert make_node("n").obj().labels == {"kubernetes.io/hostname": "n"}


def test_a_node_takes_110_pods_unless_said() -> None:
    assert node_allocatable(make_node("n").capacity({"cpu": "1"}).obj()) == {
        "cpu": 1000,
        "pods": 110,
    }


def test_tables_hold_nodes_in_order_and_pods_on_them() -> None:
    nodes = [make_node(name).obj() for name in ("b", "a")]
    pods = [make_pod("p").req({"cpu": "2"}).node("a").obj()]

    table = node_table(nodes, pods)

    assert list(table.names) == ["b", "a"]
    assert table.requested("cpu").tolist() == [0, 2000]


async def test_writes_are_remembered() -> None:
    writes, pod = FakeWrites(), make_pod("p").obj()

    await writes.bind(pod, "n")
    await writes.delete_pod(pod)
    writes.patch_pod_status(pod, reason="Unschedulable", message="m", nominated_node_name="n")

    assert writes.bindings == [(pod, "n")]
    assert writes.deleted == [pod]
    assert writes.conditions == [(pod, "Unschedulable", "m")]
    assert writes.nominations == [(pod, "n")]


async def test_refused_writes_leave_no_trace() -> None:
    writes = FakeWrites(failure=OSError("down"))

    with pytest.raises(OSError, match="down"):
        await writes.bind(make_pod("p").obj(), "n")

    assert writes.bindings == []


def test_events_are_remembered() -> None:
    recorder, pod = FakeRecorder(), make_pod("p").obj()

    fake_handle(recorder=recorder).recorder.event(pod, "Normal", "Scheduled", "Binding", "note")

    assert [(event.regarding, event.reason) for event in recorder.events] == [(pod, "Scheduled")]
