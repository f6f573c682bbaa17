"""Pods that really run where images do: the scheduler's own image, asleep.

They ask for little, end at once, and would be admitted under PodSecurity `restricted`. On a
provider without containers the image does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.e2e.providers.base import SCHEDULER_NAME, Provider, eventually

#: So little that dozens fit on a small machine, and so much that a few weigh what a replica of the
#: scheduler does: pods spread over workers of which only one has such a replica.
REQUESTS: Mapping[str, str] = {"cpu": "20m", "memory": "32Mi"}

#: Seconds for dozens of containers to start on a machine that has other things to do.
RUN_TIMEOUT_S = 240

ASLEEP = ("sleep", "infinity")


def pod(
    provider: Provider,
    name: str,
    *,
    scheduler_name: str = SCHEDULER_NAME,
    requests: Mapping[str, str] | None = None,
    command: Sequence[str] = ASLEEP,
) -> Manifest:
    """Returns a pod that runs the command in the project's image."""
    spec = _spec(provider, requests=requests or REQUESTS, command=command)
    return load.pod_manifest(name, scheduler_name=scheduler_name, spec=spec)


def deployment(provider: Provider, name: str, *, replicas: int) -> Manifest:
    """Returns a Deployment of that many sleepers."""
    spec = _spec(provider, requests=REQUESTS, command=ASLEEP)
    return load.deployment_manifest(name, replicas=replicas, spec=spec)


def _spec(provider: Provider, *, requests: Mapping[str, str], command: Sequence[str]) -> Manifest:
    return {
        "restartPolicy": "Always" if command == ASLEEP else "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": provider.workload_image,
                "command": list(command),
                "resources": {"requests": dict(requests)},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }


async def create(provider: Provider, *pods: Manifest) -> list[Manifest]:
    """The pods exist; returns them as the server answered them."""
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods"
    return await provider.api.create_all(path, pods)


async def create_deployment(provider: Provider, name: str, *, replicas: int) -> None:
    """The Deployment exists."""
    path = f"/apis/apps/v1/namespaces/{provider.test_namespace}/deployments"
    await provider.api.create(path, deployment(provider, name, replicas=replicas))


async def scale(provider: Provider, name: str, *, replicas: int) -> None:
    """The Deployment is to have that many replicas."""
    path = f"/apis/apps/v1/namespaces/{provider.test_namespace}/deployments/{name}"
    await provider.api.patch(path, {"spec": {"replicas": replicas}})


async def all_running(
    provider: Provider, count: int, *, elsewhere_than: str | None = None
) -> list[Manifest]:
    """The tests' namespace has that many live pods, all Running and ready; returns them.

    Args:
        elsewhere_than: pods on that node are left out.
    """

    async def running() -> list[Manifest] | None:
        pods = [
            pod
            for pod in await provider.pods()
            if "deletionTimestamp" not in pod["metadata"]
            and pod["spec"].get("nodeName", "") != elsewhere_than
        ]
        return pods if len(pods) == count and all(map(is_running, pods)) else None

    what = f"{count} pods to run"
    return await eventually(running, what=what, timeout_s=RUN_TIMEOUT_S, interval_s=0.5)


async def running_on(provider: Provider, name: str) -> str:
    """The pod runs; returns its node."""
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods/{name}"

    async def node() -> str | None:
        pod = await provider.api.get(path)
        return str(pod["spec"]["nodeName"]) if is_running(pod) else None

    return await eventually(node, what=f"pod {name} to run", timeout_s=RUN_TIMEOUT_S)


async def waits_saying(provider: Provider, name: str) -> str:
    """The pod is Pending as unschedulable; returns the message of its condition."""
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods/{name}"

    async def message() -> str | None:
        conditions = (await provider.api.get(path))["status"].get("conditions", [])
        for condition in conditions:
            if condition["type"] == "PodScheduled" and condition["reason"] == "Unschedulable":
                return str(condition["message"])
        return None

    return await eventually(message, what=f"pod {name} to be told why it waits")


async def free(provider: Provider, node: Manifest, resource: str) -> Decimal:
    """Returns what the pods on a node leave of a resource: bytes, or cores."""
    name = node["metadata"]["name"]
    pods = await provider.api.list("/api/v1/pods", field_selector=f"spec.nodeName={name}")
    left: Decimal = parse_quantity(node["status"]["allocatable"][resource])
    left -= sum(
        parse_quantity(container.get("resources", {}).get("requests", {}).get(resource, "0"))
        for pod in pods
        if pod["status"]["phase"] not in ("Succeeded", "Failed")
        for container in pod["spec"]["containers"]
    )
    return left


def is_running(pod: Manifest) -> bool:
    """Claims that the pod is Running and every container of it is ready."""
    statuses = pod["status"].get("containerStatuses", [])
    return pod["status"].get("phase") == "Running" and all(each["ready"] for each in statuses)


def per_node(pods: Sequence[Manifest]) -> Counter[str]:
    """Returns how many of the pods are on each node."""
    return Counter(pod["spec"]["nodeName"] for pod in pods)


async def scheduled_events(provider: Provider) -> Counter[str]:
    """Returns how many bindings of each pod, by uid, were announced by an event."""
    path = f"/apis/events.k8s.io/v1/namespaces/{provider.test_namespace}/events"
    events = await provider.api.list(path)
    scheduled = [event for event in events if event["reason"] == "Scheduled"]
    return Counter(event["regarding"]["uid"] for event in scheduled)
