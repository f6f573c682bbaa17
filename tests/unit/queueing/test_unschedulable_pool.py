from __future__ import annotations

from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.unschedulable_pool import UnschedulablePool
from tests.unit.queueing.queue_harness import SCHEDULER, make_pod


def rejected(name: str, *plugins: str, at: float = 0.0, scheduler: str = SCHEDULER) -> QueuedEntity:
    return QueuedEntity(
        make_pod(name, scheduler=scheduler),
        timestamp=at,
        unschedulable_plugins=frozenset(plugins),
    )


def test_a_rejected_entity_stands_under_each_of_its_plugins() -> None:
    pool = UnschedulablePool(timeout_s=300)
    entity = rejected("a", "Fit", "Taint")
    entity.pending_plugins = frozenset({"Volume"})
    pool.add_rejected(entity)
    pool.validate()
    for plugin in ("Fit", "Taint", "Volume"):
        assert list(pool.rejected.under(SCHEDULER, plugin)) == ["a"]
    assert not pool.rejected.under(SCHEDULER, "Ports")


def test_profiles_do_not_meet() -> None:
    pool = UnschedulablePool(timeout_s=300)
    pool.add_rejected(rejected("a", "Fit"))
    pool.add_rejected(rejected("b", "Fit", scheduler="other"))
    assert list(pool.rejected.under("other", "Fit")) == ["b"]


def test_a_gated_entity_stands_under_its_gate_alone() -> None:
    pool = UnschedulablePool(timeout_s=300)
    entity = rejected("a", "Fit")
    entity.gating_plugin = "Gates"
    pool.add_gated(entity, now=0.0)
    pool.validate()
    assert list(pool.gated.under(SCHEDULER, "Gates")) == ["a"]
    assert not pool.gated.under(SCHEDULER, "Fit")
    assert not pool.rejected.under(SCHEDULER, "Fit")


def test_removal_leaves_nothing_behind() -> None:
    pool = UnschedulablePool(timeout_s=300)
    pool.add_rejected(rejected("a", "Fit"))
    assert pool.remove("a") is not None
    assert pool.remove("a") is None
    assert pool.next_timeout() is None
    pool.validate()


def test_timeouts_come_in_whole_seconds_and_leave_the_entities_in() -> None:
    pool = UnschedulablePool(timeout_s=300)
    pool.add_rejected(rejected("a", "Fit", at=0.25))
    pool.add_rejected(rejected("b", "Fit", at=0.75))
    pool.add_rejected(rejected("c", "Fit", at=1.5))
    assert pool.next_timeout() == 301
    assert [e.pod.name for e in pool.timed_out(now=301, limit=9)] == ["a", "b"]
    assert [e.pod.name for e in pool.timed_out(now=301, limit=1)] == ["a"]
    assert len(pool) == 3


def test_a_gated_entity_times_out_from_when_it_was_last_judged() -> None:
    pool = UnschedulablePool(timeout_s=300)
    entity = rejected("a", at=0.0)
    entity.gating_plugin = "Gates"
    pool.add_gated(entity, now=0.0)
    pool.add_gated(entity, now=50.0)
    assert pool.next_timeout() == 350
