"""One node and the pods on it, with the sums kept as pods come and go.

Sums beyond an int64, which only pods bound by hand can come to, wrap around as upstream's do.

This is the `NodeInfo` that per-node hooks read. The cache changes it; while a cycle is under way it
changes a copy instead (`clone`), so that the cycle's picture stands still.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

import msgspec

from pyscheduler.api.core_v1 import Node, Pod, PodSpec
from pyscheduler.api.host_ports import HostPort
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.resources import PodRequests
from pyscheduler.framework.arithmetic import wrapped_int64
from pyscheduler.framework.columns import Aspect

# Aspects as plain ints: an operation of an IntFlag costs half a microsecond, and these are on the
# path of every bind.
_PODS = int(Aspect.PODS)
_PODS_AND_SUMS = int(Aspect.REQUESTED | Aspect.PODS)
_HOST_PORTS = int(Aspect.HOST_PORTS)
_INT64_MAX = 2**63 - 1


class PodUsage(NamedTuple):
    """What one pod takes from its node; while it stays equal no sum changes."""

    needs: PodRequests
    ports: tuple[HostPort, ...]


class NodeState:
    """A node's object, its pods, and the sums over them."""

    __slots__ = (
        "allocatable",
        "dirty",
        "exists",
        "host_ports",
        "name",
        "node",
        "non_zero_cpu",
        "non_zero_memory",
        "pod_changes",
        "pods",
        "requested",
        "row",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        #: the Node object; an empty one for a ghost (pods known before their node, or after it)
        self.node = Node(metadata=ObjectMeta(name=name))
        #: False for a ghost, which is in no snapshot
        self.exists = False
        self.allocatable: Mapping[str, int] = {}
        self.requested: dict[str, int] = {}
        self.non_zero_cpu = 0
        self.non_zero_memory = 0
        #: by uid
        self.pods: dict[str, Pod] = {}
        #: who came (+1) and who left (-1) since the store last wrote the row
        self.pod_changes: list[tuple[Pod, int]] = []
        #: taken host ports and by how many pods
        self.host_ports: dict[HostPort, int] = {}
        #: row in the column store; -1 while in none. The store alone changes it.
        self.row = -1
        #: aspects that changed since the store last wrote the row; an int, see `_PODS`
        self.dirty = 0

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels."""
        return self.node.metadata.labels

    @property
    def annotations(self) -> Mapping[str, str]:
        """The node's annotations."""
        return self.node.metadata.annotations

    @property
    def sums(self) -> Hashable:
        """What the node has to give and what its pods take, how many they are included."""
        return (
            tuple(self.allocatable.items()),
            tuple(self.requested.items()),
            self.non_zero_cpu,
            self.non_zero_memory,
            len(self.pods),
            tuple(self.host_ports.items()),
        )

    def clone(self) -> NodeState:
        """A copy with the same row whose sums can change without touching this one."""
        copy = NodeState(self.name)
        copy.node = self.node
        copy.exists = self.exists
        copy.allocatable = self.allocatable
        copy.requested = dict(self.requested)
        copy.non_zero_cpu = self.non_zero_cpu
        copy.non_zero_memory = self.non_zero_memory
        copy.pods = dict(self.pods)
        copy.pod_changes = list(self.pod_changes)
        copy.host_ports = dict(self.host_ports)
        copy.row = self.row
        copy.dirty = self.dirty
        return copy

    def add(self, pod: Pod, usage: PodUsage) -> None:
        """Counts ``pod`` in."""
        self.pods[pod.metadata.uid] = pod
        self.pod_changes.append((pod, 1))
        self._count(usage, 1)

    def remove(self, uid: str, usage: PodUsage) -> None:
        """Counts the pod out again."""
        self.pod_changes.append((self.pods.pop(uid), -1))
        self._count(usage, -1)

    def replace(self, pod: Pod) -> None:
        """Puts a newer version of a counted pod in its place; its usage is equal."""
        old, self.pods[pod.metadata.uid] = self.pods[pod.metadata.uid], pod
        if (
            old.metadata.labels != pod.metadata.labels
            or old.is_terminating != pod.is_terminating
            or _but_for_the_node(old.spec, pod.spec) != pod.spec
        ):
            self.pod_changes += ((old, -1), (pod, 1))
        self.dirty |= _PODS

    def _count(self, usage: PodUsage, sign: int) -> None:
        needs, requested = usage.needs, self.requested
        for resource, amount in needs.requests.items():
            total = requested.get(resource, 0) + sign * amount
            if not 0 <= total <= _INT64_MAX:
                total = wrapped_int64(total)
            if total:
                requested[resource] = total
            else:
                requested.pop(resource, None)
        self.non_zero_cpu = wrapped_int64(self.non_zero_cpu + sign * needs.non_zero_cpu)
        self.non_zero_memory = wrapped_int64(self.non_zero_memory + sign * needs.non_zero_memory)
        self.dirty |= _PODS_AND_SUMS
        for port in usage.ports:
            left = self.host_ports.get(port, 0) + sign
            if left:
                self.host_ports[port] = left
            else:
                del self.host_ports[port]
            self.dirty |= _HOST_PORTS


def _but_for_the_node(old: PodSpec, new: PodSpec) -> PodSpec:
    """The old spec, with the node's name if that alone is new: a bind that comes back confirmed."""
    if old.node_name == new.node_name:
        return old
    return msgspec.structs.replace(old, node_name=new.node_name)
