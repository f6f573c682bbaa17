"""One HTTP exchange with the API server, and one stream from it: all that the rest needs of HTTP.

`Transport` is kept this small so that the embedded cluster can answer in process.
`AiohttpTransport` is the one for real servers; `pyscheduler.client.lean_transport` has one for
writes that is cheaper per request. Transports know credentials, TLS and time limits; they raise
`ServerUnreachable` and `TlsError`, and hand every answer back whatever its status: what an answer
means is `rest`'s affair.
"""

import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

import aiohttp
import msgspec
import yarl
from aiohttp.abc import AbstractCookieJar

from pyscheduler.client.credentials import Credentials
from pyscheduler.client.errors import ClientError, ServerUnreachable, TlsError

#: Seconds a request other than a watch may take when the caller names no limit: a bit more than
#: kube-apiserver's own limit of 60 s (``--request-timeout``), which answers with a Status.
DEFAULT_TIMEOUT_S = 65.0

#: Seconds to open a connection, TLS handshake included: what client-go's dialer gives it.
CONNECT_TIMEOUT_S = 30.0

#: Seconds that an idle connection is kept; kube-apiserver closes its own end after 90 and more.
KEEP_ALIVE_S = 75.0

#: TCP keep-alive: first probe after 15 s of silence, then each 5 s, given up after 3; and written
#: data must be acknowledged within 30 s. So a peer that vanished is noticed in half a minute.
TCP_KEEP_ALIVE_IDLE_S, _TCP_KEEP_ALIVE_INTERVAL_S, _TCP_KEEP_ALIVE_PROBES = 15, 5, 3
TCP_USER_TIMEOUT_S = 30

#: Largest piece that one read of a stream gives, in bytes: 5 ms of decoding and less.
_READ_BUFFER_BYTES = 1 << 18


