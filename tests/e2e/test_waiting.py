"""A pod that fits nowhere says why, and a change of the cluster that makes room wakes it."""

from __future__ import annotations

import time

import pytest

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.waiting import eventually
from tests.e2e.claims import all_bound, assert_bound_once, metric, restarts, scheduler_audit
from tests.e2e.providers.base import Provider

#: What kube-scheduler would say of the web app, word for word.
NO_MEMORY = "0/3 nodes are available: 3 Insufficient memory."

#: Seconds between the change that makes room and the binding. Timers would take longer: the flush
#: of the unschedulable pool looks after five minutes.
PROMPTLY_S = 2

#: Seconds after which a pod that failed once is held back no longer (back-off: 1 s).
BEYOND_BACKOFF_S = 2


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
async def test_web_app_is_bound_when_a_larger_node_joins(provider: Provider) -> None:
    await provider.create_nodes(3, allocatable={"cpu": "940m", "memory": "2701500Ki"})
    await provider.deploy()
    (replica,) = await provider.replicas()
    await _create(provider, *(_pod(f"filler-{index}", cpu="150m") for index in range(3)))
    await all_bound(provider)
    fillers = await provider.pods()
    assert {pod["spec"]["nodeName"] for pod in fillers} == {"node-0", "node-1", "node-2"}

    await _create(provider, _pod("web-app", cpu="300m"))
    await _waits_saying(provider, "web-app", NO_MEMORY)
    assert metric(await replica.metrics(), "scheduler_pending_pods", queue="unschedulable") == 1
    await provider.create_nodes(1, prefix="large", allocatable={"cpu": "2", "memory": "8Gi"})
    await all_bound(provider)

    web_app = await provider.api.get(_path(provider, "web-app"))
    assert web_app["spec"]["nodeName"] == "large-0"
    assert await _seconds_from_fitting_to_binding(provider, "web-app", "large-0") < PROMPTLY_S
    metrics = await replica.metrics()
    assert metric(metrics, "scheduler_pod_scheduled_after_flush_total") == 0
    assert metric(metrics, "scheduler_pod_scheduling_attempts_count") == 4
    assert await restarts(provider) == 0
    await assert_bound_once(provider, pods=4)


async def _waits_saying(provider: Provider, name: str, beginning: str) -> None:
    """The pod has been Pending for longer than its back-off, with that message in both places."""

    async def condition() -> Manifest | None:
        pod = await provider.api.get(_path(provider, name))
        found = [c for c in pod["status"].get("conditions", []) if c["type"] == "PodScheduled"]
        return found[0] if found else None

    said = await eventually(condition, what=f"a condition of {name}")
    told_s = time.monotonic()
    assert said["status"] == "False"
    assert said["reason"] == "Unschedulable"
    assert said["message"].startswith(beginning)

    async def event() -> Manifest | None:
        path = f"/apis/events.k8s.io/v1/namespaces/{provider.test_namespace}/events"
        for found in await provider.api.list(path):
            if found["regarding"]["name"] == name and found["reason"] == "FailedScheduling":
                return found
        return None

    assert (await eventually(event, what=f"an event for {name}"))["note"] == said["message"]

    async def longer_than_backoff() -> bool:
        return time.monotonic() - told_s > BEYOND_BACKOFF_S

    await eventually(longer_than_backoff, what="time to pass")
    pod = await provider.api.get(_path(provider, name))
    assert pod["status"]["phase"] == "Pending"
    assert "nodeName" not in pod["spec"]


async def _seconds_from_fitting_to_binding(provider: Provider, pod: str, node: str) -> float:
    """Returns the time from the node's last change before the binding to the binding request.

    A new node carries the taint `not-ready` until a controller takes it off: from then on it fits.
    """
    binding = (await scheduler_audit(provider)).bindings_by_pod()[
        f"{provider.test_namespace}/{pod}"
    ][0]
    changes = [
        entry.time_s
        for entry in (await provider.audit()).completed
        if entry.resource == "nodes"
        and entry.name in ("", node)
        and entry.verb in ("create", "update", "patch")
        and entry.status in (200, 201)
        and entry.time_s < binding.received_s
    ]
    return binding.received_s - max(changes)


def _pod(name: str, *, cpu: str) -> Manifest:
    return load.pod_manifest(name, requests={"cpu": cpu, "memory": "1.5Gi"})


async def _create(provider: Provider, *pods: Manifest) -> None:
    await provider.api.create_all(f"/api/v1/namespaces/{provider.test_namespace}/pods", pods)


def _path(provider: Provider, name: str) -> str:
    return f"/api/v1/namespaces/{provider.test_namespace}/pods/{name}"
