"""The example plugin `plugins/qos_sort`: with room for some, those of the best class get it."""

from __future__ import annotations

import pytest
import yaml

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.e2e.providers.base import REPOSITORY, Provider, Release, eventually

CONFIGURATION = yaml.safe_load((REPOSITORY / "plugins/qos_sort/scheduler-config.yaml").read_text())
#: Pods of each class, and places on the one node.
EACH = 4


@pytest.mark.needs("fake_nodes", "installed_plugins", "disposable")
async def test_guaranteed_pods_get_the_room_although_they_came_last(provider: Provider) -> None:
    await provider.create_nodes(1, allocatable={"pods": str(EACH)})
    for name in ("best-effort", "burstable", "guaranteed"):
        await _create(provider, name)

    await provider.deploy(Release(configuration=_with_lease(CONFIGURATION)))

    async def bound() -> list[str] | None:
        pods = await provider.pods()
        names = [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName")]
        return sorted(names) if len(names) == EACH else None

    names = await eventually(bound, what=f"{EACH} pods to be bound")
    assert names == [f"guaranteed-{index}" for index in range(EACH)]


def _with_lease(configuration: Manifest) -> str:
    """The example's configuration with the Lease that the manifests' permissions are for."""
    lease = {"resourceNamespace": "pyscheduler", "resourceName": "pyscheduler"}
    return yaml.safe_dump({**configuration, "leaderElection": lease})


async def _create(provider: Provider, quality: str) -> None:
    """As many pods of that class as the node has places."""
    size = {"cpu": "10m", "memory": "16Mi"}
    resources = {
        "best-effort": {},
        "burstable": {"requests": size},
        "guaranteed": {"requests": size, "limits": size},
    }[quality]

    def template(name: str) -> Manifest:
        pod = load.pod_manifest(name)
        pod["spec"]["containers"][0]["resources"] = resources
        return pod

    await load.create_pods(
        provider.api, EACH, namespace=provider.test_namespace, prefix=quality, template=template
    )
