"""Which pending pod is promised which node.

A nomination outlives the cycle that made it: preemption frees a node for a pod, and until the pod
is bound there, pods of lower priority must not take the room. Nodes need not exist, and whether the
pod may be tried right now does not matter: a gated pod keeps what it was promised.

Called by: ``scheduling_queue`` (what the watch says), ``cycle.failure`` (what PostFilter decided),
``runtime.filtering`` (who counts on the nodes being judged).

Source: kube-scheduler 1.37, ``backend/queue/nominator.go``; knowing differences: whether the pod
still exists and has no node is for the caller to look up, who has the newest object at hand; and
an update that leaves the status's node alone leaves the nomination alone, because here a status is
written beside the cycle and may be on its way for long.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyscheduler.api.core_v1 import Pod

#: Changes kept at least, and half of what is kept at most. A guess: several per preemptor, and
#: thousands of preemptors at a time are rare.
_CHANGES_KEPT = 4096


class Nominator:
    """Nominated pods by node."""

    __slots__ = ("_base", "_by_node", "_by_priority", "_changed", "_nominations")

    def __init__(self) -> None:
        #: uid to the node and the pod's newest object
        self._nominations: dict[str, tuple[str, Pod]] = {}
        self._by_node: dict[str, dict[str, Pod]] = {}
        #: priority to uids; a handful of priorities, so that who counts is found without a search
        self._by_priority: dict[int, dict[str, None]] = {}
        #: the nodes whose nominations changed, in order; of the oldest changes only how many
        self._changed: list[str] = []
        self._base = 0

    def __len__(self) -> int:
        return len(self._nominations)

    @property
    def version(self) -> int:
        """Grows whenever any other answer of the nominator may have changed, and never else."""
        return self._base + len(self._changed)

    def changed_since(self, version: int) -> list[str] | None:
        """The nodes whose nominations changed after ``version``; None when that is long ago."""
        return None if version < self._base else self._changed[version - self._base :]

    def add(self, pod: Pod, *, node_name: str | None = None) -> None:
        """Replaces the pod's nomination.

        Args:
            pod: the pod, by its newest object.
            node_name: the node; None takes the one in the pod's status. Empty nominates nothing.
        """
        node = pod.status.nominated_node_name if node_name is None else node_name
        known = self._nominations.get(pod.uid)
        if known is not None and known[0] == node and known[1] is pod:
            return
        self.delete(pod.uid)
        if not node:
            return
        self._note(node)
        self._nominations[pod.uid] = (node, pod)
        self._by_node.setdefault(node, {})[pod.uid] = pod
        self._by_priority.setdefault(pod.priority, {})[pod.uid] = None

    def update(self, old: Pod, new: Pod) -> None:
        """Follows the pod's new object.

        When the status says what it said before, what is known here stays: if that differs, its
        write is on its way.
        """
        node = new.status.nominated_node_name
        if old.uid != new.uid:
            self.delete(old.uid)
        elif node == old.status.nominated_node_name:
            node = self.node_of(new.uid)
        self.add(new, node_name=node)

    def delete(self, uid: str) -> None:
        """Forgets the pod's nomination, if it has one."""
        known = self._nominations.pop(uid, None)
        if known is None:
            return
        node, pod = known
        self._note(node)
        on_node = self._by_node[node]
        del on_node[uid]
        if not on_node:
            del self._by_node[node]
        of_priority = self._by_priority[pod.priority]
        del of_priority[uid]
        if not of_priority:
            del self._by_priority[pod.priority]

    def node_of(self, uid: str) -> str:
        """The node promised to that pod; empty when there is none."""
        known = self._nominations.get(uid)
        return "" if known is None else known[0]

    def nominated_on(self, node_name: str) -> tuple[Pod, ...]:
        """The pods promised that node."""
        return tuple(self._by_node.get(node_name, {}).values())

    def respected_by(self, pod: Pod, node_name: str) -> tuple[Pod, ...]:
        """The pods promised that node that `pod` must leave room for: no lower in priority."""
        return tuple(
            other
            for other in self.nominated_on(node_name)
            if other.priority >= pod.priority and other.uid != pod.uid
        )

    def nodes(self) -> tuple[str, ...]:
        """The nodes promised to anybody."""
        return tuple(self._by_node)

    def any_at_least(self, priority: int, *, but_not: str = "") -> Iterator[tuple[str, Pod]]:
        """Gives (node name, pod) of the nominations that a pod of `priority` must respect.

        Costs nothing for the nominations of lower priority. The nominator must not be changed
        before the last has been taken.

        Args:
            priority: of the pod to be scheduled; equal ones count.
            but_not: uid of the pod to be scheduled: its own nomination is no obstacle to it.
        """
        for found, uids in self._by_priority.items():
            if found >= priority:
                yield from (self._nominations[uid] for uid in uids if uid != but_not)

    def validate(self) -> None:
        """Asserts that every direction says the same."""
        by_node = {
            (u, node, id(pod)) for node, pods in self._by_node.items() for u, pod in pods.items()
        }
        assert by_node == {(u, node, id(pod)) for u, (node, pod) in self._nominations.items()}
        by_priority = {(u, priority) for priority, uids in self._by_priority.items() for u in uids}
        assert by_priority == {(u, pod.priority) for u, (_, pod) in self._nominations.items()}
        assert all(self._by_node.values())
        assert all(self._by_priority.values())
        assert "" not in self._by_node

    def _note(self, node_name: str) -> None:
        self._changed.append(node_name)
        if len(self._changed) > 2 * _CHANGES_KEPT:
            dropped = len(self._changed) - _CHANGES_KEPT
            del self._changed[:dropped]
            self._base += dropped
