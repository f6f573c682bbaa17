"""Requests and watches over HTTP/1.1 as cheap as Python can have them.

A request is one write of bytes, most of which are made once; of an answer, status and length are
looked at, and its body is handed on. Connections are kept and used again, the one used last first.
CPU of the whole process for a binding or event over TLS, 48 at once: 24 us, against 50 us with
pyreqwest (HTTP in Rust, on threads of its own) and 115 us and more with aiohttp; see
`benchmarks/micro/writes.py`. A watch has a connection of its own, which is read in a rhythm that
suits it, see `stream_connection`.

A connection that the server closed while a request was on its way is no failure of a GET, which is
sent again over another. A write may have been carried out: whoever sent it is told, and decides.
What this cannot do, proxies that is, `aiohttp_transport` can: `open_transport` chooses.
"""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import aiohappyeyeballs

from pyscheduler.client.aiohttp_transport import AiohttpTransport
from pyscheduler.client.answer_reader import AnswerHeaders
from pyscheduler.client.connection import Connection, ConnectionBroken
from pyscheduler.client.credentials import Credentials
from pyscheduler.client.errors import ServerUnreachable
from pyscheduler.client.exchange_connection import ExchangeConnection
from pyscheduler.client.stream_connection import StreamConnection
from pyscheduler.client.tls_channel import TlsChannel
from pyscheduler.client.transport import (
    CONNECT_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    KEEP_ALIVE_S,
    Response,
    Stream,
    Transport,
    keep_alive,
    os_error_text,
    tls_error,
)

#: What may stand in the first line of a request as it is; anything else is percent-encoded.
_is_plain = re.compile(r"[!-~]+").fullmatch
#: The characters that have a meaning in a path or query, or are encoded already.
_MEANT: Final = "%/:?#[]@!$&'()*+,;=~"

#: Seconds that one of the server's addresses has before the next is tried beside it: RFC 8305, as
#: in aiohttp and Go.
_NEXT_ADDRESS_S: Final = 0.25


C = TypeVar("C", bound=Connection)


def open_transport(credentials: Credentials) -> Transport:
    """Return the cheapest transport that can do what is needed; its `name` says which."""
    made = LeanTransport if credentials.proxy is None else AiohttpTransport
    return made(credentials)


