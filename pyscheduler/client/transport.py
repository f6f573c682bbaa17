"""One HTTP exchange with the API server, and one stream from it: all that the rest needs of HTTP.

`Transport` is kept this small so that the embedded cluster can answer in process.
`lean_transport` has the one for real servers and says which is used when, `aiohttp_transport` the
one that knows proxies. Transports know credentials, TLS and time limits; they raise
`ServerUnreachable` and `TlsError`, and hand every answer back whatever its status: what an answer
means is `rest`'s affair.
"""

import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from pyscheduler.client.credentials import Credentials
from pyscheduler.client.errors import TlsError

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


def tls_error(credentials: Credentials, problem: str) -> TlsError:
    """Return the error for a connection refused for its certificates, with the file to look at."""
    return TlsError(
        f"{credentials.server}: TLS failed, check the CA of {credentials.source}: {problem}"
    )


def os_error_text(error: OSError) -> str:
    """Return what went wrong in the words of the system, which say what a user can act on."""
    if error.errno is None:
        return error_text(error)
    # asyncio puts texts of its own in strerror; name resolution has negative numbers.
    return os.strerror(error.errno) if error.errno > 0 else error.strerror or error_text(error)


def error_text(error: Exception) -> str:
    """Return what `error` says, or its name."""
    return str(error) or type(error).__name__


def keep_alive(opened: socket.socket) -> None:
    """Have the kernel notice a dead peer, see `TCP_KEEP_ALIVE_IDLE_S`; small writes go at once."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, TCP_KEEP_ALIVE_IDLE_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _TCP_KEEP_ALIVE_INTERVAL_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _TCP_KEEP_ALIVE_PROBES)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_S * 1000)
