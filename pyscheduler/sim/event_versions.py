"""Events in their two API versions: stored as ``events.k8s.io/v1``, also served as ``v1``.

kubectl reads ``v1`` (``involvedObject``, ``message``), schedulers write ``events.k8s.io/v1``
(``regarding``, ``note``).

Source: k8s.io/kubernetes 1.37 pkg/apis/events/v1/conversion.go.
"""

from __future__ import annotations

from pyscheduler.sim.json_objects import JsonObject

#: events.k8s.io/v1 field -> v1 field; whatever is not here has one name in both.
_RENAMED = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_RENAMED_BACK = {core: stored for stored, core in _RENAMED.items()}
_STRINGS = ("reportingComponent", "reportingInstance")


def to_core(event: JsonObject) -> JsonObject:
    """The stored event as a ``v1`` Event."""
    core = {_RENAMED.get(field, field): value for field, value in event.items()}
    core["apiVersion"] = "v1"
    core.setdefault("source", {})
    core.setdefault("firstTimestamp", None)
    core.setdefault("lastTimestamp", None)
    for field in _STRINGS:
        core.setdefault(field, "")
    return core


def from_core(event: JsonObject) -> JsonObject:
    """A ``v1`` Event as it is stored."""
    stored = {_RENAMED_BACK.get(field, field): value for field, value in event.items()}
    stored["apiVersion"] = "events.k8s.io/v1"
    return stored
