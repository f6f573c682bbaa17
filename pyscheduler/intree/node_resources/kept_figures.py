"""What scores take from the node alone, kept by row until the node's resources change.

A class of pods that is met for the first time is scored on all nodes, of which one or two have
changed since the class before. What does not depend on the pod is computed for these alone, from
one node at a time; for all of them, as arrays, the first time and when many have changed.

Axes: K figures of a node, N nodes.

Called by: ``fit``, ``balanced_allocation``, once per new class of pods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.framework.columns import aspects_of
from pyscheduler.framework.nodes import RowChanges

#: The K figures of one node about some resources, and those of N nodes, each an array (N,) of its
#: own.
OfNode: TypeAlias = Callable[[fwk.NodeInfo, Sequence[str]], Sequence[float]]
OfNodes: TypeAlias = Callable[[fwk.NodeTable, Sequence[str]], Sequence[npt.NDArray[Any]]]

_LOOKED_AT: Final = int(aspects_of((fwk.Aspect.ALLOCATABLE, fwk.Aspect.REQUESTED)))

#: Up to so many nodes are computed one by one; about where numpy begins to pay.
_FEW_ROWS = 16


class FiguresByResources:
    """What one plugin keeps: for each combination of resources, of which there are few."""

    def __init__(self, of_node: OfNode, of_nodes: OfNodes) -> None:
        """Keeps nothing so far; the arguments are those of `KeptFigures`."""
        self._of_node = of_node
        self._of_nodes = of_nodes
        self._kept: dict[tuple[str, ...], KeptFigures] = {}

    def about(self, resources: tuple[str, ...]) -> KeptFigures:
        """The figures about these resources."""
        kept = self._kept.get(resources)
        if kept is None:
            kept = self._kept[resources] = KeptFigures(self._of_node, self._of_nodes, resources)
        return kept


class KeptFigures:
    """K figures of each node, which follow from its resources and what is requested of them."""

    def __init__(self, of_node: OfNode, of_nodes: OfNodes, resources: Sequence[str]) -> None:
        """Keeps nothing so far.

        Args:
            of_node: the figures of one node.
            of_nodes: the same of all nodes of a table, in arrays that nobody else has.
            resources: which they are about.
        """
        self._of_node = of_node
        self._of_nodes = of_nodes
        self._resources = resources
        self._columns: Sequence[npt.NDArray[Any]] = ()
        #: no kept figure is further away from 0
        self.farthest = 0.0
        #: the changes of the nodes in question, and up to which of them the figures are true
        self._changes: RowChanges | None = None
        self._position = 0

    def of(self, nodes: fwk.NodeTable) -> list[npt.NDArray[Any]]:
        """K arrays (N,): the figures of all nodes; not to be changed, true until the cycle ends."""
        changes, n = nodes.changes, nodes.n
        if changes is None:
            return list(self._of_nodes(nodes, self._resources))
        rows = None
        if changes is self._changes and n <= len(self._columns[0]):
            rows = changes.since(self._position, _LOOKED_AT)
        if rows is None or len(rows) > _FEW_ROWS:
            self._columns = self._of_nodes(nodes, self._resources)
            self.farthest = _farthest(self._columns)
        else:
            for row in rows:
                if row < n:
                    self._write(row, self._of_node(nodes.node(row), self._resources))
        self._changes, self._position = changes, changes.position
        return [column[:n] for column in self._columns]

    def _write(self, row: int, figures: Sequence[float]) -> None:
        for column, figure in zip(self._columns, figures, strict=True):
            column[row] = figure
        self.farthest = max(self.farthest, *map(abs, figures))


def _farthest(columns: Sequence[npt.NDArray[Any]]) -> float:
    # as floats: of the least integer there is no absolute value
    return max(float(np.abs(column.astype(np.float64)).max(initial=0)) for column in columns)
