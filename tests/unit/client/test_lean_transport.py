"""The lean transport against a server that answers with bytes written down beforehand."""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pyscheduler.client.credentials import Credentials, TlsMaterial, TokenFile
from pyscheduler.client.errors import ServerUnreachable, TlsError
from pyscheduler.client.lean_transport import LeanTransport
from pyscheduler.clock import FakeClock

_CERTIFICATES = Path(__file__).parents[2] / "certificates"

_DONE = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"

#: Instead of an answer: the connection is closed.
_CLOSE = b""


class Server:
    """Answers each request with the next of its answers; keeps what was asked, by connection."""

    def __init__(self) -> None:
        self.answers: deque[bytes] = deque()
        self.asked: list[list[bytes]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0
        #: set to have requests answered
        self.is_answering = asyncio.Event()
        self.is_answering.set()
        self.got_request = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests: list[bytes] = []
        self.asked.append(requests)
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if b"Content-Length" in line), 0
                )
                requests.append(head + await reader.readexactly(length))
                self.got_request.set()
                await self.is_answering.wait()
                answer = self.answers.popleft() if self.answers else _DONE
                if answer == _CLOSE:
                    break
                writer.write(answer)
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    made.is_answering.set()
    for writer in made.writers:
        writer.close()
    listening.close()


@pytest.fixture
async def transport(server: Server) -> AsyncIterator[LeanTransport]:
    credentials = Credentials(f"http://127.0.0.1:{server.port}/base", source="test")
    made = LeanTransport(credentials)
    yield made
    await made.close()


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to hold")


async def test_request_is_written_as_it_should_be(server: Server, transport: LeanTransport) -> None:
    await transport.request(
        "PATCH", "/api/x%2Fy z", body=b"{}", content_type="application/x", headers={"X-A": "b"}
    )

    head, _, body = server.asked[0][0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "PATCH /base/api/x%2Fy%20z HTTP/1.1"
    assert {f"Host: 127.0.0.1:{server.port}", "X-A: b", "Content-Length: 2"} <= {*lines}
    assert body == b"{}"


async def test_requests_in_turn_share_a_connection(
    server: Server, transport: LeanTransport
) -> None:
    for _ in range(3):
        await transport.request("POST", "/x", body=b"{}")

    assert [len(requests) for requests in server.asked] == [3]


async def test_requests_at_once_have_a_connection_each(
    server: Server, transport: LeanTransport
) -> None:
    await asyncio.gather(*[transport.request("POST", "/x", body=b"{}") for _ in range(3)])

    assert [len(requests) for requests in server.asked] == [1, 1, 1]


async def test_body_larger_than_any_buffer_goes_and_comes(
    server: Server, transport: LeanTransport
) -> None:
    large = b"x" * 3_000_000
    server.answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large)

    assert (await transport.request("PUT", "/x", body=large)).body == large
    assert server.asked[0][0].endswith(large)


