"""Totals that follow what changed equal those that are summed afresh, whoever may change them.

Zones fill up and have room again, so that many nodes become feasible or cease to be at once; and
pods that are spread change what every node of a zone scores.
"""

from __future__ import annotations

import asyncio
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.clock import FakeClock
from pyscheduler.runtime import filtering, scoring
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.scoring import Scoring
from pyscheduler.testing import PodBuilder, fake_handle, make_node, make_pod
from pyscheduler.testing.profiles import default_profile

ZONE, HOSTNAME, SOFT = "topology.kubernetes.io/zone", "kubernetes.io/hostname", "ScheduleAnyway"
NODES = 24

#: Up to so many rows are brought up to date one by one: none, some, the usual number.
FEW = (0, 3, 16)

_POD = make_pod("waiting").label("app", "web").req({"cpu": "300m"})
WAITING = {
    "soft": _POD.spread(ZONE, max_skew=2, when_unsatisfiable=SOFT),
    "soft by two keys": _POD.spread(ZONE, when_unsatisfiable=SOFT).spread(
        HOSTNAME, when_unsatisfiable=SOFT
    ),
    "hard": _POD.spread(ZONE),
    "hard and soft": _POD.spread(ZONE, max_skew=2).spread(HOSTNAME, when_unsatisfiable=SOFT),
    "rather near": _POD.affinity(ZONE, {"app": "web"}, weight=7),
    "rather apart": _POD.anti_affinity(HOSTNAME, {"app": "web"}, weight=3),
}


def _cluster(rng: Random, *, are_alike: bool) -> SchedulerCache:
    cache = SchedulerCache()
    for i in range(NODES):
        node = make_node(f"n{i}").label(ZONE, f"z{i % 3}").capacity({"cpu": "2", "pods": "10"})
        if not are_alike and rng.random() < 0.3:
            node = node.taint("slow", effect="PreferNoSchedule")
        if not are_alike and rng.random() < 0.2:
            node = node.taint("dedicated")
        cache.add_node(node.obj())
    return cache


async def _play(waiting: PodBuilder, rng: Random, *, are_alike: bool) -> None:
    cache = _cluster(rng, are_alike=are_alike)
    snapshot = Snapshot(cache)
    profile = default_profile(fake_handle(snapshot))
    budget = Budget(FakeClock())
    filter_, score = Filtering(profile, snapshot, budget), Scoring(profile, snapshot, budget)
    placed: list[Pod] = []
    for number in range(25):
        pod = waiting.uid(f"uid-{number}").obj()
        snapshot.refresh()
        kept = await filter_.evaluate(pod, profile.sign(pod))
        fresh = await filter_.judge_all(pod)
        for entry in (kept, fresh):
            if entry.feasible_count > 1:
                await score.score(entry, pod)
        n = fresh.n
        assert kept.feasible[:n].tolist() == fresh.feasible[:n].tolist()
        if fresh.feasible_count > 1:
            assert kept.totals.tolist() == fresh.totals.tolist()
            assert list(kept.ranking.best()) == list(fresh.ranking.best())
        for row in rng.sample(fresh.feasible_rows().tolist(), min(fresh.feasible_count, 1)):
            bound = waiting.uid(f"uid-{number}").node(f"n{row}").obj()
            cache.add_pod(bound)
            placed.append(bound)
        if placed and rng.random() < 0.2:
            cache.remove_pod(placed.pop(rng.randrange(len(placed))))


@pytest.mark.parametrize("waiting", [pytest.param(pod, id=name) for name, pod in WAITING.items()])
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from(FEW))
def test_kept_totals_equal_those_summed_afresh(
    waiting: PodBuilder, seed: int, are_alike: bool, few: int
) -> None:
    with patch.object(filtering, "_FEW_ROWS", few), patch.object(scoring, "_FEW_ROWS", few):
        asyncio.run(_play(waiting, Random(seed), are_alike=are_alike))
