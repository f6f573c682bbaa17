"""What is kept of pods that are spread equals a fresh judgement, whatever happens meanwhile.

Pods come, go, are relabelled and deleted, nodes move to other zones or are cordoned, services
appear: a class's answers are kept through all of it and brought up to date by what changed alone.
"""

from __future__ import annotations

import asyncio
from random import Random
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pyscheduler.api.core_v1 import Node, Pod, Service, ServiceSpec
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, ObjectMeta
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.clock import FakeClock
from pyscheduler.runtime import filtering, scoring
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.scoring import Scoring
from pyscheduler.testing import FakeInformers, PodBuilder, fake_handle, make_node, make_pod
from pyscheduler.testing.profiles import default_profile
from tests.properties.kept_and_fresh import check_kept

ZONE, HOSTNAME, SOFT = "topology.kubernetes.io/zone", "kubernetes.io/hostname", "ScheduleAnyway"
WEB = LabelSelector(match_labels=FrozenMap({"app": "web"}))

#: Up to so many rows are brought up to date one by one: none, some, all of the 16.
FEW = (0, 3, 16)

_POD = make_pod("waiting").label("app", "web")
WAITING = (
    _POD,
    _POD.spread(ZONE),
    _POD.spread(ZONE, node_taints_policy="Honor").spread(HOSTNAME, max_skew=2),
    _POD.node_selector({"disk": "ssd"}).spread(ZONE, min_domains=2),
    _POD.label("version", "1").spread(ZONE, selector=WEB, match_label_keys=["version"]),
    _POD.spread(ZONE, when_unsatisfiable=SOFT).spread(HOSTNAME, when_unsatisfiable=SOFT),
    _POD.spread(ZONE, max_skew=2).spread(
        "rack", when_unsatisfiable=SOFT, node_taints_policy="Honor"
    ),
    make_pod("waiting").spread(ZONE, selector=WEB).spread(ZONE, when_unsatisfiable=SOFT),
)


def _node(rng: Random, name: str) -> Node:
    node = make_node(name)
    if rng.random() < 0.8:
        node = node.label(ZONE, rng.choice("abc"))
    if rng.random() < 0.7:
        node = node.label("rack", rng.choice("123")).label("disk", rng.choice(["ssd", "hdd"]))
    if rng.random() < 0.2:
        node = node.taint("dedicated")
    return node.obj()


def _pod(rng: Random, name: str, node: str) -> Pod:
    pod = make_pod(name).label("app", rng.choice(["web", "web", "db"])).node(node)
    if rng.random() < 0.5:
        pod = pod.label("version", rng.choice("12"))
    if rng.random() < 0.2:
        pod = pod.terminating()
    return pod.obj()


class Rig:
    """The default plugins over one cache, their answers kept."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._cache = SchedulerCache()
        self._snapshot = Snapshot(self._cache)
        self._informers = FakeInformers()
        handle = fake_handle(self._snapshot, informers=self._informers)
        self._profile = default_profile(handle)
        budget = Budget(FakeClock())
        self._filtering = Filtering(self._profile, self._snapshot, budget)
        self._scoring = Scoring(self._profile, self._snapshot, budget)
        self._nodes: dict[str, Node] = {}
        self._pods: dict[str, Pod] = {}

    def happen(self) -> None:
        """Something happens."""
        rng = self._rng
        name = f"n{rng.randrange(16)}"
        chance = rng.random()
        if chance < 0.3:
            self._put_pod(f"p{rng.randrange(40)}", name)
        elif chance < 0.45 and self._pods:
            self._cache.remove_pod(self._pods.pop(rng.choice(sorted(self._pods))))
        elif chance < 0.65 or not self._nodes:
            self._put_node(_node(self._rng, name))
        elif chance < 0.85:
            node = self._nodes[rng.choice(sorted(self._nodes))]
            cordoned = replace(node.spec, unschedulable=not node.spec.unschedulable)
            self._put_node(replace(node, spec=cordoned))
        elif chance < 0.92:
            gone = rng.choice(sorted(self._nodes))
            del self._nodes[gone]
            self._cache.remove_node(gone)
        else:
            labels = rng.choice([{"app": "web"}, {"version": "1"}, {}])
            service = Service(
                ObjectMeta(name=rng.choice("ab"), namespace="default"),
                ServiceSpec(FrozenMap(labels)),
            )
            self._informers.of("services.v1").put(service)

    def _put_node(self, node: Node) -> None:
        known = self._nodes.get(node.name)
        if known is None:
            self._cache.add_node(node)
        else:
            self._cache.update_node(known, node)
        self._nodes[node.name] = node

    def _put_pod(self, name: str, node: str) -> None:
        known = self._pods.get(name)
        pod = _pod(self._rng, name, node if known is None else known.node_name)
        if known is None:
            self._cache.add_pod(pod)
        else:
            self._cache.update_pod(pod)
        self._pods[name] = pod

    async def check(self, waiting: PodBuilder) -> None:
        """What is kept of the pod's class equals what a fresh judgement gives."""
        # another pod of the class each time
        pod = waiting.uid(f"uid-{self._rng.random()}").obj()
        self._snapshot.refresh()
        await check_kept(self._profile, self._filtering, self._scoring, pod)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.sampled_from(FEW))
def test_kept_answers_equal_fresh_ones(seed: int, few: int) -> None:
    async def play() -> None:
        rng = Random(seed)
        rig = Rig(rng)
        for _ in range(40):
            rig.happen()
        some = rng.sample(WAITING, 2)
        for _ in range(20):
            for _ in range(rng.randrange(3)):
                rig.happen()
            for waiting in some:
                await rig.check(waiting)

    with patch.object(filtering, "_FEW_ROWS", few), patch.object(scoring, "_FEW_ROWS", few):
        asyncio.run(play())
