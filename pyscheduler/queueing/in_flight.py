"""Entities being scheduled, and the cluster events that happened meanwhile.

A popped entity stands in no tier, so no event finds it. Instead every event is kept in one list
while anybody is in flight; each entity remembers where the list ended when it was popped, and
reads on from there if its attempt fails. The list is cut from the front as the oldest leave.

The list is bounded: past `MAX_EVENTS` all of it collapses into one wildcard, which sends back
everybody who missed any of it. Too many retries are harmless, a lost event is not.

Called by: ``scheduling_queue``.

Source: kube-scheduler 1.37, ``backend/queue/active_queue.go``; knowing differences: the bound, and
that a pod's own updates are kept as its oldest and newest object instead of in the list.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import islice

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.hints import Audience

#: about 10 MB of references; a cycle that misses so many has a fault of its own
MAX_EVENTS = 50_000

MissedEvent = tuple[Audience, object, object]
"""An event with its old and new object."""


@dataclass(slots=True, eq=False)
class Flight:
    """One entity's attempt and what it missed of its own."""

    entity: QueuedEntity
    #: number of the first event that it missed
    position: int
    #: its object when popped; what `newest` is compared with
    popped: Pod
    #: the newest object that the watch delivered since
    newest: Pod
    #: the pod is gone or bound: a failed attempt must not bring it back
    is_deleted: bool = False
    #: somebody asked for another attempt, whatever comes of this one
    is_activated: bool = False


class InFlight:
    """Flights by uid, and the events since the oldest of them was popped."""

    __slots__ = ("_events", "_first", "_flights", "_max_events", "_wildcard")

    def __init__(self, *, wildcard: Audience, max_events: int = MAX_EVENTS) -> None:
        self._wildcard = wildcard
        self._max_events = max_events
        #: in the order of their positions
        self._flights: OrderedDict[str, Flight] = OrderedDict()
        self._events: deque[MissedEvent] = deque()
        #: number of `_events[0]`; numbers only grow
        self._first = 0

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, uid: str) -> bool:
        return uid in self._flights

    @property
    def event_count(self) -> int:
        """How many events are kept."""
        return len(self._events)

    def get(self, uid: str) -> Flight | None:
        """Returns the flight of that uid; None when it is not in flight."""
        return self._flights.get(uid)

    def start(self, entity: QueuedEntity) -> None:
        """Remembers the entity as popped now."""
        position = self._first + len(self._events)
        self._flights[entity.uid] = Flight(entity, position, entity.pod, entity.pod)

    def record(self, event: Audience, old: object, new: object) -> None:
        """Keeps the event for all who are in flight."""
        if not self._flights:
            return
        self._events.append((event, old, new))
        if len(self._events) > self._max_events:
            # The wildcard takes the last number: who was popped after that event missed nothing.
            self._first += len(self._events) - 1
            self._events.clear()
            self._events.append((self._wildcard, None, None))

    def missed_events(self, uid: str) -> list[MissedEvent]:
        """The events since the flight of that uid began, oldest first; none without a flight."""
        flight = self._flights.get(uid)
        if flight is None:
            return []
        return list(islice(self._events, max(0, flight.position - self._first), None))

    def end(self, uid: str) -> Flight | None:
        """Forgets the flight and the events that only it still needed; None if there was none."""
        flight = self._flights.pop(uid, None)
        if flight is None:
            return None
        if not self._flights:
            self._first += len(self._events)
            self._events.clear()
            return flight
        needed_from = next(iter(self._flights.values())).position
        while self._first < needed_from:
            self._events.popleft()
            self._first += 1
        return flight

    def entities(self) -> list[QueuedEntity]:
        """The entities in flight, the one popped first in front."""
        return [flight.entity for flight in self._flights.values()]

    def validate(self) -> None:
        """Asserts that nothing is kept that nobody needs."""
        assert self._flights or not self._events
        assert len(self._events) <= self._max_events
        positions = [flight.position for flight in self._flights.values()]
        assert positions == sorted(positions)
        assert not positions or positions[0] <= self._first, "events are kept that nobody needs"
        assert all(position <= self._first + len(self._events) for position in positions)
        assert all(uid == flight.entity.uid for uid, flight in self._flights.items())
