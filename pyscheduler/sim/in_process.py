"""The embedded API server as a client's transport: no socket, the same bytes.

Requests are encoded and answers decoded by the client as over HTTP; only the HTTP framing is
left out. One request runs to its end without waiting, after giving way to the loop once, so
that a client cannot tell it from a very fast network.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import unquote

from pyscheduler.client.errors import ServerUnreachable
from pyscheduler.client.transport import Response, Stream
from pyscheduler.clock import Clock
from pyscheduler.sim.api_server import ApiServer
from pyscheduler.sim.exchange import Request
from pyscheduler.sim.exchange import Response as ServerResponse

_JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}


class InProcessTransport:
    """A `pyscheduler.client.transport.Transport` that calls the server directly."""

    name = "in-process"

    def __init__(self, server: ApiServer, *, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._closed = False

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
        """The server's answer, whatever its status; see `Transport.request`."""
        await self._clock.sleep(0)
        answer = self._server.handle(
            self._request(method, path, params, body, content_type, headers)
        )
        if isinstance(answer, ServerResponse):
            return Response(answer.status, answer.body, answer.headers or _JSON_HEADERS)
        try:
            body = b"".join([chunk async for chunk in answer])
        finally:
            answer.close()
            self._server.stream_closed(answer)
        return Response(200, body, _JSON_HEADERS)

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Stream]:
        """The server's answer to a GET as it arrives; see `Transport.stream`."""
        await self._clock.sleep(0)
        answer = self._server.handle(self._request("GET", path, params, None, None, None))
        if isinstance(answer, ServerResponse):
            yield Stream(answer.status, _once(answer.body), answer.headers or _JSON_HEADERS)
            return
        chunks = aiter(answer)
        try:
            yield Stream(200, chunks, _JSON_HEADERS)
        finally:
            answer.close()
            self._server.stream_closed(answer)

    async def close(self) -> None:
        """Later requests fail as with a server that is gone."""
        self._closed = True

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        content_type: str | None,
        headers: Mapping[str, str] | None,
    ) -> Request:
        if self._closed:
            raise ServerUnreachable("embedded API server: the transport is closed")
        accept = headers.get("Accept", "application/json") if headers else "application/json"
        return Request(
            method,
            unquote(path) if "%" in path else path,
            query=params or {},
            body=body or b"",
            content_type=content_type or "application/json",
            accept=accept,
        )


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
