"""Gated pods wait for nothing but their gate."""

from __future__ import annotations

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cluster_events import NODE_ADDED, NODE_ALLOCATABLE_CHANGED
from tests.unit.queueing.queue_harness import QueueHarness, make_pod


def test_ten_thousand_gated_pods_cost_an_event_nothing() -> None:
    harness = QueueHarness()
    for number in range(10_000):
        harness.queue.add(make_pod(f"gated-{number}", gates="g"))
    harness.run("add a \n pop a \n fail a Fit")
    harness.gates_asked.clear()
    looked_at: list[str] = []

    def look(pod: Pod) -> bool:
        looked_at.append(pod.name)
        return False

    for event in (NODE_ADDED, NODE_ALLOCATABLE_CHANGED):
        harness.queue.move(event, None, None, pre_check=look)
    assert looked_at == ["a", "a"], "no gated pod is looked at"
    assert harness.hint_calls == {}
    assert harness.gates_asked == []
    harness.pods["x"] = make_pod("gated-77", gates="g")
    harness.queue.update(harness.pods["x"], make_pod("gated-77"))
    assert harness.hint_calls == {"Gates": 1}
    assert [name for name, _ in harness.gates_asked] == ["gated-77"]
    assert harness.tiers()["active"] == ["gated-77"], "at once, without backoff"
