"""Maintenance: rejects nodes that an open MaintenanceWindow selects.

Shows a custom resource at work: an informer read into a struct of one's own, and an event of that
resource with a hint, so that a pod that was turned away is tried again the moment a window closes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler_maintenance.windows import WINDOWS, MaintenanceWindow

UNDER_MAINTENANCE = "node(s) were under maintenance"

_WINDOWS_CHANGED = fwk.ClusterEvent(WINDOWS, fwk.ActionType.UPDATE | fwk.ActionType.DELETE)


class Maintenance(fwk.FilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """Rejects nodes under maintenance; pods that are there already stay."""

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._windows = handle.listers.of(WINDOWS, MaintenanceWindow)

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Nobody's eviction would end the maintenance: unresolvable."""
        if any(window.selects(node.labels) for window in self._windows.list()):
            return fwk.unresolvable(UNDER_MAINTENANCE)
        return None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes."""
        selected = np.zeros(len(nodes), dtype=np.bool_)
        for window in self._windows.list():
            if window.is_open:
                selected |= _selected(window, nodes)
        return nodes.verdict().reject(selected, UNDER_MAINTENANCE, unresolvable=True)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A window that changes or goes, and a node that joins or is relabelled."""
        return [
            fwk.ClusterEventWithHint(_WINDOWS_CHANGED, self.after_window_change),
            fwk.ClusterEventWithHint(
                fwk.NODE_ADDED | fwk.NODE_LABELS_CHANGED, self.after_node_change
            ),
        ]

    def after_window_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when a window that was open lets go of nodes."""
        if not isinstance(old, MaintenanceWindow) or not old.is_open:
            return fwk.QueueingHint.SKIP
        is_same = isinstance(new, MaintenanceWindow) and new.spec == old.spec
        return fwk.QueueingHint.SKIP if is_same else fwk.QueueingHint.QUEUE

    def after_node_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the node is under no maintenance now and was before, or was not there."""
        could = isinstance(old, Node) and not self._is_selected(old)
        can = isinstance(new, Node) and not self._is_selected(new)
        return fwk.QueueingHint.QUEUE if can and not could else fwk.QueueingHint.SKIP

    def _is_selected(self, node: Node) -> bool:
        return any(window.selects(node.labels) for window in self._windows.list())


def _selected(window: MaintenanceWindow, nodes: fwk.NodeTable) -> npt.NDArray[np.bool_]:
    """(N,) bool: the nodes with all labels of the window."""
    selected = np.ones(len(nodes), dtype=np.bool_)
    for key, value in window.spec.node_selector.items():
        codes, values = nodes.label_codes(key)
        selected &= codes == (values.index(value) if value in values else -2)
    return selected
