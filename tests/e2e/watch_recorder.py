"""A watch that forgets nothing, to be replayed: who could have known what, and when.

    async with recording(provider.api, "/api/v1/pods") as record:
        ...
    known = record.state_at(resource_version)

It is the test's own watch, without selectors, so it sees at least what a scheduler's watch does.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from tests.controlplane.api_client import ApiClient, Manifest

PODS = "/api/v1/pods"
NODES = "/api/v1/nodes"

#: Phases in which a pod takes nothing of its node any more.
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Change:
    """One event of the watch.

    Attributes:
        seen_s: when it was read, unix seconds.
        was_live: the object was there and, for a pod, had not ended before this event, so that a
            watch of live pods has the event, too.
    """

    resource_version: int
    seen_s: float
    is_deletion: bool
    object: Manifest
    was_live: bool

    @property
    def uid(self) -> str:
        return str(self.object["metadata"]["uid"])

    @property
    def is_live(self) -> bool:
        """Claims that the object is there and, if it is a pod, has not ended."""
        return not self.is_deletion and self.object["status"].get("phase") not in _ENDED


class WatchRecord:
    """The events so far, in their order; `recording` adds to it."""

    def __init__(self) -> None:
        self.events: list[Change] = []
        #: uid of what is live after the last event.
        self._live: set[str] = set()

    def add(self, event_type: str, changed: Manifest) -> None:
        """One more event has been recorded."""
        uid = changed["metadata"]["uid"]
        event = Change(
            resource_version=int(changed["metadata"]["resourceVersion"]),
            seen_s=time.time(),
            is_deletion=event_type == "DELETED",
            object=changed,
            was_live=event_type == "ADDED" or uid in self._live,
        )
        self.events.append(event)
        if event.is_live:
            self._live.add(uid)
        else:
            self._live.discard(uid)

    def state_at(self, resource_version: int) -> dict[str, Change]:
        """Returns the last event of each object at that version, by uid, deletions included."""
        return {
            event.uid: event for event in self.events if event.resource_version <= resource_version
        }

    def outdated_since(self, resource_version: int) -> float | None:
        """Returns when news after that version was read, unix seconds; None if there was none."""
        later = (
            event.seen_s
            for event in self.events
            if event.resource_version > resource_version and event.was_live
        )
        return next(later, None)

    def refused(self, scheduler_name: str) -> dict[str, str]:
        """Returns why kubelets refused pods of a scheduler for want of room, by pod uid."""
        return {
            event.uid: event.object["status"]["reason"]
            for event in self.events
            if event.object["spec"]["schedulerName"] == scheduler_name
            and event.object["status"].get("phase") == "Failed"
            and event.object["status"].get("reason", "").startswith("OutOf")
        }

    def __iter__(self) -> Iterator[Change]:
        return iter(self.events)


@contextlib.asynccontextmanager
async def recording(api: ApiClient, path: str = PODS) -> AsyncIterator[WatchRecord]:
    """Yields a record of one kind that grows; what is there before it begins is unknown to it.

    Raises:
        Exception: what ended the watch before its time.
    """
    record = WatchRecord()
    watching = asyncio.create_task(_follow(api, path, record), name=f"recorder of {path}")
    try:
        yield record
    finally:
        if not watching.done():
            watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _follow(api: ApiClient, path: str, record: WatchRecord) -> None:
    version = await api.resource_version(path)
    while True:
        async for event in api.watch(path, resource_version=version):
            if event["type"] == "ERROR":
                raise RuntimeError(f"the recorder's watch failed: {event['object']}")
            record.add(event["type"], event["object"])
            version = event["object"]["metadata"]["resourceVersion"]
