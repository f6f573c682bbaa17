from __future__ import annotations

from benchmarks.audit_tail import Writes, in_namespace
from benchmarks.places.embedded_server import audit_line
from pyscheduler.sim.exchange import Request, Response

PODS = "/api/v1/namespaces/ns/pods"
EVENTS = "/apis/events.k8s.io/v1/namespaces/ns/events"


def taken(*requests: Request, status: int = 201) -> Writes:
    writes = Writes(in_namespace("ns"))
    for request in requests:
        line = audit_line(request, Response(status, b""), received_s=10.0, answered_s=10.5)
        writes.take([line])
    return writes


def test_a_binding_is_seen_by_the_witness_with_the_time_of_its_answer() -> None:
    (bind,) = taken(Request("POST", f"{PODS}/web-1/binding")).binds
    assert (bind.name, bind.received_s, bind.time_s) == ("web-1", 10.0, 10.5)


def test_an_event_is_seen_with_the_pod_that_it_is_about() -> None:
    body = b'{"metadata":{"name":"web.1.17a2","namespace":"ns"}}'
    (event,) = taken(Request("POST", EVENTS, body=body)).events
    assert event.name == "web.1"


def test_a_refused_binding_is_kept_apart() -> None:
    assert taken(Request("POST", f"{PODS}/a/binding"), status=409).refused == [("a", 409)]


def test_every_request_counts_as_the_schedulers() -> None:
    writes = taken(Request("GET", "/api/v1/nodes"), Request("PATCH", f"{PODS}/a/status"))
    assert writes.requests == 2
