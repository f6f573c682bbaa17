"""What the queue holds and the cycle schedules: an entity, today always a single pod.

The queue is keyed by entity so that pod groups fit in later without touching its tiers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pyscheduler.api.core_v1 import Pod


@dataclass(slots=True, eq=False)
class QueuedEntity:
    """A pod on its way through the queue. The queue is the only one to change it."""

    #: the newest object the watch delivered; replaced on update, never changed
    pod: Pod
    #: unix seconds of entering the queue, or of the last failed attempt; backoff counts from here
    timestamp: float
    #: unix seconds of the first time in activeQ; None while gated; start of the SLI duration
    initial_attempt_timestamp: float | None = None
    #: how often it was popped
    attempts: int = 0
    #: failed attempts that ended in a rejection
    unschedulable_count: int = 0
    #: failed attempts in a row that ended in an error
    consecutive_errors: int = 0
    #: unix seconds when backoff ends; 0 = not backing off
    backoff_expiration: float = 0.0
    #: plugins that rejected the last attempt; cleared by pop
    unschedulable_plugins: frozenset[str] = frozenset()
    #: plugins that answered Pending in the last attempt; cleared by pop
    pending_plugins: frozenset[str] = frozenset()
    #: PreEnqueue plugin that holds the entity back; empty = not gated
    gating_plugin: str = ""
    #: PreEnqueue broke down: backing off, to be asked again after that
    is_at_the_door: bool = False
    #: True when the five-minute flush, not an event, brought it back: a hint is missing
    was_flushed: bool = False
    #: the profile's class key, computed once per pod object; None = not computed or not signable
    signature: tuple[object, ...] | None = None
    #: the QueueSort key, computed at enqueue
    sort_key: tuple[object, ...] = field(default=())

    @property
    def uid(self) -> str:
        """The pod's uid: the queue's key."""
        return self.pod.uid

    @property
    def is_gated(self) -> bool:
        """True while a PreEnqueue plugin holds it back."""
        return bool(self.gating_plugin)
