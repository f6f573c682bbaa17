"""NodeUnschedulable: cordoned nodes take only pods that tolerate it.

A node with ``spec.unschedulable`` is rejected unless the pod tolerates the taint
``node.kubernetes.io/unschedulable:NoSchedule``, whether or not the node has it. PreFilter skips
pods that tolerate it, which changes no answer; there is no state.

Source: kube-scheduler 1.37, ``plugins/nodeunschedulable/node_unschedulable.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod, Taint
from pyscheduler.api.keys import NO_SCHEDULE, TAINT_UNSCHEDULABLE
from pyscheduler.api.taints import tolerates

_REASON = "node(s) were unschedulable"
#: What a controller adds to cordoned nodes; a pod that tolerates it may use them.
_CORDONED = Taint(key=TAINT_UNSCHEDULABLE, effect=NO_SCHEDULE)


class NodeUnschedulable(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[fwk.NoArgs],
):
    """Rejects nodes with ``spec.unschedulable``."""

    depends_on = (fwk.Aspect.UNSCHEDULABLE,)
    signs_spec = True

    def sign_pod(self, pod: Pod) -> tuple[object]:
        """The tolerations."""
        return (pod.spec.tolerations,)

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Skips pods that tolerate cordoned nodes."""
        return fwk.SKIP if _is_tolerated(pod) else None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Looks at the node's flag; the tolerations were judged by `pre_filter`."""
        return fwk.unresolvable(_REASON) if node.node.spec.unschedulable else None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes."""
        return nodes.verdict().reject(nodes.unschedulable, _REASON, unresolvable=True)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A node that can be used again, or a toleration of the pod's own."""
        own_tolerations = fwk.ClusterEvent(
            fwk.EventResource.TARGET_POD, fwk.ActionType.UPDATE_POD_TOLERATION
        )
        return [
            fwk.ClusterEventWithHint(
                fwk.NODE_ADDED | fwk.NODE_TAINTS_CHANGED, self.after_node_change
            ),
            fwk.ClusterEventWithHint(own_tolerations, self.after_pod_change),
        ]

    def after_node_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when a node became schedulable, or joined so."""
        was_open = isinstance(old, Node) and not old.spec.unschedulable
        is_open = isinstance(new, Node) and not new.spec.unschedulable
        return fwk.QueueingHint.QUEUE if is_open and not was_open else fwk.QueueingHint.SKIP

    def after_pod_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the pod itself now tolerates cordoned nodes."""
        if isinstance(new, Pod) and new.uid == pod.uid and _is_tolerated(new):
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP


def _is_tolerated(pod: Pod) -> bool:
    return any(tolerates(toleration, _CORDONED) for toleration in pod.spec.tolerations)
