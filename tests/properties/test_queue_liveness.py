"""A wrong hint costs latency up to the flush, and never liveness.

Histories of pods, events and failures under a running clock. Every pod that is ready is popped as
soon as it is; hints answer Skip always, or raise, or are missing. However that goes, no pod waits
longer between two attempts than the unschedulable timeout and the longest backoff.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import FakeClock
from pyscheduler.framework.cluster_events import (
    NODE_ADDED,
    NODE_LABELS_CHANGED,
    ActionType,
    ClusterEvent,
    EventResource,
    HintFn,
    QueueingHint,
)
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.status import Status, unschedulable
from pyscheduler.queueing.hints import HintRegistration
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.runtime.instrument import Instrument
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.testing import make_pod

OURS = "default-scheduler"
NAMES = "abc"
FLUSH_S, BACKOFF_S = 300.0, 10.0
#: timeouts and backoffs end with a whole second
ROUNDING_S = 2.0
OWN = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE)


def skips(pod: Pod, old: object, new: object) -> QueueingHint:
    return QueueingHint.SKIP


def raises(pod: Pod, old: object, new: object) -> QueueingHint:
    raise RuntimeError("the plugin's fault")


@dataclass
class Life:
    """A queue, its clock, and since when each pod that could be tried has waited."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(1_000_000.0))
    pods: dict[str, Pod] = field(default_factory=dict)
    waits_since: dict[str, float] = field(default_factory=dict)
    flying: list[QueuedEntity] = field(default_factory=list)
    longest_s: float = 0.0

    def __post_init__(self) -> None:
        instrument = Instrument(CurrentWork(), self.clock)
        hints: dict[str, HintFn | None] = {"Skips": skips, "Raises": raises}
        self.queue = SchedulingQueue(
            clock=self.clock,
            sort_key=lambda entity: (-entity.pod.priority, entity.timestamp),
            pre_enqueue=self.pre_enqueue,
            hints={
                OURS: [
                    HintRegistration(plugin, event, instrument.hint(plugin, hint))
                    for plugin, hint in hints.items()
                    for event in (NODE_ADDED, NODE_LABELS_CHANGED, OWN)
                ]
            },
            max_backoff_s=BACKOFF_S,
            max_in_unschedulable_s=FLUSH_S,
            max_in_flight_events=3,
            judged_at_once=1,
        )

    @staticmethod
    def pre_enqueue(pod: Pod, first: str) -> Status | None:
        return unschedulable("gated").by("Gates") if pod.spec.scheduling_gates else None

    def put(self, name: str, number: int, *, gated: bool) -> None:
        old = self.pods.get(name)
        builder = make_pod(name).uid(old.uid if old else f"{name}-{number}")
        if gated and (old is None or old.spec.scheduling_gates):
            builder = builder.gate("g")
        new = self.pods[name] = builder.resource_version(str(number)).obj()
        if old is None:
            self.queue.add(new)
        else:
            self.queue.update(old, new)
        if not new.spec.scheduling_gates:
            self.waits_since.setdefault(new.uid, self.clock.now())

    def delete(self, name: str) -> None:
        pod = self.pods.pop(name, None)
        if pod is not None:
            self.waits_since.pop(pod.uid, None)
            self.queue.delete(pod)

    def pop_all(self) -> None:
        while (entity := self.queue.pop()) is not None:
            since = self.waits_since.pop(entity.uid)
            self.longest_s = max(self.longest_s, self.clock.now() - since)
            self.flying.append(entity)

    def fail(self, rejecting: set[str], pending: set[str]) -> None:
        """All attempts under way end so."""
        for entity in self.flying:
            self.queue.add_unschedulable(
                entity,
                unschedulable_plugins=rejecting,
                pending_plugins=pending,
                is_error=not (rejecting or pending),
            )
            if self.queue.contains(entity.uid):
                self.waits_since.setdefault(entity.uid, self.clock.now())
        self.flying.clear()

    def pass_time(self, seconds: float) -> None:
        """Flushes as they fall due, and whoever is ready is popped and fails again at once."""
        until = self.clock.now() + seconds
        while (due := self.queue.next_flush()) is not None and due <= until:
            self.clock.advance(max(0.0, due - self.clock.now()))
            self.queue.flush_backoff()
            self.queue.flush_unschedulable()
            self.pop_all()
            self.fail({"Skips", "Deaf"}, set())
        self.clock.advance(max(0.0, until - self.clock.now()))
        # a pod that nothing would ever bring back shows here, without having been popped
        for since in self.waits_since.values():
            self.longest_s = max(self.longest_s, self.clock.now() - since)


PLUGINS = st.sets(st.sampled_from(["Skips", "Raises", "Deaf"]))
STEPS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(NAMES), st.booleans()),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("event"), st.sampled_from([NODE_ADDED, NODE_LABELS_CHANGED]), st.none()),
    st.tuples(st.just("pop"), st.none(), st.none()),
    st.tuples(st.just("fail"), PLUGINS, PLUGINS),
    st.tuples(st.just("wait"), st.sampled_from([0.3, 1.0, 7.0, 120.0, 299.7, 320.0]), st.none()),
)


@given(st.lists(STEPS, max_size=30))
@settings(max_examples=200, deadline=None, database=None)
def test_no_pod_waits_longer_than_the_flush_and_its_backoff(
    steps: Sequence[tuple[str, object, object]],
) -> None:
    with capture_logs():  # of the hints that raise
        live(Life(), steps)


def live(life: Life, steps: Sequence[tuple[str, object, object]]) -> None:
    """Goes through the history, and then waits for whoever waits."""
    for number, (verb, what, more) in enumerate(steps):
        match verb, what, more:
            case "put", str(name), bool(gated):
                life.put(name, number, gated=gated)
            case "delete", str(name), _:
                life.delete(name)
            case "event", ClusterEvent() as event, _:
                life.queue.move(event, None, object())
            case "pop", _, _:
                life.pop_all()
            case "fail", set(rejecting), set(pending):
                life.pop_all()
                life.fail(rejecting, pending)
            case "wait", float(seconds), _:
                life.pop_all()
                life.fail({"Raises"}, {"Skips"})
                life.pass_time(seconds)
        life.queue.validate()
    life.pop_all()
    life.fail({"Skips"}, set())
    life.pass_time(FLUSH_S + BACKOFF_S + ROUNDING_S + 1)
    assert life.longest_s <= FLUSH_S + BACKOFF_S + ROUNDING_S
