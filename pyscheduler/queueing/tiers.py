"""Where entities stand: the tiers, those in flight, and looking in without moving anybody.

Apart from the moves, because this is what metrics, the demo and tests read, and what must hold
whatever moved last.

Called by: ``scheduling_queue``, which builds on it and is the one to move entities.
"""

from __future__ import annotations

from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.active_queue import ActiveQueue
from pyscheduler.queueing.backoff_queue import BackoffQueue
from pyscheduler.queueing.in_flight import InFlight
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.queueing.observing import (
    ACTIVE,
    BACKOFF,
    GATED,
    UNSCHEDULABLE,
    QueueCounts,
)
from pyscheduler.queueing.unheard import UnheardEvents
from pyscheduler.queueing.unschedulable_pool import UnschedulablePool


class Tiers:
    """The places of all entities."""

    def __init__(
        self,
        backoff: BackoffQueue,
        pool: UnschedulablePool,
        in_flight: InFlight,
        nominator: Nominator,
    ) -> None:
        self._active = ActiveQueue()
        self._backoff = backoff
        self._pool = pool
        self._in_flight = in_flight
        self._unheard = UnheardEvents()
        #: ns/name to uid, of all entities in a tier or in flight: finds who was made again
        self._uids: dict[str, str] = {}
        self.nominator = nominator

    def contains(self, uid: str) -> bool:
        """True when that entity stands in a tier (in flight does not count)."""
        return self._get_waiting(uid) is not None

    def in_flight(self, uid: str) -> bool:
        """True from `pop` until `done` or `add_unschedulable`."""
        return uid in self._in_flight

    def get(self, uid: str) -> QueuedEntity | None:
        """Returns that entity, from a tier or in flight; None when it is not here."""
        flight = self._in_flight.get(uid)
        return self._get_waiting(uid) if flight is None else flight.entity

    def counts(self) -> QueueCounts:
        """How many entities are where."""
        return QueueCounts(
            active=len(self._active),
            backoff=len(self._backoff),
            unschedulable=len(self._pool.rejected),
            gated=len(self._pool.gated),
            in_flight=len(self._in_flight),
            in_flight_events=self._in_flight.event_count,
            unsettled=len(self._unheard),
        )

    def pending(self) -> list[tuple[str, QueuedEntity]]:
        """All entities with their tier, each tier in its order; not those in flight."""
        return [
            *((ACTIVE, entity) for entity in self._active.in_order()),
            *((BACKOFF, entity) for entity in self._backoff.in_order()),
            *((UNSCHEDULABLE, entity) for entity in self._pool.rejected),
            *((GATED, entity) for entity in self._pool.gated),
        ]

    def validate(self) -> None:
        """Asserts that every entity is in one place and every part in order; for tests."""
        for part in (self._active, self._backoff, self._pool, self._in_flight, self.nominator):
            part.validate()
        self._unheard.validate()
        assert all(uid in self._pool for uid in self._unheard.uids()), "it waits no more"
        here = [entity for _, entity in self.pending()] + self._in_flight.entities()
        uids = [entity.uid for entity in here]
        assert len(uids) == len(set(uids)), "an entity is in two places"
        assert set(self._uids.values()) <= set(uids), "a key is kept for an entity that left"
        for entity in self._in_flight.entities():
            flight = self._in_flight.get(entity.uid)
            is_known = self._uids.get(entity.pod.key) == entity.uid
            assert flight is not None
            assert is_known is not flight.is_deleted, "its deletion would not be noticed"
        for tier, entity in self.pending():
            assert self._uids[entity.pod.key] == entity.uid
            assert tier == BACKOFF or not entity.is_at_the_door, "let in, and to be asked again"

    def _get_waiting(self, uid: str) -> QueuedEntity | None:
        return self._active.get(uid) or self._backoff.get(uid) or self._pool.get(uid)
