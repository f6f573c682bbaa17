"""A queue on a clock that stands still, driven by short scripts; checks itself after every step.

A script is a text of steps, one a line:

    add a [key=value ...]     a pod of ours appears (priority=5, gates=g, nominated=n1)
    again a                   deleted unseen and made again under its name, with another uid
    update a key=value ...    its object changes (label=x, gates= lifts the gates)
    delete a                  it is gone
    pop a / pop -             the next one must be a / nobody
    done a                    its attempt succeeded
    fail a Fit ... ~Volume    rejected by Fit, Pending by Volume; nobody: an error
    event NodeAdd             the cluster changed
    activate a
    wait 1.5                  seconds pass, flushes happen as they fall due
    pass 1.5                  seconds pass, nobody flushes
    answer Fit skip           from now on Fit's hint says so
    active: a b               exactly these stand in the tier, in this order
    flying: a                 exactly these are in flight
    events: 3                 so many events are kept for them
"""

from __future__ import annotations

from collections import Counter

import msgspec

from pyscheduler.api.core_v1 import Pod, PodSchedulingGate, PodSpec, PodStatus
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.clock import FakeClock
from pyscheduler.framework.cluster_events import (
    NODE_ADDED,
    NODE_ALLOCATABLE_CHANGED,
    NODE_CONDITIONS_CHANGED,
    NODE_LABELS_CHANGED,
    NODE_TAINTS_CHANGED,
    WILDCARD,
    ActionType,
    ClusterEvent,
    EventResource,
    HintFn,
    QueueingHint,
)
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.status import Code, Status
from pyscheduler.queueing.hints import HintRegistration
from pyscheduler.queueing.observing import QueueMetrics
from pyscheduler.queueing.scheduling_queue import SchedulingQueue

SCHEDULER = "pyscheduler"
VOLUME_ADDED = ClusterEvent(EventResource.PERSISTENT_VOLUME, ActionType.ADD)
GATES_ELIMINATED = ClusterEvent(
    EventResource.TARGET_POD, ActionType.UPDATE_POD_SCHEDULING_GATES_ELIMINATED
)
LABELS_CHANGED = ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_LABEL)
EVENTS = {
    "NodeAdd": NODE_ADDED,
    "NodeAllocatable": NODE_ALLOCATABLE_CHANGED,
    "NodeTaint": NODE_TAINTS_CHANGED,
    "NodeLabel": NODE_LABELS_CHANGED,
    "NodeCondition": NODE_CONDITIONS_CHANGED,
    "VolumeAdd": VOLUME_ADDED,
    "Wildcard": WILDCARD,
}


def make_pod(name: str, **fields: str) -> Pod:
    """A pod by the script's words; `uid` defaults to the name."""
    labels = {"label": fields["label"]} if "label" in fields else {}
    gates = tuple(
        PodSchedulingGate(name=gate) for gate in fields.get("gates", "").split(",") if gate
    )
    return Pod(
        ObjectMeta(
            name=name, namespace="ns", uid=fields.get("uid", name), labels=FrozenMap(labels)
        ),
        PodSpec(
            scheduler_name=fields.get("scheduler", SCHEDULER),
            priority=int(fields.get("priority", "0")),
            scheduling_gates=gates,
        ),
        PodStatus(nominated_node_name=fields.get("nominated", "")),
    )


def priority_sort(entity: QueuedEntity) -> tuple[object, ...]:
    """PrioritySort's key."""
    return (-entity.pod.priority, entity.timestamp)


def check_gates(pod: Pod, first: str) -> Status | None:
    """SchedulingGates, and behind it a gate of another kind: the label `hold`."""
    objections = {
        "Gates": "gated" if pod.spec.scheduling_gates else "",
        "Hold": "held" if pod.labels.get("label") == "hold" else "",
    }
    for plugin in sorted(objections, key=lambda name: name != first):
        if objections[plugin]:
            return Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (objections[plugin],), plugin)
    return None


