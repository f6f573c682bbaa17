"""The transport through aiohttp, which can do all that a client of HTTP can: proxies, foremost.

Apart from `lean_transport`, which costs less CPU and is used wherever it can be. Called by:
``extender_client`` too, whose servers are of any kind.
"""

import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

import aiohttp
import yarl
from aiohttp.abc import AbstractCookieJar

from pyscheduler.client.credentials import Credentials
from pyscheduler.client.errors import ClientError, ServerUnreachable
from pyscheduler.client.transport import (
    CONNECT_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    KEEP_ALIVE_S,
    Response,
    Stream,
    error_text,
    keep_alive,
    os_error_text,
    tls_error,
)

#: Largest piece that one read of a stream gives, in bytes: 5 ms of decoding and less.
_READ_BUFFER_BYTES = 1 << 18


class AiohttpTransport:
    """A transport for servers of any kind, behind a proxy or not; see the module.

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


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        return "the connection was closed before the answer was complete"
    return os_error_text(error) if isinstance(error, OSError) else error_text(error)


def _no_cookies() -> AbstractCookieJar:
    return aiohttp.DummyCookieJar()


def _keep_alive_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket whose dead peer the kernel notices, see `TCP_KEEP_ALIVE_IDLE_S`."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    keep_alive(opened)
    return opened
