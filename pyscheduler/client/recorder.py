"""Kubernetes events (events.k8s.io/v1) about pods, handed to the dispatcher to be written.

A Normal event (``Scheduled``, ``Preempted``) happens once per pod and is written as it is. A
Warning (``FailedScheduling``) comes back with every attempt: the same one again within
`_SERIES_QUIET_S` becomes a series, whose count is written at most every `_SERIES_WRITE_S`; others
about the same pod pass a token bucket, since their text holds numbers that change each time. What
is remembered for this is bounded, and is lost at a restart, as in kube-scheduler.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec
from cachetools import TTLCache

from pyscheduler.api.codec import EVENTS, encode
from pyscheduler.api.core_v1 import ObjectReference, Pod
from pyscheduler.api.events_v1 import Event
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.times import format_micro
from pyscheduler.client.rest import MERGE_PATCH
from pyscheduler.client.sending import WriteRequest
from pyscheduler.client.throttle import TokenBucket
from pyscheduler.clock import Clock, SystemClock

#: Longest note that the API takes, in characters, and what marks one that was cut.
_NOTE_LIMIT = 1024
_NOTE_CUT = " ..."

#: Seconds of quiet after which the same event is a new one, not one more of a series (upstream's
#: ``finishTime``).
_SERIES_QUIET_S = 360.0
#: Seconds between two writes of one series' count, so that retries do not cost a request each.
_SERIES_WRITE_S = 60.0

#: Different warnings about one pod: 25 at once, then one in five minutes (client-go's spam filter).
_POD_BURST = 25
_POD_QPS = 1 / 300
#: Series and buckets remembered; client-go keeps 4,096 as well.
_REMEMBERED = 4096


class EventQueue(Protocol):
    """The part of the dispatcher that a recorder needs."""

    def send_event(self, key: str, write: WriteRequest) -> None:
        """Have the event written in the background."""
        ...

    def unsent_event(self, key: str) -> bool:
        """Whether the write of that key still waits."""
        ...


class _Series:
    """One warning that came more than once, or may."""

    __slots__ = ("count", "event", "last_at", "path", "written_at")

    def __init__(self, event: Event, path: str, now: float) -> None:
        self.event = event
        self.path = path
        self.count = 1
        self.last_at = now
        self.written_at = now


class _SeriesBody(msgspec.Struct, rename="camel"):
    count: int
    last_observed_time: str


class _SeriesPatch(msgspec.Struct):
    series: _SeriesBody


_encode = msgspec.json.Encoder().encode


class EventRecorder:
    """Records what happened to pods, in the name of one profile.

    Args:
        queue: the dispatcher.
        reporting_controller: the profile's ``schedulerName``.
        reporting_instance: this process, such as its host name.
        clock: time.
        on_dropped: is told the reason of each event that is not even queued.
    """

    def __init__(
        self,
        queue: EventQueue,
        *,
        reporting_controller: str,
        reporting_instance: str,
        clock: Clock | None = None,
        on_dropped: Callable[[str], None] | None = None,
    ) -> None:
        self._queue = queue
        self._controller = reporting_controller
        self._instance = f"{reporting_controller}-{reporting_instance}"[:128]
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._on_dropped = on_dropped
        # Put in again at each use: what was quiet for so long need not be remembered.
        self._series: TTLCache[tuple[str, ...], _Series] = TTLCache(
            _REMEMBERED, ttl=_SERIES_QUIET_S, timer=self._clock.monotonic
        )
        self._buckets: TTLCache[str, TokenBucket] = TTLCache(
            _REMEMBERED, ttl=_POD_BURST / _POD_QPS, timer=self._clock.monotonic
        )
        #: Makes the names of events differ that are recorded within one tick of the clock.
        self._last_tick = 0

    def event(
        self,
        regarding: Pod,
        event_type: str,
        reason: str,
        action: str,
        note: str,
        *,
        related: Pod | None = None,
    ) -> None:
        """Have an event written in the background.

        Args:
            regarding: the pod it is about.
            event_type: ``Normal`` or ``Warning``.
            reason: why, in one CamelCase word.
            action: what was done, in one CamelCase word.
            note: for people; cut to 1,024 characters.
            related: a second pod, such as the preemptor.
        """
        now = self._clock.now()
        if event_type == "Normal":
            written = self._make(regarding, event_type, reason, action, note, related, now)
            self._post(written)
            return
        key = (regarding.uid, reason, action, note, related.uid if related else "")
        series = self._series.get(key)
        if series is not None and now - series.last_at < _SERIES_QUIET_S:
            self._series[key] = series
            self._count(series, now)
            return
        if not self._bucket(regarding.uid).try_take():
            if self._on_dropped is not None:
                self._on_dropped("rate")
            return
        event = self._make(regarding, event_type, reason, action, note, related, now)
        self._series[key] = _Series(event, _path(event), now)
        self._post(event)

    def _post(self, event: Event) -> None:
        name = event.metadata.name
        self._queue.send_event(name, WriteRequest("POST", _path(event), encode(EVENTS, event)))

    def _count(self, series: _Series, now: float) -> None:
        series.count += 1
        series.last_at = now
        is_second = series.count == 2
        if not is_second and now - series.written_at < _SERIES_WRITE_S:
            return
        name = series.event.metadata.name
        if self._queue.unsent_event(name):
            return  # the event itself has not gone out: the server is slow enough as it is
        series.written_at = now
        body = _encode(_SeriesPatch(_SeriesBody(series.count, format_micro(now))))
        self._queue.send_event(
            name, WriteRequest("PATCH", f"{series.path}/{name}", body, MERGE_PATCH)
        )

    def _make(
        self,
        regarding: Pod,
        event_type: str,
        reason: str,
        action: str,
        note: str,
        related: Pod | None,
        now: float,
    ) -> Event:
        self._last_tick = max(self._last_tick + 1, int(now * 1e9))
        meta = regarding.metadata
        return Event(
            ObjectMeta(
                name=f"{meta.name}.{self._last_tick:x}", namespace=meta.namespace or "default"
            ),
            event_time=format_micro(now),
            reporting_controller=self._controller,
            reporting_instance=self._instance,
            action=action,
            reason=reason,
            regarding=_reference(regarding),
            related=_reference(related) if related is not None else None,
            note=cut_note(note),
            type=event_type,
        )

    def _bucket(self, uid: str) -> TokenBucket:
        bucket = self._buckets.get(uid)
        if bucket is None:
            bucket = TokenBucket(_POD_QPS, _POD_BURST, clock=self._clock)
        self._buckets[uid] = bucket
        return bucket


def _path(event: Event) -> str:
    """Where events of that namespace are made; names of namespaces need no encoding."""
    return f"/apis/{EVENTS.api_version}/namespaces/{event.metadata.namespace}/events"


def cut_note(note: str) -> str:
    """Return a note that the API takes: one that is too long ends in `` ...``."""
    if len(note) <= _NOTE_LIMIT:
        return note
    return note[: _NOTE_LIMIT - len(_NOTE_CUT)] + _NOTE_CUT


def _reference(pod: Pod) -> ObjectReference:
    meta = pod.metadata
    return ObjectReference(
        kind="Pod",
        api_version="v1",
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
    )
