"""What the queue tells about itself: counts to read, and a protocol for what must be counted live.

Called by: ``app.assembly`` (connects both to the metrics), the demo (reads the counts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pyscheduler.framework.cluster_events import QueueingHint
from pyscheduler.framework.entities import QueuedEntity

#: tier names, as upstream labels its metrics
ACTIVE = "active"
BACKOFF = "backoff"
UNSCHEDULABLE = "unschedulable"
GATED = "gated"
IN_FLIGHT = "in_flight"

#: what a pre-hint answered, as upstream labels its metric
ALL_PODS = "all_pods"
NARROWED = "narrowed"


class QueueMetrics(Protocol):
    """What the queue calls as things happen."""

    def incoming(self, queue: str, event_label: str) -> None:
        """An entity entered the tier `queue` because of that event."""
        ...

    def hint(self, plugin: str, event_label: str, result: QueueingHint, seconds: float) -> None:
        """A hint was asked."""
        ...

    def pre_hint(self, plugin: str, result: str) -> None:
        """A pre-hint was asked: `ALL_PODS` or `NARROWED`."""
        ...

    def unschedulable(self, plugin: str, scheduler_name: str, delta: int) -> None:
        """So many more (or fewer) entities are held by `plugin`."""
        ...


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many entities are where."""

    active: int
    backoff: int
    unschedulable: int
    gated: int
    in_flight: int
    #: events kept for those in flight
    in_flight_events: int
    #: waiting entities that have events to hear of
    unsettled: int = 0

    @property
    def pending(self) -> int:
        """All that are in some tier, not in flight."""
        return self.active + self.backoff + self.unschedulable + self.gated


class Tally:
    """Tells the metrics, if there are any, what happens to entities."""

    __slots__ = ("_metrics",)

    def __init__(self, metrics: QueueMetrics | None) -> None:
        self._metrics = metrics

    def incoming(self, queue: str, label: str) -> None:
        """An entity entered that tier because of that event."""
        if self._metrics is not None:
            self._metrics.incoming(queue, label)

    def held(self, entity: QueuedEntity, delta: int) -> None:
        """Counts the entity for each plugin that holds it, until it is popped or deleted."""
        if self._metrics is None:
            return
        plugins = entity.unschedulable_plugins | entity.pending_plugins
        if entity.gating_plugin:
            plugins |= {entity.gating_plugin}
        for plugin in plugins:
            self._metrics.unschedulable(plugin, entity.pod.scheduler_name, delta)
