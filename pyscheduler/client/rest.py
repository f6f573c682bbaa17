"""Single requests on API objects: get, list, create, replace, patch, delete; answers or errors.

A thin layer over a transport that turns answers of 400 and above into `ApiError` and tries again
what is safe to try again: reads after a lost connection, and anything the server put off with a
429. The reflector and the dispatcher have rules of their own and use the transport's answers.
"""

from collections.abc import Mapping
from random import Random
from typing import Final, TypeVar

from pyscheduler.api.codec import Decoder, ListPage
from pyscheduler.api.resource_types import ResourceType
from pyscheduler.client.backoff import Backoff
from pyscheduler.client.errors import ApiError, ServerUnreachable, error_from_response
from pyscheduler.client.transport import Response, Transport
from pyscheduler.clock import Clock, SystemClock

T = TypeVar("T")

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"

#: Objects per page of a list: client-go's default, about 1 MB and 4 ms of decoding for pods.
PAGE_SIZE = 500

#: How often one request is made at most. With the back-off below: about 3 s of trouble.
_ATTEMPTS = 4
_BACKOFF_FIRST_S, _BACKOFF_LIMIT_S = 0.2, 2.0


class Rest:
    """Requests on one API server, made one at a time by whoever calls."""

    def __init__(
        self, transport: Transport, *, clock: Clock | None = None, rng: Random | None = None
    ) -> None:
        self.transport = transport
        self._clock = clock if clock is not None else SystemClock()
        self._rng = rng if rng is not None else Random()

    async def get(
        self,
        resource: ResourceType[T],
        name: str,
        *,
        namespace: str | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """Return the object as JSON.

        Raises:
            ApiError: the server refuses; `NotFound` when it is not there.
            ServerUnreachable: no answer came, in several attempts.
        """
        return await self.call("GET", resource.path(namespace, name), timeout_s=timeout_s)

    async def list_page(
        self,
        decoder: Decoder[T],
        *,
        namespace: str | None = None,
        params: Mapping[str, str] | None = None,
        limit: int | None = PAGE_SIZE,
        continue_: str = "",
    ) -> ListPage[T]:
        """Return one page of a list, its malformed objects set apart."""
        query = dict(params or {})
        if limit is not None:
            query["limit"] = str(limit)
        if continue_:
            query["continue"] = continue_
        body = await self.call("GET", decoder.resource.path(namespace), params=query)
        return decoder.list_page(body)

    async def create(
        self,
        resource: ResourceType[T],
        body: bytes,
        *,
        namespace: str | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """Create an object and return it as the server keeps it; `Conflict` when it exists."""
        path = resource.path(namespace)
        return await self.call("POST", path, body=body, timeout_s=timeout_s)

    async def replace(
        self,
        resource: ResourceType[T],
        name: str,
        body: bytes,
        *,
        namespace: str | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """Replace an object; `Conflict` when its resourceVersion is not the one in `body`."""
        path = resource.path(namespace, name)
        return await self.call("PUT", path, body=body, timeout_s=timeout_s)

    async def patch(
        self,
        resource: ResourceType[T],
        name: str,
        body: bytes,
        *,
        namespace: str | None = None,
        subresource: str = "",
        content_type: str = MERGE_PATCH,
    ) -> bytes:
        """Patch an object, or one of its subresources, and return the outcome."""
        path = resource.path(namespace, name, subresource=subresource)
        return await self.call("PATCH", path, body=body, content_type=content_type)

    async def delete(
        self,
        resource: ResourceType[T],
        name: str,
        *,
        namespace: str | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """Delete an object; `body` is a ``DeleteOptions`` with preconditions, if any."""
        return await self.call("DELETE", resource.path(namespace, name), body=body)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        timeout_s: float | None = None,
    ) -> bytes:
        """Return the body of a successful answer.

        Args:
            method: HTTP method.
            path: absolute path.
            params: query parameters.
            body: what to send.
            content_type: of `body`.
            timeout_s: seconds for all attempts together are at most this; one attempt then.

        Raises:
            ApiError: the server refuses, by kind.
            ServerUnreachable: no answer came; reads are tried several times.
            TlsError: certificates do not fit.
        """
        backoff = Backoff(_BACKOFF_FIRST_S, _BACKOFF_LIMIT_S, rng=self._rng, clock=self._clock)
        attempts = _ATTEMPTS if timeout_s is None else 1
        while True:
            attempts -= 1
            try:
                answer = await self.transport.request(
                    method,
                    path,
                    params=params,
                    body=body,
                    content_type=content_type,
                    timeout_s=timeout_s,
                )
                if answer.status < 400:
                    return answer.body
                raise api_error(answer, method, path)
            except (ApiError, ServerUnreachable) as error:
                if attempts <= 0 or not _is_worth_repeating(error, method):
                    raise
                asked_s = error.retry_after_s if isinstance(error, ApiError) else None
            await self._clock.sleep(max(backoff.next_s(), asked_s or 0.0))


def api_error(answer: Response, method: str, path: str) -> ApiError:
    """Return the error that `answer` stands for."""
    return error_from_response(
        answer.status, answer.body, request=f"{method} {path}", headers=answer.headers
    )


def _is_worth_repeating(error: ApiError | ServerUnreachable, method: str) -> bool:
    if isinstance(error, ServerUnreachable):
        return method == "GET" or not error.is_sent
    # A 5xx may come after the change was made; only the server's own "later" is safe for all.
    return error.is_transient and (method == "GET" or error.retry_after_s is not None)
