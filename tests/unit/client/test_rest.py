import asyncio
import json
from random import Random

import pytest

from pyscheduler.api.codec import PODS, Interner, decoder
from pyscheduler.client.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    InternalError,
    NotFound,
    ServerUnreachable,
    TooManyRequests,
    Unauthorized,
    error_from_response,
)
from pyscheduler.client.rest import Rest
from pyscheduler.client.throttle import TokenBucket
from pyscheduler.client.transport import Response
from pyscheduler.clock import FakeClock
from tests.unit.client.scripted import (
    ScriptedTransport,
    cancelled,
    list_page,
    refusal,
    settle,
    status,
    wire_pod,
)


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.transport = ScriptedTransport()
        self.rest = Rest(self.transport, clock=self.clock, rng=Random(1))

    async def outcome(self, method: str) -> bytes:
        task = asyncio.ensure_future(self.rest.call(method, "/x", body=b"{}"))
        for _ in range(20):
            await settle()
            self.clock.advance(1)
        return await task


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_page_of_a_list_is_asked_for_with_limit_and_token(bench: Bench) -> None:
    bench.transport.answers.append(list_page(wire_pod("a", 1), version=7, continue_="next"))
    page = await bench.rest.list_page(decoder(PODS, Interner()), continue_="here")

    assert [pod.name for pod in page.items] == ["a"]
    assert (page.resource_version, page.continue_) == ("7", "next")
    assert bench.transport.sent[0].params == {"limit": "500", "continue": "here"}


@pytest.mark.parametrize(
    ("method", "trouble", "attempts"),
    [
        pytest.param("GET", ServerUnreachable("reset"), 2, id="read whose answer was lost"),
        pytest.param("GET", refusal(500), 2, id="read with a server in trouble"),
        pytest.param("POST", ServerUnreachable("x", is_sent=False), 2, id="write never sent"),
        pytest.param("POST", refusal(429, Retry_After="2"), 2, id="write put off"),
        pytest.param("POST", ServerUnreachable("reset"), 1, id="write whose answer was lost"),
        pytest.param("POST", refusal(500), 1, id="write with a server in trouble"),
        pytest.param("GET", refusal(404), 1, id="not found"),
    ],
)
async def test_what_is_safe_is_tried_again(
    bench: Bench, method: str, trouble: Response | Exception, attempts: int
) -> None:
    bench.transport.answers.append(trouble)
    try:
        await bench.outcome(method)
    except (ApiError, ServerUnreachable):
        assert attempts == 1

    assert len(bench.transport.sent) == attempts


async def test_attempts_come_to_an_end(bench: Bench) -> None:
    bench.transport.default = refusal(503)

    with pytest.raises(InternalError):
        await bench.outcome("GET")
    assert len(bench.transport.sent) == 4


async def test_a_time_limit_means_one_attempt(bench: Bench) -> None:
    bench.transport.default = refusal(503)

    with pytest.raises(InternalError):
        await bench.rest.call("GET", "/x", timeout_s=1)
    assert len(bench.transport.sent) == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(401, Unauthorized, id="401"),
        pytest.param(403, Forbidden, id="403"),
        pytest.param(404, NotFound, id="404"),
        pytest.param(409, Conflict, id="409"),
        pytest.param(410, Gone, id="410"),
        pytest.param(429, TooManyRequests, id="429"),
        pytest.param(502, InternalError, id="502"),
        pytest.param(400, ApiError, id="400"),
    ],
)
def test_status_codes_have_their_errors(code: int, expected: type[ApiError]) -> None:
    error = error_from_response(code, json.dumps(status(code)).encode(), request="GET /x")

    assert type(error) is expected


def test_message_of_the_server_is_told_in_one_line() -> None:
    body = b"<html>\n<h1>502 Bad Gateway</h1>\n</html>"
    error = error_from_response(502, body, request="GET /x")

    assert str(error) == "GET /x: 502: <html> <h1>502 Bad Gateway</h1> </html>"


def test_expired_token_is_told_as_such() -> None:
    body = json.dumps(status(401, "Unauthorized", "Unauthorized")).encode()
    error = error_from_response(401, body, request="list pods")

    assert "token or client certificate is unknown to the server or has expired" in str(error)


@pytest.mark.parametrize(
    ("headers", "details", "expected"),
    [
        pytest.param({"Retry-After": "7"}, {"retryAfterSeconds": 3}, 7.0, id="header"),
        pytest.param({}, {"retryAfterSeconds": 3}, 3.0, id="status"),
        pytest.param({}, {}, 1.0, id="neither"),
    ],
)
def test_pause_that_the_server_asks_for(
    headers: dict[str, str], details: dict[str, int], expected: float
) -> None:
    body = json.dumps(status(429, "TooManyRequests", "x", **details)).encode()
    error = error_from_response(429, body, request="GET /x", headers=headers)

    assert error.retry_after_s == expected


def test_bucket_lets_a_burst_pass_and_then_its_rate() -> None:
    clock = FakeClock()
    bucket = TokenBucket(10, 3, clock=clock)

    assert [bucket.try_take() for _ in range(4)] == [True, True, True, False]
    clock.advance(0.09)
    assert not bucket.try_take()
    clock.advance(0.02)
    assert bucket.try_take()


async def test_next_token_goes_to_the_lowest_rank_then_to_who_came_first() -> None:
    clock = FakeClock()
    bucket = TokenBucket(10, 1, clock=clock)
    served: list[str] = []

    async def take(name: str, rank: int) -> None:
        await bucket.take(rank)
        served.append(name)

    names = [("first", 0), ("status", 2), ("victim", 1), ("bind", 0), ("late bind", 0)]
    tasks = [asyncio.ensure_future(take(name, rank)) for name, rank in names]
    await settle()
    await cancelled(tasks[3])
    for _ in range(8):
        clock.advance(0.05)
        await settle()

    assert served == ["first", "late bind", "victim", "status"]
