"""A plain JSON client of the Kubernetes API for tests, apart from the one under test.

Paths go in, parsed JSON comes out. It is used to make the load (thousands of objects, quickly)
and to look at the outcome, so it shares no code with `pyscheduler.client`: a fault there must not
hide itself here. Credentials are read by the official client, so any kubeconfig will do.

    async with ApiClient.connect(kubeconfig) as api:
        await api.create("/api/v1/namespaces/default/pods", pod)
        pods = await api.list("/api/v1/pods", label_selector="app=web")
        async for event in api.watch("/api/v1/pods", resource_version="0"):
            ...
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes import client as official_client
from kubernetes import config as official_config

#: A Kubernetes object as parsed JSON.
Manifest = dict[str, Any]
Manifests = list[Manifest]

#: Requests under way at once when many objects are made. More only lengthens the server's queue.
PARALLEL_WRITES = 32


class ApiError(Exception):
    """The server refused a request.

    Attributes:
        status: the HTTP status.
        reason: the `reason` of the Status object, e.g. "NotFound".
    """

    def __init__(self, method: str, path: str, status: int, body: str) -> None:
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        self.status = status
        self.reason = str(answer.get("reason", ""))
        message = answer.get("message") or body[:500]
        super().__init__(f"{method} {path}: {status} {message}")


class ApiClient:
    """One connection pool to one API server, as one user."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self.server = server

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, kubeconfig: Path) -> AsyncIterator[ApiClient]:
        """Yields a client with the credentials of a kubeconfig's current context."""
        configuration = official_client.Configuration()
        await asyncio.to_thread(
            official_config.load_kube_config,
            config_file=str(kubeconfig),
            client_configuration=configuration,
        )
        headers = {}
        if authorization := configuration.get_api_key_with_prefix(
            "BearerToken", alias="authorization"
        ):
            headers["Authorization"] = authorization
        connector = aiohttp.TCPConnector(limit=0, ssl=_ssl_context(configuration))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
        async with aiohttp.ClientSession(
            connector=connector, headers=headers, timeout=timeout
        ) as session:
            yield cls(session, configuration.host)

    async def text(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> str:
        """Returns the body of a successful answer.

        Raises:
            ApiError: any status outside 2xx.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": content_type}
        async with self._session.request(
            method, self.server + path, data=data, params=params, headers=headers
        ) as response:
            text = await response.text()
        if response.status // 100 != 2:
            raise ApiError(method, path, response.status, text)
        return text

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """Returns the parsed body of a successful answer; raises `ApiError` otherwise."""
        text = await self.text(method, path, body, params=params, content_type=content_type)
        answer: Manifest = json.loads(text)
        return answer

    async def get(self, path: str) -> Manifest:
        return await self.request("GET", path)

    async def create(self, path: str, manifest: Manifest) -> Manifest:
        return await self.request("POST", path, manifest)

    async def patch(
        self, path: str, change: object, *, kind: str = "strategic-merge-patch"
    ) -> Manifest:
        """Applies a patch; `kind` is "strategic-merge-patch", "merge-patch" or "json-patch"."""
        return await self.request("PATCH", path, change, content_type=f"application/{kind}+json")

    async def delete(self, path: str, *, grace_period_s: int | None = None) -> None:
        """The object is deleted, or was gone already."""
        params = {} if grace_period_s is None else {"gracePeriodSeconds": str(grace_period_s)}
        try:
            await self.request("DELETE", path, params=params)
        except ApiError as error:
            if error.status != 404:
                raise

    async def delete_collection(self, path: str, *, grace_period_s: int | None = None) -> None:
        """Every object of a collection is deleted; what they own follows in the background."""
        params = {"propagationPolicy": "Background"}
        if grace_period_s is not None:
            params["gracePeriodSeconds"] = str(grace_period_s)
        await self.request("DELETE", path, params=params)

    async def list(
        self, path: str, *, label_selector: str = "", field_selector: str = ""
    ) -> Manifests:
        """Returns all objects of a collection, read in pages of 1,000."""
        items: Manifests = []
        params = {"limit": "1000"}
        if label_selector:
            params["labelSelector"] = label_selector
        if field_selector:
            params["fieldSelector"] = field_selector
        while True:
            page = await self.request("GET", path, params=params)
            items += page.get("items") or []
            token = page["metadata"].get("continue")
            if not token:
                return items
            params["continue"] = token

    async def is_empty(self, path: str) -> bool:
        """Claims that a collection has no object."""
        page = await self.request("GET", path, params={"limit": "1"})
        return not page.get("items")

    async def resource_version(self, path: str) -> str:
        """Returns the collection's current resourceVersion, from which a watch can start."""
        page = await self.request("GET", path, params={"limit": "1"})
        return str(page["metadata"]["resourceVersion"])

    async def watch(
        self,
        path: str,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Manifest]:
        """Yields watch events (type, object) until the server ends the stream."""
        params = {"watch": "true", "resourceVersion": resource_version}
        if label_selector:
            params["labelSelector"] = label_selector
        if field_selector:
            params["fieldSelector"] = field_selector
        async with self._session.get(
            self.server + path,
            params=params,
            timeout=aiohttp.ClientTimeout(total=None),
            # A line is one object; the parser's default of 64 KiB would refuse a large one.
            read_bufsize=4 * 1024 * 1024,
        ) as response:
            if response.status != 200:
                raise ApiError("WATCH", path, response.status, await response.text())
            async for line in response.content:
                yield json.loads(line)

    async def create_all(self, path: str, manifests: Sequence[Manifest]) -> Manifests:
        """All objects exist; returned in the order given."""
        return await in_parallel(
            [functools.partial(self.create, path, manifest) for manifest in manifests]
        )


async def in_parallel(
    calls: Iterable[Callable[[], Awaitable[Manifest]]], *, limit: int = PARALLEL_WRITES
) -> Manifests:
    """Returns the answers in order, with at most `limit` calls under way; the first fault wins."""
    pending = list(calls)
    answers: list[Manifest] = [{} for _ in pending]
    work = iter(enumerate(pending))

    async def worker() -> None:
        for index, call in work:
            answers[index] = await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(limit, len(pending))):
            group.create_task(worker())
    return answers


def _ssl_context(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context
