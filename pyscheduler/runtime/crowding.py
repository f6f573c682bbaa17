"""The rows of a class with the pods that are nominated to them, kept from pod to pod.

Hundreds of pods may wait for as many nodes to be cleared for them, and every other pod of no higher
priority must leave them their room. What becomes of a class on such a row is found out once for as
long as neither the row nor the nominations to it change; a cycle costs as much as there was change.

Called by: ``narrowing``, which judges; ``filtering`` says which rows changed.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.columns import Aspect
from pyscheduler.framework.status import BoolArray, Status
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.row_statuses import RowStatuses

if TYPE_CHECKING:
    from pyscheduler.framework.nodes import NodeTable
    from pyscheduler.runtime.class_cache import ClassEntry


_IDENTITY = int(Aspect.IDENTITY)


class Crowding:
    """One class's rows with the nominated pods of some priority and above."""

    __slots__ = (
        "_changed",
        "_n",
        "_narrowed_for",
        "_rejections",
        "_unjudged",
        "_version",
        "by_sums",
        "narrowed",
        "pods",
        "rejected",
        "statuses",
    )

    def __init__(self, capacity: int) -> None:
        #: row -> the pods nominated to it
        self.pods: dict[int, tuple[Pod, ...]] = {}
        #: of those rows that are known to fail with their pods: why
        self.statuses = RowStatuses(capacity)
        #: what becomes of rows by their sums and what is nominated to them, where that decides
        self.by_sums: dict[Hashable, Status | None] = {}
        #: (capacity,) bool: the rows of `statuses`
        self.rejected: BoolArray = np.zeros(capacity, dtype=np.bool_)
        #: the entry without the rejected rows, for pods that are nominated nowhere themselves
        self.narrowed: ClassEntry | None = None
        #: what `narrowed` was last made of; see `_made_of`
        self._narrowed_for: tuple[int, int, int] | None = None
        #: grows when `statuses` change
        self._rejections = 0
        #: rows of `pods` about which nothing is known
        self._unjudged: set[int] = set()
        #: rows that changed since `pods` was last brought up to date
        self._changed: set[int] = set()
        #: rows that there were then
        self._n = 0
        #: version of the nominator that `pods` is true for; None before the first
        self._version: int | None = None

    def note(self, changed: Mapping[int, int]) -> None:
        """These rows changed, in these aspects: they have to be judged anew."""
        # a row that keeps its node is of interest with pods only; nominations are told of by name
        pods = self.pods
        self._changed.update(
            row for row, mask in changed.items() if mask & _IDENTITY or row in pods
        )
        if self.narrowed is not None:
            rows = self.narrowed.changed_rows
            for row, mask in changed.items():
                rows[row] = rows.get(row, 0) | mask

    def bring_up_to_date(self, nominator: Nominator, nodes: NodeTable, *, priority: int) -> None:
        """Takes over nominations and rows that changed since the last call."""
        names: Collection[str] | None = None
        if self._version is not None:
            names = nominator.changed_since(self._version)
        if names is None:
            self._changed.update(self.pods)
            names = nominator.nodes()
        self._version = nominator.version
        self._changed.update(range(nodes.n, self._n))
        self._n = nodes.n
        rows, self._changed = self._changed, set()
        for row in rows:
            self._forget(row)
        rows.update(row for row in map(nodes.row_of, names) if row is not None)
        for row in rows:
            nominated = nominator.nominated_on(nodes.node(row).name) if row < nodes.n else ()
            pods = tuple(pod for pod in nominated if pod.priority >= priority)
            known = self.pods.get(row, ())
            if len(pods) != len(known) or any(a is not b for a, b in zip(pods, known, strict=True)):
                self._forget(row)
                if pods:
                    self.pods[row] = pods
                    self._unjudged.add(row)

    def kept(self, entry: ClassEntry) -> ClassEntry | None:
        """The entry without the rejected rows, if what it was made of is still the same.

        To be asked after all feasible rows were judged.
        """
        narrowed = self.narrowed
        if narrowed is None or self._narrowed_for != self._made_of(entry):
            return None
        narrowed.n, narrowed.position, narrowed.filters = entry.n, entry.position, entry.filters
        return narrowed

    def keep(self, narrowed: ClassEntry, entry: ClassEntry) -> None:
        """``narrowed`` is the entry without the rejected rows."""
        self.narrowed, self._narrowed_for = narrowed, self._made_of(entry)

    def _made_of(self, entry: ClassEntry) -> tuple[int, int, int]:
        return entry.n, entry.feasible_version, self._rejections

    def unjudged(self, among: BoolArray | None = None) -> list[int]:
        """Rows to be judged, in a fixed order; only those of the (capacity,) mask ``among``."""
        if not self._unjudged:
            return []
        return sorted(row for row in self._unjudged if among is None or among.item(row))

    def put(self, rows: Iterable[int], statuses: Iterable[Status | None]) -> None:
        """What becomes of the class on these rows; None where it fits."""
        for row, status in zip(rows, statuses, strict=True):
            self._unjudged.discard(row)
            if status is not None:
                self.statuses[row] = status
                self.rejected[row] = True
                self._rejections += 1

    def _forget(self, row: int) -> None:
        self._unjudged.discard(row)
        if self.pods.pop(row, None) is not None and self.statuses.pop(row, None) is not None:
            self.rejected[row] = False
            self._rejections += 1
