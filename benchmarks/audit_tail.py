"""Follows an API server's audit log while it grows, and keeps the times of binds and events.

The log is the witness of every benchmark: its time stamps are the server's, and reading it costs
the server nothing, where asking the API for progress would take its time from whom we measure.
kube-apiserver writes it, and the embedded server's process one with the same keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from tests.controlplane.identities import KUBE_SCHEDULER

#: Whether a pod, by namespace and name, is among those that count.
Concern: TypeAlias = Callable[[str, str], bool]

#: How every scheduler under test is called in the log.
_SCHEDULER = f'"username":"{KUBE_SCHEDULER}"'.encode()


def in_namespace(namespace: str) -> Concern:
    """Returns a claim that holds for every pod of a namespace."""
    return lambda of, _: of == namespace


def among(keys: Collection[tuple[str, str]]) -> Concern:
    """Returns a claim that holds for these pods, by namespace and name."""
    known = frozenset(keys)
    return lambda namespace, name: (namespace, name) in known


@dataclass(frozen=True, slots=True)
class Answered:
    """A successful write.

    Attributes:
        name: of the pod that was bound, or that the event is about.
        time_s: when it was answered, unix seconds.
        user_agent: what sent it, in its own words.
    """

    name: str
    received_s: float
    time_s: float
    user_agent: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast pods were bound, from the server's time stamps."""

    bound: int
    events: int
    binding_s: float
    recorded_s: float

    @property
    def pods_per_s(self) -> float:
        """From the first bind to the last."""
        return _rate(self.bound, self.binding_s)

    @property
    def recorded_pods_per_s(self) -> float:
        """From the first bind to the last event."""
        return _rate(self.bound, self.recorded_s)


@dataclass(slots=True)
class Writes:
    """Binds and events of the pods that count, in the order of the log.

    Attributes:
        refused: bindings answered with anything but 201, with their status.
        requests: all that the scheduler's user sent and that were answered, watches apart.
        first_write_s: when the first write about one of the pods came in, unix seconds: by then
            the scheduler has seen it. None before that.
    """

    concerns: Concern
    binds: list[Answered] = field(default_factory=list)
    events: list[Answered] = field(default_factory=list)
    refused: list[tuple[str, int]] = field(default_factory=list)
    requests: int = 0
    first_write_s: float | None = None

    def take(self, lines: Iterable[bytes]) -> None:
        """Adds what these lines of the audit log say."""
        for line in lines:
            if b'"ResponseComplete"' not in line:
                continue
            if _SCHEDULER in line and b'"verb":"watch"' not in line:
                self.requests += 1
                if self.first_write_s is None and not _is_read(line):
                    self._take_first_write(json.loads(line))
            # Only a creation is of further interest, and parsing the rest would cost a core.
            if b'"verb":"create"' in line:
                self._take_creation(json.loads(line))

    def _take_creation(self, entry: dict[str, Any]) -> None:
        pod = self._pod_of(entry)
        if pod is None:
            return
        target = entry["objectRef"]
        if target.get("subresource") == "binding":
            self._take_binding(entry, pod)
        elif target.get("resource") == "events" and _status(entry) == 201:
            self.events.append(_answered(entry, pod))

    def _take_first_write(self, entry: dict[str, Any]) -> None:
        if self._pod_of(entry) is not None:
            self.first_write_s = _unix(str(entry["requestReceivedTimestamp"]))

    def _pod_of(self, entry: dict[str, Any]) -> str | None:
        """Returns the name of the pod that a write is about, if it is one of those that count."""
        target = entry.get("objectRef") or {}
        namespace, name = target.get("namespace", ""), target.get("name", "")
        if target.get("resource") == "events":
            name = name.rpartition(".")[0]  # whoever writes one, it is the pod's name and a number
        return name if self.concerns(namespace, name) else None

    def _take_binding(self, entry: dict[str, Any], name: str) -> None:
        if _status(entry) == 201:
            self.binds.append(_answered(entry, name))
        else:
            self.refused.append((name, _status(entry)))

    def pace(self) -> Pace:
        """Returns the pace of all that was taken; without an event the last bind is the end."""
        if not self.binds:
            return Pace(0, len(self.events), 0.0, 0.0)
        first, last_bind, last = self.moments()
        return Pace(len(self.binds), len(self.events), last_bind - first, last - first)

    def moments(self) -> tuple[float, float, float]:
        """Returns when the first and the last bind and the last of all were answered, unix time."""
        binds = [bind.time_s for bind in self.binds]
        last_bind = max(binds)
        return min(binds), last_bind, max([last_bind, *(event.time_s for event in self.events)])


class AuditTail:
    """Reads what was added to an audit log since it was made or last read."""

    def __init__(self, path: Path, concerns: Concern) -> None:
        self.writes = Writes(concerns)
        self._path = path
        self._offset = path.stat().st_size
        self._rest = b""

    def read(self) -> Writes:
        """Returns everything seen so far; a half-written line waits for the next time."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            added = log.read()
        self._offset += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        self.writes.take(lines)
        return self.writes


def _is_read(line: bytes) -> bool:
    return b'"verb":"get"' in line or b'"verb":"list"' in line


def _answered(entry: dict[str, Any], name: str) -> Answered:
    return Answered(
        name=name,
        received_s=_unix(str(entry["requestReceivedTimestamp"])),
        time_s=_unix(str(entry["stageTimestamp"])),
        user_agent=str(entry.get("userAgent", "")),
    )


def _status(entry: dict[str, Any]) -> int:
    status = entry.get("responseStatus")
    return int(status.get("code", 0)) if isinstance(status, dict) else 0


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def _rate(count: int, seconds: float) -> float:
    """Of the intervals between them: the first pod only starts the watch."""
    return (count - 1) / seconds if seconds > 0 else 0.0
