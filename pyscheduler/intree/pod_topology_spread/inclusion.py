"""Which nodes count: the node inclusion policies of a constraint.

A node that the pod could not run on anyway would make its domain look empty. By default nodes that
the pod's node selector or required node affinity rules out do not count (``nodeAffinityPolicy:
Honor``), and those with untolerated taints do (``nodeTaintsPolicy: Ignore``).

Axes: N node rows of the table.

Source: kube-scheduler 1.37, ``plugins/podtopologyspread/common.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod, Taint
from pyscheduler.api.selectors import required_node_affinity
from pyscheduler.api.taints import find_untolerated
from pyscheduler.framework.node_matching import by_taint_set, matching_required
from pyscheduler.framework.status import BoolArray
from pyscheduler.intree.pod_topology_spread.constraints import Constraint


class NodeInclusion:
    """Knows for one pod which nodes count."""

    __slots__ = ("_comparisons", "_required", "_tolerations")

    def __init__(self, pod: Pod, *, comparisons: bool) -> None:
        """Reads what the pod requires and tolerates.

        Args:
            pod: whose constraints are judged.
            comparisons: see `api.taints.tolerates`.

        Raises:
            InvalidSelector: nobody understands the pod's node affinity.
        """
        self._required = required_node_affinity(pod)
        self._tolerations = pod.spec.tolerations
        self._comparisons = comparisons

    def includes(self, constraint: Constraint, node: Node) -> bool:
        """True when ``node`` counts for ``constraint``."""
        if constraint.honors_affinity and not self._required.matches(node.labels, node.name):
            return False
        return not (constraint.honors_taints and self._is_untolerated(node.taints))

    def masks(
        self, constraints: Sequence[Constraint], nodes: fwk.NodeTable
    ) -> list[BoolArray | None]:
        """(N,) bool per constraint: the nodes that count for it; None: all of them."""
        affine = tolerated = None
        if not self._required.is_empty and any(c.honors_affinity for c in constraints):
            affine = matching_required(nodes, self._required)
        if any(c.honors_taints for c in constraints):
            untolerated = by_taint_set(nodes, self._is_untolerated)
            tolerated = None if untolerated is None else untolerated == 0
        return [
            both(
                affine if constraint.honors_affinity else None,
                tolerated if constraint.honors_taints else None,
            )
            for constraint in constraints
        ]

    def _is_untolerated(self, taints: tuple[Taint, ...]) -> bool:
        untolerated = find_untolerated(taints, self._tolerations, comparisons=self._comparisons)
        return untolerated is not None


def both(one: BoolArray | None, other: BoolArray | None) -> BoolArray | None:
    """(N,) bool: the rows in both; None stands for all rows."""
    if one is None:
        return other
    return one if other is None else one & other


def nodes_with_keys(nodes: fwk.NodeTable, constraints: Sequence[Constraint]) -> BoolArray | None:
    """(N,) bool: the nodes that have the key of each constraint; None: all of them."""
    labelled = None
    for constraint in constraints:
        if not nodes.all_have(constraint.topology_key):
            labelled = both(labelled, nodes.label_codes(constraint.topology_key)[0] >= 0)
    return labelled


def nodes_with_other_keys(
    nodes: fwk.NodeTable, constraints: Sequence[Constraint], *, than: str
) -> BoolArray | None:
    """(N,) bool: the same but for one key: in its domains no node is without it."""
    return nodes_with_keys(nodes, [c for c in constraints if c.topology_key != than])


def has_all_keys(constraints: Sequence[Constraint], node: Node) -> bool:
    """True when ``node`` has the key of each constraint."""
    return all(constraint.topology_key in node.labels for constraint in constraints)
