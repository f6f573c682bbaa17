"""PodTopologySpread against the rule written down plainly, over random clusters.

`Cluster` counts and judges with loops over nodes and pods; the plugin must say the same in both
forms, also after pods came and went in a what-if.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod, TopologySpreadConstraint
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement
from pyscheduler.api.selectors import required_node_affinity, selector
from pyscheduler.api.taints import find_untolerated
from pyscheduler.framework import CycleState
from pyscheduler.intree.pod_topology_spread import PodTopologySpread
from pyscheduler.intree.pod_topology_spread.soft import normalized
from pyscheduler.testing import (
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
    snapshot_of,
)
from pyscheduler.testing.answers import Form, filter_rows

T = TypeVar("T")

HOSTNAME = "kubernetes.io/hostname"
MISSING = fwk.unresolvable(
    "node(s) didn't match pod topology spread constraints (missing required label)"
)
VIOLATED = fwk.unschedulable("node(s) didn't match pod topology spread constraints")
FORMS = (Form.PER_NODE, Form.WHOLE_CLUSTER)
SEEDS = st.integers(0, 2**32)


@dataclass(frozen=True)
class Cluster:
    """Nodes and the pods on them, judged by the rule as it is documented."""

    nodes: Sequence[Node]
    pods: Sequence[Pod]

    def counted(self, pod: Pod, constraint: TopologySpreadConstraint, node: Node) -> int:
        """The pods on ``node`` that the constraint is about."""
        if constraint.label_selector == LabelSelector() and not own_labels(constraint, pod):
            return 0
        return sum(
            other.node_name == node.name
            and other.metadata.namespace == pod.metadata.namespace
            and not other.is_terminating
            and selects(constraint, pod, other)
            for other in self.pods
        )

    def domains(
        self,
        pod: Pod,
        constraint: TopologySpreadConstraint,
        keys: Iterable[str],
    ) -> Counter[str]:
        """Pods by domain; nodes that do not count, or lack one of the keys, are in none."""
        found: Counter[str] = Counter()
        for node in self.nodes:
            if counts(pod, constraint, node) and all(key in node.labels for key in keys):
                value = node.labels.get(constraint.topology_key, "")
                found[value] += self.counted(pod, constraint, node)
        return found

    def verdict(self, pod: Pod, node: Node) -> fwk.Status | None:
        """What Filter says of ``node``."""
        hard = constraints_of(pod, "DoNotSchedule")
        for constraint in hard:
            if constraint.topology_key not in node.labels:
                return MISSING
            domains = self.domains(pod, constraint, [c.topology_key for c in hard])
            few = len(domains) < (constraint.min_domains or 1)
            least = 0 if few else min(domains.values())
            pods = domains.get(node.labels[constraint.topology_key], 0)
            if pods + selects(constraint, pod, pod) - least > constraint.max_skew:
                return VIOLATED
        return None

    def raw_scores(self, pod: Pod, feasible: Sequence[Node]) -> dict[str, int]:
        """The raw score of each feasible node; -1 for those that are left out."""
        soft = constraints_of(pod, "ScheduleAnyway")
        keys = [c.topology_key for c in soft]
        scored = [node for node in feasible if all(key in node.labels for key in keys)]
        totals: dict[str, float] = dict.fromkeys((node.name for node in scored), 0.0)
        for constraint in soft:
            key = constraint.topology_key
            sizes = len(scored) if key == HOSTNAME else len({node.labels[key] for node in scored})
            domains = self.domains(pod, constraint, keys)
            for node in scored:
                pods = domains[node.labels[key]]
                if key == HOSTNAME:
                    pods = self.counted(pod, constraint, node)
                totals[node.name] += pods * math.log(sizes + 2) + (constraint.max_skew - 1)
        return {
            node.name: math.floor(totals[node.name] + 0.5) if node.name in totals else -1
            for node in feasible
        }


def plainly_normalized(raw: Mapping[T, int]) -> dict[T, int]:
    """The scores in 0..100; -1 marks what is left out."""
    counted = [score for score in raw.values() if score != -1]
    most, fewest = max([0, *counted]), min(counted, default=0)

    def one(score: int) -> int:
        if score == -1:
            return 0
        return int(Fraction(100 * (most + fewest - score), most)) if most else 100

    return {key: one(score) for key, score in raw.items()}


def constraints_of(pod: Pod, action: str) -> list[TopologySpreadConstraint]:
    return [
        constraint
        for constraint in pod.spec.topology_spread_constraints
        if constraint.when_unsatisfiable == action
    ]


def own_labels(constraint: TopologySpreadConstraint, pod: Pod) -> dict[str, str]:
    return {key: pod.labels[key] for key in constraint.match_label_keys if key in pod.labels}


def selects(constraint: TopologySpreadConstraint, pod: Pod, other: Pod) -> bool:
    return selector(constraint.label_selector).matches(other.labels) and all(
        other.labels.get(key) == value for key, value in own_labels(constraint, pod).items()
    )


def counts(pod: Pod, constraint: TopologySpreadConstraint, node: Node) -> bool:
    if (constraint.node_affinity_policy or "Honor") == "Honor" and not required_node_affinity(
        pod
    ).matches(node.labels, node.name):
        return False
    honors_taints = constraint.node_taints_policy == "Honor"
    return not honors_taints or find_untolerated(node.taints, pod.spec.tolerations) is None


def random_node(rng: Random, i: int) -> Node:
    node = make_node(f"n{i}")
    if rng.random() < 0.85:
        node = node.label("zone", rng.choice(["a", "b", "c", ""]))
    if rng.random() < 0.8:
        node = node.label("rack", rng.choice("123456"))
    if rng.random() < 0.3:
        node = node.label("disk", rng.choice(["ssd", "hdd"]))
    if rng.random() < 0.3:
        node = node.taint("dedicated", effect=rng.choice(["NoSchedule", "PreferNoSchedule"]))
    return node.obj()


def random_pod(rng: Random, i: int, nodes: Sequence[Node]) -> Pod:
    pod = make_pod(f"p{i}").namespace(rng.choice(["default", "default", "other"]))
    pod = pod.label("app", rng.choice(["web", "web", "db"]))
    if rng.random() < 0.5:
        pod = pod.label("version", rng.choice("12"))
    if rng.random() < 0.15:
        pod = pod.terminating()
    return pod.node(rng.choice(nodes).name).obj()


SELECTORS = (
    LabelSelector(match_labels=FrozenMap({"app": "web"})),
    LabelSelector(match_expressions=(LabelSelectorRequirement("app", "NotIn", ("db",)),)),
    LabelSelector(match_expressions=(LabelSelectorRequirement("version", "Exists"),)),
    LabelSelector(),
    None,
)


def random_constraint(
    rng: Random, action: str, *, selectors: Sequence[LabelSelector | None] = SELECTORS
) -> TopologySpreadConstraint:
    return TopologySpreadConstraint(
        max_skew=rng.choice([1, 1, 1, 2, 3, 2**31 - 1]),
        topology_key=rng.choice(["zone", "zone", "rack", HOSTNAME]),
        when_unsatisfiable=action,
        label_selector=rng.choice(selectors),
        min_domains=rng.choice([None, None, 1, 2, 4, 9]) if action == "DoNotSchedule" else None,
        node_affinity_policy=rng.choice([None, "Honor", "Ignore"]),
        node_taints_policy=rng.choice([None, "Honor", "Ignore"]),
        match_label_keys=rng.choice([(), (), ("version",), ("absent", "version")]),
    )


def incoming_pod(rng: Random, constraints: Iterable[TopologySpreadConstraint]) -> Pod:
    pod = make_pod("incoming").label("app", rng.choice(["web", "db"]))
    if rng.random() < 0.5:
        pod = pod.label("version", rng.choice("12"))
    if rng.random() < 0.3:
        pod = pod.node_selector({"disk": "ssd"})
    if rng.random() < 0.3:
        pod = pod.required_affinity(("rack", "In", ["1", "2", "3"]), ("zone", "Exists", []))
    if rng.random() < 0.4:
        pod = pod.toleration("dedicated", operator="Exists")
    for constraint in constraints:
        pod = pod.spread_by(constraint)
    return pod.obj()


def random_cluster(rng: Random) -> Cluster:
    nodes = [random_node(rng, i) for i in range(rng.randint(1, 14))]
    return Cluster(nodes, [random_pod(rng, i, nodes) for i in range(rng.randint(0, 30))])


def plugin_over(cluster: Cluster) -> tuple[PodTopologySpread, fwk.NodeTable]:
    snapshot = snapshot_of(cluster.nodes, cluster.pods)
    plugin = make_plugin(PodTopologySpread, handle=fake_handle(snapshot))
    return plugin, snapshot.nodes


@settings(max_examples=120, deadline=None)
@given(SEEDS)
def test_filter_is_the_rule(seed: int) -> None:
    rng = Random(seed)
    cluster = random_cluster(rng)
    pod = incoming_pod(
        rng, [random_constraint(rng, "DoNotSchedule") for _ in range(rng.randint(1, 3))]
    )
    plugin, nodes = plugin_over(cluster)
    state = CycleState()
    expected = [cluster.verdict(pod, node) for node in cluster.nodes]

    assert plugin.pre_filter(state, pod, nodes) is None
    for form in FORMS:
        assert filter_rows(plugin, state, pod, nodes, form) == expected


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_a_what_if_is_judged_as_if_it_were_so(seed: int) -> None:
    rng = Random(seed)
    cluster = random_cluster(rng)
    # what no pod is counted for changes in a what-if all the same, as it does upstream
    constraints = [
        random_constraint(rng, "DoNotSchedule", selectors=SELECTORS[:3])
        for _ in range(rng.randint(1, 3))
    ]
    pod = incoming_pod(rng, constraints)
    plugin, nodes = plugin_over(cluster)
    state = CycleState()
    assert plugin.pre_filter(state, pod, nodes) is None
    row = rng.randrange(len(cluster.nodes))
    node = cluster.nodes[row]
    before = [cluster.verdict(pod, known) for known in cluster.nodes]
    own, now = state.clone(), list(cluster.pods)
    for step in range(rng.randint(1, 6)):
        there = [
            known for known in now if known.node_name == node.name and not known.is_terminating
        ]
        if there and rng.random() < 0.5:
            gone = rng.choice(there)
            now.remove(gone)
            plugin.remove_pod(own, pod, gone, nodes.node(row))
        else:
            guest = replace_node(random_pod(rng, 100 + step, cluster.nodes), node.name)
            now.append(guest)
            plugin.add_pod(own, pod, guest, nodes.node(row))
        changed = replace(cluster, pods=now)
        expected = [changed.verdict(pod, known) for known in cluster.nodes]
        for form in FORMS:
            # a what-if asks about its own row; the others are right all the same
            assert filter_rows(plugin, own, pod, nodes, form) == expected
    for form in FORMS:
        assert filter_rows(plugin, state, pod, nodes, form) == before


def replace_node(pod: Pod, node_name: str) -> Pod:
    labels = pod.labels
    guest = make_pod(pod.name).namespace(pod.metadata.namespace).node(node_name)
    for key, value in labels.items():
        guest = guest.label(key, value)
    return guest.obj()


@settings(max_examples=120, deadline=None)
@given(SEEDS)
def test_score_is_the_formula(seed: int) -> None:
    rng = Random(seed)
    cluster = random_cluster(rng)
    pod = incoming_pod(
        rng, [random_constraint(rng, "ScheduleAnyway") for _ in range(rng.randint(1, 3))]
    )
    plugin, nodes = plugin_over(cluster)
    rows = sorted(rng.sample(range(len(nodes)), rng.randint(1, len(nodes))))
    feasible = nodes.select(np.array(rows, dtype=np.intp))
    expected = cluster.raw_scores(pod, [cluster.nodes[row] for row in rows])
    state = CycleState()

    assert plugin.pre_filter(state, pod, nodes) is fwk.SKIP
    assert plugin.pre_score(state, pod, feasible) is None
    whole = plugin.score_nodes(state, pod, feasible)
    assert whole.tolist() == list(expected.values())
    assert whole.tolist() == [
        plugin.score(state, pod, feasible.node(row)) for row in range(len(feasible))
    ]
    everywhere = plugin.score_nodes(state, pod, nodes).tolist()
    assert everywhere == [plugin.score(state, pod, nodes.node(row)) for row in range(len(nodes))]
    by_label = plugin.score_by_label(state, pod, nodes)
    if by_label is not None:
        key, figures = by_label
        assert everywhere == figures[nodes.label_codes(key)[0]].tolist()
    assert plugin.normalize(state, pod, whole).tolist() == [*plainly_normalized(expected).values()]


@pytest.mark.parametrize("size", [1, 3, 500])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_scores_are_normalised_in_gos_arithmetic(size: int, data: st.DataObject) -> None:
    """Whatever raw scores there are: large, negative, all the same, all left out."""
    bounds = data.draw(st.sampled_from([(0, 3), (-1, 100), (-(10**6), 10**6), (0, 2**55)]))
    some = data.draw(st.lists(st.integers(*bounds), min_size=1, max_size=8))
    raw = [some[i % len(some)] for i in range(size)]

    scores = normalized(np.array(raw, dtype=np.int64)).tolist()

    assert scores == list(plainly_normalized(dict(enumerate(raw))).values())
