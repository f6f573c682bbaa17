"""The two transports against a small server on loopback, the one place where HTTP itself is met."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from pyscheduler.client.aiohttp_transport import AiohttpTransport
from pyscheduler.client.credentials import Credentials, TokenFile
from pyscheduler.client.errors import ServerUnreachable
from pyscheduler.client.lean_transport import LeanTransport, open_transport
from pyscheduler.client.transport import Transport
from pyscheduler.clock import FakeClock


@dataclass
class Server:
    url: str = ""
    seen: list[tuple[str, str, bytes, dict[str, str]]] = field(default_factory=list)
    status: int = 201
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = dict(request.headers)
        self.seen.append((request.method, request.path_qs, await request.read(), headers))
        if request.path == "/hang":
            await self.hold.wait()
        if request.path == "/cut":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"half a li")
            assert request.transport is not None
            request.transport.abort()
            return response
        if self.status == 401 and headers.get("Authorization") == "Bearer new":
            return web.Response(status=200, body=b"welcome")
        return web.Response(status=self.status, body=b"body", headers={"Retry-After": "3"})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}"
    yield made
    made.hold.set()
    await runner.cleanup()


Opener = Callable[[Credentials], Awaitable[Transport]]


@pytest.fixture(params=[AiohttpTransport, LeanTransport], ids=["aiohttp", "lean"])
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opener]:
    async with contextlib.AsyncExitStack() as stack:

        async def open_transport(credentials: Credentials) -> Transport:
            made: Transport = request.param(credentials)
            stack.push_async_callback(made.close)
            return made

        yield open_transport


async def test_request_carries_what_it_was_given(server: Server, opened: Opener) -> None:
    transport = await opened(Credentials(server.url, source="test"))
    answer = await transport.request(
        "PATCH", "/api/x%2Fy", params={"a": "b c"}, body=b"{}", content_type="application/x"
    )

    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (201, b"body", "3")
    method, path, body, headers = server.seen[0]
    assert (method, path, body) == ("PATCH", "/api/x%2Fy?a=b+c", b"{}")
    assert headers["Content-Type"] == "application/x"
    assert headers["User-Agent"].startswith("pyscheduler/")


async def test_errors_are_answers(server: Server, opened: Opener) -> None:
    server.status = 409
    transport = await opened(Credentials(server.url, source="test"))

    assert (await transport.request("POST", "/x", body=b"{}")).status == 409


async def test_refused_connection_was_surely_not_sent(opened: Opener) -> None:
    transport = await opened(Credentials("http://127.0.0.1:1", source="test"))

    with pytest.raises(ServerUnreachable, match=r"(?i)connection refused") as raised:
        await transport.request("POST", "/x", body=b"{}")
    assert not raised.value.is_sent


async def test_answer_that_takes_too_long_is_an_error(server: Server, opened: Opener) -> None:
    transport = await opened(Credentials(server.url, source="test"))

    with pytest.raises(ServerUnreachable, match=r"no answer in 0\.05 s") as raised:
        await transport.request("POST", "/hang", body=b"{}", timeout_s=0.05)
    assert raised.value.is_sent


async def test_cut_answer_may_have_been_carried_out(server: Server, opened: Opener) -> None:
    transport = await opened(Credentials(server.url, source="test"))

    with pytest.raises(ServerUnreachable) as raised:
        await transport.request("POST", "/cut", body=b"{}")
    assert raised.value.is_sent


async def test_refused_token_is_read_again_once(
    server: Server, opened: Opener, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    clock = FakeClock()
    clock.advance(20)
    tokens = TokenFile(path, clock=clock, field="token")
    path.write_text("new")
    server.status = 401
    transport = await opened(Credentials(server.url, source="test", tokens=tokens, clock=clock))

    assert (await transport.request("GET", "/x")).body == b"welcome"
    assert len(server.seen) == 2


async def test_stream_gives_chunks_and_tells_a_cut(server: Server, opened: Opener) -> None:
    transport = await opened(Credentials(server.url, source="test"))
    chunks: list[bytes] = []

    async def read() -> None:
        async with transport.stream("/cut", {"watch": "1"}) as stream:
            async for chunk in stream.chunks:
                chunks.append(chunk)

    with pytest.raises(ServerUnreachable, match=r"closed before the answer was complete|reset"):
        await read()
    assert chunks in ([b"half a li"], [])
    assert server.seen[0][1] == "/cut?watch=1"


@pytest.mark.parametrize(
    ("proxy", "name"),
    [pytest.param(None, "lean", id="none"), pytest.param("http://proxy:3128", "aiohttp", id="one")],
)
async def test_aiohttp_carries_what_goes_through_a_proxy(proxy: str | None, name: str) -> None:
    transport = open_transport(Credentials("https://lab", source="test", proxy=proxy))

    assert transport.name == name
    await transport.close()
