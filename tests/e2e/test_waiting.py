"""A pod that fits nowhere says why, and a change of the cluster that makes room wakes it."""

from __future__ import annotations

import time

import pytest

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.waiting import eventually
from tests.e2e.claims import all_bound, assert_bound_once, metric, restarts
from tests.e2e.providers.base import Provider

#: What kube-scheduler would say of the web app, word for word.
NO_MEMORY = "0/3 nodes are available: 3 Insufficient memory."

#: Seconds from the node's creation to the binding, by the API server's clock. A timer would take
#: longer: the pool of those that fit nowhere is flushed after five minutes.
PROMPTLY_S = 2

#: Seconds after which a pod that failed once is held back no longer (back-off: 1 s).
BEYOND_BACKOFF_S = 2

#: A new node has this taint until a controller has seen that it is ready.
TOLERATES_NEW_NODES = {
    "tolerations": [
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"}
    ]
}


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
async def test_web_app_is_bound_when_a_larger_node_joins(provider: Provider) -> None:
    metrics = await _tell_the_story(provider, _pod("web-app", cpu="300m"))

    # Its taint may cost it one more attempt; no timer has a part in that either.
    incoming = "scheduler_queue_incoming_pods_total"
    assert metric(metrics, incoming, event="NodeAdd", queue="active") == 1


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
async def test_waiting_pod_is_woken_by_the_event_alone(provider: Provider) -> None:
    web_app = _pod("web-app", cpu="300m", spec=TOLERATES_NEW_NODES)
    metrics = await _tell_the_story(provider, web_app)

    incoming = "scheduler_queue_incoming_pods_total"
    assert metric(metrics, incoming, event="NodeAdd", queue="active") == 1
    assert metric(metrics, incoming, queue="backoff") == 0
    audit = await provider.audit()
    (binding,) = audit.bindings_by_pod()[f"{provider.test_namespace}/web-app"]
    (joined,) = [
        entry
        for entry in audit.completed
        if (entry.verb, entry.resource, entry.name) == ("create", "nodes", binding.target_node)
    ]
    assert binding.received_s - joined.time_s < PROMPTLY_S


async def _tell_the_story(provider: Provider, web_app: Manifest) -> str:
    """Three full nodes, a web app that waits, a larger node; returns the scheduler's metrics."""
    nodes = await provider.create_nodes(3, allocatable={"cpu": "940m", "memory": "2701500Ki"})
    await provider.deploy()
    (replica,) = await provider.replicas()
    await _create(provider, *(_pod(f"filler-{index}", cpu="150m") for index in range(3)))
    await all_bound(provider)
    fillers = await provider.pods()
    assert {pod["spec"]["nodeName"] for pod in fillers} == set(nodes)

    await _create(provider, web_app)
    await _waits_saying(provider, "web-app", NO_MEMORY)
    assert metric(await replica.metrics(), "scheduler_pending_pods", queue="unschedulable") == 1
    (large,) = await provider.create_nodes(
        1, prefix="large", allocatable={"cpu": "2", "memory": "8Gi"}
    )
    await all_bound(provider)

    bound = await provider.api.get(_path(provider, "web-app"))
    assert bound["spec"]["nodeName"] == large
    metrics = await replica.metrics()
    assert metric(metrics, "scheduler_pod_scheduled_after_flush_total") == 0
    assert await restarts(provider) == 0
    await assert_bound_once(provider, pods=4)
    return metrics


async def _waits_saying(provider: Provider, name: str, beginning: str) -> None:
    """The pod has been Pending for longer than its back-off, with that message in both places."""

    async def condition() -> Manifest | None:
        pod = await provider.api.get(_path(provider, name))
        found = [c for c in pod["status"].get("conditions", []) if c["type"] == "PodScheduled"]
        return found[0] if found else None

    said = await eventually(condition, what=f"a condition of {name}")
    told_s = time.monotonic()
    uid = (await provider.api.get(_path(provider, name)))["metadata"]["uid"]
    assert said["status"] == "False"
    assert said["reason"] == "Unschedulable"
    assert said["message"].startswith(beginning)

    async def event() -> Manifest | None:
        path = f"/apis/events.k8s.io/v1/namespaces/{provider.test_namespace}/events"
        for found in await provider.api.list(path):
            if found["reason"] == "FailedScheduling" and found["regarding"].get("uid") == uid:
                return found
        return None

    assert (await eventually(event, what=f"an event for {name}"))["note"] == said["message"]

    async def longer_than_backoff() -> bool:
        return time.monotonic() - told_s > BEYOND_BACKOFF_S

    await eventually(longer_than_backoff, what="time to pass")
    pod = await provider.api.get(_path(provider, name))
    assert pod["status"]["phase"] == "Pending"
    assert "nodeName" not in pod["spec"]


def _pod(name: str, *, cpu: str, spec: Manifest | None = None) -> Manifest:
    return load.pod_manifest(name, requests={"cpu": cpu, "memory": "1.5Gi"}, spec=spec)


async def _create(provider: Provider, *pods: Manifest) -> None:
    await provider.api.create_all(f"/api/v1/namespaces/{provider.test_namespace}/pods", pods)


def _path(provider: Provider, name: str) -> str:
    return f"/api/v1/namespaces/{provider.test_namespace}/pods/{name}"
