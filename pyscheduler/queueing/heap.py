"""A heap of keyed items in which any item can be replaced or removed.

What comes in order, as pods mostly do, is lined up in a run, where it is added and taken without a
comparison; only what belongs before the run's end goes to a `heapq`. Whichever has the lower head
is served. Deletion is lazy: a removed or replaced entry stays until it comes to the top or until
stale entries outnumber the live ones, then everything is lined up anew. Items with equal keys leave
in the order in which they came.

Called by: ``active_queue``, ``backoff_queue``.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

SortKey = tuple[object, ...]
#: (key, sequence, uid); the sequence is unique, so comparing never reaches the uid. No item: what
#: was removed is not kept alive by the entry it leaves behind
_Entry = tuple[SortKey, int, str]

#: stale entries that are never worth a rebuild: a guess
_SLACK = 64


class KeyedHeap(Generic[T]):
    """Items by uid, given out by ascending key."""

    __slots__ = ("_heap", "_live", "_run", "_sequence")

    def __init__(self) -> None:
        #: ascending
        self._run: deque[_Entry] = deque()
        self._heap: list[_Entry] = []
        #: the one valid entry of each uid, and its item
        self._live: dict[str, tuple[_Entry, T]] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, uid: str) -> bool:
        return uid in self._live

    def push(self, uid: str, key: SortKey, item: T) -> None:
        """Adds the item, or replaces the one of that uid."""
        self._sequence += 1
        entry = (key, self._sequence, uid)
        if self._run and entry < self._run[-1]:
            heapq.heappush(self._heap, entry)
        else:
            self._run.append(entry)
        self._live[uid] = (entry, item)
        self._drop_stale()

    def pop(self) -> T | None:
        """Removes and returns the item with the lowest key; None when empty."""
        entry = self._first()
        if entry is None:
            return None
        self._drop(entry)
        return self._live.pop(entry[2])[1]

    def peek(self) -> T | None:
        """Returns the item with the lowest key; None when empty."""
        entry = self._first()
        return None if entry is None else self._live[entry[2]][1]

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
        reachable = {id(entry) for entry in (*self._run, *self._heap)}
        assert all(id(entry) in reachable for entry, _ in self._live.values())
        assert all(uid == entry[2] for uid, (entry, _) in self._live.items())
        assert len(reachable) <= 2 * len(self._live) + _SLACK + 1
        assert sorted(self._run) == list(self._run)

    def _first(self) -> _Entry | None:
        """The lowest live entry; stale ones before it are gone then."""
        run, heap = self._run, self._heap
        while run or heap:
            entry = heap[0] if not run or (heap and heap[0] < run[0]) else run[0]
            known = self._live.get(entry[2])
            if known is not None and known[0] is entry:
                return entry
            self._drop(entry)
        return None

    def _drop(self, head: _Entry) -> None:
        """Takes out one of the two heads."""
        if self._run and self._run[0] is head:
            self._run.popleft()
        else:
            heapq.heappop(self._heap)

    def _drop_stale(self) -> None:
        if len(self._run) + len(self._heap) > 2 * len(self._live) + _SLACK:
            self._run = deque(sorted(entry for entry, _ in self._live.values()))
            self._heap = []
