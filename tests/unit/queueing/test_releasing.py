"""What the queue no longer needs is let go: entities, their pods, and the objects of events."""

from __future__ import annotations

import sys
import weakref

import pytest

from pyscheduler.framework.cluster_events import NODE_ALLOCATABLE_CHANGED
from tests.unit.queueing.queue_harness import QueueHarness


class Thing:
    """An object of an event, whose end can be seen."""


def happen(harness: QueueHarness, count: int = 1) -> list[weakref.ref[Thing]]:
    """So many events; returns what tells whether their objects still exist."""
    seen = []
    for _ in range(count):
        old, new = Thing(), Thing()
        harness.queue.move(NODE_ALLOCATABLE_CHANGED, old, new)
        seen += [weakref.ref(old), weakref.ref(new)]
    return seen


def alive(seen: list[weakref.ref[Thing]]) -> int:
    return sum(ref() is not None for ref in seen)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("done a", id="scheduled"),
        pytest.param("fail a Taint", id="rejected"),
        pytest.param("fail a", id="an error"),
        pytest.param("delete a \n fail a Taint", id="deleted, then rejected"),
        pytest.param("delete a \n done a", id="deleted, then done"),
        pytest.param("again a \n fail a Taint", id="made again under its name"),
    ],
)
def test_missed_events_are_let_go_with_the_last_who_missed_them(end: str) -> None:
    harness = QueueHarness()
    harness.run("add a \n pop a")
    seen = happen(harness, 5)
    assert alive(seen) == 10
    harness.run(f"{end} \n events: 0")
    assert alive(seen) == 0
    assert harness.queue.counts().in_flight == 0


def test_an_older_flight_keeps_what_it_needs_and_a_younger_one_no_more() -> None:
    harness = QueueHarness()
    harness.run("add a \n add b \n pop a")
    early = happen(harness)
    harness.run("pop b")
    late = happen(harness)
    harness.run("done a")
    assert (alive(early), alive(late)) == (0, 2)
    harness.run("done b")
    assert alive(late) == 0


def test_events_that_collapse_are_let_go_though_a_flight_never_ends() -> None:
    harness = QueueHarness(max_in_flight_events=100)
    harness.run("add stuck \n pop stuck")
    seen = happen(harness, 1000)
    assert alive(seen) <= 2 * 100
    assert harness.queue.counts().in_flight_events <= 100


def test_nobody_in_flight_nothing_kept() -> None:
    assert alive(happen(QueueHarness(), 3)) == 0


def test_what_a_crowd_has_heard_is_let_go() -> None:
    harness = QueueHarness(judged_at_once=0)
    harness.answers["Fit"] = "skip"
    harness.run("add a \n pop a \n fail a Fit")
    seen = happen(harness)
    assert alive(seen) == 2
    while harness.queue._settle_one():
        pass
    assert alive(seen) == 0


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("add a", id="active"),
        pytest.param("add a \n pop a \n fail a", id="backoff, an error"),
        pytest.param("add a \n pop a \n fail a Fit \n event NodeAdd", id="backoff, rejected"),
        pytest.param("add a \n pop a \n fail a Fit", id="unschedulable"),
        pytest.param("add a gates=g", id="gated"),
        pytest.param("add a nominated=n1", id="nominated"),
    ],
)
def test_a_deleted_pod_is_let_go_from_every_tier(where: str) -> None:
    harness = QueueHarness()
    harness.run(f"add other \n pop other \n {where}")
    pod = harness.pods.pop("a")
    held_here = sys.getrefcount(object()) + 1  # by `pod` alone
    harness.queue.delete(pod)
    harness.flying.clear()
    assert sys.getrefcount(pod) == held_here
    assert harness.queue.nominator.nodes() == ()


def test_many_that_came_and_went_leave_no_names_behind() -> None:
    harness = QueueHarness()
    for number in range(30):
        harness.run(f"add p{number} \n pop p{number} \n event NodeAdd \n done p{number}")
        harness.run(f"add q{number} gates=g \n delete q{number}")
    assert harness.queue._uids == {}
    counts = harness.queue.counts()
    assert (counts.pending, counts.in_flight, counts.in_flight_events) == (0, 0, 0)
