"""Devices of 50 nodes for 200 claims: each exactly once, whatever happens to the scheduler."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.controlplane.api_client import Manifest
from tests.controlplane.waiting import eventually
from tests.e2e import sleepers
from tests.e2e.claims import assert_nothing_forbidden, scheduler_audit, waits_saying
from tests.e2e.providers.base import Provider

GROUP = "/apis/resource.k8s.io/v1"
CLASSES = f"{GROUP}/deviceclasses"
SLICES = f"{GROUP}/resourceslices"
DRIVER = "gpu.example.com"

NODES = 50
DEVICES_PER_NODE = 4
CLAIMS = NODES * DEVICES_PER_NODE


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_killed", [False, True], ids=["undisturbed", "killed in the middle"])
async def test_every_device_is_allocated_exactly_once(
    provider: Provider, *, is_killed: bool
) -> None:
    names = await provider.create_nodes(NODES)
    async with _devices(provider, names):
        await provider.deploy()
        leader = await provider.leader()
        await sleepers.create(
            provider, *(_pod_with_device(provider, f"job-{i}") for i in range(CLAIMS))
        )
        if is_killed:
            await _bound(provider, CLAIMS // 4)
            await leader.kill()
        await _bound(provider, CLAIMS)

        claims = await provider.api.list(_claims(provider))
        pods = {pod["metadata"]["uid"]: pod for pod in await provider.pods()}
        taken = Counter(_device(claim) for claim in claims)
        assert len(claims) == CLAIMS
        assert set(taken.values()) == {1}, "a device was given twice"
        assert len(taken) == CLAIMS, "a device was left over"
        for claim in claims:
            (consumer,) = claim["status"]["reservedFor"]
            node = pods[consumer["uid"]]["spec"]["nodeName"]
            assert _device(claim)[1] == node, "the pod is not where its device is"
            assert claim["metadata"]["name"].startswith(consumer["name"])
        # one more finds nothing, and says so until a device is free again
        await sleepers.create(provider, _pod_with_device(provider, "one-more"))
        await waits_saying(provider, "one-more", f"{NODES} cannot allocate all claims")
        await provider.api.delete(f"{_pods(provider)}/job-7", grace_period_s=0)
        await _bound(provider, CLAIMS)
        audit = await scheduler_audit(provider)
        if not is_killed:
            assert_nothing_forbidden(audit)
            assert {entry.status for entry in audit.binding_attempts()} == {201}


# --- devices ---


@contextlib.asynccontextmanager
async def _devices(provider: Provider, nodes: list[str]) -> AsyncIterator[None]:
    """A class, four devices on each node, and a template of claims for one of them."""
    await provider.api.create(
        CLASSES,
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "DeviceClass",
            "metadata": {"name": "gpu"},
            "spec": {"selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}]},
        },
    )
    try:
        for node in nodes:
            await provider.api.create(SLICES, _slice(node))
        await provider.api.create(_templates(provider), _template())
        yield
    finally:
        await provider.delete_workloads()

        async def no_claims() -> bool:
            return not await provider.api.list(_claims(provider))

        await eventually(no_claims, what="claims to go with their pods", timeout_s=90)
        await provider.api.delete(f"{_templates(provider)}/one-gpu")
        await provider.api.delete_collection(SLICES)
        await provider.api.delete(f"{CLASSES}/gpu")


def _slice(node: str) -> Manifest:
    devices = [
        {"name": f"gpu-{i}", "attributes": {"model": {"string": "x"}}}
        for i in range(DEVICES_PER_NODE)
    ]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{node}-gpus"},
        "spec": {
            "driver": DRIVER,
            "nodeName": node,
            "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
            "devices": devices,
        },
    }


def _template() -> Manifest:
    request = {
        "name": "gpu",
        "exactly": {
            "deviceClassName": "gpu",
            "selectors": [{"cel": {"expression": f"device.attributes['{DRIVER}'].model == 'x'"}}],
        },
    }
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "one-gpu"},
        "spec": {"spec": {"devices": {"requests": [request]}}},
    }


def _device(claim: Manifest) -> tuple[str, str, str]:
    (result,) = claim["status"]["allocation"]["devices"]["results"]
    return result["driver"], result["pool"], result["device"]


def _claims(provider: Provider) -> str:
    return f"{GROUP}/namespaces/{provider.test_namespace}/resourceclaims"


def _templates(provider: Provider) -> str:
    return f"{GROUP}/namespaces/{provider.test_namespace}/resourceclaimtemplates"


# --- pods ---


def _pods(provider: Provider) -> str:
    return f"/api/v1/namespaces/{provider.test_namespace}/pods"


def _pod_with_device(provider: Provider, name: str) -> Manifest:
    pod = sleepers.pod(provider, name)
    pod["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    pod["spec"]["containers"][0]["resources"]["claims"] = [{"name": "gpu"}]
    return pod


async def _bound(provider: Provider, count: int) -> None:
    """At least so many pods have a node."""

    async def enough() -> bool:
        pods = await provider.pods()
        return sum(bool(pod["spec"].get("nodeName")) for pod in pods) >= count

    await eventually(enough, what=f"{count} bound pods", timeout_s=150, interval_s=0.2)
