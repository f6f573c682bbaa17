import json
from typing import Any

import pytest

from pyscheduler.client.recorder import EventRecorder, cut_note
from pyscheduler.client.sending import WriteRequest
from pyscheduler.clock import FakeClock
from tests.unit.client.scripted import pod


class Queue:
    def __init__(self) -> None:
        self.writes: list[tuple[str, WriteRequest]] = []
        self.is_unsent = False

    def send_event(self, key: str, write: WriteRequest) -> None:
        self.writes.append((key, write))

    def unsent_event(self, key: str) -> bool:
        return self.is_unsent

    def body(self, index: int = -1) -> Any:
        return json.loads(self.writes[index][1].body or b"")


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queue = Queue()
        self.dropped: list[str] = []
        self.recorder = EventRecorder(
            self.queue,
            reporting_controller="pyscheduler",
            reporting_instance="host-1",
            clock=self.clock,
            on_dropped=self.dropped.append,
        )

    def fail(self, note: str = "no room") -> None:
        self.recorder.event(pod("a"), "Warning", "FailedScheduling", "Scheduling", note)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_event_is_written_as_upstream_writes_it(bench: Bench) -> None:
    note = "Successfully assigned shop/a to n1"
    bench.recorder.event(pod("a"), "Normal", "Scheduled", "Binding", note)

    (key, write) = bench.queue.writes[0]
    assert (write.method, write.path) == ("POST", "/apis/events.k8s.io/v1/namespaces/shop/events")
    assert bench.queue.body() == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": key, "namespace": "shop"},
        "eventTime": "2023-11-14T22:13:20.000000Z",
        "reportingController": "pyscheduler",
        "reportingInstance": "pyscheduler-host-1",
        "action": "Binding",
        "reason": "Scheduled",
        "regarding": {
            "kind": "Pod",
            "apiVersion": "v1",
            "namespace": "shop",
            "name": "a",
            "uid": "uid-a",
        },
        "note": note,
        "type": "Normal",
    }
    assert key.startswith("a.")


def test_events_of_one_moment_have_different_names(bench: Bench) -> None:
    for _ in range(3):
        bench.recorder.event(pod("a"), "Normal", "Scheduled", "Binding", "x")

    assert len({key for key, _ in bench.queue.writes}) == 3


def test_related_pod_is_named(bench: Bench) -> None:
    bench.recorder.event(
        pod("victim"), "Normal", "Preempted", "Preempting", "x", related=pod("preemptor")
    )

    assert bench.queue.body()["related"]["name"] == "preemptor"


def test_same_warning_becomes_a_series(bench: Bench) -> None:
    bench.fail()
    bench.clock.advance(10)
    bench.fail()

    (posted, _), (patched, write) = bench.queue.writes
    assert posted == patched
    assert (write.method, write.path.rpartition("/")[2]) == ("PATCH", posted)
    assert bench.queue.body() == {
        "series": {"count": 2, "lastObservedTime": "2023-11-14T22:13:30.000000Z"}
    }


def test_series_is_written_once_a_minute(bench: Bench) -> None:
    bench.fail()
    for _ in range(30):
        bench.clock.advance(10)
        bench.fail()

    counts = [
        json.loads(write.body or b"")["series"]["count"] for _, write in bench.queue.writes[1:]
    ]
    assert counts == [2, 8, 14, 20, 26]


def test_series_waits_for_its_event(bench: Bench) -> None:
    bench.queue.is_unsent = True
    bench.fail()
    bench.fail()

    assert len(bench.queue.writes) == 1


def test_warning_after_a_long_quiet_is_a_new_event(bench: Bench) -> None:
    bench.fail()
    bench.clock.advance(361)
    bench.fail()

    assert [write.method for _, write in bench.queue.writes] == ["POST", "POST"]


def test_changing_warnings_about_one_pod_are_limited(bench: Bench) -> None:
    for number in range(40):
        bench.fail(f"0/{number} nodes are available")

    assert len(bench.queue.writes) == 25
    assert bench.dropped == ["rate"] * 15


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        pytest.param(1024, "x" * 1024, id="fits"),
        pytest.param(1025, "x" * 1020 + " ...", id="cut"),
    ],
)
def test_long_notes_are_cut_as_upstream_cuts_them(length: int, expected: str) -> None:
    assert cut_note("x" * length) == expected
