"""How many nodes are enough, and where the search for them begins.

Judging all nodes with numpy costs less than choosing some, so that is what happens unless the
configuration asks for a percentage or a plugin of the profile must be called once per node. Then
kube-scheduler's rule applies: search in an order that alternates between zones, from where the last
search ended, until so many feasible nodes are found.

Axes: N node rows of the snapshot.

Called by: ``filtering``. Source: kube-scheduler 1.37, ``schedule_one.go``
numFeasibleNodesToFind, ``backend/cache/node_tree.go``. Knowing difference: zones stand in the order
of their first node's row, which a departing node may change, instead of the order they were first
seen in.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyscheduler.api.keys import REGION, ZONE
from pyscheduler.cache.snapshot import Snapshot
from pyscheduler.framework.columns import Aspect
from pyscheduler.framework.nodes import NodeTable

#: Source: kube-scheduler 1.37, minFeasibleNodesToFind and minFeasibleNodesPercentageToFind.
_MIN_NODES = 100
_MIN_PERCENTAGE = 5
#: The adaptive percentage at few nodes, and how many nodes take one off it.
_START_PERCENTAGE = 50
_NODES_PER_PERCENT = 125

_ZONES_CHANGE = int(Aspect.IDENTITY | Aspect.LABELS)


def feasible_nodes_to_find(nodes: int, percentage: int) -> int:
    """How many feasible nodes end the search among ``nodes``; ``percentage`` 0 is adaptive."""
    if nodes < _MIN_NODES:
        return nodes
    if percentage == 0:
        percentage = max(_MIN_PERCENTAGE, _START_PERCENTAGE - nodes // _NODES_PER_PERCENT)
    return max(_MIN_NODES, nodes * percentage // 100)


class SearchOrder:
    """The rows in the order of the search, kept between cycles."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._start = 0
        self._position = -1
        self._order: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def rows(self) -> npt.NDArray[np.intp]:
        """(N,) every row once, from where the last search ended."""
        log = self._snapshot.store.change_log
        if self._position != log.position:
            changed = log.since(self._position, _ZONES_CHANGE) if self._position >= 0 else None
            if changed is None or changed:
                self._order = zone_order(self._snapshot.nodes)
            self._position = log.position
        if not len(self._order):
            return self._order
        return np.roll(self._order, -(self._start % len(self._order)))

    def advance(self, processed: int) -> None:
        """The next search begins behind the ``processed`` rows that this one looked at."""
        if len(self._order):
            self._start = (self._start + processed) % len(self._order)


def zone_order(nodes: NodeTable) -> npt.NDArray[np.intp]:
    """(N,) rows so that zones alternate: the first node of each zone, then the second of each."""
    regions, _ = nodes.label_codes(REGION)
    zones, _ = nodes.label_codes(ZONE)
    places = np.stack((regions, zones), axis=1)
    _, first_row, zone = np.unique(places, axis=0, return_index=True, return_inverse=True)
    by_zone = np.argsort(zone.reshape(-1), kind="stable")
    turn = np.empty(len(nodes), dtype=np.intp)
    counts = np.bincount(zone.reshape(-1), minlength=len(first_row))
    begins = np.concatenate(([0], np.cumsum(counts)[:-1])) if counts.size else counts
    turn[by_zone] = np.arange(len(nodes)) - np.repeat(begins, counts)
    return np.lexsort((first_row[zone.reshape(-1)], turn)).astype(np.intp)