class QueueHarness:
    """A `SchedulingQueue` with plugins Fit, Taint, Volume, Gates and Hold."""

    def __init__(
        self,
        *,
        initial_backoff_s: float = 1.0,
        max_backoff_s: float = 10.0,
        max_in_flight_events: int = 1000,
        judged_at_once: int = 200,
        uses_pre_hints: bool = False,
        metrics: QueueMetrics | None = None,
    ) -> None:
        self.clock = FakeClock(1_000_000.0)
        self.pods: dict[str, Pod] = {}
        self.flying: dict[str, QueuedEntity] = {}
        self.answers: dict[str, str] = {}
        self.hint_calls: Counter[str] = Counter()
        #: pod and the plugin to be asked first, of each PreEnqueue
        self.gates_asked: list[tuple[str, str]] = []
        self._generation = 0
        self.queue = SchedulingQueue(
            clock=self.clock,
            sort_key=priority_sort,
            pre_enqueue=self._pre_enqueue,
            hints={
                SCHEDULER: [
                    HintRegistration("Gates", GATES_ELIMINATED, self._hint("Gates")),
                    HintRegistration("Hold", LABELS_CHANGED, self._hint("Hold")),
                    HintRegistration("Hold", NODE_LABELS_CHANGED, self._hint("Hold")),
                    HintRegistration(
                        "Fit", NODE_ADDED | NODE_ALLOCATABLE_CHANGED, self._hint("Fit")
                    ),
                    HintRegistration("Taint", NODE_TAINTS_CHANGED),
                    HintRegistration("Volume", VOLUME_ADDED, self._hint("Volume")),
                    HintRegistration("Volume", NODE_ADDED, self._hint("Volume")),
                ]
            },
            initial_backoff_s=initial_backoff_s,
            max_backoff_s=max_backoff_s,
            max_in_flight_events=max_in_flight_events,
            judged_at_once=judged_at_once,
            uses_pre_hints=uses_pre_hints,
            metrics=metrics,
        )

    def run(self, script: str) -> None:
        """Executes the steps, with every invariant checked after each."""
        for line in script.splitlines():
            words = line.split("#")[0].split()
            if not words:
                continue
            try:
                self._step(words)
                self.queue.validate()
            except AssertionError as e:
                raise AssertionError(f"at step {line.strip()!r}: {e}\n{self.tiers()}") from e

    def tiers(self) -> dict[str, list[str]]:
        """Names by tier, as the queue gives them."""
        tiers: dict[str, list[str]] = {
            name: [] for name in ("active", "backoff", "unschedulable", "gated")
        }
        for tier, entity in self.queue.pending():
            tiers[tier].append(entity.pod.name)
        return tiers

    def _step(self, words: list[str]) -> None:
        verb, args = words[0], words[1:]
        if verb.endswith(":"):
            self._expect(verb[:-1], args)
            return
        name = args[0]
        match verb:
            case "add":
                self.pods[name] = make_pod(name, **_fields(args))
                self.queue.add(self.pods[name])
            case "again":
                self._generation += 1
                self.pods[name] = make_pod(name, uid=f"{name}-{self._generation}")
                self.queue.add(self.pods[name])
            case "update":
                self._update(name, _fields(args))
            case "delete":
                self.queue.delete(self.pods[name])
            case "pop":
                self._pop(name)
            case "done":
                self.queue.done(self.flying.pop(name).uid)
            case "fail":
                self._fail(name, args[1:])
            case "event":
                self.queue.move(EVENTS[name], None, object())
            case "activate":
                self.queue.activate([self.pods[name]])
            case "wait":
                self._wait(float(name))
            case "pass":
                self.clock.advance(float(name))
            case "answer":
                self.answers[name] = args[1]
            case _:
                raise ValueError(f"unknown step {verb}")

    def _expect(self, what: str, args: list[str]) -> None:
        if what == "flying":
            assert sorted(self.flying) == sorted(args)
            assert self.queue.counts().in_flight == len(args)
        elif what == "events":
            assert self.queue.counts().in_flight_events == int(args[0])
        else:
            assert self.tiers()[what] == args

    def _pop(self, expected: str) -> None:
        entity = self.queue.pop()
        assert (entity.pod.name if entity else "-") == expected
        if entity is not None:
            self.flying[expected] = entity

    def _update(self, name: str, fields: dict[str, str]) -> None:
        old = self.pods[name]
        changed = make_pod(name, **{"uid": old.uid, "priority": str(old.priority), **fields})
        version = msgspec.structs.replace(changed.metadata, resource_version="2")
        self.pods[name] = msgspec.structs.replace(changed, metadata=version)
        self.queue.update(old, self.pods[name])

    def _fail(self, name: str, plugins: list[str]) -> None:
        self.queue.add_unschedulable(
            self.flying.pop(name),
            unschedulable_plugins={p for p in plugins if not p.startswith("~")},
            pending_plugins={p[1:] for p in plugins if p.startswith("~")},
            is_error=not plugins,
        )

    def _wait(self, seconds: float) -> None:
        until = self.clock.now() + seconds
        while (flush_at := self.queue.next_flush()) is not None and flush_at <= until:
            self.clock.advance(max(0.0, flush_at - self.clock.now()))
            self.queue.flush_backoff()
            self.queue.flush_unschedulable()
            self.queue.validate()
            later = self.queue.next_flush()
            assert later is None or later > flush_at, "the flush did not take what was due"
        self.clock.advance(until - self.clock.now())

    def _pre_enqueue(self, pod: Pod, first: str) -> Status | None:
        self.gates_asked.append((pod.name, first))
        return check_gates(pod, first)

    def _hint(self, plugin: str) -> HintFn:
        def hint(pod: Pod, old: object, new: object) -> QueueingHint:
            self.hint_calls[plugin] += 1
            skips = self.answers.get(plugin) == "skip"
            return QueueingHint.SKIP if skips else QueueingHint.QUEUE

        return hint


def _fields(args: list[str]) -> dict[str, str]:
    return dict(arg.split("=", 1) for arg in args[1:])
