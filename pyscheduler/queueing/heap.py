"""A heap of keyed items in which any item can be replaced or removed.

`heapq` of tuples with lazy deletion: a removed or replaced entry stays in the heap until it comes
to the top or until stale entries outnumber the live ones, then the heap is rebuilt. Items with
equal keys leave in the order in which they came.

Called by: ``active_queue``, ``backoff_queue``.
"""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")

SortKey = tuple[object, ...]

#: stale entries that are never worth a rebuild: a guess
_SLACK = 64


class KeyedHeap(Generic[T]):
    """Items by uid, given out by ascending key."""

    __slots__ = ("_heap", "_live", "_sequence")

    def __init__(self) -> None:
        #: (key, sequence, uid, item); the sequence is unique, so comparing never reaches the uid
        self._heap: list[tuple[SortKey, int, str, T]] = []
        #: the one valid entry of each uid
        self._live: dict[str, tuple[SortKey, int, str, T]] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, uid: str) -> bool:
        return uid in self._live

    def push(self, uid: str, key: SortKey, item: T) -> None:
        """Adds the item, or replaces the one of that uid."""
        self._sequence += 1
        entry = (key, self._sequence, uid, item)
        heapq.heappush(self._heap, entry)
        self._live[uid] = entry
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._rebuild()

    def pop(self) -> T | None:
        """Removes and returns the item with the lowest key; None when empty."""
        while self._heap:
            entry = heapq.heappop(self._heap)
            if self._live.get(entry[2]) is entry:
                del self._live[entry[2]]
                return entry[3]
        return None

    def peek(self) -> T | None:
        """Returns the item with the lowest key; None when empty."""
        while self._heap:
            entry = self._heap[0]
            if self._live.get(entry[2]) is entry:
                return entry[3]
            heapq.heappop(self._heap)
        return None

    def remove(self, uid: str) -> T | None:
        """Removes and returns the item of that uid; None when it is not there."""
        entry = self._live.pop(uid, None)
        if entry is None:
            return None
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._rebuild()
        return entry[3]

    def get(self, uid: str) -> T | None:
        """Returns the item of that uid; None when it is not there."""
        entry = self._live.get(uid)
        return None if entry is None else entry[3]

    def in_order(self) -> list[T]:
        """All items in the order in which `pop` would give them."""
        return [entry[3] for entry in sorted(self._live.values())]

    def validate(self) -> None:
        """Asserts that every item can be reached and that stale entries are bounded."""
        reachable = {id(entry) for entry in self._heap}
        assert all(id(entry) in reachable for entry in self._live.values())
        assert all(uid == entry[2] for uid, entry in self._live.items())
        assert len(self._heap) <= 2 * len(self._live) + _SLACK + 1

    def _rebuild(self) -> None:
        self._heap = list(self._live.values())
        heapq.heapify(self._heap)
