"""What is kept of pods that look for others, or avoid them, equals a fresh judgement.

Pods come, go and are relabelled on random nodes, mostly a few between two looks: then a class's
answers follow them instead of being made again. Now and then a node or a namespace changes.
"""

from __future__ import annotations

import asyncio
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pyscheduler.api.core_v1 import Namespace, Node, Pod
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.clock import FakeClock
from pyscheduler.intree.inter_pod_affinity import InterPodAffinity
from pyscheduler.intree.inter_pod_affinity.filtering import FilterState
from pyscheduler.intree.inter_pod_affinity.scoring import Weights
from pyscheduler.runtime import filtering, scoring
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.scoring import Scoring
from pyscheduler.testing import FakeInformers, fake_handle, make_plugin, make_pod
from pyscheduler.testing.profiles import profile_of
from tests.properties.kept_and_fresh import check_kept
from tests.properties.test_inter_pod_affinity import NAMESPACES, Drawn

#: Up to so many rows are judged by themselves: none, some, all.
FEW = (0, 2, 16)


class Rig:
    """The plugin over one cache, its answers kept."""

    def __init__(self, drawn: Drawn) -> None:
        self._drawn = drawn
        self._cache = SchedulerCache()
        self._snapshot = Snapshot(self._cache)
        self._informers = FakeInformers()
        handle = fake_handle(self._snapshot, informers=self._informers)
        plugin = make_plugin(InterPodAffinity, handle=handle)
        self._profile = profile_of(plugin, handle, scheduler_name="pyscheduler")
        budget = Budget(FakeClock())
        self._filtering = Filtering(self._profile, self._snapshot, budget)
        self._scoring = Scoring(self._profile, self._snapshot, budget)
        self._nodes: dict[str, Node] = {}
        self._pods: dict[str, Pod] = {}

    def happen(self) -> None:
        """Something happens, most often to a pod."""
        rng = self._drawn.rng
        chance = rng.random()
        if chance < 0.6 and self._nodes:
            self.put_pod(self._drawn.pod(odd=False))
        elif chance < 0.85 and self._pods:
            self._cache.remove_pod(self._pods.pop(rng.choice(sorted(self._pods))))
        elif chance < 0.95 or not self._nodes:
            self.put_node(self._drawn.node())
        elif chance < 0.97:
            gone = rng.choice(sorted(self._nodes))
            del self._nodes[gone]
            self._cache.remove_node(gone)
        else:
            meta = ObjectMeta(name=rng.choice(NAMESPACES), labels=FrozenMap(self._drawn.labels()))
            self._informers.of("namespaces.v1").put(Namespace(meta))

    def put_node(self, node: Node) -> None:
        """The node is there, or is like that now."""
        known = self._nodes.get(node.name)
        if known is None:
            self._cache.add_node(node)
        else:
            self._cache.update_node(known, node)
        self._nodes[node.name] = node

    def put_pod(self, pod: Pod) -> None:
        """The pod is on some node, or is like that now."""
        known = self._pods.get(pod.uid)
        name = self._drawn.rng.choice(sorted(self._nodes)) if known is None else known.node_name
        pod = replace(pod, spec=replace(pod.spec, node_name=name))
        if known is None:
            self._cache.add_pod(pod)
        else:
            self._cache.update_pod(pod)
        self._pods[pod.uid] = pod

    async def check(self, waiting: Pod) -> None:
        """What is kept of the pod's class equals what a fresh judgement gives."""
        # another pod of the class each time
        meta = replace(waiting.metadata, uid=f"uid-{self._drawn.rng.random()}")
        pod = replace(waiting, metadata=meta)
        self._snapshot.refresh()
        await check_kept(self._profile, self._filtering, self._scoring, pod)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.sampled_from(FEW))
def test_kept_answers_equal_fresh_ones(seed: int, few: int) -> None:
    async def play() -> None:
        drawn = Drawn(Random(seed))
        rig = Rig(drawn)
        for _ in range(5):
            rig.put_node(drawn.node())
        waiting = [drawn.pod(odd=False) for _ in range(3)]
        for _ in range(40):
            for _ in range(drawn.rng.randrange(3)):
                rig.happen()
            for pod in waiting:
                await rig.check(pod)

    with patch.object(filtering, "_FEW_ROWS", few), patch.object(scoring, "_FEW_ROWS", few):
        asyncio.run(play())


@pytest.mark.parametrize("state", [FilterState, Weights])
async def test_a_pod_that_comes_is_followed(state: type[FilterState] | type[Weights]) -> None:
    """Lest the comparison above compare fresh judgements with fresh ones."""
    drawn = Drawn(Random(1))
    rig = Rig(drawn)
    for _ in range(20):
        rig.put_node(drawn.node())
    waiting = make_pod("waiting").namespace("red").label("app", "a")
    waiting = waiting.anti_affinity("host", {"app": "a"}).affinity("zone", {}, weight=10)
    with patch.object(state, "follow", autospec=True, side_effect=state.follow) as follow:
        for i in range(4):
            rig.put_pod(make_pod(f"p{i}").namespace("red").label("app", "a").obj())
            await rig.check(waiting.obj())
    assert follow.call_count >= 2
