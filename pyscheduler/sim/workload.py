"""Builders of node and pod objects, and the mixed workload the demo submits.

Plain JSON objects as a client would POST them. Everything not given takes the API's default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyscheduler.sim.json_objects import JsonObject

#: Small image that exists, for manifests that might meet a real cluster.
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
DEFAULT_SCHEDULER_NAME = "pyscheduler"

ZONE_LABEL = "topology.kubernetes.io/zone"
HOSTNAME_LABEL = "kubernetes.io/hostname"
_ZONES = ("zone-a", "zone-b", "zone-c")

#: One node in this many carries the label, or the taint, that some demo pods ask for.
_SSD_EVERY = 4
_DEDICATED_EVERY = 5
_DEDICATED_TAINT: JsonObject = {"key": "dedicated", "value": "batch", "effect": "NoSchedule"}


def make_node(
    name: str,
    *,
    cpu: str = "4",
    memory: str = "16Gi",
    pods: int = 110,
    ephemeral_storage: str = "100Gi",
    extended: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[JsonObject] = (),
) -> JsonObject:
    """A node with this capacity, all of it allocatable.

    Args:
        name: also its hostname label.
        cpu: a quantity.
        memory: a quantity.
        pods: how many it may run.
        ephemeral_storage: a quantity.
        extended: further resources, by name.
        labels: besides hostname, os and arch.
        taints: of its spec.
    """
    capacity = {
        "cpu": cpu,
        "memory": memory,
        "pods": str(pods),
        "ephemeral-storage": ephemeral_storage,
        **(extended or {}),
    }
    base = {HOSTNAME_LABEL: name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": {**base, **(labels or {})}},
        "spec": {"taints": list(taints)} if taints else {},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def make_pod(
    name: str,
    *,
    namespace: str = "default",
    cpu: str | None = "100m",
    memory: str | None = "128Mi",
    scheduler_name: str = DEFAULT_SCHEDULER_NAME,
    labels: Mapping[str, str] | None = None,
    **spec: object,
) -> JsonObject:
    """A pod of one container with these requests.

    Args:
        name: its name.
        namespace: where it lives.
        cpu: a quantity, or None to request none.
        memory: a quantity, or None to request none.
        scheduler_name: who is to place it.
        labels: of its metadata.
        spec: further fields of the pod spec, as the API spells them.
    """
    requests = {
        resource: amount
        for resource, amount in (("cpu", cpu), ("memory", memory))
        if amount is not None
    }
    container: JsonObject = {"name": "main", "image": PAUSE_IMAGE}
    if requests:
        container["resources"] = {"requests": requests}
    metadata: JsonObject = {"name": name, "namespace": namespace}
    if labels:
        metadata["labels"] = dict(labels)
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {"schedulerName": scheduler_name, "containers": [container], **spec},
    }


def mixed_nodes(count: int) -> Iterator[JsonObject]:
    """Nodes over three zones; some have an SSD, some are dedicated to batch work by a taint."""
    for index in range(count):
        labels = {ZONE_LABEL: _ZONES[index % len(_ZONES)]}
        if index % _SSD_EVERY == 0:
            labels["disk"] = "ssd"
        dedicated = index % _DEDICATED_EVERY == _DEDICATED_EVERY - 1
        yield make_node(
            f"node-{index:05d}", labels=labels, taints=[_DEDICATED_TAINT] if dedicated else ()
        )


def mixed_pods(
    count: int, *, namespace: str = "default", scheduler_name: str = DEFAULT_SCHEDULER_NAME
) -> Iterator[JsonObject]:
    """Pods for `mixed_nodes`: of every ten, seven plain, two for SSD nodes, one for dedicated ones.

    The last one asks for more memory than any node has: it stays Pending.
    """
    toleration = {"key": "dedicated", "operator": "Equal", "value": "batch", "effect": "NoSchedule"}
    for index in range(count):
        name = f"web-{index:05d}"
        spec: dict[str, Any] = {}
        if index == count - 1:
            name = "giant"
        elif index % 10 in (3, 7):
            name, spec = f"database-{index:05d}", {"nodeSelector": {"disk": "ssd"}}
        elif index % 10 == 9:
            name, spec = f"batch-{index:05d}", {"tolerations": [toleration]}
        yield make_pod(
            name,
            namespace=namespace,
            memory="64Gi" if name == "giant" else "128Mi",
            scheduler_name=scheduler_name,
            labels={"app": name.partition("-")[0]},
            **spec,
        )
