"""Events that are put off do what they would have done at once, to each pod in the same order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

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
from pyscheduler.testing import make_pod

OURS = "default-scheduler"
NAMES = "abcd"
PLUGINS = ("Fit", "Zone", "Gate")
OWN_UPDATE = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE)
#: nothing is put off
NEVER = 1_000_000


@dataclass(frozen=True)
class Happening:
    """The object of an event: its number, and the pods that its hints wave through."""

    number: int
    helps: frozenset[str]


class Side:
    """One of the two queues, with a log of what each pod was judged by."""

    def __init__(self, judged_at_once: int) -> None:
        self.clock = FakeClock(1_000_000.0)
        self.judged: dict[str, list[tuple[str, str, object]]] = defaultdict(list)
        self.flying: dict[str, QueuedEntity] = {}
        self.pods: dict[str, Pod] = {}
        self.queue = SchedulingQueue(
            clock=self.clock,
            sort_key=lambda entity: (-entity.pod.priority, entity.timestamp, entity.pod.name),
            pre_enqueue=self.pre_enqueue,
            hints={
                OURS: [
                    HintRegistration(plugin, event, self._hint(plugin))
                    for plugin in PLUGINS
                    for event in (NODE_ADDED, NODE_LABELS_CHANGED, OWN_UPDATE)
                    if (plugin, event) != ("Zone", NODE_ADDED)
                ]
            },
            judged_at_once=judged_at_once,
        )

    @staticmethod
    def pre_enqueue(pod: Pod, first: str) -> Status | None:
        return unschedulable("shut").by("Gate") if pod.labels.get("gate") == "shut" else None

    def _hint(self, plugin: str) -> HintFn:
        def hint(pod: Pod, old: object, new: object) -> QueueingHint:
            seen = new.number if isinstance(new, Happening) else "own update"
            self.judged[pod.name].append((plugin, pod.metadata.resource_version, seen))
            helps = pod.name in new.helps if isinstance(new, Happening) else plugin == "Gate"
            return QueueingHint.QUEUE if helps else QueueingHint.SKIP

        return hint

    def do(self, step: tuple[Any, ...], number: int, *, settles: bool) -> None:
        verb, name = step[0], step[1]
        match verb:
            case "event":
                event = NODE_ADDED if name == "node" else NODE_LABELS_CHANGED
                self.queue.move(event, None, Happening(number, frozenset(step[2])))
            case "add" | "update":
                self._put(name, step[2], number)
            case "delete" if name in self.pods:
                self.queue.delete(self.pods.pop(name))
                self.judged.pop(name, None)  # what it still had to hear is of no use to anybody
            case "activate" if name in self.pods:
                self.queue.activate([self.pods[name]])
            case "pop":
                self.settle(all_of_them=True)  # as the scheduling loop does
                entity = self.queue.pop()
                if entity is not None:
                    self.flying[entity.pod.name] = entity
            case "fail" if name in self.flying:
                self.queue.add_unschedulable(
                    self.flying.pop(name),
                    unschedulable_plugins=set(step[2]),
                    pending_plugins=set(step[3]),
                    is_error=False,
                )
            case "settle" if settles:
                self.settle(all_of_them=False)
            case "wait":
                self.clock.advance(float(name))
                self.queue.flush_unschedulable()
                self.queue.flush_backoff()
            case _:
                pass
        self.queue.validate()

    def _put(self, name: str, gate: str, number: int) -> None:
        old = self.pods.get(name)
        uid = old.uid if old else f"{name}-{number}"
        new = make_pod(name).uid(uid).label("gate", gate).resource_version(str(number)).obj()
        self.pods[name] = new
        if old is None:
            self.queue.add(new)
        else:
            self.queue.update(old, new)

    def settle(self, *, all_of_them: bool) -> None:
        while self.queue._settle_one() and all_of_them:
            pass

    def tiers(self) -> dict[str, str]:
        return {entity.pod.name: tier for tier, entity in self.queue.pending()}

    def pop_order(self) -> list[str]:
        return [entity.pod.name for tier, entity in self.queue.pending() if tier == "active"]


def _step(*parts: object) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(*(p if isinstance(p, st.SearchStrategy) else st.just(p) for p in parts))


NAME, GATE = st.sampled_from(NAMES), st.sampled_from(["open", "shut"])
STEPS = st.one_of(
    _step("event", st.sampled_from(["node", "label"]), st.text(NAMES, max_size=3)),
    _step("event", st.sampled_from(["node", "label"]), st.text(NAMES, max_size=1)),
    _step("add", NAME, GATE),
    _step("update", NAME, GATE),
    _step("delete", NAME),
    _step("activate", NAME),
    _step("pop", ""),
    _step(
        "fail",
        NAME,
        st.sets(st.sampled_from(["Fit", "Zone"]), min_size=1),
        st.sets(st.just("Zone"), max_size=1),
    ),
    _step("settle", ""),
    _step("wait", st.sampled_from(["0.4", "2", "301"])),
)
#: everybody waits, rejected, before the history begins
PREFACE: list[tuple[Any, ...]] = [
    *(("add", name, "open") for name in NAMES),
    *(("pop", "") for _ in NAMES),
    *(("fail", name, {"Fit"} if name < "c" else {"Fit", "Zone"}, ()) for name in NAMES),
]


@given(st.lists(STEPS, max_size=40), st.integers(0, 2))
@settings(max_examples=300, deadline=None, database=None)
def test_what_is_put_off_happens_as_if_it_had_not_been(
    steps: Sequence[tuple[Any, ...]], judged_at_once: int
) -> None:
    at_once, put_off = Side(NEVER), Side(judged_at_once)
    for number, step in enumerate([*PREFACE, *steps]):
        for side in (at_once, put_off):
            side.do(step, number, settles=side is put_off)
    for side in (at_once, put_off):
        side.settle(all_of_them=True)
        side.queue.flush_backoff()
        side.queue.validate()
        assert side.queue.counts().unsettled == 0
    assert put_off.judged == at_once.judged
    assert put_off.tiers() == at_once.tiers()
    assert put_off.pop_order() == at_once.pop_order()
