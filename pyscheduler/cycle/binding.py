"""The binding cycle: PreBind, Bind, PostBind for one pod, beside the scheduling of others.

Ends in one of two ways: the pod is bound (event, metrics), or everything is undone: unreserve in
reverse, forget, wake those who may use the room, and the pod goes back to the queue.

Called by: ``loop``, one task per pod.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from pyscheduler.cache.cache import SchedulerCache
from pyscheduler.cycle.failure import Failure, FailureHandler
from pyscheduler.framework.cluster_events import ASSIGNED_POD_DELETED
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.handle import EventRecorder
from pyscheduler.framework.status import Code, Diagnosis, Status
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.runtime.instrument import PluginFault
from pyscheduler.runtime.profile import Profile
from pyscheduler.runtime.reserving import run_unreserve

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Assumed:
    """A pod with a node in memory, about to be bound."""

    entity: QueuedEntity
    profile: Profile
    state: CycleState
    node_name: str


class BindingCycle:
    """Makes assumptions real."""

    def __init__(
        self,
        cache: SchedulerCache,
        queue: SchedulingQueue,
        recorder: EventRecorder,
        failures: FailureHandler,
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._recorder = recorder
        self._failures = failures

    async def run(self, assumed: Assumed) -> Failure | None:
        """Binds the pod; None when it is bound, else what was put back and why."""
        pod = assumed.entity.pod
        # from here on the pod's fate is in the cache: missed events are of no use to it
        self._queue.done(pod.uid)
        failure = await self._bind(assumed)
        if failure is not None:
            self.undo(assumed, failure)
            return failure
        self._recorder.event(
            pod,
            "Normal",
            "Scheduled",
            "Binding",
            f"Successfully assigned {pod.key} to {assumed.node_name}",
        )
        for _, post_bind in assumed.profile.post_binds:
            try:
                await post_bind(assumed.state, pod, assumed.node_name)
            except PluginFault:
                continue  # logged where it was raised; nothing can be undone here
        return None

    def undo(self, assumed: Assumed, failure: Failure) -> None:
        """Takes everything back and requeues the pod; the only way out of an assumption."""
        pod = assumed.entity.pod
        run_unreserve(assumed.profile, assumed.state, pod, assumed.node_name)
        was_assumed = self._cache.forget(pod)
        self._failures.handle(assumed.entity, failure)
        if was_assumed:
            # room again; the pod itself is back in the queue and waits for its own backoff
            self._queue.move(
                ASSIGNED_POD_DELETED, pod, None, pre_check=lambda other: other.uid != pod.uid
            )

    async def _bind(self, assumed: Assumed) -> Failure | None:
        profile, state, pod = assumed.profile, assumed.state, assumed.entity.pod
        try:
            for name, pre_bind in profile.pre_binds:
                status = await pre_bind(state, pod, assumed.node_name)
                if status is not None and not status.is_success:
                    return failure_of(status.by(name))
            for name, bind in profile.binds:
                status = await bind(state, pod, assumed.node_name)
                if status is None or status.is_success:
                    return None
                if status.code is not Code.SKIP:
                    return failure_of(status.by(name))
        except PluginFault as fault:
            return Failure.fault(str(fault))
        except Exception as error:  # noqa: BLE001  # outermost edge of a binding cycle
            # whatever it is, the pod must not stay assumed
            _log.exception("binding cycle broke down", pod=pod.key, node=assumed.node_name)
            return Failure.fault(f"{type(error).__name__}: {error}")
        return Failure.fault("no Bind plugin took the pod")


def failure_of(status: Status) -> Failure:
    """A rejection by Reserve, Permit, PreBind or Bind as a failure over one node."""
    if not status.is_rejected:
        return Failure.fault(status.message)
    plugins = frozenset({status.plugin}) if status.plugin else frozenset()
    is_pending = status.code is Code.PENDING
    diagnosis = Diagnosis(total_nodes=1)
    diagnosis.count(status.reasons)
    return Failure(
        diagnosis.message,
        nomination="",
        unschedulable_plugins=frozenset() if is_pending else plugins,
        pending_plugins=plugins if is_pending else frozenset(),
    )
