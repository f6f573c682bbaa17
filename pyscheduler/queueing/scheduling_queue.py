"""The scheduling queue: which entity is next, and what brings a waiting one back.

Every entity that waits stands in exactly one tier:

- active: ready, in the order of the QueueSort plugin;
- backoff: tried before, not to be tried again just yet (or its PreEnqueue broke down);
- unschedulable: rejected, until an event's hint (or a long timeout) says that it may fit now;
- gated: held back by a PreEnqueue plugin, before its first attempt or any later one.

`pop` takes one out of the tiers and puts it in flight; `done` or `add_unschedulable` ends that.
Entities are keyed by pod uid: a pod made again under the same name is another entity.

This is about the moves; where entities stand, and looking in, is ``tiers``.

Plain calls on the loop's thread, nothing blocks; `wait` is the one coroutine.

Called by: ``cycle.loop`` (pop, wait), ``cycle.failure`` and ``cycle.binding`` (how it ended),
``cycle.event_handlers`` (what the watch says).

Source: kube-scheduler 1.37, ``backend/queue/scheduling_queue.go``; knowing differences: an attempt
on a pod that was deleted meanwhile ends without requeue; a flush happens when it is due instead of
every 1 s and 30 s (see `SchedulingQueue.next_flush`); an event that concerns a crowd is judged in
parts (see ``unheard``); an entity whose PreEnqueue broke down backs off and is asked about again,
instead of being gated until an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import chain

import structlog

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import Clock
from pyscheduler.framework.cluster_events import (
    FORCE_ACTIVATE,
    UNSCHEDULABLE_TIMEOUT,
    WILDCARD,
    ClusterEvent,
    EventResource,
)
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.status import Code, Status
from pyscheduler.queueing.backoff_queue import BackoffQueue, leaves_at
from pyscheduler.queueing.hints import (
    Audience,
    HintIndex,
    Listener,
    QueueingHintMap,
    Requeue,
)
from pyscheduler.queueing.in_flight import MAX_EVENTS, Flight, InFlight, MissedEvent
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.queueing.observing import (
    ACTIVE,
    BACKOFF,
    GATED,
    UNSCHEDULABLE,
    QueueMetrics,
    Tally,
)
from pyscheduler.queueing.pod_changes import pod_change_events
from pyscheduler.queueing.tiers import Tiers
from pyscheduler.queueing.unheard import AT_ONCE, Move
from pyscheduler.queueing.unschedulable_pool import UnschedulablePool

_log = structlog.get_logger(__name__)

# Event labels that are no cluster events, as upstream names them.
_POD_ADDED = "UnscheduledPodAdd"
_ATTEMPT_FAILED = "ScheduleAttemptFailure"
_BACKOFF_COMPLETE = "BackoffComplete"
_POPPED_FROM_BACKOFF = "PopFromBackoffQ"

#: stands for a gating plugin whose name the status lacks; no event concerns it, only the timeout
_UNNAMED_GATE = "unnamed"
#: entities that one call of a flush takes, about a millisecond's work
_FLUSHED_AT_ONCE = 200
#: entities that `settle` serves before it looks whether others want a turn: 0.2 ms
_SETTLED_AT_ONCE = 32

#: ``pre_enqueue(pod, first)``: None lets the pod in. The plugin named ``first``, if it is one of
#: the profile's, is asked before all others: it gated the pod last time.
PreEnqueueFn = Callable[[Pod, str], Status | None]


class SchedulingQueue(Tiers):
    """All pods of ours that have no node yet, and those being given one."""

    def __init__(
        self,
        *,
        clock: Clock,
        sort_key: Callable[[QueuedEntity], tuple[object, ...]],
        pre_enqueue: PreEnqueueFn,
        hints: QueueingHintMap,
        initial_backoff_s: float = 1.0,
        max_backoff_s: float = 10.0,
        max_in_unschedulable_s: float = 300.0,
        max_in_flight_events: int = MAX_EVENTS,
        judged_at_once: int = AT_ONCE,
        uses_pre_hints: bool = False,
        nominator: Nominator | None = None,
        metrics: QueueMetrics | None = None,
    ) -> None:
        """Starts empty.

        Args:
            clock: wall time for timestamps and backoff.
            sort_key: the QueueSort key; entities with lower keys go first. Like the other two it
                comes wrapped by the runtime and does not raise.
            pre_enqueue: runs the PreEnqueue plugins of the pod's profile; None lets the pod in.
            hints: what the plugins of each profile registered for.
            initial_backoff_s: backoff after the first failure; doubles with each one more.
            max_backoff_s: its limit; 0 means no backoff.
            max_in_unschedulable_s: after so long an entity is let go without an event.
            max_in_flight_events: kept for entities in flight before they collapse into one.
            judged_at_once: an event that concerns more entities is left to `settle`.
            uses_pre_hints: ask plugins' pre-hints which pods an event concerns; the feature gate
                SchedulerPreQueueingHints.
            nominator: who is promised which node; a new one when None.
            metrics: told what happens; None costs nothing.
        """
        self._hints = HintIndex(hints, clock=clock, metrics=metrics)
        super().__init__(
            BackoffQueue(initial_s=initial_backoff_s, max_s=max_backoff_s),
            UnschedulablePool(timeout_s=max_in_unschedulable_s),
            InFlight(wildcard=self._hints.audience(WILDCARD), max_events=max_in_flight_events),
            Nominator() if nominator is None else nominator,
        )
        self._clock = clock
        self._sort_key = sort_key
        self._pre_enqueue = pre_enqueue
        self._tally = Tally(metrics)
        self._judged_at_once = judged_at_once
        self._uses_pre_hints = uses_pre_hints
        #: set when `pop` may give something or `settle` has work; only `wait` clears it
        self._ready = asyncio.Event()
        #: whether whoever waits would take an entity still backing off
        self._waits_for_early = True
        #: what `next_flush` answered last
        self._armed_at: float | None = None
        #: set when a flush is due sooner than `next_flush` said; cleared by `next_flush`
        self.flush_sooner = asyncio.Event()

    # What the watch says

    def add(self, pod: Pod) -> None:
        """Lets a pod without a node wait for its turn; one that is already here is updated."""
        uid, key = pod.uid, pod.key
        namesake = self._uids.get(key)
        flight = self._in_flight.get(uid)
        if flight is not None:
            self._uids[key] = uid
            self.nominator.update(flight.newest, pod)
            flight.newest = pod
            flight.is_deleted = False
            return
        if namesake is not None:
            known = self._get_waiting(uid)
            if known is not None:
                self._update_waiting(known, known.pod, pod)
                return
            self._remove(namesake, key)
        self._uids[key] = uid
        if pod.status.nominated_node_name:
            self.nominator.add(pod)
        self._admit(QueuedEntity(pod, timestamp=self._clock.now()), label=_POD_ADDED)

    def update(self, old: Pod, new: Pod) -> None:
        """Takes over the pod's new object, which may bring it back; one not yet here is added.

        The caller keeps away updates of pods that are assumed: those are on their way out.
        """
        if old.uid != new.uid:
            self.delete(old)
            self.add(new)
            return
        flight = self._in_flight.get(new.uid)
        if flight is not None:
            flight.newest = new
            self.nominator.update(old, new)
            return
        entity = self._get_waiting(new.uid)
        if entity is None:
            self.add(new)
        else:
            self._update_waiting(entity, old, new)

    def delete(self, pod: Pod) -> None:
        """Forgets a pod that is gone, bound or no longer ours; an attempt under way is its last."""
        self._remove(pod.uid, pod.key)

    # The cycle

    def pop(self, *, early: bool = True) -> QueuedEntity | None:
        """Takes out the next entity and puts it in flight; None when nothing is ready.

        Before it comes to nothing, or to an entity still backing off, whoever has events to hear
        is heard: one of them may be ready.

        Args:
            early: when none is ready, one still backing off is better than none.
        """
        entity = self._active.pop()
        while entity is None and self._settle_one():
            entity = self._active.pop()
        if entity is None:
            entity = self._backoff.pop_early() if early else None
            if entity is None:
                return None
            self._tally.incoming(ACTIVE, _POPPED_FROM_BACKOFF)
        self._tally.held(entity, -1)
        entity.attempts += 1
        entity.unschedulable_plugins = entity.pending_plugins = frozenset()
        self._in_flight.start(entity)
        return entity

    async def wait(self, *, early: bool = True) -> None:
        """Returns when `pop` may give something, or there is somebody to `settle`."""
        self._waits_for_early = early
        while not (self._active or (early and self._backoff.has_early) or self._unheard):
            self._ready.clear()
            await self._ready.wait()

    async def settle(self, checkpoint: Callable[[], Awaitable[object]]) -> None:
        """Judges the entities that have events to hear, of which the next `pop` must know.

        What happens meanwhile can be left to the next call: a flood of events cannot keep the
        caller from popping.

        Args:
            checkpoint: awaited between parts; gives others a turn when one is due.
        """
        for number in range(1, len(self._unheard) + 1):
            if not self._settle_one():
                return
            if number % _SETTLED_AT_ONCE == 0:
                await checkpoint()

    def done(self, uid: str) -> None:
        """Ends the flight of that uid for good; may be called twice."""
        flight = self._in_flight.end(uid)
        if flight is not None:
            self._forget_key(flight.entity.pod.key, uid)

    def add_unschedulable(
        self,
        entity: QueuedEntity,
        *,
        unschedulable_plugins: Collection[str],
        pending_plugins: Collection[str],
        is_error: bool,
    ) -> None:
        """Ends the flight of an entity whose attempt failed, and lets it wait for another.

        The events that it missed are judged now, so it may be ready at once. Nothing comes back
        that was deleted, or made again under its name, or already waits. After `done` deletions
        are not noticed any more: then the caller looks first whether the pod still exists.

        Args:
            entity: what `pop` gave; its pod may have been replaced by a newer object.
            unschedulable_plugins: who rejected it.
            pending_plugins: who answered Pending.
            is_error: the attempt broke down; who rejected it until then does not matter.
        """
        uid = entity.uid
        flight = self._in_flight.get(uid)
        missed = self._in_flight.missed_events(uid)
        self._in_flight.end(uid)
        if flight is None:
            entity.signature = None
        elif flight.is_deleted:
            return
        else:
            if entity.pod is not flight.popped:
                flight.newest = entity.pod  # the caller looked it up: no older than what we heard
                entity.signature = None
            _replace_pod(entity, flight.newest)
        namesake = self._uids.setdefault(entity.pod.key, uid)
        if namesake != uid or self._get_waiting(uid) is not None:
            return
        if not is_error:
            entity.unschedulable_plugins = frozenset(unschedulable_plugins)
            entity.pending_plugins = frozenset(pending_plugins)
        self._note_failure(entity)
        verdict = self._replay(entity, flight, missed)
        if verdict is Requeue.SKIP:
            self._pool.add_rejected(entity)
            self._tally.incoming(UNSCHEDULABLE, _ATTEMPT_FAILED)
            self._arm(self._pool.times_out_at(entity.timestamp))
        else:
            self._admit(entity, label=_ATTEMPT_FAILED, verdict=verdict)

    # What brings entities back

    def move(
        self,
        event: ClusterEvent,
        old: object,
        new: object,
        *,
        pre_check: Callable[[Pod], bool] | None = None,
    ) -> None:
        """Lets go the waiting entities that the event may help; those in flight hear of it later.

        A crowd is judged bit by bit, see `settle`.

        Args:
            event: what happened.
            old: the object before; None when it is new.
            new: the object now; None when it is gone.
            pre_check: False keeps a pod where it is without asking the hints.
        """
        audience = self._hints.audience(event)
        if audience.is_empty:
            return
        self._in_flight.record(audience, old, new)
        if self._uses_pre_hints:
            audience = self._hints.narrow(audience, old, new)
        concerned = self._concerned(audience, old, new)
        if not concerned:
            return
        move = Move(audience, old, new, pre_check)
        if len(concerned) <= self._judged_at_once:
            for uid in concerned:
                self._hear(uid, move)
            return
        while self._unheard.is_full:
            self._settle_one()
        self._unheard.add(concerned, move)
        self._ready.set()

    def activate(self, pods: Iterable[Pod]) -> None:
        """Makes these pods ready without backoff; one in flight is tried again if it fails."""
        for pod in pods:
            flight = self._in_flight.get(pod.uid)
            if flight is not None:
                flight.is_activated = True
                continue
            self._hear(pod.uid)
            entity = self._pool.remove(pod.uid) or self._backoff.remove(pod.uid)
            if entity is not None:
                self._admit(entity, label=FORCE_ACTIVATE.label, verdict=Requeue.IMMEDIATELY)

    def flush_backoff(self) -> None:
        """Makes ready whose backoff is over; of a crowd a part, the rest is due at once."""
        now = self._clock.now()
        for entity in self._backoff.pop_expired(now=now, limit=_FLUSHED_AT_ONCE):
            if entity.is_at_the_door:
                self._admit(entity, label=_BACKOFF_COMPLETE)
                continue
            self._active.push(entity, now=now)
            self._tally.incoming(ACTIVE, _BACKOFF_COMPLETE)
            self._ready.set()

    def flush_unschedulable(self) -> None:
        """Lets go who has waited so long that a hint must have missed something.

        Gated entities are only judged again by PreEnqueue, and wait as long once more. Of a crowd a
        part is taken, the rest is due at once.
        """
        now = self._clock.now()
        for entity in self._pool.timed_out(now=now, limit=_FLUSHED_AT_ONCE):
            self._hear(entity.uid)
            # what it heard, or a hook that ran for an earlier one, may have moved it
            if self._pool.remove(entity.uid) is None:
                continue
            if self._admit(entity, label=UNSCHEDULABLE_TIMEOUT.label):
                entity.was_flushed = True

    def next_flush(self) -> float | None:
        """Unix seconds (`Clock.now`) at which one of the flushes has something to do.

        None while nobody waits for time to pass. `flush_sooner` is set as soon as the answer
        becomes an earlier one. `flushing.keep_flushing` is the loop around it.
        """
        self.flush_sooner.clear()
        times = (self._backoff.next_expiry(), self._pool.next_timeout())
        self._armed_at = min((time for time in times if time is not None), default=None)
        return self._armed_at

    # Looking in

    @property
    def interesting_resources(self) -> frozenset[EventResource | str]:
        """The kinds whose events any plugin wants to hear of; others need not be reported."""
        return self._hints.resources

    def validate(self) -> None:
        """Asserts every invariant of the queue; for tests."""
        super().validate()
        flush_at = min(
            (t for t in (self._backoff.next_expiry(), self._pool.next_timeout()) if t is not None),
            default=None,
        )
        if flush_at is not None and not self.flush_sooner.is_set():
            assert self._armed_at is not None
            assert self._armed_at <= flush_at, "a flush is due before its owner knows"
        if not self._ready.is_set():
            assert not self._active, "nobody would wake the loop"
            has_early = self._waits_for_early and self._backoff.has_early
            assert not has_early, "nobody would wake the loop"
            assert not self._unheard, "nobody would wake the loop"

    # Inside

    def _concerned(self, audience: Audience, old: object, new: object) -> Collection[str]:
        """Uids of the waiting entities that the event may let go; of all for a wildcard."""
        parts = [part for part in self._pool.parts if part]
        if not parts:
            return ()
        if audience.is_wildcard:
            return [entity.uid for part in parts for entity in part]
        found: dict[str, QueuedEntity] = {}
        for scheduler, plugins in audience.listeners.items():
            for plugin, ears in plugins.items():
                for part in parts:
                    under = part.under(scheduler, plugin)
                    if not under:
                        continue
                    keys = _named_by_all(ears)
                    if part is self._pool.gated:
                        keys = _let_in(keys, ears, old, new)
                    if keys is None:
                        found.update(under)
                    else:
                        uids = (self._uids.get(key, "") for key in keys)
                        found.update((uid, under[uid]) for uid in uids if uid in under)
        return found

    def _hear(self, uid: str, *moves: Move) -> None:
        """Judges a waiting entity by what it has still to hear and by `moves`, in this order."""
        for move in chain(self._unheard.take(uid), moves):
            # Gone with an earlier move, or moved by a hook that ran for another entity.
            entity = self._pool.get(uid)
            if entity is None:
                return
            if move.pre_check is not None and not move.pre_check(entity.pod):
                continue
            verdict = self._hints.judge(entity, move.audience, move.old, move.new)
            if verdict is not Requeue.SKIP and self._pool.remove(uid) is not None:
                _log.debug(
                    "event may help pod", pod=entity.pod.key, event_label=move.audience.label
                )
                self._admit(entity, label=move.audience.label, verdict=verdict)

    def _settle_one(self) -> bool:
        """Lets the entity that waits longest hear its events; False when there is none."""
        uid = self._unheard.longest_waiting()
        if uid is None:
            return False
        self._hear(uid)
        return True

    def _admit(
        self, entity: QueuedEntity, *, label: str, verdict: Requeue = Requeue.AFTER_BACKOFF
    ) -> bool:
        """Puts an entity that is in no tier into the gated, backoff or active one.

        Returns:
            False when it is gated, or PreEnqueue broke down.
        """
        now = self._clock.now()
        status = self._pre_enqueue(entity.pod, entity.gating_plugin)
        if status is not None and status.code is Code.ERROR and self._put_off(entity, label=label):
            return False
        entity.is_at_the_door = False
        if status is not None and not status.is_success:
            was_gated = entity.is_gated
            self._set_gate(entity, status.plugin or _UNNAMED_GATE)
            self._pool.add_gated(entity, now=now)
            self._arm(self._pool.times_out_at(now))
            if not was_gated:
                self._tally.incoming(GATED, label)
            _log.debug(
                "pod is gated",
                pod=entity.pod.key,
                plugin=entity.gating_plugin,
                message=status.message,
            )
            return False
        if entity.gating_plugin:
            self._set_gate(entity, "")
        entity.sort_key = self._sort_key(entity)
        if verdict is Requeue.AFTER_BACKOFF and self._backoff.is_backing_off(entity, now=now):
            self._backoff.push(entity)
            self._arm(leaves_at(entity))
            self._tally.incoming(BACKOFF, label)
        else:
            self._active.push(entity, now=now)
            self._tally.incoming(ACTIVE, label)
        self._ready.set()
        return True

    def _put_off(self, entity: QueuedEntity, *, label: str) -> bool:
        """Lets an entity back off whose PreEnqueue broke down: no event tells when to ask again.

        Returns:
            False when there is no backoff.
        """
        self._tally.held(entity, -1)
        entity.gating_plugin = ""
        entity.unschedulable_plugins = entity.pending_plugins = frozenset()
        self._note_failure(entity)
        entity.is_at_the_door = entity.backoff_expiration > 0
        if entity.is_at_the_door:
            entity.sort_key = self._sort_key(entity)
            self._backoff.push(entity)
            self._arm(leaves_at(entity))
            self._tally.incoming(BACKOFF, label)
        return entity.is_at_the_door

    def _update_waiting(self, entity: QueuedEntity, old: Pod, new: Pod) -> None:
        self._hear(entity.uid)  # judged as it was when those events came
        self.nominator.update(old, new)
        _replace_pod(entity, new)
        if entity.uid not in self._pool:
            entity.sort_key = self._sort_key(entity)
            if entity.uid in self._active:
                self._active.push(entity, now=self._clock.now())
            else:
                self._backoff.push(entity)
            return
        for event in pod_change_events(old, new, resource=EventResource.TARGET_POD):
            audience = self._hints.audience(event)
            verdict = self._hints.judge(entity, audience, old, new)
            if verdict is not Requeue.SKIP:
                _log.debug("event may help pod", pod=new.key, event_label=audience.label)
                self._pool.remove(entity.uid)
                self._admit(entity, label=audience.label, verdict=verdict)
                return

    def _remove(self, uid: str, key: str) -> None:
        self.nominator.delete(uid)
        if not self._forget_key(key, uid):
            return  # in no tier, and if in flight, known to be deleted
        flight = self._in_flight.get(uid)
        if flight is not None:
            flight.is_deleted = True
            return
        self._unheard.take(uid)
        entity = self._active.remove(uid) or self._backoff.remove(uid) or self._pool.remove(uid)
        if entity is not None:
            self._tally.held(entity, -1)

    def _forget_key(self, key: str, uid: str) -> bool:
        """False when that key is not this uid's."""
        if self._uids.get(key) != uid:
            return False
        del self._uids[key]
        return True

    def _note_failure(self, entity: QueuedEntity) -> None:
        """Counts the failed attempt; backoff runs from now."""
        if entity.unschedulable_plugins or entity.pending_plugins:
            entity.unschedulable_count += 1
            entity.consecutive_errors = 0
        else:
            entity.consecutive_errors += 1
        entity.timestamp = self._clock.now()
        entity.backoff_expiration = self._backoff.expiration(entity)
        entity.was_flushed = False
        self._tally.held(entity, 1)

    def _replay(
        self, entity: QueuedEntity, flight: Flight | None, missed: Iterable[MissedEvent]
    ) -> Requeue:
        """What the events that `entity` missed decide; without a record of them, the worst case."""
        if flight is None or not (entity.unschedulable_plugins or entity.pending_plugins):
            return Requeue.AFTER_BACKOFF
        verdict = Requeue.AFTER_BACKOFF if flight.is_activated else Requeue.SKIP
        best = Requeue.IMMEDIATELY if entity.pending_plugins else Requeue.AFTER_BACKOFF
        popped, newest = flight.popped, flight.newest
        own: list[MissedEvent] = []
        if newest is not popped:
            events = pod_change_events(popped, newest, resource=EventResource.TARGET_POD)
            own = [(self._hints.audience(event), popped, newest) for event in events]
        for audience, old, new in chain(own, missed):
            if verdict >= best:
                break
            verdict = max(verdict, self._hints.judge(entity, audience, old, new))
        return verdict

    def _arm(self, flush_at: float) -> None:
        if self._armed_at is None or flush_at < self._armed_at:
            self._armed_at = flush_at
            self.flush_sooner.set()

    def _set_gate(self, entity: QueuedEntity, plugin: str) -> None:
        if plugin != entity.gating_plugin:
            self._tally.held(entity, -1)
            entity.gating_plugin = plugin
            self._tally.held(entity, 1)


def _named_by_all(ears: Iterable[Listener]) -> frozenset[str] | None:
    """The keys that these ears want to hear of; None when one wants all."""
    named: frozenset[str] = frozenset()
    for listener in ears:
        if listener.keys is None:
            return None
        named |= listener.keys
    return named


def _let_in(
    keys: frozenset[str] | None, ears: Iterable[Listener], old: object, new: object
) -> frozenset[str] | None:
    """Those of the keys, of all when None, that the gating plugin with these ears may let in."""
    let_in: frozenset[str] = frozenset()
    for listener in ears:
        named = None if listener.let_in is None else listener.let_in(old, new)
        if named is None:
            return keys
        let_in |= frozenset(named)
    return let_in if keys is None else keys & let_in


def _replace_pod(entity: QueuedEntity, pod: Pod) -> None:
    """Takes over the newer object; what was computed from the older one is void."""
    if pod is not entity.pod:
        entity.pod = pod
        entity.signature = None
