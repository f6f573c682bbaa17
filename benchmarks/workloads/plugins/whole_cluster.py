"""A user's plugin in the form for the whole cluster: racks that are to be drained take no pods."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod

RACK = fwk.NodeColumn(
    "example.com/rack",
    np.int64,
    extract=lambda node: int(node.labels.get("example.com/rack", "0")),
)


class RacksWholeCluster(
    fwk.FilterPlugin, fwk.ScorePlugin, fwk.SignPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]
):
    """Racks 15 and on are drained; the others are filled in their order."""

    depends_on = (RACK,)

    def sign_pod(self, pod: Pod) -> tuple[()]:
        """Nothing of a pod matters."""
        return ()

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """Rejects the drained."""
        return nodes.verdict().reject(nodes.column(RACK) >= 15, "node(s) were in a drained rack")

    def score_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> npt.NDArray[np.int64]:
        """Prefers low numbers."""
        return fwk.MAX_NODE_SCORE - nodes.column(RACK)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """Nodes that come or are moved."""
        return [fwk.ClusterEventWithHint(fwk.NODE_ADDED | fwk.NODE_LABELS_CHANGED)]
