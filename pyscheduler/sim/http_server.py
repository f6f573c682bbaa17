"""The embedded API server over HTTP on loopback, for kubectl and other processes.

aiohttp's low-level server: no routing of its own, every request goes to `ApiServer.handle`. One
task per connection; a watch writes its chunks as they gather.
"""

from __future__ import annotations

import hmac
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from pyscheduler.sim.api_errors import unauthorized
from pyscheduler.sim.api_server import Answer, error_response
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.watching import WatchStream

#: Large enough for any object the real server takes (etcd's limit is 1.5 MiB), and then some.
_MAX_BODY_BYTES = 8 * 1024 * 1024


class Answers(Protocol):
    """What is served: an `ApiServer`, or what stands in front of one."""

    def handle(self, request: Request) -> Answer:
        """The answer; refusals are answers too."""

    def stream_closed(self, stream: WatchStream) -> None:
        """Nobody reads the watch any more."""

    def disconnect_watches(self) -> None:
        """Every open watch ends."""


class HttpServer:
    """Serves an `ApiServer` on 127.0.0.1 until it is closed."""

    def __init__(self, server: Answers, *, token: str | None = None) -> None:
        """A server not yet listening.

        Args:
            server: what answers.
            token: the bearer token every request must carry; None lets everybody in.
        """
        self._server = server
        self._authorization = f"Bearer {token}" if token else None
        self._runner: web.ServerRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self, port: int = 0) -> None:
        """Requests are answered from now on.

        Args:
            port: to listen on; 0 for any free one.
        """
        handler = web.Server(self._answer, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(handler, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """No more connections; open ones are cut. May be called twice."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            self._server.disconnect_watches()
            await runner.cleanup()

    async def _answer(self, received: web.BaseRequest) -> web.StreamResponse:
        if not self._admits(received):
            return _complete(error_response(unauthorized()))
        headers = received.headers
        raw_path, _, raw_query = received.raw_path.partition("?")
        request = Request(
            received.method,
            unquote(raw_path) if "%" in raw_path else raw_path,
            query=dict(parse_qsl(raw_query, keep_blank_values=True)) if raw_query else {},
            body=await received.read() if received.can_read_body else b"",
            content_type=headers.get("Content-Type", "application/json").partition(";")[0],
            accept=headers.get("Accept", ""),
        )
        answer = self._server.handle(request)
        if isinstance(answer, Response):
            return _complete(answer)
        return await self._stream(received, answer)

    def _admits(self, received: web.BaseRequest) -> bool:
        if self._authorization is None:
            return True
        given = received.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), self._authorization.encode())

    async def _stream(self, received: web.BaseRequest, stream: WatchStream) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(received)
            async for chunk in stream:
                await response.write(chunk)
        except ConnectionResetError:
            # The client went away; there is nobody to tell.
            return response
        finally:
            stream.close()
            self._server.stream_closed(stream)
        await response.write_eof()
        return response


def _complete(answer: Response) -> web.Response:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)
