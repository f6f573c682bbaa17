"""Makes room in the background: victims are told to go while scheduling goes on (KEP-4832).

The preemptor is gated until all of its victims were told, so that it is not tried in vain in
between. All but the last are told at once, the last one after them: whoever asks during that last
call can see at the victim itself whether it was made. A victim's end wakes the preemptor, as it
does everybody else. Where there is none to come (all of them were gone before the gate opened, or
were taken back in memory, or could not be told) the preemptor is activated: nobody is left behind
its gate. After a failure that is a moment later, so that a server which refuses is not asked
without pause.

A victim that waits at Permit or is in PreBind is taken back in memory and tried again later. Others
get the DisruptionTarget condition and are deleted, both for their uid alone. Two preemptors may
choose the same victim: it is told once, and the outcome counts for both.

One task for each preemption under way, all owned by one that lives as long as this process
schedules. When that ends every preemption under way ends with it: the successor starts afresh.

Called by: ``evaluator`` (starts a preemption), a plugin's ``pre_enqueue`` (asks whether one is
under way). Source: kube-scheduler 1.37, ``framework/preemption/executor.go``; knowing differences:
uid preconditions, the activation where upstream might have missed the last end, shared victims, and
an end of the evictions when the preemptor is gone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from pyscheduler.api.core_v1 import Pod
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.waiting import PodInPreBind, WaitingPod
from pyscheduler.preemption.candidates import Candidate
from pyscheduler.preemption.departures import Departures

_log = structlog.get_logger(__name__)

#: The condition of a pod that is being evicted, and why it is.
DISRUPTION_TARGET = "DisruptionTarget"
PREEMPTION_BY_SCHEDULER = "PreemptionByScheduler"

#: Seconds before a failed preemption is tried again; as long as the first backoff of a pod.
RETRY_AFTER_S = 1.0


class EvictionFailed(PySchedulerError):  # noqa: N818  # says what became of it
    """A victim that another preemption had begun to evict is still there."""


@dataclass(eq=False, slots=True)
class _Preemption:
    """One pod's preemption under way."""

    preemptor: Pod
    node_name: str
    victims: tuple[Pod, ...]
    #: the only victim that was not told yet, once all others were
    last: Pod | None = None
    #: all of them were told
    is_done: bool = False


