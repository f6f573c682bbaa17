"""Small parts of a plugin's handle: one for all profiles, or made before what it stands for.

Called by: plugins, through their handle; ``app.assembly`` makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyscheduler.api.core_v1 import Pod
from pyscheduler.client.recorder import EventRecorder
from pyscheduler.queueing.scheduling_queue import SchedulingQueue


class ProfileRecorders:
    """Events in the name of the profile that each pod belongs to."""

    def __init__(self, recorders: Mapping[str, EventRecorder]) -> None:
        self._recorders = recorders

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
        """Records one event about one of our pods."""
        recorder = self._recorders.get(regarding.scheduler_name)
        if recorder is None and related is not None:
            # a victim may be anybody's pod; it is ours that caused the event
            recorder = self._recorders.get(related.scheduler_name)
        recorder = recorder or next(iter(self._recorders.values()))
        recorder.event(regarding, event_type, reason, action, note, related=related)


class LateActivator:
    """The queue as plugins reach it, who are made before it; until then no pod waits."""

    def __init__(self) -> None:
        self.queue: SchedulingQueue | None = None

    def activate(self, pods: Iterable[Pod]) -> None:
        """Makes these pods ready without backoff."""
        if self.queue is not None:
            self.queue.activate(pods)