class LeanTransport:
    """A transport to a server that is reached without a proxy; see the module.

    Made inside of a running loop, and used on that loop alone.
    """

    name = "lean"

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._loop = asyncio.get_running_loop()
        url = urlsplit(credentials.server)
        self._host = url.hostname or ""
        self._port = url.port or (443 if credentials.tls else 80)
        self._netloc = url.netloc
        self._prefix = url.path
        server_name = credentials.tls.server_name if credentials.tls else None
        self._server_name = server_name or self._host
        #: Connections without a request, the one used last at the end.
        self._idle: list[ExchangeConnection] = []
        self._open: set[Connection] = set()
        self._is_closed = False
        #: The headers that identify us, and the lines made of them.
        self._identity: dict[str, str] = {}
        self._identity_lines = ""

    @property
    def open_connections(self) -> int:
        """The connections there are, idle ones among them."""
        return len(self._open)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer, whatever its status; a 401 is tried once more with a new token."""
        limit_s = DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
        while True:
            head = await self._head(method, path, params, headers)
            if body is None:
                request = f"{head}\r\n".encode()
            else:
                lines = (
                    f"{head}Content-Type: {content_type or 'application/json'}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n"
                )
                request = lines.encode() + body
            answer = await self._send(request, is_repeatable=method == "GET", limit_s=limit_s)
            if answer.status != 401 or not self._credentials.expire():
                return answer

    @contextlib.asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Stream]:
        """Give the answer to a GET as it arrives; how long it may take is up to the reader."""
        head = await self._head("GET", path, params, None)
        connection = await self._connect(StreamConnection, CONNECT_TIMEOUT_S)
        try:
            try:
                answer = await connection.begin(f"{head}\r\n".encode())
            except ConnectionBroken as error:
                raise self._unreachable(str(error)) from error
            if answer.status == 401:
                self._credentials.expire()
            yield Stream(answer.status, self._chunks(connection), AnswerHeaders(answer.head))
        finally:
            connection.close()

    async def close(self) -> None:
        """Close all connections; requests under way fail."""
        self._is_closed = True
        for connection in [*self._open]:
            connection.close()

    async def _chunks(self, connection: StreamConnection) -> AsyncIterator[bytes]:
        try:
            while chunk := await connection.read():
                yield chunk
        except ConnectionBroken as error:
            raise self._unreachable(str(error)) from error

    # --- one request ----------------------------------------------------------------------------

    async def _head(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> str:
        """The lines of a request up to those about its body."""
        identity = await self._credentials.headers()
        if identity != self._identity:
            self._identity = identity
            self._identity_lines = (
                f" HTTP/1.1\r\nHost: {self._netloc}\r\nAccept: application/json\r\n"
                f"{_lines(identity)}"
            )
        target = f"{self._prefix}{path}"
        if params:
            target = f"{target}?{urlencode(params)}"
        if not _is_plain(target):
            target = quote(target, safe=_MEANT)
        head = f"{method} {target}{self._identity_lines}"
        return head + _lines(headers) if headers else head

    async def _send(self, request: bytes, *, is_repeatable: bool, limit_s: float) -> Response:
        now = self._loop.time()
        give_up_at = now + limit_s
        while True:
            connection = self._take_idle(now)
            is_fresh = connection is None
            if connection is None:
                connection = await self._connect(ExchangeConnection, give_up_at - now)
            try:
                answer = await connection.exchange(request, give_up_at=give_up_at)
            except ConnectionBroken as error:
                if is_repeatable and not is_fresh and not error.is_begun:
                    now = self._loop.time()
                    continue
                raise self._unreachable(str(error)) from error
            except TimeoutError as error:
                raise self._unreachable(f"no answer in {limit_s:g} s") from error
            if connection.is_usable:
                connection.idle_since = self._loop.time()
                self._idle.append(connection)
            return Response(answer.status, answer.body, AnswerHeaders(answer.head))

    # --- connections ----------------------------------------------------------------------------

    def _take_idle(self, now: float) -> ExchangeConnection | None:
        """An idle connection that the server should still have, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and now - connection.idle_since < KEEP_ALIVE_S:
                return connection
            connection.close()
        return None

    async def _connect(self, kind: type[C], limit_s: float) -> C:
        """A new connection, TLS included.

        Raises:
            ServerUnreachable: there is none to be had; nothing was sent.
            TlsError: the server's certificate is not accepted.
        """
        if self._is_closed:
            raise self._unreachable("the transport is closed", is_sent=False)
        try:
            async with asyncio.timeout(min(limit_s, CONNECT_TIMEOUT_S)):
                _, connection = await self._loop.create_connection(
                    lambda: self._new_connection(kind), sock=await self._dial()
                )
                await connection.opened()
        except TimeoutError as error:
            raise self._unreachable("no connection in time", is_sent=False) from error
        except ssl.SSLError as error:
            raise tls_error(self._credentials, str(error)) from error
        except OSError as error:
            raise self._unreachable(os_error_text(error), is_sent=False) from error
        if connection.is_closing:  # closed before anybody here could know of it
            raise self._unreachable("the connection was closed at once", is_sent=False)
        self._open.add(connection)
        return connection

    async def _dial(self) -> socket.socket:
        """A socket to the first of the server's addresses that answers: one of them may be dead."""
        addresses = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        opened = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_NEXT_ADDRESS_S, loop=self._loop
        )
        keep_alive(opened)
        return opened

    def _new_connection(self, kind: type[C]) -> C:
        context = self._credentials.ssl_context
        tls = TlsChannel(context, self._server_name) if context is not None else None
        return kind(self._loop, tls=tls, on_closed=self._open.discard)

    def _unreachable(self, reason: str, *, is_sent: bool = True) -> ServerUnreachable:
        return ServerUnreachable(f"{self._credentials.server}: {reason}", is_sent=is_sent)


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
