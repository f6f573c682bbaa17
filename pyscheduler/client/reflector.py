"""Follows one kind of object on the API server and tells a sink about every change, for ever.

The states, and what leads from one to the next::

    SYNC by WatchList --- end bookmark ------------------> WATCH (the same stream)
      |  422, other errors, or three early ends                |
      v                                                        | stream ends, breaks, falls silent:
    SYNC by LIST in pages --- last page -----------------> WATCH at the last resourceVersion
      ^                                                        |
      +------------------- 410, in an answer or a stream ------+

WatchList is KEP-3157: one stream that begins with every object and goes on as a watch. The sink is
handed the whole state at its end bookmark and single changes from then on. resourceVersions of
initial events are not progress (they come in key order); those of live events and of bookmarks are.
A sync never accepts a state older than what was seen, except from a quorum read: then the server's
own history went back (a restored backup), which is logged.

While there is no connection we try again with growing, jittered pauses, and say so once; so we do
for a resource that the server does not serve yet. Refused credentials end `Reflector.run` only
while nothing was ever synchronised; afterwards a permission may come back.
"""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import Generic, TypeVar

import msgspec
import structlog

from pyscheduler.api.codec import Bookmark, Decoder, MalformedObject
from pyscheduler.api.keys import key_of
from pyscheduler.api.meta import HasMetadata, Status
from pyscheduler.client.backoff import Backoff
from pyscheduler.client.errors import (
    ApiError,
    ClientError,
    Forbidden,
    Gone,
    NotFound,
    ServerUnreachable,
    TlsError,
    Unauthorized,
    error_from_response,
    error_from_status,
)
from pyscheduler.client.line_splitter import LineSplitter
from pyscheduler.client.rest import PAGE_SIZE
from pyscheduler.client.silence import SilenceWatch, cancel_when_silent
from pyscheduler.client.sink import (
    SLICE_S,
    NoReflectorMetrics,
    ReflectorMetrics,
    Sink,
)
from pyscheduler.client.transport import Stream, Transport
from pyscheduler.clock import Clock, SystemClock
from pyscheduler.errors import CredentialsError

#: Back-off of client-go's reflector, but with a lower limit: it waits 30 s, and a scheduler that
#: does not see the cluster for so long decides on an old picture.
_BACKOFF_FIRST_S, _BACKOFF_LIMIT_S = 0.8, 10.0

#: Seconds that a watch is asked to last, drawn at random so that watches do not end together.
_WATCH_SHORTEST_S, _WATCH_LONGEST_S = 300, 600

#: Streams that may end before the end bookmark until LIST is used: some servers ignore
#: ``sendInitialEvents`` (kubernetes #140890).
_EARLY_ENDS_LIMIT = 3

#: A stream that ends sooner than this without an event is a failure, as in client-go.
_SHORT_WATCH_S = 1.0

#: A second 410 within this many seconds is answered with a pause.
_EXPIRED_QUIET_S = 30.0

#: Starts of a paged LIST whose continue token may expire before one without pages is asked for.
_PAGED_ATTEMPTS = 3


T = TypeVar("T", bound=HasMetadata)


