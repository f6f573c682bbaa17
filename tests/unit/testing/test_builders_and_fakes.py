"""Builders give what their methods say; fakes remember what was asked of them."""

from __future__ import annotations

import pytest

from pyscheduler.api.resources import node_allocatable, pod_requests
from pyscheduler.testing import (
    FakeRecorder,
    FakeWrites,
    fake_handle,
    make_node,
    make_pdb,
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


def test_terms_of_affinity_add_up() -> None:
    pod = (
        make_pod("p")
        .affinity("zone", {"app": "cache"})
        .affinity("rack", {"app": "cache"}, weight=5)
        .anti_affinity("host", {"app": "web"})
        .anti_affinity("zone", {"app": "web"})
        .preferred_affinity(1, ("disk", "Exists", []))
        .obj()
    )
    affinity = pod.spec.affinity

    assert affinity is not None
    assert affinity.node_affinity is not None
    assert affinity.pod_affinity is not None
    assert affinity.pod_anti_affinity is not None
    assert [term.topology_key for term in affinity.pod_affinity.required] == ["zone"]
    assert [term.weight for term in affinity.pod_affinity.preferred] == [5]
    assert [term.topology_key for term in affinity.pod_anti_affinity.required] == ["host", "zone"]


def test_who_owns_a_pod_and_how_long_it_takes_to_go() -> None:
    pod = make_pod("p").owner("ReplicaSet", "web").grace_period(20).created("2026-01-01").obj()

    (owner,) = pod.metadata.owner_references
    assert (owner.kind, owner.name, owner.controller) == ("ReplicaSet", "web", True)
    assert pod.spec.termination_grace_period_seconds == 20
    assert pod.metadata.creation_timestamp == "2026-01-01"


def test_a_budget() -> None:
    common = make_pdb("web").selector({"app": "web"}).allows(2)
    budget = common.namespace("team").disrupted("gone").obj()

    assert (budget.metadata.namespace, budget.metadata.name) == ("team", "web")
    assert budget.spec.selector is not None
    assert budget.spec.selector.match_labels == {"app": "web"}
    assert (budget.status.disruptions_allowed, list(budget.status.disrupted_pods)) == (2, ["gone"])
    assert common.obj().status.disrupted_pods == {}


def test_a_node_declares_features() -> None:
    node = make_node("n").declared_feature("A").declared_feature("B", "C").obj()

    assert node.status.declared_features == ("A", "B", "C")