class Response(msgspec.Struct, frozen=True):
    """A whole answer. Header names are looked up as kube-apiserver writes them."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body arrives bit by bit; with a status of 400 or more it is a short one."""

    status: int
    chunks: AsyncIterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Carries requests to one API server."""

    @property
    def name(self) -> str:
        """What carries the requests, for the start-up log and the benchmarks: ``aiohttp``."""
        ...

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
        """Return the answer, whatever its status.

        Args:
            method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
            path: absolute path on the server, percent-encoded where it has to be.
            params: query parameters, not encoded.
            body: what to send.
            content_type: of `body`; ``application/json`` when None.
            timeout_s: seconds for everything; `DEFAULT_TIMEOUT_S` when None.
            headers: further headers.

        Raises:
            ServerUnreachable: no answer came in time.
            TlsError: the connection was refused for its certificates.
        """
        ...

    def stream(self, path: str, params: Mapping[str, str]) -> AbstractAsyncContextManager[Stream]:
        """Return a context in which the answer to a GET can be read as it arrives.

        Entering it raises as `request` does; so does reading, when the connection breaks.
        """
        ...

    async def close(self) -> None:
        """Close all connections; requests under way fail."""
        ...


class AiohttpTransport:
    """The transport for every server that is reached over the network.

    Made inside of a running loop, and used on that loop alone.
    """

    name = "aiohttp"

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._server_hostname = credentials.tls.server_name if credentials.tls else None
        connector = aiohttp.TCPConnector(
            limit=0,  # bounded by whoever sends: the dispatcher's window, one watch per kind
            ssl=credentials.ssl_context if credentials.ssl_context is not None else True,
            keepalive_timeout=KEEP_ALIVE_S,
            socket_factory=_keep_alive_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=_no_cookies(),
            # Loopback and cluster networks are faster than gzip is; kube-scheduler does the same.
            headers={"Accept-Encoding": "identity", "Accept": "application/json"},
            auto_decompress=False,
            # trust_env would parse the proxy variables again for every request.
            trust_env=False,
            read_bufsize=_READ_BUFFER_BYTES,
            timeout=aiohttp.ClientTimeout(total=DEFAULT_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
        )

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
        timeout = (
            self._session.timeout
            if timeout_s is None
            else aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        )
        url = self._url(path, params)
        while True:
            sent = await self._credentials.headers()
            if body is not None:
                sent["Content-Type"] = content_type or "application/json"
            if headers:
                sent.update(headers)
            try:
                async with self._session.request(
                    method,
                    url,
                    data=body,
                    headers=sent,
                    timeout=timeout,
                    proxy=self._credentials.proxy,
                    server_hostname=self._server_hostname,
                    allow_redirects=False,
                ) as response:
                    answer = Response(response.status, await response.read(), response.headers)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise self._failure(error, timeout.total) from error
            if answer.status != 401 or not self._credentials.expire():
                return answer

    @contextlib.asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Stream]:
        """Give the answer to a GET as it arrives; how long it may take is up to the reader."""
        url = self._url(path, params)
        try:
            response = await self._session.get(
                url,
                headers=await self._credentials.headers(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
                proxy=self._credentials.proxy,
                server_hostname=self._server_hostname,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._failure(error, None) from error
        try:
            if response.status == 401:
                self._credentials.expire()
            yield Stream(response.status, self._chunks(response), response.headers)
        finally:
            response.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            while chunk := await response.content.readany():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise self._failure(error, None) from error

    def _url(self, path: str, params: Mapping[str, str] | None) -> yarl.URL:
        query = f"?{urlencode(params)}" if params else ""
        return yarl.URL(f"{self._credentials.server}{path}{query}", encoded=True)

    def _failure(self, error: Exception, timeout_s: float | None) -> ClientError:
        """Return ours for an exception of aiohttp."""
        server = self._credentials.server
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return tls_error(self._credentials, str(error.certificate_error))
        if isinstance(error, aiohttp.ClientSSLError):
            return tls_error(self._credentials, str(error))
        if isinstance(error, TimeoutError):
            limit = f" in {timeout_s:g} s" if timeout_s else " in time"
            return ServerUnreachable(f"{server}: no answer{limit}")
        is_sent = not isinstance(error, aiohttp.ClientConnectorError)
        return ServerUnreachable(f"{server}: {_reason(error)}", is_sent=is_sent)


def write_transport(credentials: Credentials, streams: AiohttpTransport) -> Transport:
    """Return the cheapest transport for writes that can do what is needed.

    Args:
        credentials: who we are.
        streams: the transport of the reads; it is returned itself when there is a proxy.

    Returns:
        A transport whose `name` says what was chosen. If it is not `streams`, close it as well.
    """
    if credentials.proxy is not None:
        return streams
    # Imported here: that module is a transport, too, and needs this one.
    from pyscheduler.client.lean_transport import LeanTransport

    return LeanTransport(credentials, streams)


def tls_error(credentials: Credentials, problem: str) -> TlsError:
    """Return the error for a connection refused for its certificates, with the file to look at."""
    return TlsError(
        f"{credentials.server}: TLS failed, check the CA of {credentials.source}: {problem}"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        return "the connection was closed before the answer was complete"
    return os_error_text(error) if isinstance(error, OSError) else _text(error)


def os_error_text(error: OSError) -> str:
    """Return what went wrong in the words of the system, which say what a user can act on."""
    if error.errno is None:
        return _text(error)
    # asyncio puts texts of its own in strerror; name resolution has negative numbers.
    return os.strerror(error.errno) if error.errno > 0 else error.strerror or _text(error)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _no_cookies() -> AbstractCookieJar:
    return aiohttp.DummyCookieJar()


def _keep_alive_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket whose dead peer the kernel notices, see `TCP_KEEP_ALIVE_IDLE_S`."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    keep_alive(opened)
    return opened


def keep_alive(opened: socket.socket) -> None:
    """Have the kernel notice a dead peer, see `TCP_KEEP_ALIVE_IDLE_S`; small writes go at once."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, TCP_KEEP_ALIVE_IDLE_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _TCP_KEEP_ALIVE_INTERVAL_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _TCP_KEEP_ALIVE_PROBES)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_S * 1000)
