"""Writes through pyreqwest (extra ``fast``): an HTTP client in Rust, off the event loop's thread.

Measured for a binding over TLS on loopback, 32 at once: 20 us of the loop's thread and 45 us of
CPU in all, against 120 us and 120 us with aiohttp. It carries requests only; streams stay with
aiohttp, whose reading can be sliced. `pyscheduler.client.transport.write_transport` chooses it.

Known difference: our CA is trusted in addition to the public ones, not in their place; pyreqwest
offers nothing else. Reads, which come first, go through aiohttp and our CA alone, so a wrong CA is
still told at the start.
"""

import datetime as dt
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    ConnectError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestTimeoutError,
)

from pyscheduler.client.credentials import Credentials, TlsMaterial
from pyscheduler.client.errors import ClientError, ServerUnreachable
from pyscheduler.client.transport import (
    CONNECT_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    KEEP_ALIVE_S,
    TCP_KEEP_ALIVE_IDLE_S,
    TCP_USER_TIMEOUT_S,
    AiohttpTransport,
    Response,
    Stream,
    tls_error,
)
from pyscheduler.errors import CredentialsError


class PyreqwestTransport:
    """A transport whose requests are carried by pyreqwest and whose streams by `streams`."""

    name = "pyreqwest"

    def __init__(self, credentials: Credentials, streams: AiohttpTransport) -> None:
        self._credentials = credentials
        self._streams = streams
        try:
            self._client = _build_client(credentials)
        except PyreqwestError as error:
            raise CredentialsError(
                f"{credentials.source}: certificates cannot be used: {_reason(error)}"
            ) from error

    @staticmethod
    def suits(credentials: Credentials) -> bool:
        """Whether these credentials ask for nothing that pyreqwest cannot do."""
        tls = credentials.tls
        return credentials.proxy is None and (tls is None or tls.server_name is None)

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
        query = f"?{urlencode(params)}" if params else ""
        url = f"{self._credentials.server}{path}{query}"
        while True:
            sent = await self._credentials.headers()
            if body is not None:
                sent["Content-Type"] = content_type or "application/json"
            if headers:
                sent.update(headers)
            request: Any = self._client.request(method, url).headers(sent)
            if body is not None:
                request = request.body_bytes(body)
            if timeout_s is not None:
                request = request.timeout(dt.timedelta(seconds=timeout_s))
            try:
                response = await request.build().send()
                answer = Response(response.status, bytes(await response.bytes()), response.headers)
            except PyreqwestError as error:
                raise self._failure(error, timeout_s or DEFAULT_TIMEOUT_S) from error
            if answer.status != 401 or not self._credentials.expire():
                return answer

    def stream(self, path: str, params: Mapping[str, str]) -> AbstractAsyncContextManager[Stream]:
        """Give the answer to a GET as it arrives, through the other transport."""
        return self._streams.stream(path, params)

    async def close(self) -> None:
        """Close the connections for requests; the other transport has an owner of its own."""
        await self._client.close()

    def _failure(self, error: Exception, timeout_s: float) -> ClientError:
        """Return ours for an exception of pyreqwest."""
        server, reason = self._credentials.server, _reason(error)
        if isinstance(error, RequestTimeoutError):
            return ServerUnreachable(f"{server}: no answer in {timeout_s:g} s")
        is_connecting = isinstance(error, ConnectError)
        if is_connecting and "certificate" in reason:
            return tls_error(self._credentials, reason)
        return ServerUnreachable(f"{server}: {reason}", is_sent=not is_connecting)


def _build_client(credentials: Credentials) -> Client:
    builder = (
        ClientBuilder()
        .no_proxy()
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .follow_redirects(False)
        .referer(False)
        .timeout(dt.timedelta(seconds=DEFAULT_TIMEOUT_S))
        .connect_timeout(dt.timedelta(seconds=CONNECT_TIMEOUT_S))
        .pool_idle_timeout(dt.timedelta(seconds=KEEP_ALIVE_S))
        .tcp_keepalive(dt.timedelta(seconds=TCP_KEEP_ALIVE_IDLE_S))
        .tcp_user_timeout(dt.timedelta(seconds=TCP_USER_TIMEOUT_S))
    )
    if credentials.tls is not None:
        builder = _with_tls(builder, credentials.tls)
    return builder.build()


def _with_tls(builder: ClientBuilder, tls: TlsMaterial) -> ClientBuilder:
    if tls.ca_pem is not None:
        for certificate in _split_pem(tls.ca_pem):
            builder = builder.add_root_certificate_pem(certificate)
    if tls.cert_pem is not None and tls.key_pem is not None:
        builder = builder.identity_pem(tls.cert_pem.rstrip() + b"\n" + tls.key_pem)
    if not tls.is_verified:
        builder = builder.danger_accept_invalid_certs(True)
    return builder


def _split_pem(bundle: bytes) -> list[bytes]:
    """Return the certificates of a CA bundle one by one, as pyreqwest takes them."""
    end = b"-----END CERTIFICATE-----"
    return [part.lstrip() + end for part in bundle.split(end)[:-1]]


def _reason(error: Exception) -> str:
    """Return the innermost cause, which says what a user can act on."""
    if isinstance(error, DetailedPyreqwestError):
        causes = error.details.get("causes") or []
        if causes:
            return str(causes[-1]["message"])
    return str(error)
