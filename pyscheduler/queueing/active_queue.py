"""activeQ: the entities that are ready, in the order of the QueueSort plugin.

Called by: ``scheduling_queue``.
"""

from __future__ import annotations

from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.heap import KeyedHeap


class ActiveQueue:
    """Entities by `QueuedEntity.sort_key`, which the facade computes when they enter."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: KeyedHeap[QueuedEntity] = KeyedHeap()

    def __len__(self) -> int:
        return len(self._heap)

    def __contains__(self, uid: str) -> bool:
        return uid in self._heap

    def push(self, entity: QueuedEntity, *, now: float) -> None:
        """Adds the entity, or puts it where its new key belongs; its first time starts the SLI."""
        if entity.initial_attempt_timestamp is None:
            entity.initial_attempt_timestamp = now
        self._heap.push(entity.uid, entity.sort_key, entity)

    def pop(self) -> QueuedEntity | None:
        """Removes and returns the first entity; None when empty."""
        return self._heap.pop()

    def remove(self, uid: str) -> QueuedEntity | None:
        """Removes and returns that entity; None when it is not here."""
        return self._heap.remove(uid)

    def get(self, uid: str) -> QueuedEntity | None:
        """Returns that entity; None when it is not here."""
        return self._heap.get(uid)

    def in_order(self) -> list[QueuedEntity]:
        """All entities, first the one to be popped next."""
        return self._heap.in_order()

    def validate(self) -> None:
        """Asserts the invariants of this tier."""
        self._heap.validate()
        assert all(e.initial_attempt_timestamp is not None for e in self._heap.in_order())
        assert not any(e.is_gated for e in self._heap.in_order())
