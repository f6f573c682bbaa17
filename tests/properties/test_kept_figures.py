"""Scores by figures that are kept per node equal those of each node alone, whatever changed.

Pods come and go, nodes join, leave and shrink; amounts are next to those of which a hundredth is
whole, where rounding would show, small and beyond what floats hold.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.framework import CycleState
from pyscheduler.intree.registry import IN_TREE
from pyscheduler.testing import fake_handle, make_node, make_plugin, make_pod

NODES = 12
PLUGINS = ["NodeResourcesFit", "NodeResourcesBalancedAllocation"]

#: The largest amount of memory on a node: nothing of it is inexact, some, nearly all.
LARGEST = (10**12, 1 << 46, (1 << 63) - 1)


def _amount(rng: Random, largest: int) -> int:
    """Some amount next to so many hundredths of another."""
    whole = rng.choice((1, 100, 64 << 30, largest))
    return max(min(whole * rng.randrange(101) // 100 + rng.choice((-1, 0, 1)), largest), 1)


def _node(rng: Random, number: int, largest: int) -> Node:
    capacity = {"cpu": str(rng.randrange(1, 64)), "pods": "110"}
    if rng.random() < 0.95:
        capacity["memory"] = str(_amount(rng, largest))
    return make_node(f"n{number}").capacity(capacity).obj()


def _pod(rng: Random, number: int, largest: int, *, node: str = "") -> Pod:
    requests = {"cpu": f"{rng.randrange(1, 4000)}m", "memory": str(_amount(rng, largest))}
    if rng.random() < 0.2:
        del requests[rng.choice(("cpu", "memory"))]
    return make_pod(f"p{number}").uid(f"u{number}").req(requests).node(node).obj()


def _change(rng: Random, cache: SchedulerCache, bound: list[Pod], *, largest: int) -> None:
    number = rng.randrange(1 << 30)
    for _ in range(rng.choice((0, 1, 2, 40))):
        pod = _pod(rng, number, largest, node=f"n{rng.randrange(NODES)}")
        number += 1
        cache.add_pod(pod)
        bound.append(pod)
    if bound and rng.random() < 0.3:
        cache.remove_pod(bound.pop(rng.randrange(len(bound))))
    if rng.random() < 0.3:
        cache.add_node(_node(rng, rng.randrange(NODES), largest))
    if rng.random() < 0.2:
        cache.remove_node(f"n{rng.randrange(NODES)}")


@pytest.mark.parametrize("plugin", PLUGINS)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(LARGEST))
def test_kept_figures_give_what_each_node_gives(plugin: str, seed: int, largest: int) -> None:
    rng = Random(seed)
    cache = SchedulerCache()
    snapshot = Snapshot(cache)
    for number in range(NODES):
        cache.add_node(_node(rng, number, largest))
    scoring = make_plugin(IN_TREE[plugin], handle=fake_handle(snapshot))
    assert isinstance(scoring, fwk.PreScorePlugin)
    assert isinstance(scoring, fwk.ScorePlugin)
    bound: list[Pod] = []
    for number in range(12):
        _change(rng, cache, bound, largest=largest)
        snapshot.refresh()
        nodes, state, pod = snapshot.nodes, CycleState(), _pod(rng, number, largest)
        assert scoring.pre_score(state, pod, nodes) is None
        plain = [scoring.score(state, pod, nodes.node(row)) for row in range(nodes.n)]
        some = np.arange(0, nodes.n, 2)

        assert scoring.score_nodes(state, pod, nodes).tolist() == plain
        assert scoring.score_nodes(state, pod, nodes.select(some)).tolist() == plain[::2]
