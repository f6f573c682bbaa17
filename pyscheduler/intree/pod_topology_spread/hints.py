"""What may make a pod fit that Filter rejected: pods, nodes or labels that its constraints see.

Only hard constraints reject, so only they are asked. An event that a hint cannot judge, since
nobody understands the constraints, wakes the pod, as an error of a hint does upstream.

Source: kube-scheduler 1.37, ``plugins/podtopologyspread/plugin.go``. Knowing difference: a label by
which a node meets the pod's node selector or affinity, or no longer does, wakes it, too: other
domains count then. Upstream the pod waits for the flush.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.selectors import InvalidSelector, required_node_affinity
from pyscheduler.intree.pod_topology_spread.constraints import Constraint, PodConstraints
from pyscheduler.intree.pod_topology_spread.inclusion import has_all_keys

_ASSIGNED_POD_RELABELLED = fwk.ClusterEvent(
    fwk.EventResource.ASSIGNED_POD, fwk.ActionType.UPDATE_POD_LABEL
)
_OWN_CHANGE = fwk.ClusterEvent(
    fwk.EventResource.TARGET_POD,
    fwk.ActionType.UPDATE_POD_LABEL | fwk.ActionType.UPDATE_POD_TOLERATION,
)


class SpreadHints:
    """Answers whether an event may make a pod fit."""

    def __init__(self, constraints_of: Callable[[Pod], PodConstraints]) -> None:
        self._constraints_of = constraints_of

    def registrations(self) -> Sequence[fwk.ClusterEventWithHint]:
        """The events, each with its hint."""
        assigned = fwk.ASSIGNED_POD_ADDED | fwk.ASSIGNED_POD_DELETED | _ASSIGNED_POD_RELABELLED
        node = fwk.NODE_ADDED | fwk.NODE_DELETED | fwk.NODE_LABELS_CHANGED | fwk.NODE_TAINTS_CHANGED
        return [
            fwk.ClusterEventWithHint(assigned, self.after_assigned_pod_change),
            fwk.ClusterEventWithHint(_OWN_CHANGE, self.after_own_change),
            fwk.ClusterEventWithHint(node, self.after_node_change),
        ]

    def after_assigned_pod_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when a pod of the namespace that a constraint counts came, went, or is now one."""
        changed = [known for known in (old, new) if isinstance(known, Pod)]
        if not all(_may_count(known, pod) for known in changed):
            return fwk.QueueingHint.SKIP
        constraints = self._constraints_of(pod)
        if constraints.problem:
            return fwk.QueueingHint.QUEUE
        if isinstance(old, Pod) and isinstance(new, Pod):
            return _after_relabelling(constraints.hard, old, new)
        return _hint(
            constraint.selector.matches(known.labels)
            for known in changed
            for constraint in constraints.hard
        )

    def after_own_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the pod counts for other constraints now, or taints count less."""
        if not isinstance(old, Pod) or not isinstance(new, Pod) or new.uid != pod.uid:
            return fwk.QueueingHint.SKIP
        constraints = self._constraints_of(pod)
        if constraints.problem:
            return fwk.QueueingHint.QUEUE
        tolerates_more = old.spec.tolerations != new.spec.tolerations
        if tolerates_more and any(c.honors_taints for c in constraints.hard):
            return fwk.QueueingHint.QUEUE
        return _after_relabelling(constraints.hard, old, new)

    def after_node_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when a node with all keys came, went, or changed what counts."""
        constraints = self._constraints_of(pod)
        if constraints.problem:
            return fwk.QueueingHint.QUEUE
        hard = constraints.hard
        counted = isinstance(old, Node) and has_all_keys(hard, old)
        counts = isinstance(new, Node) and has_all_keys(hard, new)
        if isinstance(old, Node) and isinstance(new, Node) and counted and counts:
            return _hint(
                (
                    _has_moved(hard, old, new),
                    old.taints != new.taints,
                    _is_chosen_otherwise(pod, hard, old, new),
                )
            )
        return _hint((counted, counts))


def _may_count(other: Pod, pod: Pod) -> bool:
    """True for a pod of the same namespace that has a node, or is promised one."""
    is_placed = bool(other.node_name or other.status.nominated_node_name)
    return is_placed and other.metadata.namespace == pod.metadata.namespace


def _after_relabelling(constraints: Sequence[Constraint], old: Pod, new: Pod) -> fwk.QueueingHint:
    """QUEUE when a constraint selects the one and not the other."""
    if old.labels == new.labels:
        return fwk.QueueingHint.SKIP
    return _hint(
        constraint.selector.matches(old.labels) != constraint.selector.matches(new.labels)
        for constraint in constraints
    )


def _has_moved(constraints: Sequence[Constraint], old: Node, new: Node) -> bool:
    """True when the node is in another domain than it was."""
    return any(
        old.labels[constraint.topology_key] != new.labels[constraint.topology_key]
        for constraint in constraints
    )


def _is_chosen_otherwise(pod: Pod, constraints: Sequence[Constraint], old: Node, new: Node) -> bool:
    """True when it is among the nodes that the pod may go to by their labels, and was not."""
    if old.labels == new.labels or not any(c.honors_affinity for c in constraints):
        return False
    try:
        required = required_node_affinity(pod)
    except InvalidSelector:
        return False  # for no label would it be understood
    return required.matches(old.labels, old.name) != required.matches(new.labels, new.name)


def _hint(reasons: Iterable[bool]) -> fwk.QueueingHint:
    return fwk.QueueingHint.QUEUE if any(reasons) else fwk.QueueingHint.SKIP
