from __future__ import annotations

import random

import msgspec
import pytest

from pyscheduler.clock import FakeClock
from pyscheduler.sim.api_server import ApiServer
from pyscheduler.sim.embedded_cluster import EmbeddedCluster, RequestRefused
from pyscheduler.sim.exchange import Fault, Request, Response
from pyscheduler.sim.object_store import ObjectStore
from pyscheduler.sim.workload import make_pod

PODS = Request("GET", "/api/v1/pods")


def make_server(seed: int = 0) -> ApiServer:
    return ApiServer(ObjectStore(), clock=FakeClock(), rng=random.Random(seed))


def test_a_fault_strikes_its_requests_so_often() -> None:
    server = make_server()
    server.inject(
        Fault(lambda request: request.path == PODS.path, lambda _: Response(503, b"{}"), times=2)
    )

    statuses = []
    for path in (PODS.path, "/api/v1/nodes", PODS.path, PODS.path):
        answer = server.handle(Request("GET", path))
        assert isinstance(answer, Response)
        statuses.append(answer.status)

    assert statuses == [503, 200, 503, 200]


def test_equal_seeds_give_equal_objects() -> None:
    answers = [make_server(seed=7).handle(Request("GET", "/api/v1/namespaces")) for _ in range(2)]

    bodies = [answer.body for answer in answers if isinstance(answer, Response)]
    assert bodies[0] == bodies[1]


def test_a_body_that_is_not_json_is_a_bad_request() -> None:
    answer = make_server().handle(Request("POST", "/api/v1/nodes", body=b"{"))

    assert isinstance(answer, Response)
    assert answer.status == 400
    assert msgspec.json.decode(answer.body)["reason"] == "BadRequest"


def test_the_facade_says_why_the_server_refused() -> None:
    cluster = EmbeddedCluster()
    cluster.create_pods([make_pod("a")])

    with pytest.raises(RequestRefused, match='pods "a" already exists'):
        cluster.create_pods([make_pod("a")])
