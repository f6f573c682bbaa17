"""What happens when a pod cannot be scheduled: back to the queue first, then an event and the
PodScheduled condition, worded as kube-scheduler words them.

The pod is read again before anything is written: gone, bound meanwhile, or recreated under its name
means that there is nothing to say about it any more.

Called by: ``loop`` and ``binding``. Source of order and words: kube-scheduler 1.37,
``schedule_one.go`` handleSchedulingFailure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cycle.event_handlers import promise_ended
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.handle import EventRecorder, Writes
from pyscheduler.queueing.scheduling_queue import SchedulingQueue

#: Reasons of the PodScheduled condition.
UNSCHEDULABLE = "Unschedulable"
SCHEDULER_ERROR = "SchedulerError"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed."""

    message: str
    #: True: nobody rejected the pod, something went wrong; retried with error backoff
    is_error: bool = False
    #: reason of the condition
    reason: str = UNSCHEDULABLE
    unschedulable_plugins: frozenset[str] = frozenset()
    pending_plugins: frozenset[str] = frozenset()
    #: the node that the pod is nominated to from now on; "" voids an earlier nomination, None
    #: leaves it as it is
    nomination: str | None = None

    @classmethod
    def fault(cls, message: str) -> Failure:
        """Something went wrong."""
        return cls(message, is_error=True, reason=SCHEDULER_ERROR, nomination="")


class FailureHandler:
    """Requeues and reports failed attempts."""

    def __init__(
        self,
        queue: SchedulingQueue,
        writes: Writes,
        recorder: EventRecorder,
        *,
        current_pod: Callable[[str], Pod | None],
    ) -> None:
        self._queue = queue
        self._writes = writes
        self._recorder = recorder
        #: ``namespace/name`` -> the newest pod that the watch delivered
        self._current_pod = current_pod

    def newest(self, entity: QueuedEntity) -> Pod | None:
        """The entity's pod as it is now; None when it is gone, bound, or made again."""
        pod = self._current_pod(entity.pod.key)
        return None if pod is None or pod.uid != entity.uid or pod.node_name else pod

    def handle(self, entity: QueuedEntity, failure: Failure) -> None:
        """Puts the entity where it waits for its next attempt, and tells its pod why."""
        pod = self.newest(entity)
        if pod is None:
            self._queue.done(entity.uid)
            return
        entity.pod = pod
        self._queue.add_unschedulable(
            entity,
            unschedulable_plugins=set(failure.unschedulable_plugins),
            pending_plugins=set(failure.pending_plugins),
            is_error=failure.is_error,
        )
        nominator = self._queue.nominator
        promised = nominator.node_of(pod.uid)
        node = promised if failure.nomination is None else failure.nomination
        nominator.add(pod, node_name=node)
        if promised not in ("", node, pod.status.nominated_node_name):
            # the watch has not told of that promise, and perhaps never will
            promise_ended(self._queue, pod, promised)
        self._recorder.event(pod, "Warning", "FailedScheduling", "Scheduling", failure.message)
        self._writes.patch_pod_status(
            pod,
            reason=failure.reason,
            message=failure.message,
            nominated_node_name=failure.nomination,
        )
