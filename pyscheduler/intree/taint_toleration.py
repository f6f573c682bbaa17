"""TaintToleration: nodes with taints that the pod does not tolerate, hard and soft.

A taint of effect NoSchedule or NoExecute that no toleration covers rejects the node. A node's score
is the number of PreferNoSchedule taints that no toleration covers, turned around:
``100 - 100 * number / highest number``, and 100 for all if no node has any. Tolerations with the
operators ``Gt`` and ``Lt`` cover something only with the feature gate
TaintTolerationComparisonOperators (alpha). There is no state: PreFilter and PreScore of upstream
change no answer, and are left out.

A cluster has few distinct taint sets however many nodes it has: those are judged, and the nodes
look up the answer by the number of their set.

Source: kube-scheduler 1.37, ``plugins/tainttoleration/taint_toleration.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod, Taint
from pyscheduler.api.keys import PREFER_NO_SCHEDULE
from pyscheduler.api.taints import find_untolerated, tolerates
from pyscheduler.framework.node_matching import by_taint_set
from pyscheduler.framework.status import Int64Array

_REASON = "node(s) had untolerated taint(s)"


class TaintToleration(
    fwk.FilterPlugin,
    fwk.ScorePlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[fwk.NoArgs],
):
    """Rejects untolerated NoSchedule and NoExecute taints, avoids PreferNoSchedule ones."""

    depends_on = (fwk.Aspect.TAINTS,)
    signs_spec = True
    normalizes_by_extremes = True

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._comparisons = handle.features["TaintTolerationComparisonOperators"]

    def sign_pod(self, pod: Pod) -> tuple[object]:
        """The tolerations."""
        return (pod.spec.tolerations,)

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Rejects the node if a hard taint is not tolerated."""
        return fwk.unresolvable(_REASON) if self._is_untolerated(pod, node.node.taints) else None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes, by taint set."""
        verdict = nodes.verdict()
        untolerated = by_taint_set(nodes, lambda taints: self._is_untolerated(pod, taints))
        if untolerated is None:
            return verdict
        return verdict.reject(untolerated != 0, _REASON, unresolvable=True)

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        """How many soft taints the pod does not tolerate; fewer is better."""
        return self._soft_count(pod, node.node.taints)

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """The same for all nodes, by taint set."""
        counts = by_taint_set(nodes, lambda taints: self._soft_count(pod, taints))
        return np.zeros(len(nodes), dtype=np.int64) if counts is None else counts

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        """The node with the fewest gets the most."""
        return fwk.default_normalize(scores, reverse=True)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A node whose taints the pod tolerates, or a toleration of the pod's own."""
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
        """QUEUE when the pod tolerates the node now and did not before."""
        was_tolerated = isinstance(old, Node) and not self._is_untolerated(pod, old.taints)
        is_tolerated = isinstance(new, Node) and not self._is_untolerated(pod, new.taints)
        return (
            fwk.QueueingHint.QUEUE if is_tolerated and not was_tolerated else fwk.QueueingHint.SKIP
        )

    def after_pod_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the pod's own tolerations changed: they can only grow."""
        if isinstance(new, Pod) and new.uid == pod.uid:
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP

    def _is_untolerated(self, pod: Pod, taints: tuple[Taint, ...]) -> bool:
        tolerations = pod.spec.tolerations
        untolerated = find_untolerated(taints, tolerations, comparisons=self._comparisons)
        return untolerated is not None

    def _soft_count(self, pod: Pod, taints: tuple[Taint, ...]) -> int:
        return sum(
            taint.effect == PREFER_NO_SCHEDULE
            and not any(
                tolerates(toleration, taint, comparisons=self._comparisons)
                for toleration in pod.spec.tolerations
            )
            for taint in taints
        )
