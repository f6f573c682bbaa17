"""Reads kube-apiserver's audit log: the witness of what was asked and what was answered.

The log has one JSON event per line, written before the answer goes out. The policy that
`ControlPlane` sets keeps metadata of every request and the body of binding requests; a watch has
two lines, at its start and at its end.

    log = AuditLog.read(control_plane.audit_path)
    assert all(len(bindings) == 1 for bindings in log.bindings_by_pod().values())
    assert not log.forbidden()
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One request at one stage.

    Attributes:
        stage: ResponseStarted (watches only), ResponseComplete or Panic.
        time_s: when the stage was reached, unix seconds.
        received_s: when the request arrived, unix seconds.
        user_pod: the pod whose service account token it came with; "" of other users.
        status: HTTP status; of a watch it is 200 even if its stream ended with a 410 inside.
        target_node: of a binding request, the node asked for.
    """

    audit_id: str
    stage: str
    verb: str
    uri: str
    user: str
    user_pod: str
    user_agent: str
    status: int
    time_s: float
    received_s: float
    resource: str
    subresource: str
    api_group: str
    namespace: str
    name: str
    uid: str
    target_node: str

    @property
    def duration_s(self) -> float:
        return self.time_s - self.received_s

    def __str__(self) -> str:
        return f"{self.status} {self.verb} {self.uri} by {self.user} ({self.user_agent})"


@dataclass(frozen=True, slots=True)
class Watch:
    """One watch request.

    Attributes:
        ended_s: unix seconds, None while it is open.
    """

    uri: str
    user: str
    resource: str
    status: int
    started_s: float
    ended_s: float | None

    @property
    def duration_s(self) -> float | None:
        return None if self.ended_s is None else self.ended_s - self.started_s

    @property
    def is_watch_list(self) -> bool:
        """Claims that the stream was asked to begin with the objects that exist."""
        return "sendInitialEvents=true" in self.uri


class AuditLog:
    """The entries of an audit log, in the order in which they were written.

    Attributes:
        starts: when the server was started and when it was ready, unix seconds, of each life.
    """

    def __init__(
        self, entries: Iterable[Entry], *, starts: Sequence[tuple[float, float]] = ()
    ) -> None:
        self.entries = tuple(entries)
        self.starts = tuple(starts)

    @classmethod
    def read(
        cls, path: Path, *, offset: int = 0, starts: Sequence[tuple[float, float]] = ()
    ) -> AuditLog:
        """Returns what the file holds from a byte offset on; a half-written last line is left."""
        return cls(_entries(path, offset), starts=starts)

    def of_user(self, user: str) -> AuditLog:
        """Returns the entries of one user, e.g. `system:serviceaccount:ns:name`."""
        return self._only(entry for entry in self.entries if entry.user == user)

    def of_pod(self, name: str) -> AuditLog:
        """Returns the entries of the service account's token that one pod has."""
        return self._only(entry for entry in self.entries if entry.user_pod == name)

    def since(self, time_s: float) -> AuditLog:
        """Returns the entries whose requests arrived at that unix time or later."""
        return self._only(entry for entry in self.entries if entry.received_s >= time_s)

    def _only(self, entries: Iterable[Entry]) -> AuditLog:
        return AuditLog(entries, starts=self.starts)

    @functools.cached_property
    def completed(self) -> tuple[Entry, ...]:
        """The entries of requests that were answered to the end."""
        return tuple(entry for entry in self.entries if entry.stage == "ResponseComplete")

    def bindings(self) -> list[Entry]:
        """Returns the successful bindings, oldest answer first."""
        return [entry for entry in self.binding_attempts() if entry.status == 201]

    def binding_attempts(self) -> list[Entry]:
        """Returns all binding requests, whatever the answer."""
        return [
            entry
            for entry in self.completed
            if entry.verb == "create"
            and (entry.subresource == "binding" or entry.resource == "bindings")
        ]

    def bindings_by_pod(self) -> dict[str, list[Entry]]:
        """Returns the successful bindings of each pod, by "namespace/name"."""
        by_pod: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self.bindings():
            by_pod[f"{entry.namespace}/{entry.name}"].append(entry)
        return dict(by_pod)

    def forbidden(self) -> list[Entry]:
        """Returns the requests answered 403 by a server that was ready.

        A server that is starting answers before it has read the roles, and forbids everything to
        everybody (kube-scheduler gets its share too). Nobody is sent to a server before it is
        ready except a client that has its address, as here, so that is not what a test asks.
        """
        return [
            entry
            for entry in self.entries
            if entry.status == 403
            and not any(started <= entry.received_s <= ready for started, ready in self.starts)
        ]

    def events_created(self) -> list[Entry]:
        """Returns the successful creations of Event objects, of either API group."""
        return [
            entry
            for entry in self.completed
            if entry.resource == "events" and entry.verb == "create" and entry.status == 201
        ]

    def lists(self, resource: str) -> list[Entry]:
        """Returns the LIST requests of a resource, e.g. "pods"; each page is one."""
        return [
            entry for entry in self.completed if entry.verb == "list" and entry.resource == resource
        ]

    def watches(self, resource: str) -> list[Watch]:
        """Returns the watches of a resource in the order of their start."""
        ends = {entry.audit_id: entry.time_s for entry in self.completed if entry.verb == "watch"}
        started = {
            entry.audit_id: Watch(
                uri=entry.uri,
                user=entry.user,
                resource=entry.resource,
                status=entry.status,
                started_s=entry.received_s,
                ended_s=ends.get(entry.audit_id),
            )
            for entry in self.entries
            # One refused at once has only its end, so both stages are looked at.
            if entry.verb == "watch" and entry.resource == resource
        }
        return sorted(started.values(), key=lambda watch: watch.started_s)


def _entries(path: Path, offset: int) -> Iterator[Entry]:
    if not path.exists():
        return
    with path.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            if line.endswith(b"\n"):
                yield _entry(json.loads(line))


def _entry(event: dict[str, Any]) -> Entry:
    reference = event.get("objectRef") or {}
    body = event.get("requestObject") or {}
    user = event.get("user") or {}
    pods = (user.get("extra") or {}).get("authentication.kubernetes.io/pod-name") or [""]
    return Entry(
        audit_id=event["auditID"],
        stage=event["stage"],
        verb=event["verb"],
        uri=event["requestURI"],
        user=user.get("username", ""),
        user_pod=pods[0],
        user_agent=event.get("userAgent", ""),
        status=(event.get("responseStatus") or {}).get("code", 0),
        time_s=_unix(event["stageTimestamp"]),
        received_s=_unix(event["requestReceivedTimestamp"]),
        resource=reference.get("resource", ""),
        subresource=reference.get("subresource", ""),
        api_group=reference.get("apiGroup", ""),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        uid=reference.get("uid", ""),
        target_node=(body.get("target") or {}).get("name", ""),
    )


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
