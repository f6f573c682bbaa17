"""Pods between Permit and Bind: those that wait, and those whose PreBind is under way.

    Permit said wait --> waiting --every such plugin allows--> PreBind --> Bind
                            |                                    |
                            +-- rejected, preempted, time is up  +-- cancelled

A pod stands in `WaitingPodsMap` until its binding cycle takes the decision, and goes from there to
`PodsInPreBindMap` without a gap: whoever wants it back finds it in one of the two until its binding
is about to be sent.

A waiting pod costs its binding task and one timer, and nothing while nothing happens to it.
Thousands may be decided at once, when a gang is complete or its time is up; they go on one in each
turn of the loop.

Called by: ``cycle.binding`` (adds, awaits), plugins and ``preemption`` through the handle.
Source: kube-scheduler 1.37, ``framework/runtime/waiting_pods_map.go`` and
``pods_in_prebind_map.go``; knowing difference: a pod that was allowed can still be rejected until
its binding cycle takes notice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Final

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import Clock
from pyscheduler.config.durations import format_duration
from pyscheduler.framework.status import SUCCESS, Code, Status, unschedulable
from pyscheduler.runtime.instrument import is_being_cancelled

#: The longest a Permit plugin may let a pod wait. Source: kube-scheduler 1.37, ``framework.go``.
MAX_TIMEOUT_S: Final = 15 * 60.0

#: told of each wait: how it ended (a code's label), and after how many seconds
WaitObserver = Callable[[str, float], None]


class PermitWait:
    """One pod that waits; ``framework.waiting.WaitingPod``."""

    def __init__(
        self,
        pod: Pod,
        node_name: str,
        *,
        timeouts_s: Mapping[str, float],
        clock: Clock,
        on_decided: Callable[[PermitWait], None],
    ) -> None:
        """Begins to wait.

        Args:
            pod: the assumed pod.
            node_name: its node.
            timeouts_s: the plugins that told it to wait, each with its patience in seconds.
            clock: tells when that is over.
            on_decided: called once there is a decision; calls `release` sooner or later.
        """
        loop = asyncio.get_running_loop()
        self.pod = pod
        self.node_name = node_name
        self.since = clock.monotonic()
        self._clock = clock
        self._on_decided = on_decided
        self._timeouts_s = timeouts_s
        #: plugin -> the moment at which its patience ends
        self._pending = {name: self.since + timeout for name, timeout in timeouts_s.items()}
        #: what was decided so far; an approval may become a rejection until it is taken
        self._status: Status | None = None
        self._is_taken = False
        #: done once the pod may hear the decision; cancelled when the scheduler gives it up
        self._released: asyncio.Future[None] = loop.create_future()
        self._timer = loop.create_task(self._watch_time())

    @property
    def pending_plugins(self) -> tuple[str, ...]:
        """The plugins that have not allowed it yet."""
        return tuple(self._pending)

    def allow(self, plugin: str) -> None:
        """``plugin`` no longer objects; the last one lets the pod go on."""
        self._pending.pop(plugin, None)
        if not self._pending and self._status is None:
            self._decide(SUCCESS)

    def reject(self, plugin: str, message: str) -> bool:
        """Ends the wait with a rejection by ``plugin``; False when it had ended before."""
        return self._end(unschedulable(message).by(plugin))

    def preempt(self, plugin: str, message: str) -> bool:
        """The same for a victim: it is tried again after its backoff instead of upon an event."""
        reason = f"waiting on permit for pod: {message}"
        return self._end(Status(Code.ERROR, (reason,), plugin))

    async def released(self) -> None:
        """Returns once there is a decision, and it is the pod's turn to hear it."""
        await self._released

    def release(self) -> None:
        """It is the pod's turn."""
        if not self._released.done():
            self._released.set_result(None)

    def take_decision(self) -> Status:
        """Success or the rejection; from here on nobody can change it."""
        assert self._status is not None, "taken before there was a decision"
        self._is_taken = True
        return self._status

    def give_up(self) -> None:
        """Whoever awaits the decision is cancelled, unless there is one."""
        if self._status is None:
            self.close()

    def close(self) -> None:
        """The wait is over, whatever was decided."""
        self._released.cancel()
        self._timer.cancel()

    def _end(self, rejection: Status) -> bool:
        was_rejected = self._status is not None and not self._status.is_success
        if was_rejected or self._is_taken or self._released.cancelled():
            return False
        self._decide(rejection)
        return True

    def _decide(self, status: Status) -> None:
        is_first = self._status is None
        self._status = status
        if is_first:
            self._on_decided(self)

    async def _watch_time(self) -> None:
        while self._pending and self._status is None:
            plugin = min(self._pending, key=self._pending.__getitem__)
            await self._clock.sleep(self._pending[plugin] - self._clock.monotonic())
            if plugin in self._pending and self._pending[plugin] <= self._clock.monotonic():
                waited = format_duration(self._timeouts_s[plugin])
                message = f"rejected due to timeout after waiting {waited} at plugin {plugin}"
                self.reject(plugin, message)
                return


