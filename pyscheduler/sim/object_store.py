"""The versioned store under the embedded API server.

One counter numbers every write of every resource, as etcd's revision does. Each resource keeps
its objects and the window of its last events; a watcher gets the events after a version, a
reader the state at a version for as long as the window reaches back (an older one is
`Compacted`, which the API server answers with 410).

An object is kept parsed and encoded: a LIST concatenates bytes, a watch event is encoded once
whatever the number of watchers. Writers hand over the outer dict and its metadata for good.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Literal, TypeAlias

import msgspec

from pyscheduler.errors import PySchedulerError
from pyscheduler.sim.json_objects import JsonObject

EventType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]
Predicate: TypeAlias = Callable[[JsonObject], bool]
Listener: TypeAlias = Callable[["Event"], None]

#: Events kept per resource. kube-apiserver keeps at most 102,400 per resource in its watch cache.
DEFAULT_WINDOW = 102_400

_encode = msgspec.json.Encoder().encode


class Compacted(PySchedulerError):  # noqa: N818  # a state of the store, not a fault
    """The version asked for lies before the window of kept events."""

    def __init__(self, *, version: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {version} ({oldest})")
        self.version = version
        self.oldest = oldest


class Stored:
    """One version of one object, parsed and encoded; never changed once made."""

    __slots__ = ("created", "data", "key", "raw", "version")

    def __init__(self, key: str, data: JsonObject, *, version: int, created: int) -> None:
        data["metadata"]["resourceVersion"] = str(version)
        #: ``namespace/name``, or the name alone for cluster-scoped objects.
        self.key = key
        self.data = data
        self.raw: bytes = _encode(data)
        self.version = version
        #: The version the object was created at.
        self.created = created


class Event:
    """A change of one object, with the state before it."""

    __slots__ = ("_line", "object", "previous", "type")

    def __init__(self, event_type: EventType, stored: Stored, previous: Stored | None) -> None:
        self.type = event_type
        self.object = stored
        self.previous = previous
        self._line: bytes | None = None

    @property
    def version(self) -> int:
        """The version the change made."""
        return self.object.version

    @property
    def line(self) -> bytes:
        """The event as one line of a watch response; encoded on first use."""
        if self._line is None:
            self._line = encode_line(self.type, self.object.raw)
        return self._line


def encode_line(event_type: str, raw: bytes) -> bytes:
    """One line of a watch response around an encoded object."""
    return b'{"type":"%b","object":%b}\n' % (event_type.encode(), raw)


class Collection:
    """The objects, recent events and listeners of one resource."""

    __slots__ = ("_history", "_listeners", "compacted", "objects")

    def __init__(self, window: int) -> None:
        self.objects: dict[str, Stored] = {}
        #: The version before the oldest kept event: a state at it can still be told.
        self.compacted = 0
        self._history: deque[Event] = deque(maxlen=window)
        self._listeners: dict[int, Listener] = {}

    def record(self, event: Event) -> None:
        """The event is in the window and every listener has seen it."""
        history = self._history
        if len(history) == history.maxlen:
            self.compacted = history[0].version
        history.append(event)
        for listener in tuple(self._listeners.values()):
            listener(event)

    def compact(self, version: int) -> None:
        """Events up to the version are forgotten."""
        while self._history and self._history[0].version <= version:
            self._history.popleft()
        self.compacted = max(self.compacted, version)

    def since(self, version: int) -> list[Event]:
        """The events after a version, oldest first.

        Raises:
            Compacted: the window does not reach back that far.
        """
        if version < self.compacted:
            raise Compacted(version=version, oldest=self.compacted)
        count = 0
        for event in reversed(self._history):
            if event.version <= version:
                break
            count += 1
        return list(islice(self._history, len(self._history) - count, None))

    def at(self, version: int) -> dict[str, Stored]:
        """The objects as they were at a version: the present with later events undone.

        Raises:
            Compacted: the window does not reach back that far.
        """
        later = self.since(version)
        if not later:
            return self.objects
        state = dict(self.objects)
        for event in reversed(later):
            if event.previous is None:
                del state[event.object.key]
            else:
                state[event.object.key] = event.previous
        return state

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Every later event reaches the listener, until the returned function is called."""
        token = id(listener)
        self._listeners[token] = listener

        def stop() -> None:
            self._listeners.pop(token, None)

        return stop


class ObjectStore:
    """All objects of the embedded cluster; the one mutator of their versions."""

    def __init__(self, *, window: int = DEFAULT_WINDOW) -> None:
        self._window = window
        self._collections: dict[str, Collection] = {}
        #: Version of the last write. etcd starts at 1 with an empty store.
        self.version = 1

    def collection(self, resource: str) -> Collection:
        """The collection of a resource, made on first use."""
        found = self._collections.get(resource)
        if found is None:
            found = self._collections[resource] = Collection(self._window)
        return found

    def get(self, resource: str, key: str) -> Stored | None:
        """The present version of an object, or None."""
        return self.collection(resource).objects.get(key)

    def put(self, resource: str, key: str, data: JsonObject) -> Stored:
        """The object is stored at a new version, created where it did not exist."""
        collection = self.collection(resource)
        previous = collection.objects.get(key)
        self.version += 1
        created = self.version if previous is None else previous.created
        stored = Stored(key, data, version=self.version, created=created)
        collection.objects[key] = stored
        collection.record(Event("MODIFIED" if previous else "ADDED", stored, previous))
        return stored

    def delete(self, resource: str, key: str) -> Stored:
        """The object is gone; returns its last state at the version of the deletion.

        Raises:
            KeyError: there is no such object.
        """
        collection = self.collection(resource)
        previous = collection.objects.pop(key)
        self.version += 1
        data = {**previous.data, "metadata": dict(previous.data["metadata"])}
        stored = Stored(key, data, version=self.version, created=previous.created)
        collection.record(Event("DELETED", stored, previous))
        return stored

    def compact(self) -> None:
        """Nobody can read or watch from before the present version any more."""
        for collection in self._collections.values():
            collection.compact(self.version)


class Buffer:
    """Lines on their way to one watcher; whatever gathers between two reads goes out as one.

    Flow: `push` and `close` by the store's listener, `read` by the connection's task.
    """

    __slots__ = ("_closed", "_limit", "_lines", "_waiter")

    def __init__(self, limit: int) -> None:
        self._lines: list[bytes] = []
        self._limit = limit
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    def push(self, line: bytes) -> None:
        """The line will be read; a watcher that lags by the limit is closed instead."""
        if self._closed:
            return
        self._lines.append(line)
        if len(self._lines) > self._limit:
            self._lines.clear()
            self._closed = True
        self._wake()

    def close(self) -> None:
        """What was pushed is still read, then the end."""
        self._closed = True
        self._wake()

    async def read(self) -> bytes:
        """The lines gathered so far, waiting for the first; empty at the end."""
        while not self._lines and not self._closed:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunk = b"".join(self._lines)
        self._lines.clear()
        return chunk

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
