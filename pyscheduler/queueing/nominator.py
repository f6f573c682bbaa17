"""Which pending pod is promised which node.

A nomination outlives the cycle that made it: preemption frees a node for a pod, and until the pod
is bound there, pods of lower priority must not take the room. Nodes need not exist.

Called by: ``scheduling_queue`` (what the watch says), ``cycle.failure`` (what PostFilter decided).

Source: kube-scheduler 1.37, ``backend/queue/nominator.go``.
"""

from __future__ import annotations

from pyscheduler.api.core_v1 import Pod


class Nominator:
    """Nominated pods by node."""

    __slots__ = ("_by_node", "_node_of")

    def __init__(self) -> None:
        self._by_node: dict[str, dict[str, Pod]] = {}
        self._node_of: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._node_of)

    def add(self, pod: Pod, *, node_name: str | None = None) -> None:
        """Replaces the pod's nomination.

        Args:
            pod: the pod, by its newest object.
            node_name: the node; None takes the one in the pod's status. Empty nominates nothing.
        """
        self.delete(pod.uid)
        node = pod.status.nominated_node_name if node_name is None else node_name
        if not node:
            return
        self._node_of[pod.uid] = node
        self._by_node.setdefault(node, {})[pod.uid] = pod

    def update(self, old: Pod, new: Pod) -> None:
        """Follows the pod's new object.

        When neither object names a node, a nomination known here stays: its write is on its way.
        """
        node = new.status.nominated_node_name
        if not node and not old.status.nominated_node_name:
            node = self._node_of.get(new.uid, "")
        if old.uid != new.uid:
            self.delete(old.uid)
        self.add(new, node_name=node)

    def delete(self, uid: str) -> None:
        """Forgets the pod's nomination, if it has one."""
        node = self._node_of.pop(uid, None)
        if node is None:
            return
        pods = self._by_node[node]
        del pods[uid]
        if not pods:
            del self._by_node[node]

    def node_of(self, uid: str) -> str:
        """The node promised to that pod; empty when there is none."""
        return self._node_of.get(uid, "")

    def nominated_on(self, node_name: str) -> tuple[Pod, ...]:
        """The pods promised that node."""
        return tuple(self._by_node.get(node_name, {}).values())

    def nodes(self) -> tuple[str, ...]:
        """The nodes promised to anybody."""
        return tuple(self._by_node)

    def validate(self) -> None:
        """Asserts that both directions say the same."""
        pairs = {uid: node for node, pods in self._by_node.items() for uid in pods}
        assert pairs == self._node_of
        assert all(self._by_node.values())
        assert "" not in self._by_node