class Executor:
    """Carries out what the evaluator decided."""

    def __init__(self, handle: Handle, *, plugin: str) -> None:
        """Starts nothing before the process schedules.

        Args:
            handle: the plugin's.
            plugin: in whose name pods are rejected.
        """
        self._handle = handle
        self._plugin = plugin
        self.departures = Departures(handle, on_change=self._note_change, on_end=self._forget)
        #: the keys of preemptors who were kept out when they were last at their gate
        self._kept_out: set[str] = set()
        #: of these, those whose gate may have opened since
        self.may_be_done: set[str] = set()
        #: by the uid of the last victim: those whose gate opens as soon as it was told
        self._last: dict[str, set[_Preemption]] = {}
        #: by the preemptor's uid
        self._under_way: dict[str, _Preemption] = {}
        #: by the victim's uid: True once it was told, False when that failed
        self._evictions: dict[str, asyncio.Future[bool]] = {}
        self._inbox: asyncio.Queue[_Preemption] = asyncio.Queue()
        handle.tasks.start(self._run, name=f"{plugin}: preemption")

    def __len__(self) -> int:
        """Preemptions under way."""
        return len(self._under_way)

    def start(self, candidate: Candidate, preemptor: Pod) -> None:
        """Voids lower nominations to the node, and has the victims told in the background."""
        self._void_lower_nominations(candidate.node_name, preemptor)
        victims = tuple(pod for pod in candidate.victims.pods if self.departures.is_due(pod))
        if victims:
            preemption = _Preemption(preemptor, candidate.node_name, victims)
            self._under_way[preemptor.uid] = preemption
            self._inbox.put_nowait(preemption)

    def is_preempting(self, pod: Pod) -> bool:
        """True while there are victims of ``pod`` still to be told."""
        preemption = self._under_way.get(pod.uid)
        if preemption is not None and (
            preemption.last is None or self.departures.is_due(preemption.last)
        ):
            self._kept_out.add(pod.key)
            return True
        self._forget(pod)
        return False

    def _void_lower_nominations(self, node_name: str, preemptor: Pod) -> None:
        """They no longer fit there perhaps; they look for another place at once."""
        handle = self._handle
        voided = [
            pod
            for pod in handle.nominator.nominated_on(node_name)
            if pod.priority < preemptor.priority
        ]
        for pod in voided:
            handle.nominator.delete(pod.uid)
            handle.writes.nominate(pod, "")
        handle.activator.activate(voided)

    # --- in the background ---

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    preemption = await self._inbox.get()
                    group.create_task(self._carry_out(preemption))
        finally:
            # what had not begun, as well: nobody is left behind its gate
            while not self._inbox.empty():
                self._end(self._inbox.get_nowait())
            for preemption in tuple(self._under_way.values()):
                self._end(preemption)

    async def _carry_out(self, preemption: _Preemption) -> None:
        clock = self._handle.clock
        began = clock.monotonic()
        try:
            preemption.is_done = await self._succeeds(preemption)
            result = "success" if preemption.is_done else "error"
            self._handle.preemption_observer.executed(result, clock.monotonic() - began)
            if not preemption.is_done:
                self._open_gate(preemption)  # an event may bring the pod back sooner
                await clock.sleep(RETRY_AFTER_S)
        finally:
            self._end(preemption)

    async def _succeeds(self, preemption: _Preemption) -> bool:
        try:
            await self._evict_all(preemption)
        except Exception as error:  # noqa: BLE001  # the task's outermost edge; writes are foreign
            _log.warning(
                "preemption failed; the pod is tried again",
                pod=preemption.preemptor.key,
                node=preemption.node_name,
                reason=str(error),
            )
            return False
        _log.debug(
            "victims were told to go",
            pod=preemption.preemptor.key,
            node=preemption.node_name,
            victims=[victim.key for victim in preemption.victims],
        )
        return True

    def _await_last(self, preemption: _Preemption, last: Pod) -> None:
        """The gate is open as soon as ``last`` was told, by whomever."""
        preemption.last = last
        self._last.setdefault(last.uid, set()).add(preemption)
        self._note_change(last)

    def _note_change(self, victim: Pod) -> None:
        """Opens the gates of those who wait for ``victim`` alone, if nobody has to tell it."""
        waiting = self._last.get(victim.uid)
        if waiting and not self.departures.is_due(victim):
            for preemption in waiting:
                self._note_open(preemption)

    def _note_open(self, preemption: _Preemption) -> None:
        if preemption.preemptor.key in self._kept_out:
            self.may_be_done.add(preemption.preemptor.key)

    def _forget(self, preemptor: Pod) -> None:
        """It is gone, or through its gate."""
        self._kept_out.discard(preemptor.key)
        self.may_be_done.discard(preemptor.key)

    def _open_gate(self, preemption: _Preemption) -> None:
        uid, last = preemption.preemptor.uid, preemption.last
        if self._under_way.get(uid) is preemption:
            del self._under_way[uid]
            self._note_open(preemption)
        if last is not None and last.uid in self._last:
            self._last[last.uid].discard(preemption)
            if not self._last[last.uid]:
                del self._last[last.uid]

    def _end(self, preemption: _Preemption) -> None:
        """Lets the preemptor through, and brings it back if no victim's end is going to.

        Not if it preempts anew by now: then it waits for that.
        """
        self._open_gate(preemption)
        if preemption.preemptor.uid in self._under_way:
            return
        leaves = self.departures.will_be_seen_to_go
        if not preemption.is_done or not any(map(leaves, preemption.victims)):
            self._handle.activator.activate([preemption.preemptor])

    async def _evict_all(self, preemption: _Preemption) -> None:
        *first, last = preemption.victims
        outcomes = await asyncio.gather(
            *(self._evict(victim, preemption) for victim in first), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        self._await_last(preemption, last)
        await self._evict(last, preemption)

    async def _evict(self, victim: Pod, preemption: _Preemption) -> None:
        """Returns once ``victim`` was told, by whomever, or need not be told any more.

        Raises:
            PySchedulerError: it is still there.
        """
        told = self._evictions.get(victim.uid)
        if told is not None:
            if not await asyncio.shield(told):
                raise EvictionFailed(f"pod {victim.key} was not evicted")
            return
        told = self._evictions[victim.uid] = asyncio.get_running_loop().create_future()
        is_told = False
        try:
            await self._tell(victim, preemption)
            is_told = not self.departures.is_due(victim)
        finally:
            del self._evictions[victim.uid]
            told.set_result(is_told)

    async def _tell(self, victim: Pod, preemption: _Preemption) -> None:
        if not self._is_called_for(victim, preemption):
            return
        ended = self._take_back(victim)
        if ended is None and not await self._delete(victim, preemption):
            return
        self.departures.add(victim, ended)
        note = f"Preempted by pod {preemption.preemptor.uid} on node {preemption.node_name}"
        self._handle.recorder.event(
            victim,
            "Normal",
            "Preempted",
            "Preempting",
            note if ended is None else f"{note} (in kube-scheduler memory).",
            related=preemption.preemptor,
        )

    def _is_called_for(self, victim: Pod, preemption: _Preemption) -> bool:
        """Nobody else made it leave meanwhile, and the preemptor still waits for the room."""
        preemptor = self.departures.newest(preemption.preemptor)
        if preemptor is None or preemptor.node_name or preemptor.is_terminating:
            return False
        return self.departures.is_due(victim)

    def _take_back(self, victim: Pod) -> WaitingPod | PodInPreBind | None:
        """What ended of the victim's binding cycle, without the API server; None: too late."""
        waiting = self._handle.waiting_pods.get(victim.uid)
        if waiting is not None and waiting.preempt(self._plugin, "preempted"):
            return waiting
        in_pre_bind = self._handle.pods_in_pre_bind.get(victim.uid)
        if in_pre_bind is not None and in_pre_bind.cancel(f"preempted by {self._plugin}"):
            return in_pre_bind
        return None

    async def _delete(self, victim: Pod, preemption: _Preemption) -> bool:
        """Marks the victim and deletes it; False when somebody else did so in between."""
        writes = self._handle.writes
        newest = self.departures.newest(victim) or victim
        if not _is_marked(newest):
            await writes.patch_pod_condition(
                newest,
                condition_type=DISRUPTION_TARGET,
                reason=PREEMPTION_BY_SCHEDULER,
                message=(
                    f"{preemption.preemptor.scheduler_name}: preempting to accommodate a higher"
                    " priority pod"
                ),
            )
            if not self._is_called_for(victim, preemption):
                return False
        await writes.delete_pod(newest)
        return True


def terminates_by_preemption(pod: Pod) -> bool:
    """True for a pod that is going because a scheduler evicted it."""
    return pod.is_terminating and _is_marked(pod)


def _is_marked(pod: Pod) -> bool:
    condition = pod.condition(DISRUPTION_TARGET)
    return (
        condition is not None
        and condition.status == "True"
        and condition.reason == PREEMPTION_BY_SCHEDULER
    )
