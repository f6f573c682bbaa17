"""Kept answers equal fresh ones, and columns equal what the objects say, whatever happens."""

from __future__ import annotations

import asyncio
from random import Random
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.clock import FakeClock
from pyscheduler.runtime import filtering, scoring
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.class_cache import ClassEntry
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.scoring import Scoring
from pyscheduler.testing import fake_handle, make_node, make_pod
from pyscheduler.testing.profiles import default_profile

HOSTNAME = "kubernetes.io/hostname"
#: Up to so many rows are brought up to date one by one: none, some, all of the 12.
FEW = (0, 3, 16)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pod", "unpod", "node", "unnode", "label", "taint", "judge", "judge"]),
        st.integers(0, 11),
        st.integers(0, 3),
    ),
    min_size=5,
    max_size=60,
)


def _node(i: int, variant: int) -> Node:
    builder = make_node(f"n{i}").capacity(
        {"cpu": str(1 + i % 4), "memory": f"{2 + i % 3}Gi", "pods": str(3 + variant)}
    )
    builder = builder.label("disk", "ssd" if variant % 2 else "hdd")
    builder = builder.label("zone", f"z{i % 3}") if i != 5 else builder
    if variant == 2:
        builder = builder.taint("soft", effect="PreferNoSchedule")
    if variant == 3:
        builder = builder.taint("hard").image("app:1", size_bytes=500 << 20)
    return builder.obj()


def _pending(variant: int) -> Pod:
    builder = make_pod(f"waiting-{variant}").req({"cpu": "700m", "memory": "600Mi"}, image="app:1")
    if variant == 1:
        builder = builder.toleration(key="hard", operator="Exists")
    if variant == 2:
        builder = builder.node_selector({"disk": "ssd"})
    if variant == 3:
        builder = builder.host_port(8080).preferred_affinity(10, ("disk", "In", ["ssd"]))
    return builder.obj()


def _social(variant: int) -> Pod:
    """A pending pod to which it matters who else runs where."""
    builder = make_pod(f"social-{variant}").label("app", "web").req({"cpu": "300m"})
    if variant == 0:
        builder = builder.spread("zone")
    if variant == 1:
        builder = builder.spread("zone", when_unsatisfiable="ScheduleAnyway")
    if variant == 2:
        builder = builder.anti_affinity("zone", {"app": "db"})
        builder = builder.affinity("disk", {"app": "web"}, weight=7)
    if variant == 3:
        builder = builder.affinity("zone", {"app": "db"})
    if variant == 4:
        builder = builder.anti_affinity(HOSTNAME, {"app": "web"})
    if variant == 5:
        builder = builder.anti_affinity(HOSTNAME, {"app": "web"}, weight=3)
        builder = builder.affinity("zone", {"app": "db"}, weight=2)
    return builder.obj()


