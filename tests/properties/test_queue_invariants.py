"""The scheduling queue under any sequence of calls: nobody is in two places, nobody is lost."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from pyscheduler.api.core_v1 import Pod, PodSchedulingGate, PodSpec
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.clock import FakeClock
from pyscheduler.framework.cluster_events import (
    NODE_ADDED,
    NODE_ALLOCATABLE_CHANGED,
    NODE_TAINTS_CHANGED,
    WILDCARD,
    ClusterEvent,
    HintFn,
    QueueingHint,
)
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.status import Status, unschedulable
from pyscheduler.queueing.hints import HintRegistration
from pyscheduler.queueing.scheduling_queue import SchedulingQueue

SCHEDULER = "pyscheduler"
NAMES = st.sampled_from("abc")
PLUGINS = ("Queues", "Skips", "Raises", "Deaf")
EVENTS = st.sampled_from([NODE_ADDED, NODE_ALLOCATABLE_CHANGED, NODE_TAINTS_CHANGED, WILDCARD])
#: longer than any backoff and the unschedulable timeout, with the seconds that rounding adds
LONG_S = 400.0


def as_the_runtime_wraps_it(hint: HintFn) -> HintFn:
    """A hint that never raises: a fault counts as QUEUE."""

    def wrapped(pod: Pod, old: object, new: object) -> QueueingHint:
        try:
            return hint(pod, old, new)
        except ValueError:
            return QueueingHint.QUEUE

    return wrapped


def skips(pod: Pod, old: object, new: object) -> QueueingHint:
    return QueueingHint.SKIP


def raises(pod: Pod, old: object, new: object) -> QueueingHint:
    raise ValueError("the plugin's fault")


class QueueMachine(RuleBasedStateMachine):
    """Plays the watch, the cycle and the clock; remembers which pods exist and which are done."""

    flights = Bundle("flights")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        #: name to the pod that exists now
        self.pods: dict[str, Pod] = {}
        #: uids of pods that were scheduled: on their way out of the watch
        self.scheduled: set[str] = set()
        #: what was popped and has not ended
        self.flying: dict[str, QueuedEntity] = {}
        #: uids of those in flight that missed an event which Queues and Raises want
        self.missed: set[str] = set()
        self.generation = 0
        self.held: dict[str, int] = {}

    @initialize(
        max_events=st.integers(1, 5),
        max_backoff=st.sampled_from([0.0, 10.0]),
        judged_at_once=st.sampled_from([0, 1, 200]),
    )
    def start(self, max_events: int, max_backoff: float, judged_at_once: int) -> None:
        node_events = NODE_ADDED | NODE_ALLOCATABLE_CHANGED
        self.queue = SchedulingQueue(
            clock=self.clock,
            sort_key=lambda entity: (-entity.pod.priority, entity.timestamp),
            pre_enqueue=self.check_gates,
            hints={
                SCHEDULER: [
                    HintRegistration("Queues", node_events),
                    HintRegistration("Skips", node_events, as_the_runtime_wraps_it(skips)),
                    HintRegistration("Raises", NODE_ADDED, as_the_runtime_wraps_it(raises)),
                ]
            },
            max_backoff_s=max_backoff,
            max_in_flight_events=max_events,
            judged_at_once=judged_at_once,
            metrics=self,
        )

    @staticmethod
    def check_gates(pod: Pod, first: str) -> Status | None:
        return unschedulable("gated").by("Gates") if pod.spec.scheduling_gates else None

    # QueueMetrics

    def incoming(self, queue: str, event_label: str) -> None:
        pass

    def hint(self, plugin: str, event_label: str, result: QueueingHint, seconds: float) -> None:
        pass

    def pre_hint(self, plugin: str, result: str) -> None:
        pass

    def unschedulable(self, plugin: str, scheduler_name: str, delta: int) -> None:
        self.held[plugin] = self.held.get(plugin, 0) + delta

    # The watch

    def make(self, name: str, uid: str, *, priority: int, gated: bool) -> Pod:
        self.generation += 1
        return Pod(
            ObjectMeta(
                name=name,
                namespace="ns",
                uid=uid,
                resource_version=str(self.generation),
                labels=FrozenMap({"generation": str(self.generation)}),
            ),
            PodSpec(
                scheduler_name=SCHEDULER,
                priority=priority,
                scheduling_gates=(PodSchedulingGate(name="g"),) if gated else (),
            ),
        )

    @rule(name=NAMES, priority=st.integers(0, 2), gated=st.booleans(), seen=st.booleans())
    def add_or_make_again(self, name: str, priority: int, gated: bool, seen: bool) -> None:
        if seen and name in self.pods:
            self.queue.delete(self.pods[name])
        uid = f"{name}-{self.generation}"
        self.pods[name] = self.make(name, uid, priority=priority, gated=gated)
        self.queue.add(self.pods[name])

    @rule(name=NAMES, lifts_gates=st.booleans())
    def update(self, name: str, lifts_gates: bool) -> None:
        old = self.pods.get(name)
        if old is None or old.uid in self.scheduled:
            return
        # The API server lets gates be lifted but never added.
        gated = bool(old.spec.scheduling_gates) and not lifts_gates
        self.pods[name] = self.make(name, old.uid, priority=old.priority, gated=gated)
        self.queue.update(old, self.pods[name])

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.pods:
            self.queue.delete(self.pods.pop(name))

    @rule(event=EVENTS)
    def cluster_changes(self, event: ClusterEvent) -> None:
        self.queue.move(event, None, object())
        if event in (NODE_ADDED, WILDCARD):
            self.missed.update(self.flying)

    @rule()
    def a_part_is_settled(self) -> None:
        before = self.queue.counts().unsettled
        assert self.queue._settle_one() is (before > 0)
        assert self.queue.counts().unsettled == max(0, before - 1)

    # The cycle

    @rule(target=flights)
    def pop(self) -> QueuedEntity | MultipleResults[QueuedEntity]:
        entity = self.queue.pop()
        if entity is None:
            return multiple()
        assert not entity.pod.spec.scheduling_gates
        self.flying[entity.uid] = entity
        self.missed.discard(entity.uid)
        return entity

    @rule(
        entity=consumes(flights),
        rejecting=st.sets(st.sampled_from(PLUGINS)),
        pending=st.sets(st.sampled_from(PLUGINS), max_size=1),
        is_error=st.booleans(),
    )
    def fail(
        self, entity: QueuedEntity, rejecting: set[str], pending: set[str], is_error: bool
    ) -> None:
        del self.flying[entity.uid]
        self.queue.add_unschedulable(
            entity, unschedulable_plugins=rejecting, pending_plugins=pending, is_error=is_error
        )
        if entity.uid in self.missed and rejecting & {"Queues", "Raises"}:
            tiers = {tier for tier, waiting in self.queue.pending() if waiting is entity}
            assert "unschedulable" not in tiers, "an event got lost"

    @rule(entity=consumes(flights), again=st.booleans())
    def succeed(self, entity: QueuedEntity, again: bool) -> None:
        self.scheduled.add(entity.uid)
        del self.flying[entity.uid]
        self.queue.done(entity.uid)
        if again:
            self.queue.done(entity.uid)

    @rule(name=NAMES)
    def activate(self, name: str) -> None:
        if name in self.pods:
            self.queue.activate([self.pods[name]])

    # The clock

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.5, 11.0, 301.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.flush()

    def flush(self) -> None:
        self.queue.flush_backoff()
        self.queue.flush_unschedulable()
        flush_at = self.queue.next_flush()
        assert flush_at is None or flush_at > self.clock.now()

    # What always holds

    @invariant()
    def every_pod_is_in_exactly_one_place(self) -> None:
        if not hasattr(self, "queue"):
            return
        self.queue.validate()
        waiting = {entity.uid: entity for _, entity in self.queue.pending()}
        for pod in self.pods.values():
            if pod.uid in self.scheduled:
                assert pod.uid not in waiting
                continue
            assert (pod.uid in waiting) != self.queue.in_flight(pod.uid)
            if pod.uid in waiting:
                assert waiting[pod.uid].pod is pod
        assert set(waiting) <= {pod.uid for pod in self.pods.values()}

    def teardown(self) -> None:
        """Quiescence: every attempt ends, time passes; then nobody is stuck and nothing is kept."""
        if not hasattr(self, "queue"):
            return
        assert self.queue.counts().in_flight == len(self.flying)
        for entity in self.flying.values():
            self.queue.add_unschedulable(
                entity,
                unschedulable_plugins={"Deaf", "Skips"},
                pending_plugins=set(),
                is_error=False,
            )
        counts = self.queue.counts()
        assert (counts.in_flight, counts.in_flight_events) == (0, 0)
        self.clock.advance(LONG_S)
        self.flush()
        ungated = {
            pod.uid
            for pod in self.pods.values()
            if not pod.spec.scheduling_gates and pod.uid not in self.scheduled
        }
        popped = set()
        while (ready := self.queue.pop()) is not None:
            popped.add(ready.uid)
            self.queue.done(ready.uid)
        assert ungated <= popped, "a pod can not be reached any more"
        for pod in self.pods.values():
            self.queue.delete(pod)
        self.queue.validate()
        assert self.queue.counts().pending == 0
        assert not any(self.held.values()), "a gauge did not return to zero"


QueueMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, database=None
)
TestQueue = QueueMachine.TestCase
