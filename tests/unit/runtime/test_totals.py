"""Totals are what weights make of scores, however large the weights are."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.clock import FakeClock
from pyscheduler.framework.status import Int64Array
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.class_cache import ClassEntry
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.scoring import Scoring
from pyscheduler.testing import fake_handle, make_node, make_pod
from pyscheduler.testing.profiles import profile_of

#: of the nodes, in their order
SCORES = [0, 1, 50, 99, 100, 100, 7, 3]
SMALL = make_pod("small").obj()
LARGE = make_pod("large").obj()


class Written(fwk.FilterPlugin, fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Scores nodes as it is written on them; large pods do not fit the last ones."""

    depends_on = (fwk.Aspect.LABELS,)

    def sign_pod(self, pod: Pod) -> tuple[str]:
        return (pod.name,)

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        is_last = np.arange(nodes.n) >= len(SCORES) - 2
        return nodes.verdict().reject(is_last & (pod.name == "large"), "too large")

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        codes, values = nodes.label_codes("score")
        return np.array([*map(int, values), 0], dtype=np.int64)[codes]


async def _scored(pod: Pod, *, weight: int) -> ClassEntry:
    cache = SchedulerCache()
    for number, score in enumerate(SCORES):
        cache.add_node(make_node(f"n{number}").label("score", str(score)).obj())
    snapshot = Snapshot(cache)
    snapshot.refresh()
    handle, budget = fake_handle(snapshot), Budget(FakeClock())
    profile = profile_of(Written(fwk.NoArgs(), handle), handle, scheduler_name="x")
    for hook in profile.scores:
        hook.weight = weight
    entry = await Filtering(profile, snapshot, budget).evaluate(pod, profile.sign(pod))
    await Scoring(profile, snapshot, budget).score(entry, pod)
    return entry


@pytest.mark.parametrize("weight", [1, 2, 327, 328, 2**31 - 1])
@pytest.mark.parametrize("pod", [SMALL, LARGE], ids=["all-fit", "some-fit"])
def test_no_weight_is_too_large(pod: Pod, weight: int) -> None:
    entry = asyncio.run(_scored(pod, weight=weight))

    fitting = len(SCORES) - 2 * (pod is LARGE)
    totals = [weight * score for score in SCORES[:fitting]]
    assert entry.totals[:fitting].tolist() == totals
    assert set(entry.totals[fitting:].tolist()) == {-1}
    assert list(entry.ranking.best()) == [4, 5]
