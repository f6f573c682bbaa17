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
        #: (key, sequence, uid); the sequence is unique, so comparing never reaches the uid. No
        #: item: what was removed is not kept alive by the entry it leaves behind
        self._heap: list[tuple[SortKey, int, str]] = []
        #: the one valid entry of each uid, and its item
        self._live: dict[str, tuple[tuple[SortKey, int, str], T]] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, uid: str) -> bool:
        return uid in self._live

    def push(self, uid: str, key: SortKey, item: T) -> None:
        """Adds the item, or replaces the one of that uid."""
        self._sequence += 1
        entry = (key, self._sequence, uid)
        heapq.heappush(self._heap, entry)
        self._live[uid] = (entry, item)
        self._drop_stale()

    def pop(self) -> T | None:
        """Removes and returns the item with the lowest key; None when empty."""
        item = self.peek()
        if item is not None:
            del self._live[heapq.heappop(self._heap)[2]]
        return item

    def peek(self) -> T | None:
        """Returns the item with the lowest key; None when empty."""
        while self._heap:
            entry = self._heap[0]
            known = self._live.get(entry[2])
            if known is not None and known[0] is entry:
                return known[1]
            heapq.heappop(self._heap)
        return None

    def remove(self, uid: str) -> T | None:
        """Removes and returns the item of that uid; None when it is not there."""
        known = self._live.pop(uid, None)
        if known is None:
            return None
        self._drop_stale()
        return known[1]

    def get(self, uid: str) -> T | None:
        """Returns the item of that uid; None when it is not there."""
        known = self._live.get(uid)
        return None if known is None else known[1]

    def in_order(self) -> list[T]:
        """All items in the order in which `pop` would give them."""
        return [item for _, item in sorted(self._live.values(), key=lambda known: known[0])]

    def validate(self) -> None:
        """Asserts that every item can be reached and that stale entries are bounded."""
        reachable = {id(entry) for entry in self._heap}
        assert all(id(entry) in reachable for entry, _ in self._live.values())
        assert all(uid == entry[2] for uid, (entry, _) in self._live.items())
        assert len(self._heap) <= 2 * len(self._live) + _SLACK + 1

    def _drop_stale(self) -> None:
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._heap = [entry for entry, _ in self._live.values()]
            heapq.heapify(self._heap)
