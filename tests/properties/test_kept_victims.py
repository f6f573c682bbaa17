"""What earlier dry runs found is what a fresh one finds, whatever happened in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.nodes import NodeInfo
from pyscheduler.framework.what_if import WhatIf
from pyscheduler.preemption import Evaluator
from pyscheduler.preemption.dry_run import DryRunResult
from pyscheduler.preemption.findings import UNKNOWN
from pyscheduler.testing import FakeInformer, PodBuilder, make_node, make_pod
from tests.unit.preemption.stage import Stage, make_budget, make_preemptor

NODES = 6
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "pod",
                "pod",
                "unpod",
                "relabel",
                "begin",
                "end",
                "nominate",
                "withdraw",
                "budget",
                "node",
                "try",
            ]
        ),
        st.integers(0, NODES - 1),
        st.integers(0, 3),
    ),
    min_size=6,
    max_size=40,
)
APPS = ("web", "db", "web", "")


class Forgetful(Evaluator):
    """Decides for each pod anew whom it may evict, so that nothing is kept."""

    def may_evict(self, node: NodeInfo, victim: Pod, preemptor: Pod) -> bool:
        return True


def _preemptor(variant: int) -> Pod:
    builder = make_preemptor(f"urgent-{variant}", cpu=("2", "4")[variant % 2], priority=50)
    if variant == 2:
        builder = builder.host_port(80)
    if variant == 3:
        builder = builder.label("app", "web").spread("zone")
    return builder.obj()


class Rig:
    """A stage with two evaluators, of which one keeps what it finds."""

    def __init__(self) -> None:
        nodes = [
            make_node(f"n{i}").capacity({"cpu": "4"}).label("zone", f"z{i % 2}").obj()
            for i in range(NODES)
        ]
        self.stage = Stage(nodes)
        self.plain = Forgetful(self.stage.handle, plugin="DefaultPreemption")
        self.budgets = cast(
            FakeInformer[PodDisruptionBudget],
            self.stage.handle.informers.of("poddisruptionbudgets.v1.policy", PodDisruptionBudget),
        )
        self.pods: dict[str, Pod] = {}
        self.extra = 0

    def step(self, action: str, i: int, variant: int) -> None:
        if action == "pod":
            name = f"p{len(self.pods)}-{i}-{variant}"
            builder = make_pod(name).node(f"n{i}").req({"cpu": ("1", "3")[variant % 2]})
            builder = builder.priority(10 * variant).label("app", APPS[variant])
            pod = (builder.host_port(80) if variant == 2 else builder).obj()
            if name not in self.pods:
                self.pods[name] = pod
                self.stage.add(pod)
        elif action == "node":
            self.extra += 1
            node = make_node(f"x{self.extra}").capacity({"cpu": "1"}).obj()
            self.stage.cache.add_node(node)
        elif action == "nominate":
            pod = make_pod(f"other-{i}").req({"cpu": "1"}).priority(40 + 10 * (variant % 2)).obj()
            self.stage.nominator.add(pod, node_name=f"n{(i + variant) % NODES}")
        elif action == "withdraw":
            self.stage.nominator.delete(make_pod(f"other-{i}").obj().uid)
        elif action == "budget":
            self.budgets.put(make_budget(APPS[i % 2], {"app": APPS[i % 2]}, allowed=variant % 3))
        elif self.pods:
            name = sorted(self.pods)[(i * 4 + variant) % len(self.pods)]
            known = self.pods[name]
            if action == "unpod":
                self.stage.remove(self.pods.pop(name))
            elif action in ("begin", "end"):
                builder = PodBuilder(known)
                begun = builder.started(f"2026-01-01T00:00:0{variant}Z")
                self.pods[name] = (begun if action == "begin" else builder.terminating()).obj()
                self.stage.add(self.pods[name])
            elif action == "relabel":
                changed = make_pod(name).uid(known.uid).node(known.node_name).req({"cpu": "1"})
                self.pods[name] = changed.priority(known.priority).label("app", "db").obj()
                self.stage.add(self.pods[name])

    async def found(self, evaluator: Evaluator, variant: int, offset: int) -> DryRunResult:
        pod = _preemptor(variant)
        state = await self.stage.state_of(pod)
        self.stage.rng.drawn = offset
        return await evaluator._dry_run(state, pod, np.arange(NODES))

    async def assert_alike(self, variant: int, offset: int) -> None:
        kept = await self.found(self.stage.evaluator, variant, offset)
        with pytest.MonkeyPatch.context() as patch:
            # every node is tried, whatever others it is like
            patch.setattr(self.stage.handle.what_ifs, "likeness", lambda *_: None)
            plain = await self.found(self.plain, variant, offset)
        assert kept.candidates == plain.candidates
        assert kept.statuses == plain.statuses


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_what_is_kept_of_dry_runs_is_what_a_fresh_one_finds(
    steps: list[tuple[str, int, int]],
) -> None:
    rig = Rig()

    async def run() -> None:
        for action, i, variant in steps:
            if action == "try":
                await rig.assert_alike(variant, i)
            else:
                rig.step(action, i, variant)
        for variant in range(4):
            await rig.assert_alike(variant, 0)

    asyncio.run(run())


def test_pods_of_one_class_share_what_was_found() -> None:
    rig = Rig()
    for i in range(NODES):
        rig.step("pod", i, 1)

    async def run() -> None:
        first = await rig.found(rig.stage.evaluator, 1, 0)
        again = await rig.found(rig.stage.evaluator, 1, 3)
        known = {candidate.node_name: candidate for candidate in first.candidates}
        assert len(known) == NODES
        assert all(known[candidate.node_name] is candidate for candidate in again.candidates)

    asyncio.run(run())


def test_a_nomination_to_a_node_is_heard_of() -> None:
    rig = Rig()
    for i in range(NODES):
        rig.step("pod", i, 1)

    async def run() -> None:
        await rig.assert_alike(1, 0)
        rig.step("nominate", 2, 1)
        await rig.assert_alike(1, 0)
        kept = await rig.found(rig.stage.evaluator, 1, 0)
        assert len(kept.candidates) == NODES - 1, "the nominated pod needs its node"
        rig.step("withdraw", 2, 1)
        await rig.assert_alike(1, 0)

    asyncio.run(run())


def test_a_node_where_nothing_helps_is_not_tried_again_for_what_its_pods_do() -> None:
    rig = Rig()
    for i in range(NODES):
        rig.step("pod", i, 1)
    other = make_pod("other").req({"cpu": "4"}).priority(100).obj()
    rig.stage.nominator.add(other, node_name="n2")
    known: list[int] = []

    async def run() -> None:
        await rig.assert_alike(1, 0)
        for name in ("p2-2-1", "p3-3-1"):
            rig.stage.add(PodBuilder(rig.pods[name]).terminating().obj())
        pod = _preemptor(1)
        findings = rig.stage.evaluator._known(await rig.stage.state_of(pod), pod, ())
        assert findings is not None
        known.extend(np.flatnonzero(findings.kinds == UNKNOWN).tolist())
        await rig.assert_alike(1, 0)

    asyncio.run(run())
    assert known == [3]


@contextmanager
def tries(rig: Rig) -> Iterator[list[str]]:
    """The names of the nodes of which copies are made."""
    tried: list[str] = []
    of = rig.stage.handle.what_ifs.of

    def noting(state: CycleState, pod: Pod, node_names: Sequence[str]) -> WhatIf:
        tried.extend(node_names)
        return of(state, pod, node_names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rig.stage.handle.what_ifs, "of", noting)
        yield tried


def test_of_nodes_that_are_alike_one_is_tried() -> None:
    rig = Rig()
    for i in range(NODES):
        rig.step("pod", i, 1)
    rig.step("pod", 4, 0)

    async def run() -> None:
        with tries(rig) as tried:
            await rig.found(rig.stage.evaluator, 1, 0)
            assert tried == ["n0", "n4"]
            rig.stage.remove(rig.pods["p4-4-1"])
            await rig.found(rig.stage.evaluator, 1, 0)
            assert len(tried) == 3, "no other node is like that"
            rig.stage.add(rig.pods["p4-4-1"])
            rig.stage.remove(rig.pods["p6-4-0"])
            await rig.found(rig.stage.evaluator, 1, 0)
            assert len(tried) == 3, "like the others again"
        await rig.assert_alike(1, 0)

    asyncio.run(run())


def test_what_was_tried_while_nominations_changed_tells_nothing_of_other_nodes() -> None:
    rig = Rig()
    for i in range(NODES):
        rig.step("pod", i, 1)

    async def run() -> None:
        what_ifs = rig.stage.handle.what_ifs

        async def meanwhile() -> None:
            rig.step("nominate", 0, 1)

        with tries(rig) as tried, pytest.MonkeyPatch.context() as patch:
            patch.setattr(what_ifs, "checkpoint", meanwhile)
            await rig.found(rig.stage.evaluator, 1, 0)
        assert sorted(tried) == [f"n{i}" for i in range(NODES)]
        await rig.assert_alike(1, 0)

    asyncio.run(run())
