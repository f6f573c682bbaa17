from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.audit_tail import AuditTail, Pace, Writes, among, in_namespace


def entry(
    kind: str,
    name: str,
    second: float,
    *,
    status: int = 201,
    namespace: str = "bench",
    stage: str = "ResponseComplete",
    verb: str = "create",
) -> bytes:
    target = {"namespace": namespace, "name": name, "resource": kind}
    if kind == "binding":
        target |= {"resource": "pods", "subresource": "binding"}
    moment = f"2026-03-01T10:00:{second:09.6f}Z"
    return json.dumps(
        {
            "stage": stage,
            "verb": verb,
            "userAgent": "agent/1",
            "objectRef": target,
            "responseStatus": {"code": status},
            "requestReceivedTimestamp": moment,
            "stageTimestamp": moment,
        },
        separators=(",", ":"),
    ).encode()


def taken(*lines: bytes) -> Writes:
    writes = Writes(in_namespace("bench"))
    writes.take(lines)
    return writes


def test_pace_runs_from_the_first_bind_to_the_last_bind_and_to_the_last_event() -> None:
    writes = taken(
        entry("binding", "a", 1.0),
        entry("binding", "b", 2.0),
        entry("binding", "c", 3.0),
        entry("events", "a.1", 2.5),
        entry("events", "c.1", 5.0),
    )
    pace = writes.pace()
    assert pace == Pace(bound=3, events=2, binding_s=2.0, recorded_s=4.0)
    assert pace.pods_per_s == 1.0
    assert pace.recorded_pods_per_s == 0.5


def test_pace_takes_the_server_times_and_not_the_order_of_lines() -> None:
    writes = taken(entry("binding", "b", 4.0), entry("binding", "a", 1.0))
    assert writes.pace().binding_s == 3.0


def test_an_event_before_the_last_bind_does_not_end_the_run() -> None:
    writes = taken(
        entry("binding", "a", 1.0), entry("events", "a.1", 1.5), entry("binding", "b", 3.0)
    )
    assert writes.pace().recorded_s == 2.0


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(entry("binding", "a", 1.0, namespace="other"), id="another namespace"),
        pytest.param(entry("pods", "a", 1.0), id="a pod's creation"),
        pytest.param(entry("events", "a", 1.0, verb="patch"), id="an event's update"),
        pytest.param(entry("binding", "a", 1.0, stage="ResponseStarted"), id="not answered yet"),
        pytest.param(entry("events", "a", 1.0, status=403), id="a refused event"),
    ],
)
def test_other_requests_do_not_count(line: bytes) -> None:
    writes = taken(line)
    assert not writes.binds
    assert not writes.events
    assert not writes.refused


def test_refused_bindings_are_kept_apart() -> None:
    writes = taken(entry("binding", "a", 1.0, status=409))
    assert writes.refused == [("a", 409)]
    assert not writes.binds


def test_nothing_bound_has_no_pace() -> None:
    assert taken().pace().pods_per_s == 0.0


def test_tail_reads_only_what_was_added_and_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(entry("binding", "old", 0.5) + b"\n")
    tail = AuditTail(path, in_namespace("bench"))
    whole, half = entry("binding", "a", 1.0), entry("binding", "b", 2.0)
    with path.open("ab") as log:
        log.write(whole + b"\n" + half[:40])
    assert [bind.name for bind in tail.read().binds] == ["a"]
    with path.open("ab") as log:
        log.write(half[40:] + b"\n")
    assert [bind.name for bind in tail.read().binds] == ["a", "b"]


def test_only_the_pods_that_count_are_taken_with_their_events() -> None:
    writes = Writes(among([("bench", "a.1")]))
    writes.take(
        [
            entry("binding", "a.1", 1.0),
            entry("binding", "b", 2.0),
            entry("events", "a.1.f00", 3.0),
            entry("events", "b.f00", 4.0),
        ]
    )
    assert [bind.name for bind in writes.binds] == ["a.1"]
    assert [event.name for event in writes.events] == ["a.1"]


@pytest.mark.parametrize(
    ("user", "verb", "counted"),
    [
        pytest.param("system:kube-scheduler", "patch", 1, id="the scheduler's"),
        pytest.param("system:kube-scheduler", "watch", 0, id="a watch that ended"),
        pytest.param("harness", "create", 0, id="somebody else's"),
    ],
)
def test_requests_of_the_scheduler_are_counted(user: str, verb: str, counted: int) -> None:
    line = entry("pods", "a", 1.0, verb=verb)
    line = line.replace(b'"userAgent"', b'"user":{"username":"%s"},"userAgent"' % user.encode())
    assert taken(line).requests == counted


def by_the_scheduler(line: bytes) -> bytes:
    user = b'"user":{"username":"system:kube-scheduler"},"userAgent"'
    return line.replace(b'"userAgent"', user)


def test_the_first_write_about_a_pod_says_when_it_was_seen() -> None:
    writes = taken(
        by_the_scheduler(entry("pods", "a", 1.0, verb="get")),
        by_the_scheduler(entry("pods", "x", 2.0, verb="patch", namespace="other")),
        by_the_scheduler(entry("pods", "a", 3.0, verb="patch")),
        by_the_scheduler(entry("binding", "a", 4.0)),
    )
    assert writes.first_write_s == writes.binds[0].time_s - 1.0
