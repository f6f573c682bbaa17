"""`events.k8s.io/v1`: the Event that tells a user what happened to an object.

Times are RFC 3339 with microseconds (`api.times.format_micro`).
"""

from pyscheduler.api.core_v1 import ObjectReference
from pyscheduler.api.meta import KubeStruct, ObjectMeta


class EventSeries(KubeStruct, frozen=True):
    """How often the same event happened, and when last."""

    count: int
    last_observed_time: str


class Event(KubeStruct, frozen=True):
    """An event; `type` is Normal or Warning."""

    metadata: ObjectMeta
    event_time: str | None = None
    reporting_controller: str = ""
    reporting_instance: str = ""
    action: str = ""
    reason: str = ""
    regarding: ObjectReference | None = None
    related: ObjectReference | None = None
    note: str = ""
    type: str = ""
    series: EventSeries | None = None
