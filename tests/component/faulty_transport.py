"""The network between a scheduler and the embedded API server, where things go wrong.

Faults strike here and not in the server, so that nodes, kubelets and the test itself are spared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from pyscheduler.client.transport import Response, Stream, Transport
from pyscheduler.sim.exchange import Fault, Request


class FaultyTransport:
    """A `Transport` that lets faults answer instead of the server."""

    name = "faulty"

    def __init__(self, inner: Transport, faults: list[Fault]) -> None:
        """Nothing fails until a fault is put into the list, which may be shared."""
        self._inner = inner
        self._faults = faults

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
        struck = self._strike(Request(method, path, params or {}, body or b""))
        if struck is not None:
            return struck
        return await self._inner.request(
            method,
            path,
            params=params,
            body=body,
            content_type=content_type,
            timeout_s=timeout_s,
            headers=headers,
        )

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Stream]:
        struck = self._strike(Request("GET", path, params))
        if struck is not None:
            yield Stream(struck.status, _once(struck.body), struck.headers)
            return
        async with self._inner.stream(path, params) as stream:
            yield stream

    async def close(self) -> None:
        await self._inner.close()

    def _strike(self, request: Request) -> Response | None:
        for fault in self._faults:
            answer = fault.strike(request)
            if answer is not None:
                return Response(answer.status, answer.body, answer.headers)
        return None


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
