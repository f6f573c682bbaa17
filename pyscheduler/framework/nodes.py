"""Nodes as plugins see them: one (`NodeInfo`) or all at once (`NodeTable`).

A `NodeTable` belongs to one scheduling cycle: its arrays stand still until the cycle ends and
cannot be written. The store behind it (``cache.column_store``) is reached through the small
`ColumnSource` protocol, so that plugins can be tested with any table.

Axes: N node rows in this table.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Node, Pod, Taint
from pyscheduler.api.host_ports import HostPort
from pyscheduler.framework.columns import Column
from pyscheduler.framework.pod_matching import PodMatcher, PodTally, TallyCounts, sum_by_code
from pyscheduler.framework.status import BoolArray, Int64Array, NodeVerdict

Int32Array = npt.NDArray[np.int32]


class NodeInfo(Protocol):
    """One node of the snapshot and the pods on it, assumed ones included. Read only."""

    @property
    def node(self) -> Node:
        """The Node object."""

    @property
    def name(self) -> str:
        """The node's name."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """The node's annotations."""

    @property
    def allocatable(self) -> Mapping[str, int]:
        """Resource -> milli-CPU, bytes or counts; ``pods`` included."""

    @property
    def requested(self) -> Mapping[str, int]:
        """Resource -> sum over the pods on the node, in the units of ``allocatable``."""

    @property
    def non_zero_cpu(self) -> int:
        """Requested milli-CPU with 100m assumed per container that asks for none."""

    @property
    def non_zero_memory(self) -> int:
        """Requested bytes with 200 MiB assumed per container that asks for none."""

    @property
    def pods(self) -> Mapping[str, Pod]:
        """Pods on the node by uid."""

    @property
    def host_ports(self) -> Mapping[HostPort, int]:
        """Taken host ports and by how many pods."""


@dataclass(frozen=True, slots=True)
class ImageState:
    """One image in the cluster."""

    size_bytes: int
    #: number of nodes that have it
    nodes: int


class RowChanges(Protocol):
    """Which rows changed, for who keeps something by row and brings it up to date."""

    @property
    def position(self) -> int:
        """The position after the newest change."""

    def since(self, position: int, aspects: int) -> Mapping[int, int] | None:
        """Row -> which of ``aspects`` changed since ``position``; None when no longer known."""


class ColumnSource(Protocol):
    """What a table needs of the store; every array is (rows,) and read-only."""

    @property
    def changes(self) -> RowChanges | None:
        """What changed of the rows; None where nobody notes it."""

    def resource(self, kind: str, resource: str) -> Int64Array:
        """Column ``kind`` (allocatable, requested) of one resource."""

    def builtin(self, name: str) -> npt.NDArray[Any]:
        """A column every store has, by name."""

    def taint_sets(self) -> Sequence[tuple[Taint, ...]]:
        """The distinct taint sets by number; 0 is the empty set."""

    def label_codes(self, key: str) -> tuple[Int32Array, Sequence[str]]:
        """Codes of the values of one label key (-1: absent), and the values by code."""

    def custom(self, column: Column) -> npt.NDArray[Any]:
        """An author's column."""

    def unreadable(self, column: Column) -> BoolArray:
        """Rows whose value could not be extracted."""

    def node_info(self, row: int) -> NodeInfo:
        """One row as an object."""

    def row_of(self, name: str) -> int | None:
        """The row of a node, None when it is not in the snapshot."""

    def image(self, name: str) -> tuple[ImageState, npt.NDArray[np.intp]] | None:
        """An image's state and the sorted rows that have it."""

    def pod_counts(self, matcher: PodMatcher) -> Int64Array:
        """Pods per row that ``matcher`` matches."""

    def pods_by_value(self, matcher: PodMatcher, label: str) -> Int64Array:
        """The same summed by value of a label, as `NodeTable.pods_by_value`."""

    def nodes_by_value(self, label: str) -> Int64Array:
        """How many rows have each value of a label, as `NodeTable.nodes_by_value`."""

    def tally(self, tally: PodTally) -> TallyCounts:
        """What the pods have, by key."""


