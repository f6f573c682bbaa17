"""A watch of all pods that forgets nothing, to be replayed: who could have known what, and when.

    async with recording(provider.api) as record:
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

_PODS = "/api/v1/pods"

#: Phases in which a pod takes nothing of its node any more.
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class PodEvent:
    """One event of the watch.

    Attributes:
        seen_s: when it was read, unix seconds.
        was_live: the pod was there and had not ended before this event, so that a watch of live
            pods has the event, too.
    """

    resource_version: int
    seen_s: float
    is_deletion: bool
    pod: Manifest
    was_live: bool

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    @property
    def is_live(self) -> bool:
        """Claims that the pod is there and has not ended."""
        return not self.is_deletion and self.pod["status"].get("phase") not in _ENDED


class PodRecord:
    """The events so far, in their order; `recording` adds to it."""

    def __init__(self) -> None:
        self.events: list[PodEvent] = []
        #: uid of the pods that are live after the last event.
        self._live: set[str] = set()

    def add(self, event_type: str, pod: Manifest) -> None:
        """One more event has been recorded."""
        uid = pod["metadata"]["uid"]
        event = PodEvent(
            resource_version=int(pod["metadata"]["resourceVersion"]),
            seen_s=time.time(),
            is_deletion=event_type == "DELETED",
            pod=pod,
            was_live=event_type == "ADDED" or uid in self._live,
        )
        self.events.append(event)
        if event.is_live:
            self._live.add(uid)
        else:
            self._live.discard(uid)

    def state_at(self, resource_version: int) -> dict[str, PodEvent]:
        """Returns the last event of each pod at that version, by uid, deletions included."""
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
            event.uid: event.pod["status"]["reason"]
            for event in self.events
            if event.pod["spec"]["schedulerName"] == scheduler_name
            and event.pod["status"].get("phase") == "Failed"
            and event.pod["status"].get("reason", "").startswith("OutOf")
        }

    def __iter__(self) -> Iterator[PodEvent]:
        return iter(self.events)


@contextlib.asynccontextmanager
async def recording(api: ApiClient) -> AsyncIterator[PodRecord]:
    """Yields a record that grows; all pods are gone before it begins, or they would be unknown.

    Raises:
        Exception: what ended the watch before its time.
    """
    record = PodRecord()
    watching = asyncio.create_task(_follow(api, record), name="pod recorder")
    try:
        yield record
    finally:
        if not watching.done():
            watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _follow(api: ApiClient, record: PodRecord) -> None:
    version = await api.resource_version(_PODS)
    while True:
        async for event in api.watch(_PODS, resource_version=version):
            if event["type"] == "ERROR":
                raise RuntimeError(f"the recorder's watch failed: {event['object']}")
            record.add(event["type"], event["object"])
            version = event["object"]["metadata"]["resourceVersion"]
