"""Nodes and pods for tests to schedule, as plain JSON: shapes, and many of them quickly."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence

from tests.controlplane.api_client import ApiClient, Manifest, in_parallel

#: kwok looks after nodes with this annotation and no others, so that it and kubelets get along.
KWOK_ANNOTATION = "kwok.x-k8s.io/node"

#: What a fake node offers unless a test says otherwise.
DEFAULT_ALLOCATABLE: Mapping[str, str] = {"cpu": "4", "memory": "32Gi", "pods": "110"}

#: Zones over which fake nodes are dealt out in turn.
ZONES = ("zone-a", "zone-b", "zone-c")


def node_manifest(
    name: str,
    *,
    allocatable: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    unschedulable: bool = False,
) -> Manifest:
    """Returns a Node that is Ready from the start; `allocatable` adds to the default's."""
    offered = {**DEFAULT_ALLOCATABLE, **(allocatable or {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {KWOK_ANNOTATION: "fake"},
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
            | dict(labels or {}),
        },
        "spec": {"taints": list(taints), "unschedulable": unschedulable},
        "status": {
            "capacity": offered,
            "allocatable": offered,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "fake",
                }
            ],
        },
    }


def pod_manifest(
    name: str,
    *,
    scheduler_name: str = "pyscheduler",
    requests: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    spec: Mapping[str, object] | None = None,
) -> Manifest:
    """Returns a Pod of one container; `spec` adds or replaces fields of its spec."""
    container = {
        "name": "main",
        "image": "registry.invalid/none",
        "resources": {"requests": dict(requests or {"cpu": "100m", "memory": "128Mi"})},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {"app": "load"})},
        "spec": {
            "schedulerName": scheduler_name,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            **copy.deepcopy(dict(spec or {})),
        },
    }


def deployment_manifest(
    name: str,
    *,
    replicas: int,
    scheduler_name: str = "pyscheduler",
    requests: Mapping[str, str] | None = None,
    spec: Mapping[str, object] | None = None,
) -> Manifest:
    """Returns a Deployment of pods as `pod_manifest` makes them."""
    labels = {"app": name}
    pod = pod_manifest(
        name, scheduler_name=scheduler_name, requests=requests, labels=labels, spec=spec
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod["spec"]},
        },
    }


async def create_nodes(
    api: ApiClient,
    count: int,
    *,
    prefix: str = "node",
    template: Callable[[str], Manifest] = node_manifest,
) -> list[str]:
    """The nodes exist; returns their names, `prefix-0` and so on, dealt over `ZONES`."""
    manifests = []
    for index in range(count):
        manifest = template(f"{prefix}-{index}")
        zone = ZONES[index % len(ZONES)]
        manifest["metadata"]["labels"].setdefault("topology.kubernetes.io/zone", zone)
        manifests.append(manifest)
    await api.create_all("/api/v1/nodes", manifests)
    return [manifest["metadata"]["name"] for manifest in manifests]


async def create_pods(
    api: ApiClient,
    count: int,
    *,
    namespace: str = "default",
    prefix: str = "pod",
    template: Callable[[str], Manifest] = pod_manifest,
) -> list[Manifest]:
    """The pods exist; returns them as the server answered them."""
    manifests = [template(f"{prefix}-{index}") for index in range(count)]
    return await api.create_all(f"/api/v1/namespaces/{namespace}/pods", manifests)


async def delete_pods(api: ApiClient, pods: Sequence[Manifest]) -> None:
    """The pods are gone from the API at once, whoever was to run them."""

    async def delete(path: str) -> Manifest:
        await api.delete(path, grace_period_s=0)
        return {}

    await in_parallel(functools.partial(delete, pod_path(pod)) for pod in pods)


def pod_path(pod: Manifest) -> str:
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