async def test_connection_that_the_server_will_close_is_not_used_again(
    server: Server, transport: LeanTransport
) -> None:
    server.answers.append(_DONE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    await transport.request("POST", "/x", body=b"{}")
    await transport.request("POST", "/x", body=b"{}")

    assert [len(requests) for requests in server.asked] == [1, 1]


async def test_connection_closed_while_idle_is_not_used_again(
    server: Server, transport: LeanTransport
) -> None:
    await transport.request("POST", "/x", body=b"{}")
    server.writers[0].close()
    await _until(lambda: not transport.open_connections)

    assert (await transport.request("POST", "/x", body=b"{}")).status == 201
    assert len(server.asked) == 2


async def test_write_on_a_connection_closed_meanwhile_may_have_been_carried_out(
    server: Server, transport: LeanTransport
) -> None:
    await transport.request("POST", "/x", body=b"{}")
    server.answers.append(_CLOSE)

    with pytest.raises(ServerUnreachable, match="closed before the answer was complete") as raised:
        await transport.request("POST", "/x", body=b"{}")
    assert raised.value.is_sent
    assert len(server.asked) == 1


async def test_read_on_a_connection_closed_meanwhile_is_sent_again(
    server: Server, transport: LeanTransport
) -> None:
    await transport.request("GET", "/x")
    server.answers.append(_CLOSE)

    assert (await transport.request("GET", "/x")).body == b"ok"
    assert [len(requests) for requests in server.asked] == [2, 1]


async def test_read_cut_on_a_fresh_connection_is_a_failure(
    server: Server, transport: LeanTransport
) -> None:
    server.answers.append(_CLOSE)

    with pytest.raises(ServerUnreachable):
        await transport.request("GET", "/x")
    assert len(server.asked) == 1


async def test_connection_of_a_cancelled_request_is_closed(
    server: Server, transport: LeanTransport
) -> None:
    server.is_answering.clear()
    request = asyncio.ensure_future(transport.request("POST", "/x", body=b"{}"))
    await server.got_request.wait()
    request.cancel()
    await asyncio.wait({request})
    server.is_answering.set()

    assert (await transport.request("POST", "/y", body=b"{}")).body == b"ok"
    assert len(server.asked) == 2


async def test_connection_closed_as_soon_as_it_was_made_has_sent_nothing(
    transport: LeanTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def connect_and_lose(*args: Any, **kwargs: Any) -> Any:
        made = await connect(*args, **kwargs)
        made[0].abort()
        await asyncio.sleep(0)
        return made

    monkeypatch.setattr(loop, "create_connection", connect_and_lose)
    with pytest.raises(ServerUnreachable, match="closed at once") as raised:
        await transport.request("POST", "/x", body=b"{}")
    assert not raised.value.is_sent
    assert transport.open_connections == 0


async def test_address_that_does_not_answer_is_passed_over(
    server: Server, transport: LeanTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def addresses(*_: object, **__: object) -> list[tuple[Any, ...]]:
        hosts = ("127.0.0.2", "127.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, server.port)) for host in hosts]

    async def connect_to_the_living(opened: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.2":
            await asyncio.Event().wait()
        await connect(opened, address)

    monkeypatch.setattr(loop, "getaddrinfo", addresses)
    monkeypatch.setattr(loop, "sock_connect", connect_to_the_living)
    monkeypatch.setattr("pyscheduler.client.lean_transport._NEXT_ADDRESS_S", 0.001)

    assert (await transport.request("POST", "/x", body=b"{}")).body == b"ok"


async def test_bytes_that_nobody_asked_for_end_a_connection(
    server: Server, transport: LeanTransport
) -> None:
    await transport.request("POST", "/x", body=b"{}")
    server.writers[0].write(_DONE.replace(b"ok", b"no"))
    await _until(lambda: not transport.open_connections)

    assert (await transport.request("POST", "/x", body=b"{}")).body == b"ok"


async def test_answer_that_is_no_http_is_a_failure(
    server: Server, transport: LeanTransport
) -> None:
    server.answers.append(b"220 mail.example.com ESMTP\r\n\r\n")

    with pytest.raises(ServerUnreachable, match=r"not an HTTP/1\.1 answer"):
        await transport.request("POST", "/x", body=b"{}")


async def test_close_ends_what_is_under_way(server: Server, transport: LeanTransport) -> None:
    server.is_answering.clear()
    request = asyncio.ensure_future(transport.request("POST", "/x", body=b"{}"))
    await server.got_request.wait()
    await transport.close()

    with pytest.raises(ServerUnreachable):
        await request
    with pytest.raises(ServerUnreachable, match="transport is closed") as raised:
        await transport.request("POST", "/x", body=b"{}")
    assert not raised.value.is_sent


@contextlib.asynccontextmanager
async def _over_tls(
    tls: TlsMaterial, *, server: Server | None = None, asks_clients: bool = False
) -> AsyncIterator[LeanTransport]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_CERTIFICATES / "server.pem", _CERTIFICATES / "server.key")
    if asks_clients:
        context.load_verify_locations(_CERTIFICATES / "authority.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    serve = (server or Server()).serve
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    credentials = Credentials(f"https://127.0.0.1:{port}", source="/kube/config", tls=tls)
    transport = LeanTransport(credentials)
    try:
        yield transport
    finally:
        await transport.close()
        listening.close()


def _pem(name: str) -> bytes:
    return (_CERTIFICATES / name).read_bytes()


@pytest.mark.parametrize(
    "tls",
    [
        pytest.param(
            TlsMaterial(ca_pem=_pem("authority.pem"), server_name="extender.test"),
            id="its authority and name",
        ),
        pytest.param(TlsMaterial(is_verified=False), id="anybody"),
    ],
)
async def test_server_that_we_trust_is_written_to(tls: TlsMaterial) -> None:
    async with _over_tls(tls) as transport:
        assert (await transport.request("POST", "/x", body=b"{}")).body == b"ok"


@pytest.mark.parametrize(
    "tls",
    [
        pytest.param(
            TlsMaterial(ca_pem=_pem("other-authority.pem"), server_name="extender.test"),
            id="another authority",
        ),
        pytest.param(TlsMaterial(ca_pem=_pem("authority.pem")), id="another name"),
        pytest.param(TlsMaterial(), id="the system's authorities"),
    ],
)
async def test_server_that_we_do_not_trust_is_told_in_one_line(tls: TlsMaterial) -> None:
    async with _over_tls(tls) as transport:
        with pytest.raises(TlsError, match="check the CA of /kube/config: ") as raised:
            await transport.request("POST", "/x", body=b"{}")

    assert "\n" not in str(raised.value)


_TRUSTING = TlsMaterial(ca_pem=_pem("authority.pem"), server_name="extender.test")


async def test_body_larger_than_any_record_goes_and_comes() -> None:
    server, large = Server(), b"x" * 300_000
    server.answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large)
    async with _over_tls(_TRUSTING, server=server) as transport:
        assert (await transport.request("PUT", "/x", body=large)).body == large
    assert server.asked[0][0].endswith(large)


async def test_encrypted_connection_that_the_server_closed_while_idle_is_not_used_again() -> None:
    server = Server()
    async with _over_tls(_TRUSTING, server=server) as transport:
        await transport.request("POST", "/x", body=b"{}")
        server.writers[0].close()
        await _until(lambda: transport.open_connections == 0)
        assert (await transport.request("POST", "/x", body=b"{}")).body == b"ok"
    assert len(server.asked) == 2


async def test_connection_lost_before_it_is_encrypted_has_sent_nothing() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    credentials = Credentials(f"https://127.0.0.1:{port}", source="test", tls=_TRUSTING)
    transport = LeanTransport(credentials)
    with pytest.raises(ServerUnreachable, match="reset") as raised:
        await transport.request("POST", "/x", body=b"{}")
    assert not raised.value.is_sent
    listening.close()


async def test_client_certificate_says_who_we_are() -> None:
    known = TlsMaterial(is_verified=False, cert_pem=_pem("client.pem"), key_pem=_pem("client.key"))
    async with _over_tls(known, asks_clients=True) as transport:
        assert (await transport.request("POST", "/x", body=b"{}")).status == 201
    async with _over_tls(TlsMaterial(is_verified=False), asks_clients=True) as transport:
        with pytest.raises((ServerUnreachable, TlsError)):
            await transport.request("POST", "/x", body=b"{}")


_EVENT = b'{"type":"ADDED","object":{"kind":"Pod"}}\n'


def _stream(*chunks: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join([b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b"")])


async def _read(transport: LeanTransport) -> tuple[int, bytes]:
    async with transport.stream("/pods", {"watch": "1"}) as stream:
        return stream.status, b"".join([chunk async for chunk in stream.chunks])


_EVENTS = (_EVENT, b"x" * 1_000_000 + b"\n", _EVENT * 4, _EVENT)


async def test_watch_is_read_whatever_the_size_of_its_events(
    server: Server, transport: LeanTransport
) -> None:
    server.answers.append(_stream(*_EVENTS))

    assert await _read(transport) == (200, b"".join(_EVENTS))
    assert server.asked[0][0].startswith(b"GET /base/pods?watch=1 HTTP/1.1\r\n")
    await _until(lambda: transport.open_connections == 0)


async def test_encrypted_watch_is_read_whatever_the_size_of_its_events() -> None:
    server = Server()
    server.answers.append(_stream(*_EVENTS))
    async with _over_tls(_TRUSTING, server=server) as transport:
        assert await _read(transport) == (200, b"".join(_EVENTS))


async def test_refusal_of_a_watch_is_an_answer(server: Server, transport: LeanTransport) -> None:
    server.answers.append(b"HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ngone")

    assert await _read(transport) == (410, b"gone")


async def test_watch_that_the_server_cuts_off_is_a_failure(
    server: Server, transport: LeanTransport
) -> None:
    server.answers += [_CLOSE, _stream(_EVENT)[:-5] + b"zz\r\n"]

    with pytest.raises(ServerUnreachable, match="closed before the answer was complete"):
        await _read(transport)
    with pytest.raises(ServerUnreachable, match="no size of a chunk"):
        await _read(transport)


async def test_watch_of_a_server_that_we_do_not_trust_is_refused() -> None:
    async with _over_tls(TlsMaterial()) as transport:
        with pytest.raises(TlsError, match="check the CA of /kube/config: "):
            await _read(transport)


async def test_close_ends_watches(server: Server, transport: LeanTransport) -> None:
    server.answers.append(_stream(_EVENT)[:-5])
    async with transport.stream("/pods", {}) as stream:
        chunks = aiter(stream.chunks)
        assert await anext(chunks) == _EVENT
        await transport.close()

        with pytest.raises(ServerUnreachable):
            await anext(chunks)


async def test_watch_refused_for_its_token_is_asked_for_with_a_new_one(
    server: Server, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    clock = FakeClock()
    clock.advance(20)
    credentials = Credentials(
        f"http://127.0.0.1:{server.port}",
        source="test",
        tokens=TokenFile(token, clock=clock, field="token"),
        clock=clock,
    )
    transport = LeanTransport(credentials)
    server.answers += [b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", _stream(_EVENT)]
    token.write_text("new")
    assert await _read(transport) == (401, b"")
    assert await _read(transport) == (200, _EVENT)

    sent = [requests[0].split(b"Authorization: ")[1].split(b"\r\n")[0] for requests in server.asked]
    assert sent == [b"Bearer old", b"Bearer new"]
    await transport.close()
