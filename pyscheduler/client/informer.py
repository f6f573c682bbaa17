"""A store of all objects of one kind, kept in step by a reflector, and its handlers.

Handlers are called in the order they were added, one event at a time, in the order of the watch;
they are plain functions on the event loop and should be short. Between two events the store is
what the handlers were told so far. After a gap (a relist) what vanished unseen is told as a delete
with the last state known, and a name that came back with another uid as a delete and an add.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from pyscheduler.api.codec import MalformedObject
from pyscheduler.api.keys import key_of
from pyscheduler.api.meta import HasMetadata
from pyscheduler.client.sink import SLICE_S
from pyscheduler.clock import Clock, SystemClock

T = TypeVar("T", bound=HasMetadata)
T_contra = TypeVar("T_contra", bound=HasMetadata, contravariant=True)


class EventHandler(Protocol[T_contra]):
    """Is told of every change to the objects of one kind."""

    def on_add(self, added: T_contra, initial: bool) -> None:
        """Know a new object; `initial` while the informer has not synchronised yet."""
        ...

    def on_update(self, old: T_contra, new: T_contra) -> None:
        """Know the new state of an object; both have the same uid."""
        ...

    def on_delete(self, deleted: T_contra) -> None:
        """Know that an object is gone (or selected no more), with its last state known."""
        ...


class Informer(Generic[T]):
    """All objects of one kind by key: ``namespace/name``, or ``name`` where there is no namespace.

    It is the sink of one reflector, its one mutator.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._objects: dict[str, T] = {}
        self._handlers: list[EventHandler[T]] = []
        self._last_resource_version = ""
        #: Set once every initial object was handed to every handler; never cleared again.
        self.synced = asyncio.Event()

    # --- reading --------------------------------------------------------------------------------

    @property
    def last_resource_version(self) -> str:
        """The newest version seen on the stream, of an object or a bookmark; "" before the sync."""
        return self._last_resource_version

    def get(self, key: str) -> T | None:
        """Return the object of that key, or None."""
        return self._objects.get(key)

    def list(self) -> "list[T]":
        """Return all objects, in no order."""
        return [*self._objects.values()]

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: object) -> bool:
        return key in self._objects

    def add_handler(self, handler: EventHandler[T]) -> None:
        """Tell `handler` of everything from now on, and of what there is already as adds."""
        for known in [*self._objects.values()]:
            handler.on_add(known, True)
        self._handlers.append(handler)

    # --- what the reflector calls ---------------------------------------------------------------

    async def replace(
        self,
        objects: Sequence[T],
        *,
        resource_version: str,
        malformed: Sequence[MalformedObject] = (),
    ) -> None:
        """Become `objects`, telling the differences; what is malformed stays as it was known.

        Passes control on every few milliseconds; no other event comes in between, because the
        reflector waits.
        """
        wanted = {key_of(new) for new in objects}
        kept = {error.key: error.uid for error in malformed}
        monotonic = self._clock.monotonic
        started = monotonic()
        for key in [key for key in self._objects if key not in wanted]:
            known = self._objects[key]
            if key in kept and kept[key] in ("", known.metadata.uid):
                continue
            self._delete(key, known)
            if monotonic() - started > SLICE_S:
                await self._clock.sleep(0)
                started = monotonic()
        for new in objects:
            self._put(new)
            if monotonic() - started > SLICE_S:
                await self._clock.sleep(0)
                started = monotonic()
        self._last_resource_version = resource_version
        self.synced.set()

    def apply(self, event_type: str, changed: T) -> None:
        """Take over one change and tell the handlers."""
        self._last_resource_version = changed.metadata.resource_version
        if event_type != "DELETED":
            self._put(changed)
            return
        key = key_of(changed)
        known = self._objects.get(key)
        if known is not None:
            is_same = known.metadata.uid == changed.metadata.uid
            self._delete(key, changed if is_same else known)

    def on_bookmark(self, resource_version: str) -> None:
        """Know that the store is as new as `resource_version`."""
        self._last_resource_version = resource_version

    def on_malformed(self, error: MalformedObject) -> None:
        """Keep the last state that could be read; delete it if the object itself is gone."""
        if error.resource_version:
            self._last_resource_version = error.resource_version
        known = self._objects.get(error.key)
        if known is None:
            return
        is_another = bool(error.uid) and error.uid != known.metadata.uid
        if error.event_type == "DELETED" or is_another:
            self._delete(error.key, known)

    def _put(self, new: T) -> None:
        key = key_of(new)
        old = self._objects.get(key)
        if old is None:
            self._add(key, new)
        elif old.metadata.uid != new.metadata.uid:
            self._delete(key, old)
            self._add(key, new)
        elif old.metadata.resource_version != new.metadata.resource_version:
            self._objects[key] = new
            for handler in self._handlers:
                handler.on_update(old, new)

    def _add(self, key: str, new: T) -> None:
        self._objects[key] = new
        is_initial = not self.synced.is_set()
        for handler in self._handlers:
            handler.on_add(new, is_initial)

    def _delete(self, key: str, last: T) -> None:
        del self._objects[key]
        for handler in self._handlers:
            handler.on_delete(last)
