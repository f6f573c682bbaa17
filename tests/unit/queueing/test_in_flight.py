from __future__ import annotations

from pyscheduler.framework.cluster_events import NODE_ADDED, WILDCARD
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.hints import Audience
from pyscheduler.queueing.in_flight import InFlight
from tests.unit.queueing.queue_harness import make_pod

EVENT = Audience(NODE_ADDED, "NodeAdd", is_wildcard=False, listeners={})
EVERYTHING = Audience(WILDCARD, "Wildcard", is_wildcard=True, listeners={})


def start(in_flight: InFlight, *names: str) -> None:
    for name in names:
        in_flight.start(QueuedEntity(make_pod(name), timestamp=0.0))


def missed(in_flight: InFlight, name: str) -> list[object]:
    in_flight.validate()
    return [new for _, _, new in in_flight.missed_events(name)]


def test_nothing_is_kept_while_nobody_is_in_flight() -> None:
    in_flight = InFlight(wildcard=EVERYTHING)
    in_flight.record(EVENT, None, 1)
    assert in_flight.event_count == 0


def test_each_reads_on_from_where_it_was_popped() -> None:
    in_flight = InFlight(wildcard=EVERYTHING)
    start(in_flight, "a")
    in_flight.record(EVENT, None, 1)
    start(in_flight, "b")
    in_flight.record(EVENT, None, 2)
    assert missed(in_flight, "a") == [1, 2]
    assert missed(in_flight, "b") == [2]
    assert missed(in_flight, "nobody") == []


def test_the_oldest_to_leave_takes_its_events_along() -> None:
    in_flight = InFlight(wildcard=EVERYTHING)
    start(in_flight, "a")
    in_flight.record(EVENT, None, 1)
    start(in_flight, "b", "c")
    in_flight.record(EVENT, None, 2)
    in_flight.end("b")
    assert in_flight.event_count == 2
    in_flight.end("a")
    assert in_flight.event_count == 1
    assert missed(in_flight, "c") == [2]
    in_flight.end("c")
    assert in_flight.event_count == 0
    start(in_flight, "d")
    assert missed(in_flight, "d") == []


def test_ending_twice_is_ending_once() -> None:
    in_flight = InFlight(wildcard=EVERYTHING)
    start(in_flight, "a")
    assert in_flight.end("a") is not None
    assert in_flight.end("a") is None


def test_too_many_events_collapse_for_those_who_missed_some() -> None:
    in_flight = InFlight(wildcard=EVERYTHING, max_events=2)
    start(in_flight, "a")
    in_flight.record(EVENT, None, 1)
    in_flight.record(EVENT, None, 2)
    start(in_flight, "b")
    in_flight.record(EVENT, None, 3)
    start(in_flight, "c")
    in_flight.record(EVENT, None, 4)
    assert [audience for audience, _, _ in in_flight.missed_events("a")] == [EVERYTHING, EVENT]
    assert [audience for audience, _, _ in in_flight.missed_events("b")] == [EVERYTHING, EVENT]
    assert missed(in_flight, "c") == [4]
