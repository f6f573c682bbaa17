"""backoffQ: entities that may be tried again once their backoff has passed.

Two heaps. Pods that plugins rejected are ordered by the one-second window in which their backoff
ends, then by the QueueSort key; the first of them may be popped early when activeQ is empty. Pods
whose attempt ended in an error are ordered by expiry alone and always wait it out.

Called by: ``scheduling_queue``.

Source: kube-scheduler 1.37, ``backend/queue/backoff_queue.go``, with PopFromBackoffQ on.
"""

from __future__ import annotations

import math

from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.heap import KeyedHeap

#: doublings after which any initial backoff has reached any sensible maximum; keeps the power small
_MAX_DOUBLINGS = 60


class BackoffQueue:
    """Entities by the end of their backoff."""

    __slots__ = ("_errors", "_initial_s", "_max_s", "_rejected")

    def __init__(self, *, initial_s: float, max_s: float) -> None:
        self._initial_s = initial_s
        self._max_s = max_s
        self._rejected: KeyedHeap[QueuedEntity] = KeyedHeap()
        self._errors: KeyedHeap[QueuedEntity] = KeyedHeap()

    def __len__(self) -> int:
        return len(self._rejected) + len(self._errors)

    def __contains__(self, uid: str) -> bool:
        return uid in self._rejected or uid in self._errors

    @property
    def has_early(self) -> bool:
        """True when `pop_early` gives something."""
        return bool(self._rejected)

    def expiration(self, entity: QueuedEntity) -> float:
        """The unix second in which the entity's backoff ends; 0 when it has none.

        A whole number: with equal windows the sort key decides who is popped early.
        """
        failures = entity.consecutive_errors or entity.unschedulable_count
        if not failures or not self._max_s:
            return 0.0
        doublings = min(failures - 1, _MAX_DOUBLINGS)
        return float(
            math.floor(entity.timestamp + min(self._initial_s * 2**doublings, self._max_s))
        )

    def is_backing_off(self, entity: QueuedEntity, *, now: float) -> bool:
        """True until the second in which the backoff ends is over."""
        return entity.backoff_expiration > 0 and entity.backoff_expiration >= math.floor(now)

    def push(self, entity: QueuedEntity) -> None:
        """Adds the entity, or puts it where its new key belongs."""
        window = entity.backoff_expiration
        if entity.unschedulable_plugins or entity.pending_plugins:
            self._rejected.push(entity.uid, (window, entity.sort_key), entity)
        else:
            self._errors.push(entity.uid, (window,), entity)

    def pop_early(self) -> QueuedEntity | None:
        """Removes and returns the rejected entity whose backoff ends first; None when empty."""
        return self._rejected.pop()

    def pop_expired(self, *, now: float, limit: int) -> list[QueuedEntity]:
        """Removes and returns the entities whose backoff is over, `limit` of them at most."""
        expired: list[QueuedEntity] = []
        for heap in (self._rejected, self._errors):
            while (
                len(expired) < limit
                and (head := heap.peek()) is not None
                and not self.is_backing_off(head, now=now)
            ):
                heap.pop()
                expired.append(head)
        return expired

    def next_expiry(self) -> float | None:
        """Unix seconds at which `pop_expired` next gives something; None when empty."""
        heads = [head for heap in (self._errors, self._rejected) if (head := heap.peek())]
        return min((leaves_at(head) for head in heads), default=None)

    def remove(self, uid: str) -> QueuedEntity | None:
        """Removes and returns that entity; None when it is not here."""
        return self._rejected.remove(uid) or self._errors.remove(uid)

    def get(self, uid: str) -> QueuedEntity | None:
        """Returns that entity; None when it is not here."""
        return self._rejected.get(uid) or self._errors.get(uid)

    def in_order(self) -> list[QueuedEntity]:
        """All entities: those that may be popped early, then the errors."""
        return self._rejected.in_order() + self._errors.in_order()

    def validate(self) -> None:
        """Asserts the invariants of this tier."""
        self._rejected.validate()
        self._errors.validate()
        for entity in self._rejected.in_order():
            assert entity.unschedulable_plugins or entity.pending_plugins
        for entity in self._errors.in_order():
            assert not entity.unschedulable_plugins
            assert not entity.pending_plugins
            assert entity.uid not in self._rejected
        for entity in self.in_order():
            assert not entity.is_gated
            assert entity.backoff_expiration > 0


def leaves_at(entity: QueuedEntity) -> float:
    """Unix seconds at which a flush takes the entity out of backoff: the window's end."""
    return entity.backoff_expiration + 1
