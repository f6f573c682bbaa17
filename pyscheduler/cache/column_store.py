"""The arrays: one contiguous column per resource and property, one row per node.

Rows are dense: 0..n-1 are the nodes of the snapshot, and a node that leaves is replaced by the
last one. `apply` writes the rows of changed nodes and notes them in the change log. Readers get
arrays that refuse to be written.

Called by: ``snapshot`` (apply), ``framework.nodes.NodeTable`` (reads, as its `ColumnSource`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from pyscheduler.api.core_v1 import Taint
from pyscheduler.api.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS
from pyscheduler.cache.change_log import ChangeLog
from pyscheduler.cache.node_state import NodeState
from pyscheduler.cache.node_view import NodeView
from pyscheduler.cache.owned_array import OwnedArray
from pyscheduler.cache.pod_counts import PodCounts
from pyscheduler.cache.vocabulary import CodedColumn
from pyscheduler.framework.columns import (
    ALL_ASPECTS,
    NODE_ASPECTS,
    Aspect,
    Column,
    NodeColumn,
    PodColumn,
    StateColumn,
)
from pyscheduler.framework.nodes import ImageState
from pyscheduler.framework.pod_matching import PodMatcher, PodTally, TallyCounts
from pyscheduler.framework.status import BoolArray, Int64Array

# Plain ints, because operations of an IntFlag are slow (see ``node_state``).
_ALL = int(ALL_ASPECTS)
_IDENTITY = int(Aspect.IDENTITY)
_LABELS = int(Aspect.LABELS)
_TAINTS = int(Aspect.TAINTS)
_UNSCHEDULABLE = int(Aspect.UNSCHEDULABLE)
_ALLOCATABLE = int(Aspect.ALLOCATABLE)
_IMAGES = int(Aspect.IMAGES)
_REQUESTED = int(Aspect.REQUESTED)
_PODS = int(Aspect.PODS)
_NODE = int(NODE_ASPECTS)

_FIRST_CAPACITY = 64
#: Label keys with a column at a time: the keys that selectors of waiting pods name.
_LABEL_KEYS = 256
#: Resources that have a column from the start.
_COMMON_RESOURCES = (CPU, MEMORY, EPHEMERAL_STORAGE)


class ColumnStore:
    """All columns of all nodes."""

    def __init__(self) -> None:
        self.n = 0
        self.change_log = ChangeLog()
        #: grows when arrays were replaced, so that tables made before are not used any more
        self.generation = 0
        self._capacity = _FIRST_CAPACITY
        #: the node of each row
        self.states: list[NodeState] = []
        #: what plugins see of it; None until one asked
        self._views: list[NodeView | None] = []
        self._rows: dict[str, int] = {}
        self._allocatable = {r: self._int64() for r in _COMMON_RESOURCES}
        self._requested = {r: self._int64() for r in _COMMON_RESOURCES}
        self._builtin: dict[str, OwnedArray[Any]] = {
            "non_zero_cpu": self._int64(),
            "non_zero_memory": self._int64(),
            "pod_count": self._int64(),
            "max_pods": self._int64(),
            "unschedulable": OwnedArray(np.zeros(self._capacity, dtype=np.bool_)),
        }
        self._taints: CodedColumn[tuple[Taint, ...]] = CodedColumn(self._capacity, first=())
        self._labels: LRUCache[str, CodedColumn[str]] = LRUCache(_LABEL_KEYS)
        self._custom: dict[str, npt.NDArray[Any]] = {}
        self._unreadable: dict[str, BoolArray] = {}
        #: columns of authors, with the aspects after whose change they are written
        self._columns: dict[str, tuple[Column, int]] = {}
        #: values of StateColumns by column and node, kept when a node's row moves
        self._state_values: dict[str, dict[str, Any]] = {}
        #: image name as nodes report it -> names of the nodes that have it
        self._images: dict[str, set[str]] = {}
        #: image name -> its size, as the first of these nodes reported it
        self._image_sizes: dict[str, int] = {}
        self._images_of: dict[str, tuple[str, ...]] = {}
        #: answers of `image` since images or rows changed last
        self._known_images: dict[str, tuple[ImageState, npt.NDArray[np.intp]]] = {}
        self._pod_counts = PodCounts(self.states, self._capacity, self.label_column)

    @property
    def capacity(self) -> int:
        """Rows that the arrays have room for."""
        return self._capacity

    # --- what tables read (framework.nodes.ColumnSource) ---

    @property
    def changes(self) -> ChangeLog:
        """The same as `change_log`."""
        return self.change_log

    def resource(self, kind: str, resource: str) -> Int64Array:
        """Column ``kind`` (allocatable or requested) of ``resource``; zeros if unheard of."""
        columns = self._allocatable if kind == "allocatable" else self._requested
        found = columns.get(resource)
        return (self._int64() if found is None else found).readable

    def builtin(self, name: str) -> npt.NDArray[Any]:
        """A column every store has."""
        return self._taints.codes if name == "taint_set" else self._builtin[name].readable

    def taint_sets(self) -> Sequence[tuple[Taint, ...]]:
        """The distinct taint sets by number; 0 is the empty set."""
        return self._taints.values

    def label_codes(self, key: str) -> tuple[npt.NDArray[np.int32], Sequence[str]]:
        """Codes of one label key, made on first use and kept up to date from then on."""
        column = self.label_column(key)
        return column.codes, column.values

    def label_column(self, key: str) -> CodedColumn[str]:
        """The same with what belongs to it."""
        column = self._labels.get(key)
        if column is None:
            column = CodedColumn(self._capacity)
            for row, state in enumerate(self.states):
                column.set(row, state.labels.get(key))
            self._labels[key] = column
        return column

    def custom(self, column: Column) -> npt.NDArray[Any]:
        """An author's column, made on first use."""
        self.register(column)
        return self._custom[column.name]

    def unreadable(self, column: Column) -> BoolArray:
        """(capacity,) bool: rows whose value could not be extracted."""
        self.register(column)
        return self._unreadable[column.name]

    def node_info(self, row: int) -> NodeView:
        """The node of one row."""
        view = self._views[row]
        if view is None:
            view = self._views[row] = NodeView(self.states[row])
        return view

    def row_of(self, name: str) -> int | None:
        """The row of a node."""
        return self._rows.get(name)

    def image(self, name: str) -> tuple[ImageState, npt.NDArray[np.intp]] | None:
        """An image's state, and the sorted rows of the nodes that have it."""
        owners = self._images.get(name)
        if not owners:
            return None
        known = self._known_images.get(name)
        if known is None:
            rows = np.sort(np.fromiter((self._rows[o] for o in owners), dtype=np.intp))
            rows.flags.writeable = False
            # a view, whose flag cannot be switched back
            known = ImageState(self._image_sizes[name], len(owners)), rows.view()
            self._known_images[name] = known
        return known

    def pod_counts(self, matcher: PodMatcher) -> Int64Array:
        """Matching pods per row, counted on first use and kept up to date from then on."""
        return self._pod_counts.matched(matcher)

    def pods_by_value(self, matcher: PodMatcher, label: str) -> Int64Array:
        """The same per value of a label, likewise."""
        return self._pod_counts.matched_by_value(matcher, label)

    def nodes_by_value(self, label: str) -> Int64Array:
        """How many rows have each value of a label."""
        return self.label_column(label).rows_by_code(self.n)

    def tally(self, tally: PodTally) -> TallyCounts:
        """What the pods have by key, likewise."""
        return self._pod_counts.tally(tally)

    # --- what the snapshot and plugins' state write ---

    @property
    def columns(self) -> list[Column]:
        """The authors' columns that have an array: those declared or read."""
        return [column for column, _ in self._columns.values()]

    def register(self, column: Column) -> None:
        """Gives ``column`` an array, filled from what is known."""
        known = self._columns.get(column.name)
        if known is not None and known[0] is column:
            return
        if known is not None:
            raise ValueError(f"two different columns are named {column.name!r}")
        self._columns[column.name] = column, int(column.aspect | Aspect.IDENTITY)
        values = np.full(self._capacity, column.default, dtype=column.dtype)
        unreadable = np.zeros(self._capacity, dtype=np.bool_)
        for array in (values, unreadable):
            array.setflags(write=False)
        self._custom[column.name], self._unreadable[column.name] = values, unreadable
        for state in self.states:
            self._write_custom(column, state)

    def set_state(self, column: StateColumn, node_name: str, value: Any) -> None:
        """Remembers a StateColumn's value; written to its row by the next `apply`.

        Raises:
            ValueError: the column cannot hold that value as it is.
        """
        column.check(value)
        self._state_values.setdefault(column.name, {})[node_name] = value

    def apply(self, changed: Sequence[NodeState], removed: Sequence[str]) -> None:
        """Brings the rows of ``changed`` nodes up to date and gives up those of ``removed``."""
        aspects = _ALL if removed else 0
        for name in removed:
            self._remove(name)
        for state in changed:
            aspects |= self._write(state)
        if aspects & (_LABELS | _TAINTS | _IDENTITY):
            self._forget_old_values()

    # --- rows ---

    def _remove(self, name: str) -> None:
        row = self._rows.pop(name, None)
        if row is None:
            return
        self._write_images(name, ())
        for values in self._state_values.values():
            values.pop(name, None)
        last = self.states.pop()
        self._views.pop()
        self.n -= 1
        if last.name != name:
            self.states[row] = last
            self._views[row] = None
            self._rows[last.name] = row
            last.row = row
            self._write_row(last, _ALL)
        self._pod_counts.clear(self.n)
        self.change_log.append(row, _ALL)

    def _forget_old_values(self) -> None:
        """Values that left the cluster leave the vocabularies, now and then."""
        self._taints.compact(self.n)
        for column in self._labels.values():
            column.compact(self.n)
        for columns in (self._allocatable, self._requested):
            # An extended resource that no node has any more; its column is made again on demand.
            gone = [
                resource
                for resource, amounts in columns.items()
                if resource not in _COMMON_RESOURCES and not amounts.values[: self.n].any()
            ]
            for resource in gone:
                del columns[resource]
                self.generation += 1

    def _write(self, state: NodeState) -> int:
        """Writes the row of a node, a new one if it has none; the aspects that changed."""
        row = self._rows.get(state.name)
        if row is None:
            row = self.n
            if row == self._capacity:
                self._grow()
            self.n += 1
            self._rows[state.name] = row
            self.states.append(state)
            self._views.append(None)
            state.dirty = _ALL
        else:
            if self.states[row] is not state:
                self.states[row] = state
                self._views[row] = None
        state.row = row
        self._write_row(state, state.dirty)
        self.change_log.append(row, state.dirty)
        aspects, state.dirty = state.dirty, 0
        return aspects

    def _write_row(self, state: NodeState, aspects: int) -> None:
        row = state.row
        if aspects & _IDENTITY:
            self._pod_counts.recount(state)
        elif aspects & _PODS:
            self._pod_counts.write(state)
        if aspects & _REQUESTED:
            self._write_resources(self._requested, row, state.requested)
            builtin = self._builtin
            builtin["non_zero_cpu"].values[row] = state.non_zero_cpu
            builtin["non_zero_memory"].values[row] = state.non_zero_memory
            builtin["pod_count"].values[row] = len(state.pods)
        if aspects & _NODE:
            self._write_node(state, aspects)
        for custom, aspect in self._columns.values():
            if aspects & aspect:
                self._write_custom(custom, state)

    def _write_node(self, state: NodeState, aspects: int) -> None:
        """Writes what follows from the Node object."""
        row = state.row
        if aspects & _ALLOCATABLE:
            self._write_resources(self._allocatable, row, state.allocatable)
            self._builtin["max_pods"].values[row] = state.allocatable.get(PODS, 0)
        if aspects & _UNSCHEDULABLE:
            self._builtin["unschedulable"].values[row] = state.node.spec.unschedulable
        if aspects & _TAINTS:
            self._taints.set(row, tuple(state.node.spec.taints))
        if aspects & _LABELS:
            labels = state.labels
            for key, column in self._labels.items():
                column.set(row, labels.get(key))
        if aspects & _IMAGES:
            self._write_images(
                state.name,
                tuple(
                    (name, image.size_bytes)
                    for image in state.node.status.images
                    for name in image.names
                ),
            )

    def _write_resources(
        self, columns: dict[str, OwnedArray[np.int64]], row: int, amounts: Mapping[str, int]
    ) -> None:
        if not amounts.keys() <= columns.keys():
            for resource in amounts.keys() - columns.keys() - {PODS}:
                columns[resource] = self._int64()
                self.generation += 1
        for resource, column in columns.items():
            column.values[row] = amounts.get(resource, 0)

    def _write_custom(self, column: Column, state: NodeState) -> None:
        row, values = state.row, self._custom[column.name]
        unreadable = self._unreadable[column.name]
        # of any dtype, so that they cannot be an `OwnedArray`
        values.setflags(write=True)
        unreadable.setflags(write=True)
        unreadable[row] = False
        try:
            if isinstance(column, NodeColumn):
                values[row] = column.check(column.extract(state.node))
            elif isinstance(column, PodColumn):
                values[row] = column.total(state.pods.values())
            else:
                known = self._state_values.get(column.name, {})
                values[row] = known.get(state.name, column.default)
        except Exception:  # noqa: BLE001  # an author's extractor; a bad value marks its row alone
            values[row] = column.default
            unreadable[row] = True
        finally:
            values.setflags(write=False)
            unreadable.setflags(write=False)

    def _write_images(self, node: str, images: tuple[tuple[str, int], ...]) -> None:
        self._known_images.clear()
        for name in self._images_of.pop(node, ()):
            owners = self._images[name]
            owners.remove(node)
            if not owners:
                del self._images[name], self._image_sizes[name]
        if images:
            self._images_of[node] = tuple(dict(images))
            for name, size in images:
                self._images.setdefault(name, set()).add(node)
                self._image_sizes.setdefault(name, size)

    # --- arrays ---

    def _int64(self) -> OwnedArray[np.int64]:
        return OwnedArray(np.zeros(self._capacity, dtype=np.int64))

    def _grow(self) -> None:
        self._capacity *= 2
        self.generation += 1

        def grown(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
            larger = np.zeros(self._capacity, dtype=array.dtype)
            larger[: len(array)] = array
            larger.setflags(write=False)
            return larger

        self._allocatable = {k: a.grown(self._capacity) for k, a in self._allocatable.items()}
        self._requested = {k: a.grown(self._capacity) for k, a in self._requested.items()}
        self._builtin = {k: a.grown(self._capacity) for k, a in self._builtin.items()}
        self._custom = {k: grown(a) for k, a in self._custom.items()}
        self._unreadable = {k: grown(a) for k, a in self._unreadable.items()}
        self._taints.resize(self._capacity)
        for column in self._labels.values():
            column.resize(self._capacity)
        self._pod_counts.resize(self._capacity)
