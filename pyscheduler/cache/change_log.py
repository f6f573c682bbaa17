"""Which rows changed since position n, and in which aspects.

Cached answers remember the position they are true for and ask for what came after. The log is
bounded: who has fallen behind its beginning must judge all rows again.

Called by: ``column_store`` (appends), ``runtime.class_cache`` (reads).
"""

from __future__ import annotations

from pyscheduler.framework.columns import Aspect

#: Changes kept at least, and half of what is kept at most. A guess: who is further behind has most
#: rows to judge again anyway.
CHANGES_KEPT = 4096


class ChangeLog:
    """Row changes in order, the oldest forgotten first."""

    def __init__(self, limit: int = CHANGES_KEPT) -> None:
        self._limit = limit
        #: (row, aspects), the newest last
        self._changes: list[tuple[int, int]] = []
        #: position of the first of them
        self._base = 0

    @property
    def position(self) -> int:
        """The position after the newest change."""
        return self._base + len(self._changes)

    def append(self, row: int, aspects: Aspect | int) -> None:
        """Notes that ``row`` changed in ``aspects``."""
        self._changes.append((row, int(aspects)))
        if len(self._changes) > 2 * self._limit:
            dropped = len(self._changes) - self._limit
            del self._changes[:dropped]
            self._base += dropped

    def since(self, position: int, aspects: int) -> dict[int, int] | None:
        """Row -> which of ``aspects`` changed since ``position``; None when no longer known."""
        if position < self._base:
            return None
        changed: dict[int, int] = {}
        for row, mask in self._changes[position - self._base :]:
            if mask & aspects:
                changed[row] = changed.get(row, 0) | mask
        return changed
