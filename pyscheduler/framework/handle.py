"""What the scheduler offers to a plugin: small protocols, gathered in `Handle`.

Plugins get a `Handle` when they are made; what is behind each part is made by ``app.assembly``.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import Clock
from pyscheduler.framework.columns import StateColumn
from pyscheduler.framework.nodes import NodeTable


class Writes(Protocol):
    """Ordered, bounded writes to the API server."""

    def bind(self, pod: Pod, node_name: str) -> Awaitable[None]:
        """Binds; raises when the API server refused or could not be reached for long."""

    def patch_pod_status(
        self,
        pod: Pod,
        *,
        reason: str,
        message: str,
        nominated_node_name: str | None = None,
    ) -> None:
        """Sets PodScheduled=False in the background; dropped once the pod is bound."""

    def delete_pod(self, pod: Pod) -> Awaitable[None]:
        """Deletes that very pod (by uid); gone already counts as done."""


class EventRecorder(Protocol):
    """Kubernetes events (events.k8s.io/v1), written in the background."""

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
        """Records one event; equal ones are joined into a series."""


class SnapshotReader(Protocol):
    """The picture of the cluster that the current cycle sees."""

    @property
    def nodes(self) -> NodeTable:
        """All nodes."""


class ColumnWriter(Protocol):
    """Where plugins keep their own per-node values."""

    def set(self, column: StateColumn, node_name: str, value: Any) -> None:
        """Sets one node's value; cycles see it from their next refresh on."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A plugin's way to the scheduler."""

    snapshot: SnapshotReader
    writes: Writes
    recorder: EventRecorder
    columns: ColumnWriter
    clock: Clock
