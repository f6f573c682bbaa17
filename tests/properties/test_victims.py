"""The lockstep dry run chooses whom a search node by node, pod by pod, would choose."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.preemption import Candidate, Victims
from pyscheduler.preemption.dry_run import NO_VICTIMS, DryRun, DryRunResult
from pyscheduler.preemption.findings import Findings, Rows
from pyscheduler.preemption.ranking import importance
from pyscheduler.testing import make_node, make_pod
from tests.unit.preemption.stage import Stage, make_budget, make_preemptor

NOW = 1_700_000_000.0
CPU, MEMORY, PODS = 4000, 8, 6


@dataclass(frozen=True)
class Given:
    """One pod on one node, in plain numbers."""

    node: int
    cpu: int
    memory: int
    priority: int
    port: int
    app: str
    age: int


givens = st.builds(
    Given,
    node=st.integers(0, 4),
    cpu=st.sampled_from([0, 500, 1000, 2000]),
    memory=st.integers(0, 4),
    priority=st.sampled_from([-5, 0, 0, 3, 50, 100]),
    port=st.sampled_from([0, 0, 0, 80]),
    app=st.sampled_from(["", "web", "db"]),
    age=st.integers(0, 3),
)


def build(given: Given, number: int) -> Pod:
    requests = {"cpu": f"{given.cpu}m", "memory": f"{given.memory}Gi"}
    built = make_pod(f"p{number:02}").node(f"n{given.node}").req(requests)
    built = built.priority(given.priority).started(f"2020-01-01T00:00:0{given.age}Z")
    built = built.host_port(given.port) if given.port else built
    return (built.label("app", given.app) if given.app else built).obj()


def build_node(number: int) -> Node:
    capacity = {"cpu": f"{CPU}m", "memory": f"{MEMORY}Gi", "pods": str(PODS)}
    return make_node(f"n{number}").capacity(capacity).obj()


class Plain:
    """The same decision by the definition alone, on plain numbers."""

    def __init__(self, wanted: Given, allowed: dict[str, int]) -> None:
        self.wanted = wanted
        self.allowed = allowed

    def fits(self, there: list[Given]) -> bool:
        there = [*there, self.wanted]
        ports = [one.port for one in there if one.port]
        return (
            sum(one.cpu for one in there) <= CPU
            # a node that has too many promised is no obstacle to who asks for none
            and (not self.wanted.memory or sum(one.memory for one in there) <= MEMORY)
            and len(there) <= PODS
            and (not self.wanted.port or ports.count(self.wanted.port) == 1)
        )

    def victims(self, there: list[Given]) -> tuple[list[Given], int] | None:
        """Who has to leave, the most important first, and how many against their budget."""
        lower = [one for one in there if one.priority < self.wanted.priority]
        kept = [one for one in there if one not in lower]
        if not lower or not self.fits(kept):
            return None
        lower.sort(key=lambda one: (-one.priority, one.age))
        left = dict(self.allowed)
        guarded: list[Given] = []
        free: list[Given] = []
        for one in lower:
            if one.app in left:
                left[one.app] -= 1
            (guarded if left.get(one.app, 0) < 0 else free).append(one)
        victims: list[Given] = []
        violations = 0
        for one in [*guarded, *free]:
            if self.fits([*kept, one]):
                kept.append(one)
            else:
                victims.append(one)
                violations += one in guarded
        victims.sort(key=lambda one: (-one.priority, one.age))
        return victims, violations


def rows_of(stage: Stage, names: Sequence[str]) -> Rows:
    rows = [stage.snapshot.nodes.row_of(name) for name in names]
    return np.array([row for row in rows if row is not None], dtype=np.intp)


async def dry_run(
    stage: Stage, wanted: Pod, names: list[str], budgets: Sequence[PodDisruptionBudget] = ()
) -> DryRunResult:
    run = DryRun(
        stage.handle.what_ifs,
        await stage.state_of(wanted),
        wanted,
        evictable=lambda node: [p for p in node.pods.values() if p.priority < wanted.priority],
        importance=lambda pod: importance(pod, now=NOW),
        budgets=budgets,
        nodes=stage.snapshot.nodes,
        findings=Findings(len(stage.snapshot.nodes)),
    )
    return await run.run(rows_of(stage, names), wanted=len(names))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    there=st.lists(givens, min_size=1, max_size=24, unique=True),
    cpu=st.sampled_from([1000, 2000, 4000]),
    memory=st.integers(0, 8),
    port=st.sampled_from([0, 80]),
    allowed=st.dictionaries(st.sampled_from(["web", "db"]), st.integers(0, 3)),
)
def test_victims_are_those_of_a_plain_search(
    there: list[Given], cpu: int, memory: int, port: int, allowed: dict[str, int]
) -> None:
    wanted = Given(-1, cpu, memory, 100, port, "", 0)
    by_node: dict[int, list[Given]] = {number: [] for number in range(5)}
    names: dict[str, Given] = {}
    pods = []
    for number, placed in enumerate(there):
        if len(by_node[placed.node]) < PODS:
            by_node[placed.node].append(placed)
            pods.append(build(placed, number))
            names[pods[-1].name] = placed
    built = make_preemptor(cpu=f"{cpu}m").req({"memory": f"{memory}Gi"})
    pod = (built.host_port(port) if port else built).obj()
    budgets = [make_budget(app, {"app": app}, allowed=n) for app, n in allowed.items()]
    plain = Plain(wanted, allowed)
    tried = [f"n{number}" for number, placed in by_node.items() if not plain.fits(placed)]

    result = asyncio.run(dry_run(Stage(map(build_node, by_node), pods), pod, tried, budgets))

    found = {candidate.node_name: candidate.victims for candidate in result.candidates}
    assert set(found) | set(result.statuses) == set(tried)
    for name in tried:
        expected = plain.victims(by_node[int(name[1:])])
        if expected is None:
            assert name in result.statuses
            continue
        victims = found[name]
        # equals may stand in any order: who they are in numbers is what counts
        key = attrgetter("priority", "age", "cpu", "memory", "port", "app")
        assert sorted((names[p.name] for p in victims.pods), key=key) == sorted(
            expected[0], key=key
        )
        assert victims.pdb_violations == expected[1]


def test_nothing_to_evict_is_the_same_answer_for_all_nodes() -> None:
    full = [Given(number, 4000, 0, 100, 0, "", 0) for number in range(3)]
    stage = Stage(map(build_node, range(3)), [build(g, n) for n, g in enumerate(full)])

    result = asyncio.run(dry_run(stage, make_preemptor(cpu="1").obj(), ["n2", "n0"]))

    assert result.statuses == {"n2": NO_VICTIMS, "n0": NO_VICTIMS}


def test_more_rows_than_a_chunk_holds_are_all_judged() -> None:
    nodes = [make_node(f"n{i:03}").capacity({"cpu": "4"}).obj() for i in range(150)]
    pods = [
        make_pod(f"p{i:03}").node(f"n{i:03}").req({"cpu": "4"}).priority(i % 7).obj()
        for i in range(150)
    ]

    names = [node.name for node in nodes]

    result = asyncio.run(dry_run(Stage(nodes, pods), make_preemptor(cpu="1").obj(), names))

    assert result.candidates == [Candidate(pod.node_name, Victims((pod,))) for pod in pods]
