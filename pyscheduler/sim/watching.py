"""WATCH: initial state where asked for, then every change, as lines of bytes.

Flow of a `WatchStream`: the opening lines (synthetic ADDED events and the bookmark that ends
them, or the events since a version) are queued while nothing else can run, and the listener is
on before that, so no change is missed or seen twice. Iterating yields what has gathered. A
timer adds bookmarks and ends the stream at its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from pyscheduler.clock import Clock
from pyscheduler.sim.api_errors import ApiError, gone, version_too_large
from pyscheduler.sim.json_objects import with_metadata
from pyscheduler.sim.list_options import ListOptions
from pyscheduler.sim.listing import snapshot
from pyscheduler.sim.object_store import (
    Buffer,
    Compacted,
    Event,
    ObjectStore,
    Predicate,
    Stored,
    encode_line,
)
from pyscheduler.sim.representations import Representation
from pyscheduler.sim.served_kinds import Target

#: kube-apiserver sends a bookmark about once a minute.
BOOKMARK_INTERVAL_S = 60.0
#: and ends a watch without timeoutSeconds after 30 to 60 minutes.
DEFAULT_TIMEOUT_S = 1800.0
#: Lines a watcher may lag behind; a scheduler held up for a second at full load stays far below.
BUFFER_LIMIT = 200_000

_INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


class WatchStream:
    """One open watch; iterate over its bytes, `close` it in any case."""

    def __init__(
        self,
        store: ObjectStore,
        target: Target,
        options: ListOptions,
        *,
        selects: Predicate | None,
        form: Representation,
        clock: Clock,
    ) -> None:
        self._store = store
        self._options = options
        self._selects = selects
        self._form = form
        self._clock = clock
        self._buffer = Buffer(BUFFER_LIMIT)
        #: Where the store keeps what is watched.
        self.collection = target.kind.collection
        self._prefix = f"{target.namespace}/" if target.namespace else ""
        self._key = target.key if target.name else ""
        self._timer: asyncio.Task[None] | None = None
        self._stop: Callable[[], None] = lambda: None
        self._open(target)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Chunks of whole lines, until the stream ends."""
        self._timer = asyncio.create_task(self._beat())
        try:
            while chunk := await self._buffer.read():
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        """No more events; what was queued can still be read. May be called twice."""
        self._stop()
        self._buffer.close()
        if self._timer is not None:
            self._timer.cancel()

    def _open(self, target: Target) -> None:
        options, store = self._options, self._store
        if options.initial_events and options.version > store.version:
            self._refuse(version_too_large(options.version, store.version))
            return
        collection = store.collection(target.kind.collection)
        initial = options.initial_events
        if initial is None:
            initial = options.version == 0
        try:
            missed = [] if initial or not options.version else collection.since(options.version)
        except Compacted as error:
            self._refuse(gone(str(error)))
            return
        self._stop = collection.listen(self._on_event)
        if initial:
            for stored in snapshot(store, target, store.version):
                if self._selects is None or self._selects(stored.data):
                    self._buffer.push(self._form.encode_line("ADDED", stored))
        for event in missed:
            self._on_event(event)
        if options.initial_events and options.bookmarks:
            self._buffer.push(self._form.bookmark(store.version, _INITIAL_EVENTS_END))

    def _refuse(self, error: ApiError) -> None:
        """The stream is one ERROR event: the answer has begun with 200 by then."""
        self._buffer.push(encode_line("ERROR", msgspec.json.encode(error.status)))
        self._buffer.close()

    def _on_event(self, event: Event) -> None:
        key = event.object.key
        if (self._key and key != self._key) or not key.startswith(self._prefix):
            return
        if event.version <= self._options.version:
            # A watch from a version yet to come is silent until then.
            return
        selects = self._selects
        if selects is None:
            self._buffer.push(self._form.line(event))
            return
        before = event.previous is not None and selects(event.previous.data)
        after = event.type != "DELETED" and selects(event.object.data)
        if after and (before or event.type == "ADDED"):
            self._buffer.push(self._form.line(event))
        elif after:
            self._buffer.push(self._form.encode_line("ADDED", event.object))
        elif before:
            self._push_departure(event)

    def _push_departure(self, event: Event) -> None:
        """The object left the selection: DELETED, with its last selected state."""
        previous = event.previous
        if event.type == "DELETED" or previous is None:
            self._buffer.push(self._form.line(event))
            return
        data = with_metadata(previous.data, resourceVersion="")
        last = Stored(previous.key, data, version=event.version, created=previous.created)
        self._buffer.push(self._form.encode_line("DELETED", last))

    async def _beat(self) -> None:
        """Send bookmarks; close the stream at its deadline, after a last bookmark."""
        remaining_s = self._options.timeout_s or DEFAULT_TIMEOUT_S
        while remaining_s > 0:
            pause_s = min(BOOKMARK_INTERVAL_S, remaining_s)
            await self._clock.sleep(pause_s)
            remaining_s -= pause_s
            if self._options.bookmarks:
                self._buffer.push(self._form.bookmark(self._store.version, None))
        self._stop()
        self._buffer.close()
