"""Soft constraints: the fewer pods in a node's domains, the better."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector
from pyscheduler.framework import SKIP, CycleState
from pyscheduler.intree.pod_topology_spread import PodTopologySpread
from pyscheduler.testing import PodBuilder, make_pod
from tests.unit.intree.pod_topology_spread.clusters import (
    HOSTNAME,
    SOFT,
    WEB,
    node_in,
    nodes_in,
    spread_over,
    web,
    webs,
)

DB = LabelSelector(match_labels=FrozenMap({"app": "db"}))
BY_ZONE = web().spread("zone", when_unsatisfiable=SOFT)
BY_NODE = web().spread(HOSTNAME, when_unsatisfiable=SOFT)
BY_BOTH = BY_ZONE.spread(HOSTNAME, when_unsatisfiable=SOFT)
TWO_ZONES = nodes_in({"a1": "a", "a2": "a", "b1": "b"})


def rounded(value: float) -> int:
    return math.floor(value + 0.5)


@pytest.mark.parametrize(
    ("running", "pod", "raw", "scores"),
    [
        pytest.param(
            [],
            BY_ZONE,
            {"a1": 0, "a2": 0, "b1": 0},
            {"a1": 100, "a2": 100, "b1": 100},
            id="empty-cluster",
        ),
        pytest.param(
            webs(a1=3, b1=1),
            BY_ZONE,
            {"a1": 4, "a2": 4, "b1": 1},  # 3 and 1 times ln(2 + 2)
            {"a1": 25, "a2": 25, "b1": 100},
            id="two-zones",
        ),
        pytest.param(
            webs(a1=3, b1=1),
            web().spread("zone", when_unsatisfiable=SOFT, max_skew=5),
            {"a1": 8, "a2": 8, "b1": 5},
            {"a1": 62, "a2": 62, "b1": 100},
            id="max-skew-waters-it-down",
        ),
        pytest.param(
            webs(a1=3, b1=1),
            BY_NODE,
            {"a1": 5, "a2": 0, "b1": 2},  # ln(3 + 2)
            {"a1": 0, "a2": 100, "b1": 60},
            id="by-hostname",
        ),
        pytest.param(
            webs(a1=2),
            web().spread("zone", when_unsatisfiable=SOFT).spread(HOSTNAME, when_unsatisfiable=SOFT),
            {"a1": rounded(2 * math.log(4) + 2 * math.log(5)), "a2": 3, "b1": 0},
            {"a1": 0, "a2": 50, "b1": 100},
            id="constraints-add-up",
        ),
        pytest.param(
            [
                *webs(b1=1),
                web("dying").terminating().node("a1").obj(),
                web("elsewhere").namespace("other").node("a1").obj(),
                make_pod("another").node("a1").obj(),
            ],
            BY_NODE,
            {"a1": 0, "a2": 0, "b1": 2},
            {"a1": 100, "a2": 100, "b1": 0},
            id="only-pods-that-belong-to-it-count",
        ),
    ],
)
def test_crowded_domains_cost_score(
    running: list[Pod], pod: PodBuilder, raw: dict[str, int], scores: dict[str, int]
) -> None:
    harness = spread_over(TWO_ZONES, running)

    assert harness.raw_score(pod.obj()) == raw
    assert harness.score(pod.obj()) == scores


def test_nodes_without_the_key_of_each_constraint_get_nothing() -> None:
    nodes = [*TWO_ZONES, node_in(None, "lost").obj()]
    pod = web().spread("zone", when_unsatisfiable=SOFT).spread(HOSTNAME, when_unsatisfiable=SOFT)

    scores = spread_over(nodes, webs(a1=1, lost=9)).score(pod.obj())

    assert scores == {"a1": 0, "a2": 66, "b1": 100, "lost": 0}


def test_without_any_node_to_rank_all_get_nothing() -> None:
    pod = web().spread("rack", when_unsatisfiable=SOFT).obj()

    assert spread_over(TWO_ZONES).score(pod) == {"a1": 0, "a2": 0, "b1": 0}


def ssd(zone: str, name: str) -> Node:
    return node_in(zone, name).label("disk", "ssd").obj()


def raw_scores(
    nodes: list[Node], running: list[Pod], pod: PodBuilder, feasible: list[str]
) -> dict[str, int]:
    """The raw scores of the feasible nodes, which alone PreScore is told of."""
    harness = spread_over(nodes, running)
    plugin, table = harness.plugin, harness.nodes
    assert isinstance(plugin, PodTopologySpread)
    rows = [row for row, name in enumerate(table.names) if name in feasible]
    some = table.select(np.array(rows, dtype=np.intp))
    state = CycleState()
    plugin.pre_filter(state, pod.obj(), table)
    assert plugin.pre_score(state, pod.obj(), some) is None
    scores = plugin.score_nodes(state, pod.obj(), some).tolist()
    assert scores == [plugin.score(state, pod.obj(), some.node(row)) for row in range(len(some))]
    return dict(zip(some.names, scores, strict=True))


def test_only_domains_of_feasible_nodes_are_counted_and_all_their_pods() -> None:
    """Zone c has no feasible node; what runs on a2, which is full, belongs to zone a."""
    nodes = nodes_in({"a1": "a", "a2": "a", "b1": "b", "c1": "c"})

    scores = raw_scores(nodes, webs(a1=1, a2=3, b1=1, c1=9), BY_ZONE, ["a1", "b1"])

    assert scores == {"a1": rounded(4 * math.log(4)), "b1": rounded(math.log(4))}


@pytest.mark.parametrize(
    ("policies", "pods_in_a"),
    [
        pytest.param({}, 1, id="affinity-is-honoured-by-default"),
        pytest.param({"node_affinity_policy": "Ignore"}, 4, id="affinity-ignored"),
    ],
)
def test_nodes_that_the_pod_does_not_select_count_as_the_policy_says(
    policies: dict[str, str], pods_in_a: int
) -> None:
    nodes = [ssd("a", "a1"), node_in("a", "a2").obj(), ssd("b", "b1")]
    pod = web().node_selector({"disk": "ssd"})
    pod = pod.spread("zone", when_unsatisfiable=SOFT, **policies)  # type: ignore[arg-type]

    scores = raw_scores(nodes, webs(a1=1, a2=3), pod, ["a1", "b1"])

    assert scores == {"a1": rounded(pods_in_a * math.log(4)), "b1": 0}


@pytest.mark.parametrize(
    ("policies", "pods_in_a"),
    [
        pytest.param({}, 4, id="taints-are-ignored-by-default"),
        pytest.param({"node_taints_policy": "Honor"}, 1, id="taints-honoured"),
    ],
)
def test_tainted_nodes_count_as_the_policy_says(policies: dict[str, str], pods_in_a: int) -> None:
    nodes = [*nodes_in({"a1": "a", "b1": "b"}), node_in("a", "a2").taint("dedicated").obj()]
    pod = web().spread("zone", when_unsatisfiable=SOFT, **policies)  # type: ignore[arg-type]

    scores = raw_scores(nodes, webs(a1=1, a2=3), pod, ["a1", "b1"])

    assert scores == {"a1": rounded(pods_in_a * math.log(4)), "b1": 0}


def test_the_pods_of_a_node_itself_count_whatever_the_policies_say() -> None:
    """A feasible node that the pod does not select, were NodeAffinity not asked."""
    nodes = nodes_in({"a1": "a", "b1": "b"})
    pod = BY_NODE.node_selector({"disk": "ssd"})

    scores = raw_scores(nodes, webs(a1=1), pod, ["a1", "b1"])

    assert scores == {"a1": rounded(math.log(4)), "b1": 0}


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(make_pod("p"), id="none"),
        pytest.param(web().spread("zone"), id="hard"),
    ],
)
def test_without_soft_constraints_score_is_skipped(pod: PodBuilder) -> None:
    harness = spread_over(TWO_ZONES)
    plugin = harness.plugin
    assert isinstance(plugin, PodTopologySpread)

    # also in a profile that has the plugin's Score alone, hence no state of its PreFilter
    for state in (harness.state(pod.obj()), CycleState()):
        assert plugin.pre_score(state, pod.obj(), harness.nodes) is SKIP


def test_it_scores_in_a_profile_that_has_nothing_else_of_it() -> None:
    harness = spread_over(TWO_ZONES, webs(b1=1))
    plugin, state = harness.plugin, CycleState()
    assert isinstance(plugin, PodTopologySpread)

    assert plugin.pre_score(state, BY_NODE.obj(), harness.nodes) is None
    assert plugin.score_nodes(state, BY_NODE.obj(), harness.nodes).tolist() == [0, 0, 2]


def test_an_empty_selector_counts_nobody() -> None:
    pod = web().spread("zone", when_unsatisfiable=SOFT, selector=type(WEB)())

    assert spread_over(TWO_ZONES, webs(a1=5)).score(pod.obj()) == {"a1": 100, "a2": 100, "b1": 100}


@pytest.mark.parametrize(
    ("pod", "affected"),
    [
        pytest.param(BY_BOTH, [0, 1], id="all-nodes-of-its-zone"),
        pytest.param(BY_ZONE, [], id="told-by-label"),
        pytest.param(BY_NODE, [0], id="its-node"),
        pytest.param(
            web().spread(HOSTNAME, when_unsatisfiable=SOFT).spread("zone"), [0], id="hard"
        ),
        pytest.param(
            make_pod("p").spread("zone", when_unsatisfiable=SOFT, selector=DB), [], id="none"
        ),
        pytest.param(BY_ZONE.node_selector({"zone": "a"}), None, id="counted-on-some-nodes"),
    ],
)
def test_who_scores_otherwise_once_a_pod_came(pod: PodBuilder, affected: list[int] | None) -> None:
    running = webs(b1=1)
    before, after = (spread_over(TWO_ZONES, pods) for pods in (running, [*running, *webs(a1=1)]))
    plugin, waiting, state = after.plugin, pod.obj(), CycleState()
    assert isinstance(plugin, PodTopologySpread)
    assert isinstance(before.plugin, PodTopologySpread)
    before.plugin.pre_score(state, waiting, before.nodes)

    rows = plugin.pre_score_again(state, waiting, after.nodes, [0])

    if rows is not None:
        scores = plugin.score_nodes(state, waiting, after.nodes)
        assert dict(zip(after.nodes.names, scores.tolist(), strict=True)) == after.raw_score(
            waiting
        )
    assert (None if rows is None else list(rows)) == affected


def test_scores_for_the_next_pod_leave_those_of_the_last_alone() -> None:
    before, after = spread_over(TWO_ZONES), spread_over(TWO_ZONES, webs(a1=1))
    plugin, pod, state = after.plugin, BY_BOTH.obj(), CycleState()
    assert isinstance(plugin, PodTopologySpread)
    assert isinstance(before.plugin, PodTopologySpread)
    before.plugin.pre_score(state, pod, before.nodes)
    copy = state.clone()

    plugin.pre_score_again(state, pod, after.nodes, [0])

    rows = plugin.pre_score_again(copy, pod, after.nodes, [0])
    assert rows is not None
    assert rows.tolist() == [0, 1]
