"""The client of the contract suite: raw requests and watches, over HTTP or in process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from pyscheduler.sim.in_process import InProcessTransport

Json = dict[str, Any]

#: Seconds to wait for one watch event; the real server on a busy machine needs some.
EVENT_TIMEOUT_S = 10.0
#: Seconds in which an event that must not come would have come.
QUIET_S = 0.3


@dataclass(frozen=True)
class Answer:
    """Status and decoded body of one answer."""

    status: int
    body: Json

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def rv(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])


class Connection(Protocol):
    """What carries the requests of one case."""

    async def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: bytes | None,
        kind: str,
        accept: str,
    ) -> tuple[int, bytes]: ...

    def open(self, path: str, params: Mapping[str, str], accept: str) -> Any: ...


class HttpConnection:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: bytes | None,
        kind: str,
        accept: str,
    ) -> tuple[int, bytes]:
        headers = {"Accept": accept, "Content-Type": kind}
        async with self._session.request(
            method, self._url + path, params=params, data=body, headers=headers
        ) as response:
            return response.status, await response.read()

    @asynccontextmanager
    async def open(
        self, path: str, params: Mapping[str, str], accept: str
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        async with self._session.get(
            self._url + path, params=params, headers={"Accept": accept}
        ) as response:
            yield response.status, response.content.iter_any()


class InProcessConnection:
    def __init__(self, transport: InProcessTransport) -> None:
        self._transport = transport

    async def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: bytes | None,
        kind: str,
        accept: str,
    ) -> tuple[int, bytes]:
        answer = await self._transport.request(
            method, path, params=params, body=body, content_type=kind, headers={"Accept": accept}
        )
        return answer.status, answer.body

    @asynccontextmanager
    async def open(
        self, path: str, params: Mapping[str, str], accept: str
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        async with self._transport.stream(path, params) as stream:
            yield stream.status, stream.chunks


class Watch:
    """One open watch."""

    def __init__(self, status: int, chunks: AsyncIterator[bytes]) -> None:
        self.status = status
        self._chunks = chunks
        self._buffer = b""

    async def next(self, timeout_s: float = EVENT_TIMEOUT_S) -> Json:
        """The next line."""
        while b"\n" not in self._buffer:
            chunk = await asyncio.wait_for(anext(self._chunks), timeout_s)
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        event: Json = json.loads(line)
        return event

    async def take(self, count: int) -> list[Json]:
        """The next lines, that many."""
        return [await self.next() for _ in range(count)]

    async def names(self, count: int) -> list[tuple[str, str]]:
        """Type and object name of the next lines."""
        return [
            (event["type"], event["object"]["metadata"]["name"]) for event in await self.take(count)
        ]

    async def is_quiet(self) -> bool:
        """Whether nothing comes for a while."""
        try:
            await self.next(QUIET_S)
        except TimeoutError:
            return True
        return False

    async def until_end(self) -> list[Json]:
        """All lines until the server ends the stream."""
        events = []
        try:
            while True:
                events.append(await self.next())
        except StopAsyncIteration:
            return events


class Api:
    """One server as the cases see it, with a namespace of the case's own."""

    def __init__(self, connection: Connection, *, namespace: str, is_real: bool) -> None:
        self._connection = connection
        self.namespace = namespace
        self.is_real = is_real

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def pod(self, name: str, subresource: str = "") -> str:
        return f"{self.pods}/{name}{subresource and '/'}{subresource}"

    @property
    def leases(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"

    @property
    def events(self) -> str:
        return f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"

    @property
    def config_maps(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps"

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        **params: str,
    ) -> Answer:
        """One exchange, whatever its status."""
        encoded = None if body is None else json.dumps(body).encode()
        status, answer = await self._connection.send(
            method, path, params, encoded, content_type, accept
        )
        try:
            return Answer(status, json.loads(answer))
        except ValueError:
            return Answer(status, {"text": answer.decode()})

    async def ok(self, method: str, path: str, body: object = None, **options: str) -> Answer:
        """One exchange that succeeds."""
        answer = await self.request(method, path, body, **options)
        assert answer.status < 300, answer
        return answer

    async def get(self, path: str, **params: str) -> Json:
        return (await self.ok("GET", path, **params)).body

    async def create_pods(self, *names: str, **changes: Any) -> list[Json]:
        return [
            (await self.ok("POST", self.pods, self.new_pod(name, **changes))).body for name in names
        ]

    def new_pod(self, name: str, *, labels: Json | None = None, **spec: Any) -> Json:
        """A pod nobody schedules."""
        metadata: Json = {"name": name, "namespace": self.namespace}
        if labels:
            metadata["labels"] = labels
        containers = [{"name": "main", "image": "registry.example/app:1"}]
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": metadata,
            "spec": {"schedulerName": "nobody", "containers": containers, **spec},
        }

    async def patch(self, path: str, body: object, kind: str, **params: str) -> Answer:
        """One PATCH of a kind: merge, strategic or json."""
        types = {"merge": "merge-patch", "strategic": "strategic-merge-patch", "json": "json-patch"}
        content_type = f"application/{types[kind]}+json"
        return await self.request("PATCH", path, body, content_type=content_type, **params)

    async def bind(self, name: str, node: str, **metadata: Any) -> Answer:
        body = {
            "kind": "Binding",
            "apiVersion": "v1",
            "metadata": {"name": name, "namespace": self.namespace, **metadata},
            "target": {"kind": "Node", "name": node},
        }
        return await self.request("POST", self.pod(name, "binding"), body)

    @asynccontextmanager
    async def watch(
        self, path: str, *, accept: str = "application/json", **params: str
    ) -> AsyncIterator[Watch]:
        """A watch that is open while the context is."""
        query = {"watch": "1", **params}
        async with self._connection.open(path, query, accept) as (status, chunks):
            yield Watch(status, chunks)


def names(listed: Mapping[str, Any]) -> Sequence[str]:
    """Names of a list's items, in order."""
    return [item["metadata"]["name"] for item in listed["items"]]


def condition(pod: Mapping[str, Any], kind: str) -> Json:
    """The one condition of a type."""
    (found,) = [c for c in pod["status"].get("conditions", []) if c["type"] == kind]
    return dict(found)
