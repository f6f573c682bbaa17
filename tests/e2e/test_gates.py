"""A pod with scheduling gates is not tried, and is bound as soon as they are gone."""

from __future__ import annotations

import asyncio

import pytest

from tests.controlplane.api_client import Manifest
from tests.e2e import sleepers
from tests.e2e.claims import metric, scheduler_audit
from tests.e2e.providers.base import Capability, Provider, eventually

#: Seconds from the removal of the gates to the binding; the queue's own timers take minutes.
PROMPTLY_S = 10


@pytest.mark.needs("disposable")
async def test_gated_pod_is_left_alone_until_its_gates_are_gone(provider: Provider) -> None:
    if Capability.FAKE_NODES in provider.capabilities:
        await provider.create_nodes(2)
    await provider.deploy()
    replica = await provider.leader()
    pod = sleepers.pod(provider, "gated")
    pod["spec"]["schedulingGates"] = [{"name": "example.com/quota"}, {"name": "example.com/disk"}]
    await sleepers.create(provider, pod)
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods/gated"

    async def held_back() -> bool:
        return metric(await replica.metrics(), "scheduler_pending_pods", queue="gated") == 1

    await eventually(held_back, what="the pod to be gated")
    before = await provider.api.get(path)
    # one gate less is still a gate; and what happens in the cluster is no reason to try it
    await _gates(provider, path, ["example.com/disk"])
    await sleepers.create(provider, sleepers.pod(provider, "other"))
    await sleepers.running_on(provider, "other")
    await asyncio.sleep(1)  # time in which a mistake would show

    assert await held_back()
    after = await provider.api.get(path)
    assert _condition(after)["reason"] == "SchedulingGated"
    assert _condition(after) == _condition(before)
    attempts = metric(await replica.metrics(), "scheduler_schedule_attempts_total")
    assert attempts == 1, "that of the other pod"

    await _gates(provider, path, [])

    async def bound() -> bool:
        return bool((await provider.api.get(path))["spec"].get("nodeName"))

    await eventually(bound, what="the pod to be bound", timeout_s=PROMPTLY_S)
    if Capability.AUDIT_LOG in provider.capabilities:
        audit = await scheduler_audit(provider)
        written = [
            e for e in audit.completed if e.name == "gated" and e.verb in ("patch", "update")
        ]
        assert written == [], "its status is the API server's to write"
        assert len(audit.bindings_by_pod()[f"{provider.test_namespace}/gated"]) == 1


def _condition(pod: Manifest) -> Manifest:
    (condition,) = (c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")
    return dict(condition)


async def _gates(provider: Provider, path: str, names: list[str]) -> None:
    """The pod has these gates left."""
    change = {"spec": {"schedulingGates": [{"name": name} for name in names] or None}}
    await provider.api.patch(path, change)
