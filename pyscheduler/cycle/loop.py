"""The scheduling loop: pop, refresh, schedule, assume, start binding. One pod at a time.

    queue --pop--> snapshot.refresh --> scheduling --> assume, reserve, permit --> binding task
                                          |                    |
                                          +-- failure <--------+

A pod is popped only while at most two windows of binds wait to be sent, so decisions stay fresh and
a high-priority pod never stands behind thousands decided before it. When none is ready, one still
backing off is tried early.

Called by: ``app.server``, while this process leads.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from pyscheduler.cache.cache import SchedulerCache
from pyscheduler.cache.snapshot import Snapshot
from pyscheduler.clock import Clock
from pyscheduler.cycle.binding import Assumed, BindingCycle
from pyscheduler.cycle.extenders import ExtenderError
from pyscheduler.cycle.failure import Failure, FailureHandler
from pyscheduler.cycle.scheduling import NoNodes, Placement, SchedulingAlgorithm
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.handle import EventRecorder
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.instrument import Instrument, PluginFault
from pyscheduler.runtime.post_filtering import run_post_filters

_log = structlog.get_logger(__name__)

#: After a try in vain of an entity still backing off, how long no other is tried, in times that it
#: took: so such tries take at most a fifth of the loop's time. kube-scheduler knows no limit.
_PAUSE = 4


class WriteWindow(Protocol):
    """How many binds wait, and how many may be under way at once."""

    @property
    def bind_window(self) -> int:
        """Binds under way at once, at most."""

    @property
    def unsent_binds(self) -> int:
        """Binds that wait for their turn."""


class AttemptObserver(Protocol):
    """Takes the figures of each attempt; ``telemetry`` in the real process."""

    def attempted(self, profile: str, result: str, seconds: float) -> None:
        """An attempt ended: scheduled, unschedulable or error; from pop to its end."""

    def algorithm_took(self, seconds: float) -> None:
        """Filtering and scoring one pod took so long."""

    def bound(self, entity: QueuedEntity, sli_seconds: float) -> None:
        """A pod was bound, so long after it could first have been tried."""


class Scheduler:
    """The loop and the tasks it started."""

    def __init__(
        self,
        *,
        cache: SchedulerCache,
        snapshot: Snapshot,
        queue: SchedulingQueue,
        algorithms: Mapping[str, SchedulingAlgorithm],
        binding: BindingCycle,
        failures: FailureHandler,
        recorder: EventRecorder,
        writes: WriteWindow,
        instrument: Instrument,
        budget: Budget,
        observer: AttemptObserver,
        clock: Clock,
        observed_version: Callable[[], str],
    ) -> None:
        self._cache = cache
        self._snapshot = snapshot
        self._queue = queue
        self._algorithms = algorithms
        self._binding = binding
        self._failures = failures
        self._recorder = recorder
        self._writes = writes
        #: those whose binding task has not run yet, so that their binds are not waiting anywhere
        self._starting: set[Assumed] = set()
        #: set when a binding cycle got on: its bind may no longer be one that waits
        self._bind_moved = asyncio.Event()
        self._instrument = instrument
        self._budget = budget
        self._observer = observer
        self._clock = clock
        #: the resourceVersion of the newest pod event that the cache knows of
        self._observed_version = observed_version
        self._binding_tasks: set[asyncio.Task[None]] = set()
        #: from when on entities still backing off may be tried, by the monotonic clock
        self._early_from_s = 0.0
        #: looked up once: the module's own looks for its settings with each line
        self._log = _log.bind()

    async def run(self) -> None:
        """Schedules until cancelled."""
        while True:
            while self._writes.unsent_binds + len(self._starting) > 2 * self._writes.bind_window:
                self._bind_moved.clear()
                await self._bind_moved.wait()
                self._budget.restart()
            await self._queue.settle(self._budget.between_cycles)
            entity = self._queue.pop(early=False)
            if entity is not None:
                await self.schedule_one(entity)
            elif not await self._try_early():
                self._budget.restart()
                continue
            await self._budget.between_cycles()

    async def _try_early(self) -> bool:
        """One attempt for an entity still backing off; False if there was nothing but to wait.

        What is tried in vain so gets a part of the loop's time, not all of it: each pod that ends
        wakes every preemptor, most of whose victims are yet to end.
        """
        pause_s = self._early_from_s - self._clock.monotonic()
        if pause_s > 0:
            await self._wait_for_ready(pause_s)
            return False
        entity = self._queue.pop()
        if entity is None:
            await self._queue.wait()
            return False
        began = self._clock.monotonic()
        await self.schedule_one(entity)
        if self._cache.node_of(entity.uid) is None:
            ended = self._clock.monotonic()
            self._early_from_s = ended + _PAUSE * (ended - began)
        return True

    async def _wait_for_ready(self, limit_s: float) -> None:
        """Returns when an entity may be ready that need not be tried early, or after `limit_s`."""
        waits = [
            asyncio.ensure_future(self._queue.wait(early=False)),
            asyncio.ensure_future(self._clock.sleep(limit_s)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def drain(self) -> None:
        """Returns once every binding cycle has ended; call it when no more pods are popped.

        Pods that wait at Permit are given up, because what they wait for may never come: they are
        undone in memory and nothing is written, so that they are pending to the next leader, which
        tries their expected node first. Those in PreBind and Bind finish.
        """
        self._binding.give_up_waiting()
        while self._binding_tasks:
            await asyncio.gather(*self._binding_tasks, return_exceptions=True)

    @property
    def binding_count(self) -> int:
        """Binding cycles under way."""
        return len(self._binding_tasks)

    async def schedule_one(self, entity: QueuedEntity) -> None:
        """One attempt for one popped entity, up to the start of its binding cycle.

        Whatever goes wrong costs this entity its attempt and nobody else anything.
        """
        started = self._clock.monotonic()
        try:
            await self._attempt(entity, started)
        except Exception as error:  # noqa: BLE001  # outermost edge of an attempt
            _log.exception("attempt broke down", pod=entity.pod.key)
            self._give_up(entity, Failure.fault(f"{type(error).__name__}: {error}"), started)

    async def _attempt(self, entity: QueuedEntity, started: float) -> None:
        pod = entity.pod
        algorithm = self._algorithms.get(pod.scheduler_name)
        if algorithm is None or self._cache.node_of(pod.uid) is not None:
            self._queue.done(pod.uid)
            return
        if pod.is_terminating:
            self._recorder.event(
                pod,
                "Warning",
                "FailedScheduling",
                "Scheduling",
                f"skip schedule deleting pod: {pod.key}",
            )
            self._queue.done(pod.uid)
            return
        version = self._observed_version()
        self._snapshot.refresh()
        self._cache.begin_cycle()
        self._instrument.start_cycle(pod)
        try:
            try:
                result = await self._place(algorithm, entity)
            finally:
                self._cache.end_cycle()
            self._observer.algorithm_took(self._clock.monotonic() - started)
            if isinstance(result, Failure):
                self._fail(entity, result, version=version, started=started)
            elif self._failures.newest(entity) is None:
                # deleted, or bound by somebody else, while we were judging
                self._queue.done(pod.uid)
            else:
                self._assume(algorithm, entity, result, version=version, started=started)
        finally:
            self._instrument.end_cycle()

    async def _place(
        self, algorithm: SchedulingAlgorithm, entity: QueuedEntity
    ) -> Placement | Failure:
        try:
            found = await algorithm.schedule(entity)
        except NoNodes as error:
            return Failure(str(error), is_error=True, nomination="")
        except (PluginFault, ExtenderError) as fault:
            return Failure.fault(str(fault))
        if isinstance(found, Placement):
            return found
        outcome = await run_post_filters(algorithm.profile, found.state, entity.pod, found.statuses)
        diagnosis = found.diagnosis
        diagnosis.post_filter_message = outcome.message
        return Failure(
            diagnosis.message,
            is_error=outcome.is_fault,
            unschedulable_plugins=frozenset(diagnosis.unschedulable_plugins),
            pending_plugins=frozenset(diagnosis.pending_plugins),
            nomination=outcome.nomination,
        )

    def _assume(
        self,
        algorithm: SchedulingAlgorithm,
        entity: QueuedEntity,
        placement: Placement,
        *,
        version: str,
        started: float,
    ) -> None:
        pod = entity.pod
        self._cache.assume(pod, placement.node_name)
        self._queue.nominator.delete(pod.uid)
        assumed = Assumed(
            entity, algorithm.profile, placement.state, placement.node_name, placement.unconcerned
        )
        failure = self._binding.begin(assumed)
        if failure is not None:
            self._report(entity, failure, version=version, started=started)
            return
        self._log.info(
            "pod assigned",
            pod=pod.key,
            node=placement.node_name,
            uid=pod.uid,
            resource_version=version,
            feasible_nodes=placement.feasible_nodes,
        )
        task = asyncio.get_running_loop().create_task(
            self._bind(assumed, version=version, started=started)
        )
        self._starting.add(assumed)
        self._binding_tasks.add(task)
        task.add_done_callback(functools.partial(self._on_bind_ended, assumed))

    async def _bind(self, assumed: Assumed, *, version: str, started: float) -> None:
        entity = assumed.entity
        self._starting.discard(assumed)
        self._bind_moved.set()  # to Permit or PreBind, where it holds up nobody
        failure = await self._binding.run(assumed)
        self._bind_moved.set()
        if failure is not None:
            self._report(entity, failure, version=version, started=started)
            return
        now = self._clock.monotonic()
        self._observer.attempted(assumed.profile.scheduler_name, "scheduled", now - started)
        first = entity.initial_attempt_timestamp
        self._observer.bound(entity, self._clock.now() - first if first else now - started)
        await self._binding.finish(assumed)

    def _on_bind_ended(self, assumed: Assumed, task: asyncio.Task[None]) -> None:
        self._binding_tasks.discard(task)
        self._starting.discard(assumed)
        self._bind_moved.set()
        # one that was cancelled may not even have begun
        self._binding.abandon(assumed)
        if not task.cancelled() and task.exception() is not None:
            _log.error("binding cycle failed", exc_info=task.exception())

    def _fail(
        self, entity: QueuedEntity, failure: Failure, *, version: str, started: float
    ) -> None:
        self._failures.handle(entity, failure)
        self._report(entity, failure, version=version, started=started)

    def _give_up(self, entity: QueuedEntity, failure: Failure, started: float) -> None:
        try:
            self._fail(entity, failure, version=self._observed_version(), started=started)
        except Exception:  # noqa: BLE001  # outermost edge of an attempt
            # nothing more can be done for it until its pod changes
            _log.exception("failed attempt could not be handled", pod=entity.pod.key)
        finally:
            self._queue.done(entity.uid)

    def _report(
        self, entity: QueuedEntity, failure: Failure, *, version: str, started: float
    ) -> None:
        result = "error" if failure.reason == "SchedulerError" else "unschedulable"
        self._log.info(
            "pod not scheduled",
            pod=entity.pod.key,
            result=result,
            message=failure.message,
            plugins=sorted(failure.unschedulable_plugins | failure.pending_plugins),
            resource_version=version,
            attempts=entity.attempts,
        )
        self._observer.attempted(
            entity.pod.scheduler_name, result, self._clock.monotonic() - started
        )
