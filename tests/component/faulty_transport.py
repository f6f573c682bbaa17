"""The network between a scheduler and the embedded API server, where things go wrong.

Faults strike here and not in the server, so that nodes, kubelets and the test itself are spared.
`Weather` is what befalls everything that passes: slow requests, events that come late or twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pyscheduler.client.transport import Response, Stream, Transport
from pyscheduler.clock import Clock
from pyscheduler.sim.exchange import Fault, Request


def _at_once(_request: Request) -> float:
    return 0.0


@dataclass(slots=True)
class Weather:
    """What the network is like; changed while it is in use."""

    #: virtual seconds a request takes to the server, and its answer back
    there_s: Callable[[Request], float] = _at_once
    back_s: Callable[[Request], float] = _at_once
    #: virtual seconds that events of a watch come late
    event_delay_s: float = 0.0
    #: every event of a watch comes twice in a row
    repeats_events: bool = False
    #: every write that was sent, if anybody wants to know
    log: list[bytes] | None = field(default=None, repr=False)

    def clear(self) -> None:
        """Everything passes at once, and once."""
        self.there_s = self.back_s = _at_once
        self.event_delay_s = 0.0
        self.repeats_events = False


class FaultyTransport:
    """A `Transport` that lets faults answer instead of the server."""

    name = "faulty"

    def __init__(
        self, inner: Transport, faults: list[Fault], *, weather: Weather, clock: Clock
    ) -> None:
        """Nothing fails until a fault is put into the list, which may be shared."""
        self._inner = inner
        self._faults = faults
        self._weather = weather
        self._clock = clock

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
        request = Request(method, path, params or {}, body or b"")
        self._note(request)
        back_s = self._weather.back_s(request)
        await self._pass(self._weather.there_s(request))
        struck = self._strike(request)
        if struck is not None:
            return struck
        answer = await self._inner.request(
            method,
            path,
            params=params,
            body=body,
            content_type=content_type,
            timeout_s=timeout_s,
            headers=headers,
        )
        await self._pass(back_s)
        return answer

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Stream]:
        struck = self._strike(Request("GET", path, params))
        if struck is not None:
            yield Stream(struck.status, _once(struck.body), struck.headers)
            return
        async with self._inner.stream(path, params) as stream:
            yield Stream(stream.status, self._chunks(stream.chunks), stream.headers)

    async def close(self) -> None:
        await self._inner.close()

    def _note(self, request: Request) -> None:
        log = self._weather.log
        if log is not None and request.method != "GET":
            head = f"{self._clock.monotonic():.6f} {request.method} {request.path} "
            log.append(head.encode() + request.body)

    async def _pass(self, delay_s: float) -> None:
        if delay_s:
            await self._clock.sleep(delay_s)

    async def _chunks(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            await self._pass(self._weather.event_delay_s)
            yield _twice(chunk) if self._weather.repeats_events else chunk

    def _strike(self, request: Request) -> Response | None:
        for fault in self._faults:
            answer = fault.strike(request)
            if answer is not None:
                return Response(answer.status, answer.body, answer.headers)
        return None


def _twice(chunk: bytes) -> bytes:
    """The lines of the chunk, each of them two times; bookmarks are no events."""
    lines = chunk.splitlines(keepends=True)
    return b"".join(line if b'"BOOKMARK"' in line[:24] else line * 2 for line in lines)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
