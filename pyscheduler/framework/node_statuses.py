"""Why each node was turned down, as PostFilter plugins see it.

A mapping from node name to status that is computed when asked: most PostFilters only want the
nodes of one code, and at 5,000 nodes a dict of statuses would cost more than the search did.

Axes: N node rows of the cycle's snapshot.

Called by: ``runtime.filtering`` makes it; PostFilter plugins and ``preemption`` read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import Code, Status


class NodeStatuses(Mapping[str, Status]):
    """Node name -> status of the first plugin that rejected it; every node is in it.

    Shapes:
        codes (N,) int8: `Code` of each node; causes (N,) int32: index into ``statuses``.
    """

    __slots__ = ("_causes", "_nodes", "_statuses", "codes")

    def __init__(
        self,
        nodes: NodeTable,
        codes: npt.NDArray[np.int8],
        causes: npt.NDArray[np.int32],
        statuses: Sequence[Status],
    ) -> None:
        self._nodes = nodes
        self.codes = codes
        self._causes = causes
        self._statuses = statuses

    @classmethod
    def alike(cls, nodes: NodeTable, status: Status) -> NodeStatuses:
        """Every node with the one status, as after a rejection by PreFilter."""
        n = len(nodes)
        return cls(
            nodes,
            np.full(n, status.code, dtype=np.int8),
            np.zeros(n, dtype=np.int32),
            (status,),
        )

    def nodes_with(self, code: Code) -> Sequence[str]:
        """Names of the nodes whose status has ``code``, in the snapshot's order."""
        return _Names(self._nodes, self.rows_with(code))

    def rows_with(self, code: Code) -> npt.NDArray[np.intp]:
        """The same as rows of the snapshot; (R,) intp."""
        return np.flatnonzero(self.codes == code)

    def counted(self) -> list[tuple[Status, int]]:
        """The statuses of rejected nodes, each with the number of nodes that have it."""
        counts = np.bincount(self._causes, minlength=len(self._statuses)).tolist()
        found = zip(self._statuses, counts, strict=True)
        return [(status, count) for status, count in found if count and not status.is_success]

    def __getitem__(self, name: str) -> Status:
        row = self._nodes.row_of(name)
        if row is None:
            raise KeyError(name)
        return self._statuses[int(self._causes[row])]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes.names)

    def __len__(self) -> int:
        return len(self._nodes)


class _Names(Sequence[str]):
    """The names of some rows, looked up when asked: of thousands most callers want a few.

    Shapes:
        rows (R,) intp.
    """

    __slots__ = ("_nodes", "_rows")

    def __init__(self, nodes: NodeTable, rows: npt.NDArray[np.intp]) -> None:
        self._nodes = nodes
        self._rows = rows

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        node = self._nodes.node
        if isinstance(index, slice):
            return [node(row).name for row in self._rows[index].tolist()]
        return node(int(self._rows[index])).name

    def __len__(self) -> int:
        return len(self._rows)
