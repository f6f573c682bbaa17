"""Matching pods per node, and what pods have by key: kept as pods come and go, never recounted.

Each node's state notes the pods that came and went since the store last wrote its row
(`NodeState.pod_changes`). `write` applies them to the counts in use:

- per `PodMatcher` that somebody asked about: one array of matching pods per row;
- per `PodTally`: its keys with the rows that have them, and an array for the keys asked about.

Both are made on first use, a matcher's from the kinds of pods (``pod_kinds``) and a tally from the
pods themselves. Arrays are given up least recently used first: selectors come and go with the
workloads (``matchLabelKeys`` makes one per ReplicaSet).

To an array belong its sums by value of the labels that were asked about, the topology domains
(`_Counts`): a pod that comes or goes changes one of them. They are summed anew once a node's label
has changed.

Axes: arrays are (capacity,) int64 by row of the store; sums are (V + 1,) by code of a label's
value, the last of the rows without it.

Called by: ``column_store``, for ``framework.nodes.NodeTable``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache.node_state import NodeState
from pyscheduler.cache.owned_array import OwnedArray
from pyscheduler.cache.pod_kinds import KINDS, KindIndex, PodKind, kind_of
from pyscheduler.cache.vocabulary import CodedColumn
from pyscheduler.framework.pod_matching import PodMatcher, PodTally
from pyscheduler.framework.status import Int64Array

#: Arrays kept for matchers, and for keys of each tally. A guess: two selectors per workload.
_KEPT = 512
#: Kinds of pods for which it is remembered who counts them. A guess: those of a busy minute.
_KINDS_KEPT = 4096
#: Keys of a tally that are remembered to have come or gone. A guess: those of a few cycles.
_CHANGES_KEPT = 1024


class _Counts:
    """How many per row, and per value of the labels that somebody asked about."""

    __slots__ = ("_by_row", "_sums")

    def __init__(self, by_row: Int64Array) -> None:
        self._by_row = OwnedArray(by_row)
        #: label key -> the column of its codes, their version, and (V + 1,) int64 by code
        self._sums: dict[str, tuple[CodedColumn[str], int, OwnedArray[np.int64]]] = {}

    @property
    def by_row(self) -> Int64Array:
        """(capacity,) int64; read-only."""
        return self._by_row.readable

    def by_value(self, label: str, column: CodedColumn[str]) -> Int64Array:
        """(V + 1,) int64: the sums over the rows of each code of ``column``; read-only."""
        known = self._sums.get(label)
        if known is None or known[0] is not column or known[1] != column.version:
            sums = OwnedArray(column.summed(self.by_row))
            known = self._sums[label] = column, column.version, sums
        return known[2].readable

    def add(self, row: int, difference: int) -> None:
        """So many more on ``row``."""
        self._by_row.values[row] += difference
        for column, version, sums in self._sums.values():
            # otherwise they are summed anew before anybody sees them
            if version == column.version:
                sums.values[column.codes.item(row)] += difference

    def set(self, row: int, count: int) -> None:
        """So many on ``row`` now."""
        difference = count - self.by_row.item(row)
        if difference:
            self.add(row, difference)

    def resize(self, capacity: int) -> None:
        """Makes room for more rows, which have none."""
        self._by_row = self._by_row.grown(capacity)
        # the columns of labels that nobody asks about any more do not grow along
        self._sums.clear()


class _Bounded(LRUCache[PodMatcher, _Counts]):
    """Counts by matcher; notes when the set of matchers changed."""

    has_changed = False

    def popitem(self) -> tuple[PodMatcher, _Counts]:
        self.has_changed = True
        return super().popitem()


class PodCounts:
    """The counts of all rows of one store."""

    def __init__(
        self,
        states: Sequence[NodeState],
        capacity: int,
        label_column: Callable[[str], CodedColumn[str]],
    ) -> None:
        """Nothing is counted yet.

        Args:
            states: the store's own list: the node of each row.
            capacity: rows to have room for.
            label_column: the store's codes of the values of a label.
        """
        self._states = states
        self._capacity = capacity
        self._label_column = label_column
        self._matched = _Bounded(_KEPT)
        #: namespace -> what may match pods there; under None, what may match pods anywhere
        self._by_namespace: dict[str | None, list[tuple[PodMatcher, _Counts]]] = {}
        #: who counts pods of a kind, of kinds that came or went lately
        self._by_kind: dict[PodKind, list[_Counts]] = {}
        self._kinds = KindIndex()
        self._tallies: dict[PodTally, _KeptTally] = {}

    def matched(self, matcher: PodMatcher) -> Int64Array:
        """(capacity,) int64: pods that ``matcher`` matches; read-only."""
        return self._counts(matcher).by_row

    def matched_by_value(self, matcher: PodMatcher, label: str) -> Int64Array:
        """(V + 1,) int64: the same summed by value of ``label``; read-only."""
        return self._counts(matcher).by_value(label, self._label_column(label))

    def tally(self, tally: PodTally) -> _KeptTally:
        """What the pods have by key."""
        kept = self._tallies.get(tally)
        if kept is None:
            kept = _KeptTally(tally, self._capacity, self._label_column)
            self._tallies[tally] = kept
            for row, state in enumerate(self._states):
                kept.recount(row, _written(state))
        return kept

    # --- what the store tells ---

    def write(self, state: NodeState) -> None:
        """Applies what changed on one node since its row was last written."""
        changes, state.pod_changes = state.pod_changes, []
        if not changes:
            return
        if not self._matched and not self._tallies:
            return
        row = state.row
        for pod, difference in changes:
            kind = kind_of(pod)
            for counts in self._counting(kind) if self._matched else ():
                counts.add(row, difference)
            for tally, kept in self._tallies.items():
                if tally is KINDS:
                    kept.add(row, kind, difference)
                else:
                    kept.change(row, pod, difference)

    def recount(self, state: NodeState) -> None:
        """Counts one row anew: another node has it now."""
        state.pod_changes = []
        pods = state.pods.values()
        for matcher, counts in self._matched.items():
            counts.set(state.row, sum(map(matcher.matches, pods)))
        for kept in self._tallies.values():
            kept.recount(state.row, pods)

    def clear(self, row: int) -> None:
        """The row is nobody's any more."""
        for counts in self._matched.values():
            counts.set(row, 0)
        for kept in self._tallies.values():
            kept.recount(row, ())

    def resize(self, capacity: int) -> None:
        """Makes room for more rows."""
        self._capacity = capacity
        for counts in self._matched.values():
            counts.resize(capacity)
        for kept in self._tallies.values():
            kept.resize(capacity)

    def _counts(self, matcher: PodMatcher) -> _Counts:
        counts = self._matched.get(matcher)
        if counts is None:
            by_row = np.zeros(self._capacity, dtype=np.int64)
            kinds = self.tally(KINDS)
            for kind in self._kinds.candidates(matcher, kinds):
                assert isinstance(kind, PodKind)
                if kind.is_matched(matcher):
                    for row, count in kinds.by_row(kind):
                        by_row[row] += count
            counts = self._matched[matcher] = _Counts(by_row)
            self._matched.has_changed = True
        return counts

    def _counting(self, kind: PodKind) -> list[_Counts]:
        """Who counts pods of that kind."""
        if self._matched.has_changed or len(self._by_kind) > _KINDS_KEPT:
            self._matched.has_changed = False
            self._by_kind = {}
            self._by_namespace = {}
            for pair in self._matched.items():
                namespaces = pair[0].namespaces
                for name in (None,) if namespaces is None else namespaces:
                    self._by_namespace.setdefault(name, []).append(pair)
        counting = self._by_kind.get(kind)
        if counting is None:
            there = self._by_namespace.get(kind.namespace, [])
            anywhere = self._by_namespace.get(None, [])
            counting = [c for matcher, c in (*there, *anywhere) if kind.is_matched(matcher)]
            self._by_kind[kind] = counting
        return counting