class NodeTable:
    """N nodes of the snapshot in columns; N is ``len(table)``.

    ``select(rows)`` gives a sub-table whose columns are gathered on first use.
    """

    __slots__ = ("_cache", "_rows", "_source", "n")

    def __init__(
        self, source: ColumnSource, n: int, rows: npt.NDArray[np.intp] | None = None
    ) -> None:
        self._source = source
        self._rows = rows
        self.n = n
        self._cache: dict[object, npt.NDArray[Any]] = {}

    def __len__(self) -> int:
        return self.n

    @property
    def changes(self) -> RowChanges | None:
        """What changed of all nodes, up to now; None if these are some of them, or copies."""
        return self._source.changes if self._rows is None else None

    def allocatable(self, resource: str) -> Int64Array:
        """(N,) int64: milli-CPU, bytes or counts; 0 where a node has none."""
        return self._gather(("allocatable", resource))

    def requested(self, resource: str) -> Int64Array:
        """(N,) int64: sum over the pods on each node, in the units of ``allocatable``."""
        return self._gather(("requested", resource))

    @property
    def non_zero_cpu(self) -> Int64Array:
        """(N,) int64: requested milli-CPU, 100m assumed per container that asks for none."""
        return self._gather("non_zero_cpu")

    @property
    def non_zero_memory(self) -> Int64Array:
        """(N,) int64: requested bytes, 200 MiB assumed per container that asks for none."""
        return self._gather("non_zero_memory")

    @property
    def pod_count(self) -> Int64Array:
        """(N,) int64: pods on each node."""
        return self._gather("pod_count")

    @property
    def max_pods(self) -> Int64Array:
        """(N,) int64: allocatable ``pods``."""
        return self._gather("max_pods")

    @property
    def unschedulable(self) -> BoolArray:
        """(N,) bool: ``spec.unschedulable``."""
        return self._gather("unschedulable")

    @property
    def taint_set(self) -> Int32Array:
        """(N,) int32: number of the node's taint set among `taint_sets`; 0 is the empty set."""
        return self._gather("taint_set")

    @property
    def taint_sets(self) -> Sequence[tuple[Taint, ...]]:
        """The distinct taint sets by number."""
        return self._source.taint_sets()

    def label_codes(self, key: str) -> tuple[Int32Array, Sequence[str]]:
        """Codes (N,) int32 of one label key, -1 where absent, and the values by code."""
        codes, values = self._source.label_codes(key)
        return (codes[: self.n] if self._rows is None else codes[self._rows]), values

    def all_have(self, label: str) -> bool:
        """True when no node is without the label."""
        if self._rows is None:
            return not self._source.nodes_by_value(label).item(-1)
        codes, _ = self.label_codes(label)
        return not len(codes) or bool(codes.min() >= 0)

    def column(self, column: Column) -> npt.NDArray[Any]:
        """(N,) of the column's dtype."""
        return self._gather(column)

    def unreadable(self, column: Column) -> BoolArray:
        """(N,) bool: rows whose value could not be extracted."""
        rows = self._source.unreadable(column)
        return rows[: self.n] if self._rows is None else rows[self._rows]

    def image(self, name: str) -> tuple[ImageState, npt.NDArray[np.intp]] | None:
        """An image's state and the rows of this table that have it; None if no node has it."""
        found = self._source.image(name)
        if found is None:
            return None
        state, rows = found
        if self._rows is None:
            return state, rows
        return state, np.flatnonzero(np.isin(self._rows, rows))

    def pod_counts(self, matcher: PodMatcher) -> Int64Array:
        """(N,) int64: how many pods on each node ``matcher`` matches; kept, not recounted."""
        if self._rows is None:
            # not remembered: the source may give the array up between cycles
            return self._source.pod_counts(matcher)[: self.n]
        return self._gather(matcher)

    def pods_by_value(self, matcher: PodMatcher, label: str) -> Int64Array:
        """(V + 1,) int64: `pod_counts` summed over the nodes of each of V values of a label.

        By code of `label_codes`; the last entry, that of code -1, is of the nodes without the
        label. Over all nodes it is kept as pods come and go; true until the cycle ends.
        """
        if self._rows is None:
            return self._source.pods_by_value(matcher, label)
        codes, values = self.label_codes(label)
        return sum_by_code(self.pod_counts(matcher), codes, len(values))

    def nodes_by_value(self, label: str) -> Int64Array:
        """(V + 1,) int64: how many nodes have each value of a label, likewise."""
        if self._rows is None:
            return self._source.nodes_by_value(label)
        codes, values = self.label_codes(label)
        return np.bincount(np.where(codes < 0, len(values), codes), minlength=len(values) + 1)

    def tally(self, tally: PodTally) -> TallyCounts:
        """What the pods have, by key, over the rows of this table."""
        return _TableTally(self._source, tally, self.n, self._rows)

    @property
    def names(self) -> Sequence[str]:
        """Node names by row."""
        return [self.node(i).name for i in range(self.n)]

    def node(self, row: int) -> NodeInfo:
        """One row as an object."""
        return self._source.node_info(row if self._rows is None else int(self._rows[row]))

    def row_of(self, name: str) -> int | None:
        """The row of a node in this table, None when it is not there."""
        row = self._source.row_of(name)
        if row is None or self._rows is None:
            return row
        found = np.flatnonzero(self._rows == row)
        return int(found[0]) if found.size else None

    def verdict(self) -> NodeVerdict:
        """An empty verdict over the rows of this table."""
        return NodeVerdict(self.n)

    def select(self, rows: npt.NDArray[np.intp]) -> NodeTable:
        """A sub-table of ``rows`` of this table."""
        base = rows if self._rows is None else self._rows[rows]
        return NodeTable(self._source, len(base), base)

    def _gather(self, key: str | tuple[str, str] | Column | PodMatcher) -> npt.NDArray[Any]:
        cached = self._cache.get(key)
        if cached is not None:
            return cached
        if isinstance(key, str):
            full = self._source.builtin(key)
        elif isinstance(key, tuple):
            full = self._source.resource(*key)
        elif isinstance(key, PodMatcher):
            full = self._source.pod_counts(key)
        else:
            full = self._source.custom(key)
        gathered = full[: self.n] if self._rows is None else _read_only(full[self._rows])
        self._cache[key] = gathered
        return gathered


