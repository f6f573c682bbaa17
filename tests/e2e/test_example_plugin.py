"""The example plugin `plugins/nodeheat`, enabled through the configuration, decides.

The kind suite shows the same with the plugin in an image layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.waiting import eventually
from tests.e2e.claims import (
    all_bound,
    assert_bound_once,
    failed_attempts,
    hinted,
    is_asleep,
    metric,
    scheduler_audit,
)
from tests.e2e.providers.base import MANIFESTS, Provider, Release

ANNOTATION = "example.com/celsius"

#: What clusters with the plugin's image get. Nodes above 70 degrees are too hot; the other scores
#: would rather have the pods spread, so this one is given more weight.
CONFIGURATION = (
    (MANIFESTS / "overlays" / "nodeheat" / "config.yaml")
    .read_text()
    .replace("weight: 2", "weight: 100")
)

TOO_HOT = "0/3 nodes are available: 3 node(s) were too hot."

#: Seconds from the change of the annotation to the binding; the queue's own timers take longer.
PROMPTLY_S = 2


@pytest.mark.needs("fake_nodes", "installed_plugins", "audit_log", "disposable")
async def test_nodeheat_filters_and_scores_and_wakes_a_pod_when_a_node_cools(
    provider: Provider,
) -> None:
    hot, warm, cool = await provider.create_nodes(3)
    await _heat(provider, {hot: 71, warm: 60, cool: 10})
    await provider.deploy(Release(configuration=CONFIGURATION))
    (replica,) = await provider.replicas()

    # Score: room on two nodes, all on the coolest.
    await load.create_pods(provider.api, 4, namespace=provider.test_namespace)
    await all_bound(provider)
    assert {pod["spec"]["nodeName"] for pod in await provider.pods()} == {cool}

    # Filter: room on three nodes, none cool enough.
    await _heat(provider, {warm: 80, cool: 95})
    await load.create_pods(provider.api, 1, namespace=provider.test_namespace, prefix="late")
    assert (await _refusal(provider))["message"].startswith(TOO_HOT)
    await is_asleep(replica)
    assert await failed_attempts(replica) == 1

    # Hint: less hot is not cool enough, and costs the pod no attempt.
    await _heat(provider, {hot: 75})
    await hinted(replica, "NodeHeat", "QueueSkip")
    assert await failed_attempts(replica) == 1
    await _heat(provider, {warm: 70})
    await all_bound(provider)

    audit = await provider.audit()
    (binding,) = audit.bindings_by_pod()[f"{provider.test_namespace}/late-0"]
    assert binding.target_node == warm
    cooled_s = max(
        entry.time_s
        for entry in audit.completed
        if entry.resource == "nodes" and entry.verb == "patch" and entry.name == warm
    )
    assert binding.received_s - cooled_s < PROMPTLY_S
    assert metric(await replica.metrics(), "scheduler_pod_scheduled_after_flush_total") == 0
    await assert_bound_once(provider, pods=5)
    assert (await scheduler_audit(provider)).forbidden() == []


async def _heat(provider: Provider, celsius: Mapping[str, int]) -> None:
    """The nodes have these temperatures, changed in this order."""
    for node, value in celsius.items():
        change = {"metadata": {"annotations": {ANNOTATION: str(value)}}}
        await provider.api.patch(f"/api/v1/nodes/{node}", change)


async def _refusal(provider: Provider) -> Manifest:
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods/late-0"

    async def condition() -> Manifest | None:
        for found in (await provider.api.get(path))["status"].get("conditions", []):
            if found["type"] == "PodScheduled" and found["status"] == "False":
                return dict(found)
        return None

    return await eventually(condition, what="a condition of the pod")