class _StreamFault(ClientError):  # noqa: N818  # never leaves this module
    """A stream that cannot be read on: silent, cut in the midst of a line, or not a watch."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Reflector(Generic[T]):
    """Keeps one sink in step with one kind of object.

    Args:
        transport: reaches the server.
        decoder: of the kind to follow.
        sink: is told; its methods are called from the task that runs `run` alone.
        params: selectors that apply to everything asked, such as ``fieldSelector``.
        namespace: follow this namespace only.
        asked_by: on whose behalf, for the log.
        is_optional: a server that refuses this kind is asked again, from the first time on.
        clock: time; every pause and limit goes by it.
        rng: jitter.
        metrics: counts what happens.
    """

    def __init__(
        self,
        transport: Transport,
        decoder: Decoder[T],
        sink: Sink[T],
        *,
        params: Mapping[str, str] | None = None,
        namespace: str | None = None,
        asked_by: str = "",
        is_optional: bool = False,
        clock: Clock | None = None,
        rng: Random | None = None,
        metrics: ReflectorMetrics | None = None,
    ) -> None:
        self._transport = transport
        self._decoder = decoder
        self._sink = sink
        self._params = dict(params or {})
        self._path = decoder.resource.path(namespace)
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._rng = rng if rng is not None else Random()
        self._metrics: ReflectorMetrics = metrics if metrics is not None else NoReflectorMetrics()
        self._is_optional = is_optional
        self._log = structlog.get_logger(__name__).bind(resource=str(decoder.resource))
        if asked_by:
            self._log = self._log.bind(asked_by=asked_by)
        self._backoff = Backoff(
            _BACKOFF_FIRST_S, _BACKOFF_LIMIT_S, rng=self._rng, clock=self._clock
        )
        #: The version reached; "" before the first sync. A watch goes on from here.
        self._resource_version = ""
        #: Whether the next step is a sync rather than a watch.
        self._needs_sync = True
        #: Whether the server said that it cannot serve our version: the next sync asks for none.
        self._is_version_unavailable = False
        #: Streams in a row that ended before the end bookmark.
        self._early_ends = 0
        #: Objects of a WatchList before its end bookmark, by key; None while live.
        self._initial: dict[str, T] | None = None
        self._initial_malformed: list[MalformedObject] = []
        #: Whether the last step was a list, which no watch has followed yet.
        self._is_listed = False
        #: Events of this stream, the end of a sync among them: it was of use if there were any.
        self._events_seen = 0
        self._lost_at: float | None = None
        #: What went wrong last, while changes do not arrive.
        self._problem = ""
        self._expired_at: float | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the last attempt worked, so that changes arrive."""
        return self._lost_at is None and not self._needs_sync

    @property
    def problem(self) -> str:
        """Why changes do not arrive at present; "" when nothing is known to be wrong."""
        return self._problem

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            Unauthorized, Forbidden, TlsError, CredentialsError: before anything was synchronised.
        """
        while True:
            opened_at = self._clock.monotonic()
            self._events_seen = 0
            try:
                if not self._needs_sync:
                    await self._watch()
                elif self._early_ends < _EARLY_ENDS_LIMIT:
                    await self._sync_by_watch_list()
                else:
                    await self._sync_by_list()
                delay_s = self._on_end(self._clock.monotonic() - opened_at)
            except (ClientError, CredentialsError) as error:
                delay_s = self._on_failure(error)
            if delay_s > 0:
                await self._clock.sleep(delay_s)

    # --- asking ---------------------------------------------------------------------------------

    async def _sync_by_watch_list(self) -> None:
        """Sync and watch in one stream; LIST instead if the server will not."""
        params = {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "resourceVersion": self._version_to_sync(),
        }
        self._initial = {}
        self._initial_malformed = []
        try:
            await self._follow(params)
        except _StreamFault:
            self._early_ends += self._needs_sync
            raise
        except ApiError as error:
            if not self._needs_sync or error.status == 429 or isinstance(error, Gone):
                raise
            self._log.debug("server refuses WatchList, listing instead", reason=str(error))
            self._initial = None
            await self._sync_by_list()
        finally:
            self._initial = None
        if self._needs_sync:
            self._early_ends += 1
            raise _StreamFault("early end", "stream ended before the initial events were complete")

    async def _sync_by_list(self) -> None:
        """Sync by pages; the watch follows as a stream of its own."""
        version = self._version_to_sync()
        params = dict(self._params)
        if version:
            params["resourceVersion"] = version
            params["resourceVersionMatch"] = "NotOlderThan"
        objects: list[T] = []
        malformed: list[MalformedObject] = []
        for attempt in range(1, _PAGED_ATTEMPTS + 1):
            objects.clear()
            malformed.clear()
            try:
                reached = await self._list_all(
                    params, objects, malformed, is_paged=attempt < _PAGED_ATTEMPTS
                )
                break
            except _ContinueExpired:
                params = dict(self._params)
        for error in malformed:
            self._report_malformed(error)
        await self._complete_sync("list", objects, reached, malformed)
        self._is_listed = True

    async def _list_all(
        self,
        first_params: Mapping[str, str],
        objects: list[T],
        malformed: list[MalformedObject],
        *,
        is_paged: bool,
    ) -> str:
        params = dict(first_params)
        if is_paged:
            params["limit"] = str(PAGE_SIZE)
        while True:
            answer = await self._transport.request("GET", self._path, params=params)
            if answer.status >= 400:
                error = error_from_response(
                    answer.status,
                    answer.body,
                    request=f"list {self._decoder.resource}",
                    headers=answer.headers,
                )
                if isinstance(error, Gone) and "continue" in params:
                    raise _ContinueExpired
                raise error
            try:
                page = self._decoder.list_page(answer.body)
            except msgspec.MsgspecError as error:
                raise _StreamFault("garbled", f"the answer is no list: {error}") from error
            objects.extend(page.items)
            malformed.extend(page.malformed)
            if not page.continue_:
                return page.resource_version
            # All pages are of the version of the first, which the token carries.
            params = {**self._params, "limit": str(PAGE_SIZE), "continue": page.continue_}
            await self._clock.sleep(0)

    async def _watch(self) -> None:
        await self._follow({"resourceVersion": self._resource_version})

    def _version_to_sync(self) -> str:
        return "" if self._is_version_unavailable else self._resource_version

    # --- reading --------------------------------------------------------------------------------

    async def _follow(self, params: Mapping[str, str]) -> None:
        """Read one stream to its end; cut it off when it falls silent."""
        timeout_s = self._rng.randint(_WATCH_SHORTEST_S, _WATCH_LONGEST_S)
        query = {
            **self._params,
            **params,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_s),
        }
        watch = SilenceWatch(self._clock, timeout_s=timeout_s)
        reader = asyncio.current_task()
        assert reader is not None
        silence = asyncio.ensure_future(cancel_when_silent(watch, reader))
        try:
            async with self._transport.stream(self._path, query) as stream:
                if stream.status >= 400:
                    raise await self._refusal(stream)
                if self._initial is None:
                    watch.is_live = True
                    self._on_connected()
                await self._read(stream, watch)
        except asyncio.CancelledError:
            if silence.done() and not silence.cancelled() and reader.uncancel() == 0:
                raise _StreamFault("silent", silence.result()) from None
            raise
        finally:
            silence.cancel()
            # Waited for, not awaited: its cancellation must not be taken for ours, nor hide it.
            await asyncio.wait({silence})

    async def _read(self, stream: Stream, watch: SilenceWatch) -> None:
        lines = LineSplitter()
        chunks = aiter(stream.chunks)
        monotonic = self._clock.monotonic
        spent_s = 0.0
        while True:
            watch.waiting_since = monotonic()
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                break
            started = monotonic()
            watch.waiting_since = None
            for line in lines.feed(chunk):
                bookmark = self._take(line)
                if bookmark is not None:
                    await self._on_bookmark(bookmark, watch)
                elapsed_s = spent_s + monotonic() - started
                if elapsed_s > SLICE_S:
                    await self._clock.sleep(0)
                    spent_s, started = 0.0, monotonic()
            # Else it would be held until the next one comes: a large object, once per stream.
            line = chunk = b""
            spent_s += monotonic() - started
        if lines.has_rest:
            raise _StreamFault("broken", "stream ended in the midst of a line")

    def _take(self, line: bytes) -> Bookmark | None:
        """Pass on what one line says; bookmarks are returned, since they may need awaiting."""
        try:
            event = self._decoder.watch_event(line)
        except MalformedObject as error:
            self._take_malformed(error)
            return None
        except msgspec.MsgspecError as error:
            raise _StreamFault(
                "garbled", f"stream holds what is no watch event: {error}"
            ) from error
        subject = event.object
        if isinstance(subject, Bookmark):
            return subject
        if isinstance(subject, Status):
            raise error_from_status(
                subject, subject.code, request=f"watch {self._decoder.resource}"
            )
        self._events_seen += 1
        initial = self._initial
        if initial is None:
            self._resource_version = subject.metadata.resource_version
            self._metrics.watch_event()
            self._sink.apply(event.type, subject)
        elif event.type == "DELETED":
            initial.pop(key_of(subject), None)
        else:
            initial[key_of(subject)] = subject
        return None

    def _take_malformed(self, error: MalformedObject) -> None:
        self._report_malformed(error)
        self._events_seen += 1
        if self._initial is None:
            if error.resource_version:
                self._resource_version = error.resource_version
            self._sink.on_malformed(error)
            return
        self._initial.pop(error.key, None)
        if error.event_type != "DELETED":
            self._initial_malformed.append(error)

    def _report_malformed(self, error: MalformedObject) -> None:
        self._metrics.malformed()
        key = error.kind.lower()
        self._log.error(
            "malformed object left out", reason=error.reason, kind=error.kind, **{key: error.key}
        )

    async def _on_bookmark(self, bookmark: Bookmark, watch: SilenceWatch) -> None:
        if self._initial is None:
            watch.is_bookmarked = True
            self._resource_version = bookmark.resource_version
            self._sink.on_bookmark(bookmark.resource_version)
            return
        if bookmark.initial_events_end:
            objects = list(self._initial.values())
            version = bookmark.resource_version
            await self._complete_sync("watchlist", objects, version, self._initial_malformed)
            # Only now: should the sync be refused, the stream counts as one without an end.
            self._initial = None
            self._initial_malformed = []
            self._events_seen += 1
            watch.is_live = True

    async def _complete_sync(
        self, mode: str, objects: list[T], version: str, malformed: Sequence[MalformedObject]
    ) -> None:
        if _is_older(version, self._resource_version):
            if not self._is_version_unavailable:
                self._is_version_unavailable = True
                raise _StreamFault(
                    "stale",
                    f"server offers version {version}, older than {self._resource_version} seen",
                )
            self._log.warning(
                "history of the server went back", was=self._resource_version, now=version
            )
        await self._sink.replace(objects, resource_version=version, malformed=malformed)
        self._resource_version = version
        self._needs_sync = False
        self._is_version_unavailable = False
        self._early_ends = 0
        self._metrics.synced(mode)
        self._log.info("synchronised", mode=mode, objects=len(objects), resource_version=version)
        self._on_connected()

    async def _refusal(self, stream: Stream) -> ApiError:
        body = b"".join([chunk async for chunk in stream.chunks])
        return error_from_response(
            stream.status, body, request=f"watch {self._decoder.resource}", headers=stream.headers
        )

    # --- failing and recovering -----------------------------------------------------------------

    def _on_connected(self) -> None:
        self._problem = ""
        if self._lost_at is not None:
            lost_s = self._clock.monotonic() - self._lost_at
            self._log.info("watch recovered", lost_s=round(lost_s, 1))
            self._lost_at = None
            # The next trouble is another one: a scheduler must not be blind for half a minute.
            self._backoff.reset()

    def _on_end(self, lived_s: float) -> float:
        """Return the pause after a list, or after a stream that ended as it should."""
        if self._is_listed:
            self._is_listed = False
            return 0.0
        if lived_s >= _SHORT_WATCH_S or self._events_seen:
            self._metrics.reconnected("ended")
            return 0.0
        self._metrics.reconnected("short")
        return self._backoff.next_s()

    def _on_failure(self, error: ClientError | CredentialsError) -> float:
        """Decide where to go on after `error`; return the pause before that.

        Raises:
            ClientError: nothing was ever synchronised, and waiting would not help.
        """
        is_first = self._resource_version == ""
        is_final = isinstance(error, (Unauthorized, Forbidden, TlsError, CredentialsError))
        if is_first and is_final and not (self._is_optional and isinstance(error, Forbidden)):
            raise error
        if isinstance(error, Gone):
            return self._on_expired(error)
        if isinstance(error, _StreamFault):
            reason = error.reason
        elif isinstance(error, ServerUnreachable):
            reason = "broken"
        else:
            reason = "refused"
            if isinstance(error, ApiError) and not error.is_transient:
                # 403 and 401 may be lifted; anything else says that our question was wrong.
                self._needs_sync |= error.status not in (401, 403)
        self._metrics.reconnected(reason)
        self._report_lost(error)
        if reason == "silent":
            return 0.0
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        return max(self._backoff.next_s(), asked_s or 0.0)

    def _on_expired(self, error: Gone) -> float:
        """Sync again: not older than what we saw, or to anything if even that is not to be had."""
        self._metrics.expired()
        self._is_version_unavailable = self._needs_sync
        self._needs_sync = True
        now = self._clock.monotonic()
        is_repeated = self._expired_at is not None and now - self._expired_at < _EXPIRED_QUIET_S
        self._expired_at = now
        self._log.info(
            "resource version expired, synchronising anew",
            reason=error.details,
            resource_version=self._resource_version,
        )
        return self._backoff.next_s() if is_repeated else 0.0

    def _report_lost(self, error: Exception) -> None:
        is_unserved = isinstance(error, NotFound)
        self._problem = "not served by the cluster" if is_unserved else str(error)
        if self._lost_at is None:
            self._lost_at = self._clock.monotonic()
            what = "resource is not served" if is_unserved else "watch lost"
            level = self._log.debug if self._is_optional and is_unserved else self._log.warning
            level(f"{what}, trying again", reason=str(error))


class _ContinueExpired(Exception):  # noqa: N818  # a signal between two methods of this module
    """The continue token of a paged list is too old: begin again."""


def _is_older(version: str, than: str) -> bool:
    """Whether `version` is known to be older: those of one kind compare as integers (KEP-5504)."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