class _KeptTally:
    """One tally: a `framework.pod_matching.TallyCounts` of all rows."""

    def __init__(
        self,
        tally: PodTally,
        capacity: int,
        label_column: Callable[[str], CodedColumn[str]],
    ) -> None:
        self._keys_of = tally.keys
        self._capacity = capacity
        self._label_column = label_column
        #: key -> row -> how often; the sparse form, always complete
        self._rows: dict[Hashable, dict[int, int]] = {}
        #: row -> its keys, for when the row gets another node
        self._keys: dict[int, set[Hashable]] = {}
        #: arrays of the keys that were asked about
        self._arrays: LRUCache[Hashable, _Counts] = LRUCache(_KEPT)
        #: how many keys came or went, and the newest of them
        self.version = 0
        self._changed: deque[Hashable] = deque(maxlen=_CHANGES_KEPT)

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def total(self, key: Hashable) -> int:
        """How often pods of the whole cluster have ``key``."""
        return sum(self._rows.get(key, {}).values())

    def by_row(self, key: Hashable) -> Iterable[tuple[int, int]]:
        """The rows with pods that have ``key``, each with how often."""
        return self._rows.get(key, {}).items()

    def rows(self, key: Hashable) -> npt.NDArray[np.intp]:
        """The rows with pods that have ``key``, sorted."""
        return np.array(sorted(self._rows.get(key, ())), dtype=np.intp)

    def counts(self, key: Hashable) -> Int64Array:
        """(capacity,) int64: how often pods on each row have ``key``; read-only."""
        return self._counts(key).by_row

    def by_value(self, key: Hashable, label: str) -> Int64Array:
        """(V + 1,) int64: the same summed by value of ``label``; read-only."""
        return self._counts(key).by_value(label, self._label_column(label))

    def changed_keys(self, since: int) -> Sequence[Hashable] | None:
        """The keys that came or went since that version; None when too many did."""
        missed = self.version - since
        if missed > len(self._changed):
            return None
        return [self._changed[-i] for i in range(1, missed + 1)]

    def change(self, row: int, pod: Pod, difference: int) -> None:
        """A pod came to ``row`` (+1) or left it (-1)."""
        for key in self._of(pod):
            self.add(row, key, difference)

    def add(self, row: int, key: Hashable, difference: int) -> None:
        """A pod with ``key`` came to ``row`` (+1) or left it (-1)."""
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = {}
            self._note(key)
        before = rows.get(row, 0)
        left = before + difference
        if left:
            rows[row] = left
            if not before:
                self._keys.setdefault(row, set()).add(key)
        else:
            rows.pop(row, None)
            if not rows:
                del self._rows[key]
                self._note(key)
            keys = self._keys.get(row)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._keys[row]
        if self._arrays and (counts := self._arrays.get(key)) is not None:
            counts.add(row, difference)

    def recount(self, row: int, pods: Iterable[Pod]) -> None:
        """These are the pods of ``row`` now."""
        for key in list(self._keys.get(row, ())):
            self.add(row, key, -self._rows[key][row])
        for pod in pods:
            self.change(row, pod, 1)

    def resize(self, capacity: int) -> None:
        """Makes room for more rows."""
        self._capacity = capacity
        for counts in self._arrays.values():
            counts.resize(capacity)

    def _counts(self, key: Hashable) -> _Counts:
        counts = self._arrays.get(key)
        if counts is None:
            by_row = np.zeros(self._capacity, dtype=np.int64)
            for row, count in self._rows.get(key, {}).items():
                by_row[row] = count
            counts = self._arrays[key] = _Counts(by_row)
        return counts

    def _of(self, pod: Pod) -> Iterable[Hashable]:
        try:
            return tuple(self._keys_of(pod))
        except Exception:  # noqa: BLE001  # an author's function; that pod has no keys
            return ()

    def _note(self, key: Hashable) -> None:
        self.version += 1
        self._changed.append(key)


def _written(state: NodeState) -> Iterable[Pod]:
    """The pods that the row counts; those that came or left since will be told by `write`."""
    if not state.pod_changes:
        return state.pods.values()
    pods = dict(state.pods)
    for pod, difference in reversed(state.pod_changes):
        if difference > 0:
            pods.pop(pod.metadata.uid, None)
        else:
            pods[pod.metadata.uid] = pod
    return pods.values()
