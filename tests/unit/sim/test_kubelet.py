from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest_asyncio

from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.exchange import Request
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.virtual_clock import VirtualClock
from pyscheduler.sim.workload import make_node, make_pod

POD = "/api/v1/namespaces/default/pods/a"


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    clock = VirtualClock()
    async with EmbeddedCluster(
        clock=clock, start_delay_s=2.0, stop_delay_s=5.0, heartbeat_s=10.0
    ) as cluster:
        cluster.create_node(make_node("n"))
        cluster.create_pods([make_pod("a")])
        await clock.settle()
        yield cluster


def clock_of(cluster: EmbeddedCluster) -> VirtualClock:
    assert isinstance(cluster.clock, VirtualClock)
    return cluster.clock


def send(cluster: EmbeddedCluster, method: str, path: str, body: JsonObject) -> None:
    cluster.server.handle(Request(method, path, body=msgspec.json.encode(body)))


def bind(cluster: EmbeddedCluster) -> None:
    target = {"kind": "Node", "name": "n"}
    send(cluster, "POST", f"{POD}/binding", {"metadata": {"name": "a"}, "target": target})


async def test_a_node_becomes_ready(cluster: EmbeddedCluster) -> None:
    (node,) = cluster.nodes()

    conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert conditions["MemoryPressure"] == "False"


async def test_a_bound_pod_runs_after_its_delay(cluster: EmbeddedCluster) -> None:
    bind(cluster)

    await clock_of(cluster).run_for(1.9)
    assert cluster.pods()[0]["status"]["phase"] == "Pending"
    await clock_of(cluster).run_for(0.2)

    status = cluster.pods()[0]["status"]
    assert status["phase"] == "Running"
    assert {c["type"] for c in status["conditions"]} >= {"PodScheduled", "Ready"}


async def test_a_deleted_pod_ends_before_its_grace_does(cluster: EmbeddedCluster) -> None:
    bind(cluster)
    await clock_of(cluster).run_for(3.0)

    send(cluster, "DELETE", POD, {})
    assert "deletionTimestamp" in cluster.pods()[0]["metadata"]
    took_s = await clock_of(cluster).run_until(lambda: not cluster.pods())

    assert took_s == 5.0


async def test_a_shorter_grace_ends_the_pod_sooner(cluster: EmbeddedCluster) -> None:
    bind(cluster)
    await clock_of(cluster).run_for(3.0)

    send(cluster, "DELETE", POD, {"gracePeriodSeconds": 1})
    took_s = await clock_of(cluster).run_until(lambda: not cluster.pods())

    assert took_s == 1.0


async def test_leases_are_renewed(cluster: EmbeddedCluster) -> None:
    leases = cluster.store.collection("leases").objects
    first = leases["kube-node-lease/n"].data["spec"]["renewTime"]

    await clock_of(cluster).run_for(11.0)

    assert leases["kube-node-lease/n"].data["spec"]["renewTime"] > first


async def test_a_failed_node_is_tainted_until_it_recovers(cluster: EmbeddedCluster) -> None:
    cluster.kubelets.fail_node("n")
    failed = cluster.nodes()[0]
    cluster.kubelets.recover_node("n")
    recovered = cluster.nodes()[0]

    assert {taint["effect"] for taint in failed["spec"]["taints"]} == {"NoSchedule", "NoExecute"}
    assert "taints" not in recovered["spec"]


async def test_a_bookmark_comes_every_minute(cluster: EmbeddedCluster) -> None:
    lines: list[bytes] = []

    async def watch() -> None:
        transport = cluster.transport()
        params = {"watch": "1", "allowWatchBookmarks": "1", "timeoutSeconds": "150"}
        params["resourceVersion"] = str(cluster.store.version)
        async with transport.stream("/api/v1/pods", params) as stream:
            async for chunk in stream.chunks:
                lines.extend(chunk.splitlines())

    task = asyncio.create_task(watch())
    await clock_of(cluster).run_for(200.0)
    await task

    assert [msgspec.json.decode(line)["type"] for line in lines] == ["BOOKMARK"] * 3


async def test_a_pod_that_does_not_heed_the_signal_uses_up_its_grace_period() -> None:
    clock = VirtualClock()
    async with EmbeddedCluster(clock=clock, stop_delay_s=None) as cluster:
        cluster.create_node(make_node("n"))
        cluster.create_pods([make_pod("a", nodeName="n", terminationGracePeriodSeconds=300)])
        await clock.run_for(5)
        cluster.server.handle(Request("DELETE", POD))

        await clock.run_for(299)
        assert [pod["metadata"]["name"] for pod in cluster.pods()] == ["a"]
        await clock.run_for(1)
        assert not cluster.pods()
