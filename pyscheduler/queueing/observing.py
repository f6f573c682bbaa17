"""What the queue tells about itself: counts to read, and a protocol for what must be counted live.

Called by: ``app.assembly`` (connects both to the metrics), the demo (reads the counts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pyscheduler.framework.cluster_events import QueueingHint

#: tier names, as upstream labels its metrics
ACTIVE = "active"
BACKOFF = "backoff"
UNSCHEDULABLE = "unschedulable"
GATED = "gated"
IN_FLIGHT = "in_flight"


class QueueMetrics(Protocol):
    """What the queue calls as things happen."""

    def incoming(self, queue: str, event_label: str) -> None:
        """An entity entered the tier `queue` because of that event."""
        ...

    def hint(self, plugin: str, event_label: str, result: QueueingHint, seconds: float) -> None:
        """A hint was asked."""
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

    @property
    def pending(self) -> int:
        """All that are in some tier, not in flight."""
        return self.active + self.backoff + self.unschedulable + self.gated