class _TableTally:
    """A tally over the rows of one table."""

    __slots__ = ("_all", "_n", "_rows", "_source")

    def __init__(
        self, source: ColumnSource, tally: PodTally, n: int, rows: npt.NDArray[np.intp] | None
    ) -> None:
        self._source = source
        self._all = source.tally(tally)
        self._n = n
        self._rows = rows

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, key: object) -> bool:
        return key in self._all

    def total(self, key: Hashable) -> int:
        return self._all.total(key)

    def rows(self, key: Hashable) -> npt.NDArray[np.intp]:
        rows = self._all.rows(key)
        return rows if self._rows is None else np.flatnonzero(np.isin(self._rows, rows))

    def counts(self, key: Hashable) -> Int64Array:
        counts = self._all.counts(key)
        return counts[: self._n] if self._rows is None else _read_only(counts[self._rows])

    def by_value(self, key: Hashable, label: str) -> Int64Array:
        if self._rows is None:
            return self._all.by_value(key, label)
        codes, values = self._source.label_codes(label)
        return sum_by_code(self.counts(key), codes[self._rows], len(values))

    @property
    def version(self) -> int:
        return self._all.version

    def changed_keys(self, since: int) -> Sequence[Hashable] | None:
        return self._all.changed_keys(since)


def _read_only(gathered: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same for several plugins to read: a view, whose flag cannot be switched back."""
    gathered.setflags(write=False)
    return gathered.view()
