"""Follows kube-apiserver's audit log while it grows, and keeps the times of binds and events.

The log is the witness of every benchmark: its time stamps are the server's, and reading it costs
the server nothing, where asking the API for progress would take its time from whom we measure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Answered:
    """A successful write.

    Attributes:
        name: of the pod that was bound, or of the event.
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
    """Binds and events of one namespace, in the order of the log.

    Attributes:
        refused: bindings answered with anything but 201, with their status.
    """

    namespace: str
    binds: list[Answered] = field(default_factory=list)
    events: list[Answered] = field(default_factory=list)
    refused: list[tuple[str, int]] = field(default_factory=list)

    def take(self, lines: Iterable[bytes]) -> None:
        """Adds what these lines of the audit log say."""
        for line in lines:
            # Only a creation is of interest, and parsing the rest would cost a core.
            if b'"verb":"create"' not in line or b'"ResponseComplete"' not in line:
                continue
            entry = json.loads(line)
            target = entry.get("objectRef") or {}
            if target.get("namespace") != self.namespace:
                continue
            if target.get("subresource") == "binding":
                self._take_binding(entry, target.get("name", ""))
            elif target.get("resource") == "events" and _status(entry) == 201:
                self.events.append(_answered(entry, target.get("name", "")))

    def _take_binding(self, entry: dict[str, object], name: str) -> None:
        if _status(entry) == 201:
            self.binds.append(_answered(entry, name))
        else:
            self.refused.append((name, _status(entry)))

    def pace(self) -> Pace:
        """Returns the pace of all that was taken; without an event the last bind is the end."""
        binds = sorted(bind.time_s for bind in self.binds)
        if not binds:
            return Pace(0, len(self.events), 0.0, 0.0)
        last = max([binds[-1], *(event.time_s for event in self.events)])
        return Pace(len(binds), len(self.events), binds[-1] - binds[0], last - binds[0])


class AuditTail:
    """Reads what was added to an audit log since it was made or last read."""

    def __init__(self, path: Path, namespace: str) -> None:
        self.writes = Writes(namespace)
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


def _answered(entry: dict[str, object], name: str) -> Answered:
    return Answered(
        name=name,
        received_s=_unix(str(entry["requestReceivedTimestamp"])),
        time_s=_unix(str(entry["stageTimestamp"])),
        user_agent=str(entry.get("userAgent", "")),
    )


def _status(entry: dict[str, object]) -> int:
    status = entry.get("responseStatus")
    return int(status.get("code", 0)) if isinstance(status, dict) else 0


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def _rate(count: int, seconds: float) -> float:
    """Of the intervals between them: the first pod only starts the watch."""
    return (count - 1) / seconds if seconds > 0 else 0.0
