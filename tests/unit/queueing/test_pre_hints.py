from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import pytest

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import FakeClock
from pyscheduler.framework.cluster_events import NODE_ADDED, HintFn, PreHintFn, QueueingHint
from pyscheduler.framework.status import Status, unresolvable
from pyscheduler.queueing.hints import HintRegistration
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.runtime.instrument import Instrument
from pyscheduler.telemetry.current_work import CurrentWork
from tests.unit.queueing.queue_harness import SCHEDULER, make_pod, priority_sort

NODE = object()


class Rig:
    """A queue in which a, b and c wait, rejected by Narrow (a, b) and by Wide (b, c)."""

    def __init__(
        self,
        pre_hint: PreHintFn | None,
        *,
        uses_pre_hints: bool = True,
        let_in: PreHintFn | None = None,
    ) -> None:
        self.asked: Counter[str] = Counter()
        self.results: Counter[tuple[str, str]] = Counter()
        registrations = [
            HintRegistration("Narrow", NODE_ADDED, self._hint("Narrow"), pre_hint, let_in),
            HintRegistration("Wide", NODE_ADDED, self._hint("Wide")),
        ]
        self.queue = SchedulingQueue(
            clock=FakeClock(1000.0),
            sort_key=priority_sort,
            pre_enqueue=lambda pod, first: None,
            hints={SCHEDULER: registrations},
            uses_pre_hints=uses_pre_hints,
            metrics=self,
        )
        for name, plugins in (("a", {"Narrow"}), ("b", {"Narrow", "Wide"}), ("c", {"Wide"})):
            self.queue.add(make_pod(name))
            entity = self.queue.pop()
            assert entity is not None
            self.queue.add_unschedulable(
                entity, unschedulable_plugins=plugins, pending_plugins=(), is_error=False
            )

    def _hint(self, plugin: str) -> HintFn:
        def hint(pod: Pod, old: object, new: object) -> QueueingHint:
            self.asked[f"{plugin} {pod.name}"] += 1
            return QueueingHint.SKIP

        return hint

    # QueueMetrics

    def incoming(self, queue: str, event_label: str) -> None:
        pass

    def hint(self, plugin: str, event_label: str, result: QueueingHint, seconds: float) -> None:
        pass

    def pre_hint(self, plugin: str, result: str) -> None:
        self.results[plugin, result] += 1

    def unschedulable(self, plugin: str, scheduler_name: str, delta: int) -> None:
        pass


def naming(*keys: str) -> PreHintFn:
    return lambda old, new: keys


@pytest.mark.parametrize(
    ("pre_hint", "asked", "result"),
    [
        pytest.param(naming("ns/a"), {"Narrow a"}, "narrowed", id="one pod"),
        pytest.param(naming("ns/b"), {"Narrow b"}, "narrowed", id="a pod that another holds too"),
        pytest.param(naming(), set(), "narrowed", id="no pod"),
        pytest.param(naming("ns/c", "ns/x"), set(), "narrowed", id="pods that it does not hold"),
        pytest.param(
            lambda old, new: None, {"Narrow a", "Narrow b"}, "all_pods", id="cannot tell: all pods"
        ),
    ],
)
def test_a_pre_hint_narrows_its_own_plugin_and_nobody_else(
    pre_hint: PreHintFn, asked: set[str], result: str
) -> None:
    rig = Rig(pre_hint)
    rig.queue.move(NODE_ADDED, None, NODE)
    assert rig.asked == Counter({*asked, "Wide b", "Wide c"})
    assert rig.results == Counter({("Narrow", result): 1})


def test_pods_that_no_plugin_wants_to_see_are_not_looked_at() -> None:
    rig = Rig(naming("ns/b"))
    looked_at: list[str] = []

    def look(pod: Pod) -> bool:
        looked_at.append(pod.name)
        return True

    rig.queue.move(NODE_ADDED, None, NODE, pre_check=look)
    assert sorted(looked_at) == ["b", "c"]


def test_without_the_gate_pre_hints_are_not_asked() -> None:
    def unwanted(old: object, new: object) -> Collection[str] | None:
        raise AssertionError("asked")

    rig = Rig(unwanted, uses_pre_hints=False)
    rig.queue.move(NODE_ADDED, None, NODE)
    assert rig.asked["Narrow a"] == rig.asked["Narrow b"] == 1
    assert not rig.results


def test_an_event_about_no_object_is_shown_to_all() -> None:
    rig = Rig(naming())
    rig.queue.move(NODE_ADDED, None, None)
    assert rig.asked["Narrow a"] == 1
    assert not rig.results


def test_who_was_in_flight_is_judged_by_the_hint_alone() -> None:
    rig = Rig(naming())
    rig.queue.add(make_pod("d"))
    entity = rig.queue.pop()
    assert entity is not None
    rig.queue.move(NODE_ADDED, None, NODE)
    rig.queue.add_unschedulable(
        entity, unschedulable_plugins={"Narrow"}, pending_plugins=(), is_error=False
    )
    assert rig.asked["Narrow d"] == 1, "a pre-hint cannot know of a pod that was nowhere"


def _raises(old: object, new: object) -> Collection[str] | None:
    raise ValueError("the plugin's fault")


@pytest.mark.parametrize(
    "pre_hint",
    [
        pytest.param(_raises, id="raises"),
        pytest.param(lambda old, new: "ns/a", id="a text is no collection of keys"),
    ],
)
def test_a_broken_pre_hint_costs_time_and_never_a_pod(pre_hint: PreHintFn) -> None:
    rig = Rig(Instrument(CurrentWork(), FakeClock()).pre_hint("Narrow", pre_hint))
    rig.queue.move(NODE_ADDED, None, NODE)
    assert rig.asked["Narrow a"] == rig.asked["Narrow b"] == 1
    assert rig.results == Counter({("Narrow", "all_pods"): 1})


@pytest.mark.parametrize(
    ("let_in", "asked"),
    [
        pytest.param(naming("ns/b"), ["b"], id="one that it gates"),
        pytest.param(naming("ns/c"), [], id="one that another gates"),
        pytest.param(naming(), [], id="nobody"),
        pytest.param(lambda old, new: None, ["a", "b"], id="cannot tell: all that it gates"),
    ],
)
def test_an_event_passes_by_those_whom_the_gating_plugin_would_not_let_in(
    let_in: PreHintFn, asked: list[str]
) -> None:
    at_the_gate: list[str] = []

    def pre_enqueue(pod: Pod, first: str) -> Status:
        at_the_gate.append(pod.name)
        return unresolvable("held").by("Other" if pod.name == "c" else "Gate")

    queue = SchedulingQueue(
        clock=FakeClock(1000.0),
        sort_key=priority_sort,
        pre_enqueue=pre_enqueue,
        hints={SCHEDULER: [HintRegistration("Gate", NODE_ADDED, let_in=let_in)]},
    )
    for name in ("a", "b", "c"):
        queue.add(make_pod(name))
    at_the_gate.clear()

    queue.move(NODE_ADDED, None, NODE)

    assert at_the_gate == asked


def test_who_waits_for_an_event_behind_no_gate_hears_it() -> None:
    rig = Rig(None, let_in=naming())
    rig.queue.move(NODE_ADDED, None, NODE)
    assert rig.asked == Counter({"Narrow a", "Narrow b", "Wide b", "Wide c"})