class Rig:
    """The default profile over one cache."""

    def __init__(self) -> None:
        self.cache = SchedulerCache()
        self.snapshot = Snapshot(self.cache)
        clock = FakeClock()
        handle = fake_handle(self.snapshot)
        self.profile = default_profile(handle)
        budget = Budget(clock)
        self.filtering = Filtering(self.profile, self.snapshot, budget)
        self.scoring = Scoring(self.profile, self.snapshot, budget)
        self.nodes: dict[str, Node] = {}
        self.pods: dict[str, Pod] = {}

    def step(self, action: str, i: int, variant: int) -> None:
        name = f"n{i}"
        if action == "node" or (action in ("label", "taint") and name not in self.nodes):
            node = _node(i, variant)
            if name in self.nodes:
                self.cache.update_node(self.nodes[name], node)
            else:
                self.cache.add_node(node)
            self.nodes[name] = node
        elif action in ("label", "taint"):
            node = _node(i, (variant + 1) % 4)
            self.cache.update_node(self.nodes[name], node)
            self.nodes[name] = node
        elif action == "unnode":
            self.cache.remove_node(name)
            self.nodes.pop(name, None)
        elif action == "pod":
            builder = make_pod(f"p{i}-{variant}").req({"cpu": "300m", "memory": "256Mi"})
            builder = builder.label("app", ("web", "db")[i % 2])
            if variant == 3:
                builder = builder.host_port(8080)
            if variant == 1 and i % 4 == 0:
                builder = builder.anti_affinity(HOSTNAME, {"app": "web"})
            if variant == 2 and i % 4 == 1:
                builder = builder.affinity("zone", {"app": "web"}, weight=30)
            pod = builder.node(name).obj()
            self.cache.add_pod(pod)
            self.pods[pod.uid] = pod
        elif self.pods:
            uid = sorted(self.pods)[(i * 4 + variant) % len(self.pods)]
            self.cache.remove_pod(self.pods.pop(uid))

    async def judge(self, pod: Pod) -> tuple[ClassEntry, ClassEntry]:
        self.snapshot.refresh()
        kept = await self.filtering.evaluate(pod, self.profile.sign(pod))
        fresh = await self.filtering.judge_all(pod)
        for entry in (kept, fresh):
            if entry.feasible_count > 1:
                await self.scoring.score(entry, pod)
        return kept, fresh


def _assert_alike(rig: Rig, kept: ClassEntry, fresh: ClassEntry) -> None:
    n = fresh.n
    assert kept.feasible[:n].tolist() == fresh.feasible[:n].tolist()
    assert kept.feasible_count == fresh.feasible_count
    assert (
        rig.filtering.diagnose(kept).message == rig.filtering.diagnose(fresh).message
        or kept.feasible_count
    )
    if kept.feasible_count > 1:
        assert kept.totals[:n].tolist() == fresh.totals[:n].tolist()
        assert rig.filtering.differing_plugins(kept, fresh) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.sampled_from(FEW))
def test_kept_answers_equal_fresh_ones(steps: list[tuple[str, int, int]], few: int) -> None:
    async def play() -> None:
        rig = Rig()
        for i in range(6):
            rig.step("node", i, i % 4)
        for action, i, variant in steps:
            if action != "judge":
                rig.step(action, i, variant)
                continue
            for pod in (_pending(variant), *map(_social, range(6))):
                _assert_alike(rig, *await rig.judge(pod))

    with patch.object(filtering, "_FEW_ROWS", few), patch.object(scoring, "_FEW_ROWS", few):
        asyncio.run(play())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.integers(0, 2**32))
def test_columns_equal_what_the_objects_say(steps: list[tuple[str, int, int]], seed: int) -> None:
    rig, rng = Rig(), Random(seed)
    for action, i, variant in steps:
        if action == "judge":
            rig.snapshot.refresh()
        else:
            rig.step(action, i, variant)
        if rng.random() < 0.3:
            rig.cache.begin_cycle()
        elif rng.random() < 0.5:
            rig.cache.end_cycle()
        rig.cache.validate()
    rig.cache.end_cycle()
    rig.snapshot.refresh()
    nodes = rig.snapshot.nodes

    assert sorted(nodes.names) == sorted(rig.nodes)
    for row, name in enumerate(nodes.names):
        state = nodes.node(row)
        on_node = [p for p in rig.pods.values() if p.node_name == name]
        assert nodes.pod_count[row] == len(on_node) == len(state.pods)
        assert nodes.requested("cpu")[row] == 300 * len(on_node)
        assert nodes.allocatable("cpu")[row] == state.allocatable["cpu"]
        assert nodes.taint_sets[nodes.taint_set[row]] == tuple(rig.nodes[name].spec.taints)
        codes, values = nodes.label_codes("disk")
        assert values[codes[row]] == rig.nodes[name].labels["disk"]
    assert np.array_equal(
        nodes.max_pods, [int(rig.nodes[n].status.allocatable["pods"]) for n in nodes.names]
    )
