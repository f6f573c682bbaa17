from __future__ import annotations

import pytest

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache import CacheError, SchedulerCache, Snapshot
from pyscheduler.testing import make_node, make_pod


def node(name: str = "n1", cpu: str = "4") -> Node:
    return make_node(name).capacity({"cpu": cpu, "memory": "8Gi", "pods": "110"}).obj()


def pod(name: str, *, on: str = "", cpu: str = "1") -> Pod:
    builder = make_pod(name).req({"cpu": cpu, "memory": "1Gi"})
    return (builder.node(on) if on else builder).obj()


def requested_cpu(cache: SchedulerCache, name: str = "n1") -> int:
    return next(n for n in cache.nodes() if n.name == name).requested.get("cpu", 0)


@pytest.fixture
def cache() -> SchedulerCache:
    cache = SchedulerCache()
    cache.add_node(node())
    return cache


def test_forget_restores_requested(cache: SchedulerCache) -> None:
    waiting = pod("a")
    cache.assume(waiting, "n1")
    assert requested_cpu(cache) == 1000

    assert cache.forget(waiting)

    assert requested_cpu(cache) == 0
    cache.validate()


def test_confirmation_counts_an_assumed_pod_once(cache: SchedulerCache) -> None:
    cache.assume(pod("a"), "n1")

    cache.add_pod(pod("a", on="n1"))

    assert requested_cpu(cache) == 1000
    assert cache.assumed_count == 0
    cache.validate()


def test_confirmation_gives_those_who_count_pods_nothing_to_count(cache: SchedulerCache) -> None:
    cache.assume(pod("a"), "n1")
    (state,) = cache.nodes()
    counted = list(state.pod_changes)

    cache.add_pod(pod("a", on="n1"))

    assert state.pod_changes == counted


def test_forget_after_confirmation_changes_nothing(cache: SchedulerCache) -> None:
    cache.assume(pod("a"), "n1")
    cache.add_pod(pod("a", on="n1"))

    assert not cache.forget(pod("a"))

    assert requested_cpu(cache) == 1000
    cache.validate()


def test_confirmation_on_another_node_moves_the_pod(cache: SchedulerCache) -> None:
    cache.add_node(node("n2"))
    cache.assume(pod("a"), "n1")

    cache.add_pod(pod("a", on="n2"))

    assert requested_cpu(cache, "n1") == 0
    assert requested_cpu(cache, "n2") == 1000
    cache.validate()


def test_a_pod_cannot_be_assumed_twice(cache: SchedulerCache) -> None:
    cache.assume(pod("a"), "n1")

    with pytest.raises(CacheError, match=r"default/a cannot be assumed on n1: it is on n1"):
        cache.assume(pod("a"), "n1")


def test_pods_known_before_their_node_count_once_it_comes(cache: SchedulerCache) -> None:
    cache.add_pod(pod("a", on="late"))
    assert cache.node_count == 1

    cache.add_node(node("late"))

    assert requested_cpu(cache, "late") == 1000
    cache.validate()


def test_a_removed_node_is_forgotten_with_its_last_pod(cache: SchedulerCache) -> None:
    cache.add_pod(pod("a", on="n1"))

    cache.remove_node("n1")
    assert cache.node_count == 0
    assert cache.pod_count == 1
    cache.validate()
    cache.remove_pod(pod("a", on="n1"))

    assert cache.pod_count == 0
    cache.validate()


def test_resize_changes_what_is_requested(cache: SchedulerCache) -> None:
    cache.add_pod(pod("a", on="n1"))

    cache.update_pod(pod("a", on="n1", cpu="2"))

    assert requested_cpu(cache) == 2000
    cache.validate()


def test_an_unreadable_quantity_affects_that_pod_alone() -> None:
    told: list[str] = []
    cache = SchedulerCache(on_malformed=lambda what, error: told.append(f"{what.name}: {error}"))
    cache.add_node(node())

    cache.add_pod(pod("bad", on="n1", cpu="one"))
    cache.add_pod(pod("good", on="n1"))

    assert requested_cpu(cache) == 1000
    assert cache.pod_count == 2
    assert told
    assert "one" in told[0]
    cache.validate()


def test_nothing_a_cycle_sees_changes_while_it_runs(cache: SchedulerCache) -> None:
    snapshot = Snapshot(cache)
    snapshot.refresh()
    seen = snapshot.nodes.node(0)
    cache.begin_cycle()

    cache.add_pod(pod("a", on="n1"))
    cache.add_pod(pod("b", on="n1"))
    cache.remove_node("n1")
    assert dict(seen.requested) == {}
    assert snapshot.nodes.requested("cpu").tolist() == [0]
    cache.end_cycle()
    snapshot.refresh()

    assert len(snapshot.nodes) == 0
    cache.validate()


def test_changes_after_a_cycle_reach_the_next_snapshot(cache: SchedulerCache) -> None:
    snapshot = Snapshot(cache)
    snapshot.refresh()
    cache.begin_cycle()
    cache.add_pod(pod("a", on="n1"))
    cache.end_cycle()
    cache.add_pod(pod("b", on="n1"))

    snapshot.refresh()

    assert snapshot.nodes.requested("cpu").tolist() == [2000]
    assert sorted(p.name for p in snapshot.nodes.node(0).pods.values()) == ["a", "b"]
