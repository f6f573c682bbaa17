"""One epoch of the cluster for one scheduling cycle.

`refresh` brings the columns up to the cache and is called at the start of a cycle; until the next
call nothing that a plugin reads through `nodes` changes. Costs as much as there are changed nodes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache.cache import SchedulerCache
from pyscheduler.cache.column_store import ColumnStore
from pyscheduler.cache.copied_rows import CopiedRows
from pyscheduler.cache.node_state import PodUsage
from pyscheduler.framework.columns import StateColumn
from pyscheduler.framework.nodes import NodeTable


class Snapshot:
    """The columns of the current epoch, and the table plugins read them through."""

    def __init__(self, cache: SchedulerCache) -> None:
        self._cache = cache
        self.store = ColumnStore()
        #: all nodes of this epoch; `refresh` alone changes it
        self.nodes = NodeTable(self.store, 0)
        self._generation = -1

    def refresh(self) -> None:
        """Takes over what the cache has gathered since the last call."""
        changed, removed = self._cache.take_changes()
        if not changed and not removed:
            return
        store = self.store
        store.apply(changed, removed)
        if store.n != self.nodes.n or store.generation != self._generation:
            self.nodes = NodeTable(store, store.n)
            self._generation = store.generation

    def copy_rows(self, rows: Sequence[int]) -> CopiedRows:
        """Copies of these rows, to add pods to and take pods from."""
        return CopiedRows(self.store, rows, usage_of=self._cache.usage_of)

    def sums(self, row: int) -> Hashable:
        """All that a node has to give, and all that its pods take: equal for rows alike in that."""
        return self.store.states[row].sums

    def usages(self, pods: Iterable[Pod]) -> tuple[PodUsage, ...]:
        """What each of the pods takes from its node."""
        return tuple(map(self._cache.usage_of, pods))

    def set(self, column: StateColumn, node_name: str, value: Any) -> None:
        """Sets a plugin's own value of a node; seen from the next refresh on."""
        self.store.set_state(column, node_name, value)
        self._cache.mark_state(node_name)
