"""Tables: the rows and columns ``kubectl get`` prints, as the server computes them.

`columns_of` says which columns a kind has; the catalogue keeps a `Table` of them for requests that
accept ``as=Table``. Cells follow kube-apiserver's printers for what the simulated kubelet produces.

Source: k8s.io/kubernetes 1.37 pkg/printers/internalversion/printers.go. Knowing differences:
pod status is told from phase, conditions and container states, without init-container detail;
kinds of storage and devices have the columns Name and Age alone, and columns of custom resources
are read by plain paths (``.spec.minMember``), not by all of JSONPath.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyscheduler.sim.json_objects import JsonObject, JsonView, parse_timestamp
from pyscheduler.sim.served_kinds import (
    CONFIG_MAPS,
    CORE_EVENTS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DISRUPTION_BUDGETS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    PRIORITY_CLASSES,
    SERVICE_ACCOUNTS,
    CustomKind,
    ServedKind,
)

NONE = "<none>"
_ROLE_LABEL = "node-role.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Column:
    """One column and how its cell is read from an object at a time."""

    name: str
    cell: Callable[[JsonView, float], object]
    type: str = "string"
    #: 1: printed with ``-o wide`` only.
    priority: int = 0

    @property
    def definition(self) -> JsonObject:
        """The ``TableColumnDefinition``."""
        return {
            "name": self.name,
            "type": self.type,
            "format": "name" if self.name == "Name" else "",
            "description": self.name,
            "priority": self.priority,
        }


class Table:
    """The columns of one kind."""

    def __init__(self, columns: Sequence[Column], *, now: Callable[[], float]) -> None:
        self._columns = tuple(columns)
        self._now = now

    def render(
        self,
        items: Sequence[JsonObject],
        metadata: JsonObject,
        *,
        include: str,
        columns: bool,
    ) -> JsonObject:
        """The ``Table`` object.

        Args:
            items: the stored objects, one row each.
            metadata: of the list (resourceVersion, continue).
            include: what rows carry of their object: Object, Metadata or None.
            columns: whether the column definitions go along.
        """
        now = self._now()
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": [c.definition for c in self._columns] if columns else None,
            "rows": [
                {
                    "cells": [column.cell(item, now) for column in self._columns],
                    "object": _row_object(item, include),
                }
                for item in items
            ],
        }


def _row_object(item: JsonObject, include: str) -> JsonObject | None:
    if include == "None":
        return None
    if include == "Object":
        return item
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": item["metadata"],
    }


def human_duration(seconds: float) -> str:
    """A duration the way kubectl writes ages: 5s, 3m12s, 4h2m, 5d3h, 2y10d.

    Source: k8s.io/apimachinery 1.37 pkg/util/duration HumanDuration.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two_units(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two_units(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two_units(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 8 * 365:
        return _two_units(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def _since(text: str | None, now: float) -> str:
    return human_duration(now - parse_timestamp(text)) if text else "<unknown>"


def _name(item: JsonView, _now: float) -> str:
    name: str = item["metadata"]["name"]
    return name


def _age(item: JsonView, now: float) -> str:
    return _since(item["metadata"].get("creationTimestamp"), now)


def _field(*path: str, default: object = "") -> Callable[[JsonView, float], object]:
    def cell(item: JsonView, _now: float) -> object:
        value: Any = item
        for part in path:
            value = (value or {}).get(part)
        return default if value in (None, "") else value

    return cell


def _ready_containers(item: JsonView, _now: float) -> str:
    statuses = item.get("status", {}).get("containerStatuses") or ()
    ready = sum(1 for status in statuses if status.get("ready"))
    sidecars = [
        container
        for container in item["spec"].get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    ]
    return f"{ready}/{len(item['spec']['containers']) + len(sidecars)}"


def _pod_status(item: JsonView, _now: float) -> str:
    status = item.get("status", {})
    phase = status.get("phase", "")
    reason: str = status.get("reason") or phase
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    for container in reversed(status.get("containerStatuses") or ()):
        state = container.get("state") or {}
        if waiting := (state.get("waiting") or {}).get("reason"):
            reason = waiting
        elif terminated := state.get("terminated"):
            reason = terminated.get("reason") or f"ExitCode:{terminated.get('exitCode', 0)}"
    if "deletionTimestamp" in item["metadata"] and phase not in ("Succeeded", "Failed"):
        reason = "Terminating"
    return reason


def _restarts(item: JsonView, _now: float) -> str:
    statuses = item.get("status", {}).get("containerStatuses") or ()
    return str(sum(status.get("restartCount", 0) for status in statuses))


def _readiness_gates(item: JsonView, _now: float) -> str:
    gates = item["spec"].get("readinessGates") or ()
    if not gates:
        return NONE
    true = {
        condition["type"]
        for condition in item.get("status", {}).get("conditions") or ()
        if condition["status"] == "True"
    }
    return f"{sum(gate['conditionType'] in true for gate in gates)}/{len(gates)}"


def _node_status(item: JsonView, _now: float) -> str:
    ready = [
        "Ready" if condition["status"] == "True" else "NotReady"
        for condition in item.get("status", {}).get("conditions") or ()
        if condition["type"] == "Ready"
    ] or ["Unknown"]
    if item.get("spec", {}).get("unschedulable"):
        ready.append("SchedulingDisabled")
    return ",".join(ready)


def _node_roles(item: JsonView, _now: float) -> str:
    labels = item["metadata"].get("labels") or {}
    roles = {label.removeprefix(_ROLE_LABEL) for label in labels if label.startswith(_ROLE_LABEL)}
    roles.discard("")
    return ",".join(sorted(roles)) or NONE


def _address(kind: str) -> Callable[[JsonView, float], object]:
    def cell(item: JsonView, _now: float) -> object:
        for address in item.get("status", {}).get("addresses") or ():
            if address["type"] == kind:
                return address["address"]
        return NONE

    return cell


def _event_last_seen(item: JsonView, now: float) -> str:
    series = item.get("series") or {}
    return _since(
        series.get("lastObservedTime")
        or item.get("deprecatedLastTimestamp")
        or item.get("eventTime"),
        now,
    )


def _event_first_seen(item: JsonView, now: float) -> str:
    return _since(item.get("deprecatedFirstTimestamp") or item.get("eventTime"), now)


def _event_object(item: JsonView, _now: float) -> str:
    regarding = item.get("regarding") or {}
    return f"{regarding.get('kind', '').lower()}/{regarding.get('name', '')}"


def _event_source(item: JsonView, _now: float) -> str:
    source = (item.get("deprecatedSource") or {}).get("component")
    instance = item.get("reportingInstance") or ""
    name = source or item.get("reportingController") or ""
    return f"{name}, {instance}" if instance and instance != name else name


def _event_count(item: JsonView, _now: float) -> int:
    count: int = (item.get("series") or {}).get("count") or item.get("deprecatedCount") or 1
    return count


def _note(item: JsonView, _now: float) -> str:
    return str(item.get("note") or "").strip()


def _data_count(item: JsonView, _now: float) -> int:
    return len(item.get("data") or ()) + len(item.get("binaryData") or ())


NAME = Column("Name", _name)
AGE = Column("Age", _age)

_EVENT_COLUMNS = (
    Column("Last Seen", _event_last_seen),
    Column("Type", _field("type")),
    Column("Reason", _field("reason")),
    Column("Object", _event_object),
    Column("Subobject", _field("regarding", "fieldPath"), priority=1),
    Column("Source", _event_source, priority=1),
    Column("Message", _note),
    Column("First Seen", _event_first_seen, priority=1),
    Column("Count", _event_count, type="integer", priority=1),
    Column("Name", _name, priority=1),
)

_COLUMNS: Mapping[ServedKind, tuple[Column, ...]] = {
    PODS: (
        NAME,
        Column("Ready", _ready_containers),
        Column("Status", _pod_status),
        Column("Restarts", _restarts),
        AGE,
        Column("IP", _field("status", "podIP", default=NONE), priority=1),
        Column("Node", _field("spec", "nodeName", default=NONE), priority=1),
        Column("Nominated Node", _field("status", "nominatedNodeName", default=NONE), priority=1),
        Column("Readiness Gates", _readiness_gates, priority=1),
    ),
    NODES: (
        NAME,
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        AGE,
        Column("Version", _field("status", "nodeInfo", "kubeletVersion")),
        Column("Internal-IP", _address("InternalIP"), priority=1),
        Column("External-IP", _address("ExternalIP"), priority=1),
        Column(
            "OS-Image", _field("status", "nodeInfo", "osImage", default="<unknown>"), priority=1
        ),
        Column(
            "Kernel-Version",
            _field("status", "nodeInfo", "kernelVersion", default="<unknown>"),
            priority=1,
        ),
        Column(
            "Container-Runtime",
            _field("status", "nodeInfo", "containerRuntimeVersion", default="<unknown>"),
            priority=1,
        ),
    ),
    NAMESPACES: (NAME, Column("Status", _field("status", "phase")), AGE),
    CONFIG_MAPS: (NAME, Column("Data", _data_count, type="integer"), AGE),
    SERVICE_ACCOUNTS: (NAME, AGE),
    CORE_EVENTS: _EVENT_COLUMNS,
    EVENTS: _EVENT_COLUMNS,
    LEASES: (NAME, Column("Holder", _field("spec", "holderIdentity")), AGE),
    PRIORITY_CLASSES: (
        NAME,
        Column("Value", _field("value", default=0), type="integer"),
        Column("Global-Default", _field("globalDefault", default=False), type="boolean"),
        AGE,
        Column("PreemptionPolicy", _field("preemptionPolicy")),
    ),
    DISRUPTION_BUDGETS: (
        NAME,
        Column("Min Available", _field("spec", "minAvailable", default="N/A")),
        Column("Max Unavailable", _field("spec", "maxUnavailable", default="N/A")),
        Column(
            "Allowed Disruptions",
            _field("status", "disruptionsAllowed", default=0),
            type="integer",
        ),
        AGE,
    ),
    CUSTOM_RESOURCE_DEFINITIONS: (
        NAME,
        Column("Created At", _field("metadata", "creationTimestamp"), type="date"),
    ),
}


def columns_of(kind: ServedKind) -> tuple[Column, ...]:
    """The columns of a kind."""
    if isinstance(kind, CustomKind) and kind.columns:
        return (NAME, *(_custom_column(column) for column in kind.columns))
    return _COLUMNS.get(kind, (NAME, AGE))


def _custom_column(column: JsonView) -> Column:
    path = column["jsonPath"].lstrip(".").split(".")
    cell = _field(*path, default=None)
    if column["type"] == "date":
        cell = _age_of(cell)
    return Column(column["name"], cell, type=column["type"], priority=column.get("priority", 0))


def _age_of(read: Callable[[JsonView, float], object]) -> Callable[[JsonView, float], object]:
    def cell(item: JsonView, now: float) -> object:
        text = read(item, now)
        return _since(text if isinstance(text, str) else None, now)

    return cell
