"""Copies of a few rows, with pods added and taken away: what a what-if judges.

The snapshot stays as it is. Values that depend on the Node alone are gathered from the store;
those that depend on its pods are kept in step with the copied sums.

Axes: N copied rows, numbered from 0.

Called by: ``runtime.what_if``. Implements ``framework.nodes.ColumnSource``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod, Taint
from pyscheduler.cache.column_store import ColumnStore
from pyscheduler.cache.node_state import NodeState, PodUsage
from pyscheduler.cache.node_view import NodeView
from pyscheduler.cache.owned_array import OwnedArray
from pyscheduler.cache.pod_counts import PodCounts
from pyscheduler.cache.vocabulary import CodedColumn
from pyscheduler.framework.columns import Column, PodColumn
from pyscheduler.framework.nodes import ImageState
from pyscheduler.framework.pod_matching import PodMatcher, PodTally, TallyCounts
from pyscheduler.framework.status import BoolArray, Int64Array

#: the columns every store has that depend on the pods, each with its value in a node's state
_POD_BUILTINS: dict[str, Callable[[NodeState], int]] = {
    "non_zero_cpu": lambda state: state.non_zero_cpu,
    "non_zero_memory": lambda state: state.non_zero_memory,
    "pod_count": lambda state: len(state.pods),
}


class CopiedRows:
    """N rows of the store, ours to change."""

    def __init__(
        self,
        store: ColumnStore,
        rows: Sequence[int],
        *,
        usage_of: Callable[[Pod], PodUsage],
    ) -> None:
        self._store = store
        self._rows = np.asarray(rows, dtype=np.intp)
        self._states = [store.states[row].clone() for row in rows]
        self._views = [NodeView(state) for state in self._states]
        self._usage_of = usage_of
        #: gathered columns that depend on pods, by what they were asked as
        self._of_pods: dict[object, tuple[OwnedArray[Any], Callable[[NodeState], Any]]] = {}

    def __len__(self) -> int:
        return len(self._states)

    # --- changing them ---

    def add(self, row: int, pod: Pod) -> None:
        """Counts ``pod`` on ``row``."""
        self._states[row].add(pod, self._usage_of(pod))
        self._write(row)

    def remove(self, row: int, pod: Pod) -> None:
        """Takes ``pod`` off ``row``.

        Raises:
            KeyError: it is not there.
        """
        self._states[row].remove(pod.uid, self._usage_of(pod))
        self._write(row)

    def _write(self, row: int) -> None:
        state = self._states[row]
        for column, value_of in self._of_pods.values():
            column.values[row] = value_of(state)

    # --- framework.nodes.ColumnSource ---

    @property
    def changes(self) -> None:
        """Nobody notes what is done to a copy."""
        return

    def resource(self, kind: str, resource: str) -> Int64Array:
        """Column ``kind`` (allocatable or requested) of ``resource``."""
        if kind == "allocatable":
            return self._store.resource(kind, resource)[self._rows]
        return self._kept((kind, resource), lambda state: state.requested.get(resource, 0))

    def builtin(self, name: str) -> npt.NDArray[Any]:
        """A column every store has."""
        value_of = _POD_BUILTINS.get(name)
        if value_of is None:
            return self._store.builtin(name)[self._rows]
        return self._kept(name, value_of)

    def taint_sets(self) -> Sequence[tuple[Taint, ...]]:
        """The distinct taint sets by number; 0 is the empty set."""
        return self._store.taint_sets()

    def label_codes(self, key: str) -> tuple[npt.NDArray[np.int32], Sequence[str]]:
        """Codes of one label key, and the values by code."""
        codes, values = self._store.label_codes(key)
        return codes[self._rows], values

    def custom(self, column: Column) -> npt.NDArray[Any]:
        """An author's column; a PodColumn follows what is added and removed."""
        if not isinstance(column, PodColumn):
            return self._store.custom(column)[self._rows]

        def total(state: NodeState) -> Any:
            try:
                return column.total(state.pods.values())
            except Exception:  # noqa: BLE001  # an author's extractor; `unreadable` marks the row
                return column.default

        return self._kept(column, total, dtype=column.dtype)

    def unreadable(self, column: Column) -> BoolArray:
        """(N,) bool: rows whose value could not be extracted before anything was changed."""
        return self._store.unreadable(column)[self._rows]

    def node_info(self, row: int) -> NodeView:
        """One row as an object."""
        return self._views[row]

    def row_of(self, name: str) -> int | None:
        """The copied row of a node."""
        for row, state in enumerate(self._states):
            if state.name == name:
                return row
        return None

    def image(self, name: str) -> tuple[ImageState, npt.NDArray[np.intp]] | None:
        """An image's state in the whole cluster, and the copied rows that have it."""
        found = self._store.image(name)
        if found is None:
            return None
        state, rows = found
        return state, np.flatnonzero(np.isin(self._rows, rows))

    def pod_counts(self, matcher: PodMatcher) -> Int64Array:
        """Matching pods per copied row."""
        return self._kept(matcher, lambda state: sum(map(matcher.matches, state.pods.values())))

    def pods_by_value(self, matcher: PodMatcher, label: str) -> Int64Array:
        """The same summed by value of a label."""
        return self._label_column(label).summed(self.pod_counts(matcher))

    def nodes_by_value(self, label: str) -> Int64Array:
        """How many copied rows have each value of a label."""
        return self._label_column(label).rows_by_code(len(self))

    def tally(self, tally: PodTally) -> TallyCounts:
        """What the pods on the copied rows have by key, as it is now."""
        for state in self._states:
            # notes for the store, which never hears of what is done to a copy
            state.pod_changes.clear()
        counts = PodCounts(self._states, len(self._states), self._label_column)
        return counts.tally(tally)

    def _label_column(self, key: str) -> CodedColumn[str]:
        return self._store.label_column(key).of_rows(self._rows)

    def _kept(
        self,
        key: object,
        value_of: Callable[[NodeState], Any],
        *,
        dtype: npt.DTypeLike = np.int64,
    ) -> npt.NDArray[Any]:
        known = self._of_pods.get(key)
        if known is None:
            values = np.array([value_of(state) for state in self._states], dtype=dtype)
            known = self._of_pods[key] = OwnedArray(values), value_of
        return known[0].readable