class WaitingPodsMap:
    """The pods that wait at Permit, of all profiles; ``framework.waiting.WaitingPods``."""

    def __init__(self, clock: Clock, *, observer: WaitObserver | None = None) -> None:
        self._clock = clock
        self._observer = observer
        #: by uid, oldest first
        self._waits: dict[str, PermitWait] = {}
        #: decided about and not told yet, in that order
        self._decided: deque[PermitWait] = deque()
        #: tells them; ends with the last
        self._releasing: asyncio.Task[None] | None = None

    def get(self, uid: str) -> PermitWait | None:
        """The waiting pod of that uid."""
        return self._waits.get(uid)

    def __iter__(self) -> Iterator[PermitWait]:
        return iter([*self._waits.values()])

    def __len__(self) -> int:
        return len(self._waits)

    def reject(self, uid: str) -> bool:
        """Rejects that pod in nobody's name; False when it does not wait."""
        wait = self._waits.get(uid)
        return wait is not None and wait.reject("", "removed")

    # --- what the binding cycle calls ---

    def add(self, pod: Pod, node_name: str, *, timeouts_s: Mapping[str, float]) -> None:
        """The pod waits from now on, each plugin's patience capped at `MAX_TIMEOUT_S`."""
        capped = {name: min(timeout, MAX_TIMEOUT_S) for name, timeout in timeouts_s.items()}
        self._waits[pod.uid] = PermitWait(
            pod, node_name, timeouts_s=capped, clock=self._clock, on_decided=self._on_decided
        )

    async def wait(self, uid: str) -> Status | None:
        """None once the pod may go on, at once if it need not wait; else what ended its wait.

        Raises:
            CancelledError: the scheduler gave the pod up, see `give_up`.
        """
        wait = self._waits.get(uid)
        if wait is None:
            return None
        try:
            await wait.released()
            status = wait.take_decision()
        finally:
            self.remove(uid)
        if self._observer is not None:
            self._observer(status.code.label, self._clock.monotonic() - wait.since)
        return None if status.is_success else status

    def remove(self, uid: str) -> None:
        """The pod waits no more; harmless if it did not."""
        wait = self._waits.pop(uid, None)
        if wait is not None:
            wait.close()

    def give_up(self) -> None:
        """Cancels the binding cycles of all pods that nobody has decided about."""
        for wait in self:
            wait.give_up()

    def _on_decided(self, wait: PermitWait) -> None:
        self._decided.append(wait)
        if self._releasing is None:
            self._releasing = asyncio.get_running_loop().create_task(self._release())

    async def _release(self) -> None:
        try:
            while self._decided:
                self._decided.popleft().release()
                await self._clock.sleep(0)  # what it does now may take long
        finally:
            self._releasing = None


class PodInPreBind:
    """One pod in PreBind; ``framework.waiting.PodInPreBind``."""

    def __init__(self, pod: Pod, work: asyncio.Task[Status | None]) -> None:
        self.pod = pod
        #: why it was cancelled; None while it was not
        self.message: str | None = None
        self._work = work
        self._is_over = False

    def cancel(self, message: str) -> bool:
        """Stops its binding cycle; False when it is too late: the binding is being sent."""
        if self._is_over:
            return False
        if self.message is None:
            self.message = message
            self._work.cancel()
        return True

    def finish(self) -> None:
        """From here on it is too late."""
        self._is_over = True


class PodsInPreBindMap:
    """The pods in PreBind, of all profiles; ``framework.waiting.PodsInPreBind``."""

    def __init__(self) -> None:
        self._pods: dict[str, PodInPreBind] = {}

    def get(self, uid: str) -> PodInPreBind | None:
        """The pod of that uid, while it can still be cancelled."""
        return self._pods.get(uid)

    def __len__(self) -> int:
        return len(self._pods)

    async def run(self, pod: Pod, work: Coroutine[object, None, Status | None]) -> Status | None:
        """Does the pod's PreBind; what it answered, or an error when somebody cancelled it."""
        task = asyncio.get_running_loop().create_task(work)
        entry = self._pods[pod.uid] = PodInPreBind(pod, task)
        status: Status | None = None
        try:
            status = await task
        except asyncio.CancelledError:
            if entry.message is None:
                raise
        finally:
            entry.finish()
            del self._pods[pod.uid]
        if is_being_cancelled():  # what was awaited kept that to itself
            raise asyncio.CancelledError
        return status if entry.message is None else Status(Code.ERROR, (entry.message,))
