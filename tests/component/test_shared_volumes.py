"""Pods that want one claim, one disk or the last place for a volume, on a whole cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.storage import bound_claim, csi_node, csi_volume, inline, of_claim
from tests.component.world import World

PRIORITY_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


def claim_of_one(namespace: str = "default") -> JsonObject:
    """A claim that is for one pod alone."""
    claim = bound_claim("data", f"pv-{namespace}")
    claim["metadata"]["namespace"] = namespace
    claim["spec"]["accessModes"] = ["ReadWriteOncePod"]
    return claim


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[World]:
    """Two nodes with a place for one EBS volume each, and a claim that is for one pod."""
    async with World() as world:
        for name in ("n1", "n2"):
            world.create(make_node(name, cpu="4"), csi_node(name, 1))
        world.create(csi_volume("pv-default", "data", driver="local"), claim_of_one())
        await world.start_scheduler()
        yield world


async def test_a_claim_of_one_pod_goes_from_pod_to_pod(cluster: World) -> None:
    cluster.create(make_pod("first", volumes=[of_claim("data")]))
    await cluster.until_bound("default/first")
    cluster.create(make_pod("second", volumes=[of_claim("data")]))

    await cluster.run_for(5)
    assert cluster.node_of("default/second") == ""
    assert cluster.message("second").startswith(
        "0/2 nodes are available: 2 node(s) unavailable due to PersistentVolumeClaim with"
        " ReadWriteOncePod access mode already in-use by another pod."
    )

    cluster.delete_pod("first", at_once=True)
    assert await cluster.until_bound("default/second") < 1


async def test_an_urgent_pod_evicts_whoever_has_its_claim_and_nobody_else(cluster: World) -> None:
    cluster.send("POST", PRIORITY_CLASSES, {"metadata": {"name": "high"}, "value": 1000})
    cluster.send("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
    cluster.create(csi_volume("pv-other", "data", driver="local"), claim_of_one("other"))
    cluster.create(
        make_pod("namesake", namespace="other", volumes=[of_claim("data")]),
        make_pod("holder", volumes=[of_claim("data")]),
    )
    await cluster.until_bound("other/namesake", "default/holder")

    cluster.create(make_pod("urgent", priorityClassName="high", volumes=[of_claim("data")]))
    await cluster.until_bound("default/urgent")

    assert cluster.pod_keys() == ["other/namesake", "default/urgent"]


async def test_a_third_volume_waits_until_a_node_has_a_place(cluster: World) -> None:
    cluster.create(*(make_pod(f"p{i}", volumes=[inline(f"vol-{i}")]) for i in range(2)))
    await cluster.until_bound("default/p0", "default/p1")
    assert cluster.node_of("default/p0") != cluster.node_of("default/p1")

    cluster.create(make_pod("p2", volumes=[inline("vol-2")]))
    await cluster.run_for(5)
    assert cluster.message("p2").startswith(
        "0/2 nodes are available: 2 node(s) exceed max volume count."
    )

    cluster.delete_pod("p0", at_once=True)
    assert await cluster.until_bound("default/p2") < 1


async def test_a_disk_is_read_by_many_and_written_by_one_pod_of_a_node(cluster: World) -> None:
    def disk(*, read_only: bool) -> JsonObject:
        return {"name": "disk", "gcePersistentDisk": {"pdName": "disk", "readOnly": read_only}}

    cluster.create(*(make_pod(f"reads{i}", volumes=[disk(read_only=True)]) for i in range(4)))
    await cluster.until_bound(*(f"default/reads{i}" for i in range(4)))

    cluster.create(make_pod("writes", volumes=[disk(read_only=False)]))
    await cluster.run_for(5)
    assert cluster.message("writes").startswith(
        "0/2 nodes are available: 2 node(s) had no available disk."
    )

    for i in range(4):
        cluster.delete_pod(f"reads{i}", at_once=True)
    assert await cluster.until_bound("default/writes") < 1
