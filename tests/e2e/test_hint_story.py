"""A waiting pod is tried again when its plugin's hint says so, and not before.

The plugin is one file in the scheduler's ConfigMap (`manifests/overlays/plugin-file`): a pod that
wants it runs only in zones where a pod labelled `app=web` runs.
"""

from __future__ import annotations

import pytest

from tests.controlplane.api_client import Manifest
from tests.e2e import sleepers
from tests.e2e.claims import (
    failed_attempts,
    hinted,
    is_asleep,
    metric,
)
from tests.e2e.providers.base import MANIFESTS, Capability, Provider, Release, eventually

RELEASE = Release(overlay=MANIFESTS / "overlays" / "plugin-file")
ZONE = "topology.kubernetes.io/zone"
#: Seconds from the relabelling to the binding; the queue's own timers take minutes.
PROMPTLY_S = 10


@pytest.mark.needs("disposable", "drain_nodes")
async def test_pod_is_retried_when_a_running_pod_is_relabelled_and_not_before(
    provider: Provider,
) -> None:
    zones = await _zones(provider)
    await provider.deploy(RELEASE)
    replica = await provider.leader()

    pod_a = sleepers.pod(provider, "pod-a")
    pod_a["metadata"]["annotations"] = {"example.com/near-web": "true"}
    await sleepers.create(provider, pod_a)
    message = await sleepers.waits_saying(provider, "pod-a")
    assert f"{len(zones)} node(s) had no web pod in their zone" in message
    await is_asleep(replica)
    assert await failed_attempts(replica) == 1

    # a pod with other labels arrives and runs: the hint is asked, and says no
    await sleepers.create(provider, _labelled(sleepers.pod(provider, "pod-b"), app="db"))
    node = await sleepers.running_on(provider, "pod-b")
    await hinted(replica, "NearWeb", "QueueSkip")
    assert await failed_attempts(replica) == 1

    # relabelled, it is what pod-a waits for
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods/pod-b"
    await provider.api.patch(path, {"metadata": {"labels": {"app": "web"}}})
    bound = await _bound(provider, "pod-a")

    assert zones[bound] == zones[node]
    assert await failed_attempts(replica) == 1, "the second attempt was the last"
    assert metric(await replica.metrics(), "scheduler_pod_scheduled_after_flush_total") == 0


async def _zones(provider: Provider) -> dict[str, str]:
    """Every worker has a zone of its own; returns them by node."""
    if Capability.FAKE_NODES in provider.capabilities:
        await provider.create_nodes(3)
    zones = {}
    for index, node in enumerate(await provider.workers()):
        name = node["metadata"]["name"]
        zones[name] = f"zone-{index}"
        change = {"metadata": {"labels": {ZONE: zones[name]}}}
        await provider.api.patch(f"/api/v1/nodes/{name}", change)
    return zones


def _labelled(pod: Manifest, **labels: str) -> Manifest:
    pod["metadata"]["labels"] = labels
    return pod


async def _bound(provider: Provider, name: str) -> str:
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods/{name}"

    async def node() -> str | None:
        return str((await provider.api.get(path))["spec"].get("nodeName", "")) or None

    return await eventually(node, what=f"pod {name} to be bound", timeout_s=PROMPTLY_S)
