"""From a chosen node to a bound pod: Reserve and Permit in the cycle, the rest beside it.

    begin   Reserve --> Permit --> PreBindPreFlight    in the scheduling cycle
    run     wait at Permit --> PreBind --> Bind        a task of its own
    finish  PostBind                                   in that task, when it is bound

Ends in one of two ways: the pod is bound (event, metrics), or everything is undone: unreserve in
reverse, forget, wake those who may use the room, and the pod goes back to the queue. A third way is
for the end of the process alone: `abandon` undoes everything and tells nobody, so that the next
leader decides about the pod.

Called by: ``loop``, one task per pod. Source: kube-scheduler 1.37, ``schedule_one.go``; knowing
difference: PreBindPreFlight is asked at the end of the scheduling cycle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache.cache import SchedulerCache
from pyscheduler.cycle.failure import Failure, FailureHandler
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.cluster_events import ASSIGNED_POD_DELETED
from pyscheduler.framework.cycle_state import PODS_TO_ACTIVATE, CycleState
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.handle import EventRecorder, Writes
from pyscheduler.framework.status import Code, Diagnosis, Status
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.runtime.instrument import PluginFault
from pyscheduler.runtime.pre_binding import Step, run_pre_binds, run_pre_flights
from pyscheduler.runtime.profile import Profile
from pyscheduler.runtime.reserving import run_permit, run_reserve, run_unreserve
from pyscheduler.runtime.waiting_pods import PodsInPreBindMap, WaitingPodsMap

_log = structlog.get_logger(__name__)

#: binds a pod to a node in place of the Bind plugins; False leaves it to them
ExtenderBind = Callable[[Pod, str], Awaitable[bool]]


@dataclass(slots=True, eq=False)
class Assumed:
    """A pod with a node in memory, about to be bound."""

    entity: QueuedEntity
    profile: Profile
    state: CycleState
    node_name: str
    #: plugins that have nothing to reserve for it, and no PreBind work
    unconcerned: frozenset[str] = frozenset()
    #: the PreBind work; set by `BindingCycle.begin`
    pre_bind_steps: Sequence[Step] = field(default=())
    #: True once it is bound, or undone
    is_settled: bool = False


class BindingCycle:
    """Makes assumptions real."""

    def __init__(
        self,
        cache: SchedulerCache,
        queue: SchedulingQueue,
        recorder: EventRecorder,
        failures: FailureHandler,
        *,
        writes: Writes,
        waiting_pods: WaitingPodsMap,
        pods_in_pre_bind: PodsInPreBindMap,
        extender_bind: ExtenderBind | None = None,
    ) -> None:
        """Connects the parts.

        Args:
            cache: where the pods are assumed.
            queue: where they come from and go back to.
            recorder: told of bound pods.
            failures: puts back what was not bound.
            writes: for the nodes that pods are expected on.
            waiting_pods: those at Permit.
            pods_in_pre_bind: those in PreBind.
            extender_bind: asked before the Bind plugins; raises `PySchedulerError` when it failed.
        """
        self._cache = cache
        self._queue = queue
        self._recorder = recorder
        self._failures = failures
        self._writes = writes
        self._waiting_pods = waiting_pods
        self._pods_in_pre_bind = pods_in_pre_bind
        self._extender_bind = extender_bind

    def begin(self, assumed: Assumed) -> Failure | None:
        """Reserves, asks for permission and for PreBind work; else undoes all and says why.

        Then `run` must follow, or `abandon`.
        """
        try:
            failure = self._reserve(assumed)
            if failure is None:
                self._activate(assumed)
        except Exception as error:  # noqa: BLE001  # an assumed pod must be given back
            _log.exception("reserving broke down", pod=assumed.entity.pod.key)
            failure = Failure.fault(f"{type(error).__name__}: {error}")
        if failure is not None:
            # nobody was turned away by this assumption: it did not outlive the cycle
            self._undo(assumed, failure, wakes_others=False)
        return failure

    async def run(self, assumed: Assumed) -> Failure | None:
        """Binds the pod: None, and `finish` must follow. Or puts it back and says why."""
        failure = await self._make_real(assumed)
        if failure is not None:
            self._undo(assumed, failure, wakes_others=True)
            return failure
        assumed.is_settled = True
        pod = assumed.entity.pod
        self._recorder.event(
            pod,
            "Normal",
            "Scheduled",
            "Binding",
            f"Successfully assigned {pod.key} to {assumed.node_name}",
        )
        return None

    async def finish(self, assumed: Assumed) -> None:
        """Tells the plugins that the pod is bound."""
        pod = assumed.entity.pod
        for _, post_bind in assumed.profile.post_binds:
            try:
                await post_bind(assumed.state, pod, assumed.node_name)
            except PluginFault:
                continue  # logged where it was raised; nothing can be undone here
        self._activate(assumed)

    def on_assumed_pod_deleting(self, pod: Pod) -> bool:
        """Ends the pod's wait at Permit, or its PreBind; the way back then gives the room back.

        Returns:
            False when it does neither: its binding is being sent, and the API server decides.
        """
        if self._waiting_pods.reject(pod.uid):
            return True
        in_pre_bind = self._pods_in_pre_bind.get(pod.uid)
        return in_pre_bind is not None and in_pre_bind.cancel("removed")

    def abandon(self, assumed: Assumed) -> None:
        """Undoes everything and tells nobody; nothing if the pod is bound or was put back."""
        if assumed.is_settled:
            return
        self._take_back(assumed)
        self._queue.done(assumed.entity.uid)

    def give_up_waiting(self) -> None:
        """Cancels the binding cycles that wait at Permit: scheduling ends."""
        self._waiting_pods.give_up()

    # --- the two halves ---

    def _reserve(self, assumed: Assumed) -> Failure | None:
        profile, state, node_name = assumed.profile, assumed.state, assumed.node_name
        pod = assumed.entity.pod
        unconcerned = assumed.unconcerned
        status = run_reserve(profile, state, pod, node_name, but_not=unconcerned)
        if status is not None:
            return _rejection(status)
        permission = run_permit(profile, state, pod, node_name)
        if isinstance(permission, Status):
            return _rejection(permission)
        steps = run_pre_flights(profile, state, pod, node_name, but_not=unconcerned)
        if isinstance(steps, Status):
            return Failure.fault(steps.message)
        assumed.pre_bind_steps = steps
        if permission:
            self._waiting_pods.add(pod, node_name, timeouts_s=permission)
        if permission or steps:
            # it may be long until it is bound: others shall know where it is going to be. Not for
            # us: while it is assumed, the cache counts it
            self._writes.nominate(pod, node_name)
        return None

    async def _make_real(self, assumed: Assumed) -> Failure | None:
        pod = assumed.entity.pod
        try:
            status = await self._waiting_pods.wait(pod.uid)
            if status is not None:
                return _rejection(status)
            # no plugin's event can help it any more: those it missed are of no use to it
            self._queue.done(pod.uid)
            if assumed.pre_bind_steps:
                work = run_pre_binds(assumed.pre_bind_steps, assumed.state, pod, assumed.node_name)
                status = await self._pods_in_pre_bind.run(pod, work)
            if status is None:
                status = await self._bind(assumed)
        except PySchedulerError as fault:
            return Failure.fault(str(fault))
        except Exception as error:  # noqa: BLE001  # outermost edge of a binding cycle
            # whatever it is, the pod must not stay assumed
            _log.exception("binding cycle broke down", pod=pod.key, node=assumed.node_name)
            return Failure.fault(f"{type(error).__name__}: {error}")
        return None if status is None else _late_failure(status)

    async def _bind(self, assumed: Assumed) -> Status | None:
        pod = assumed.entity.pod
        if self._extender_bind is not None and await self._extender_bind(pod, assumed.node_name):
            return None
        for name, bind in assumed.profile.binds:
            status = await bind(assumed.state, pod, assumed.node_name)
            if status is None or status.is_success:
                return None
            if status.code is not Code.SKIP:
                return status.by(name)
        return Status(Code.ERROR, ("no Bind plugin took the pod",))

    # --- the way back ---

    def _undo(self, assumed: Assumed, failure: Failure, *, wakes_others: bool) -> None:
        """Takes everything back and requeues the pod."""
        pod = assumed.entity.pod
        was_assumed = self._take_back(assumed)
        makes_room = was_assumed and wakes_others
        try:
            if makes_room and failure.is_error:
                self._make_room(assumed)
            self._failures.handle(assumed.entity, failure)
            if makes_room and not failure.is_error:
                # after it was put back, and not for itself: its own leaving is no news to it
                self._make_room(assumed, but_not=pod.uid)
        finally:
            self._queue.done(pod.uid)

    def _make_room(self, assumed: Assumed, *, but_not: str = "") -> None:
        """Wakes those who may use the room that the pod leaves."""
        pod = assumed.entity.pod
        spec = msgspec.structs.replace(pod.spec, node_name=assumed.node_name)
        self._queue.move(
            ASSIGNED_POD_DELETED,
            msgspec.structs.replace(pod, spec=spec),
            None,
            pre_check=lambda other: other.uid != but_not,
        )

    def _take_back(self, assumed: Assumed) -> bool:
        """Unreserves and forgets; False when the pod is known to be bound, or gone."""
        pod = assumed.entity.pod
        assumed.is_settled = True
        self._waiting_pods.remove(pod.uid)
        run_unreserve(assumed.profile, assumed.state, pod, assumed.node_name)
        return self._cache.forget(pod)

    def _activate(self, assumed: Assumed) -> None:
        wanted = assumed.state.get(PODS_TO_ACTIVATE)
        pods = () if wanted is None else wanted.take()
        if pods:
            self._queue.activate(pods)


def _rejection(status: Status) -> Failure:
    """A rejection by Reserve or Permit as a failure over one node; that plugin's events help."""
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


def _late_failure(status: Status) -> Failure:
    """A failure of PreBind or Bind: no event helps, so the pod is tried again after its backoff."""
    if not status.is_rejected:
        return Failure.fault(status.message)
    return Failure(status.message, nomination="")
