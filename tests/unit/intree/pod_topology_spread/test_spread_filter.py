"""Hard constraints: no domain may have too many pods more than the smallest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod, TopologySpreadConstraint
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement
from pyscheduler.framework import SKIP
from pyscheduler.intree.pod_topology_spread import PodTopologySpread
from pyscheduler.testing import PodBuilder, make_node, make_pod
from tests.unit.intree.pod_topology_spread.clusters import (
    HOSTNAME,
    MISSING,
    SOFT,
    VIOLATED,
    WEB,
    ZONES,
    node_in,
    nodes_in,
    spread_over,
    web,
    webs,
)

NODES = nodes_in(ZONES)
NO_B = {"b1", "b2", "lost"}
NO_A = {"a1", "a2", "lost"}


@pytest.mark.parametrize(
    ("running", "pod", "rejected"),
    [
        pytest.param([], web().spread("zone"), {"lost"}, id="empty-cluster"),
        pytest.param(webs(a1=1), web().spread("zone"), NO_A, id="one-zone-is-ahead"),
        pytest.param(webs(a1=1, b2=1), web().spread("zone"), {"lost"}, id="even"),
        pytest.param(webs(a1=2), web().spread("zone", max_skew=3), {"lost"}, id="within-max-skew"),
        pytest.param(webs(a1=3), web().spread("zone", max_skew=3), NO_A, id="max-skew-reached"),
        pytest.param(
            webs(a1=3), web().spread("zone", max_skew=2**31 - 1), {"lost"}, id="largest-max-skew"
        ),
        pytest.param(
            webs(a1=1), make_pod("p").spread("zone", selector=WEB), {"lost"}, id="not-one-of-them"
        ),
        pytest.param(
            webs(a1=2), make_pod("p").spread("zone", selector=WEB), NO_A, id="not-one-but-too-many"
        ),
        pytest.param(
            webs(a1=1, a2=1, b1=1), web().spread(HOSTNAME), {"a1", "a2", "b1"}, id="by-hostname"
        ),
        pytest.param(
            [web("q").terminating().node("a1").obj()],
            web().spread("zone"),
            {"lost"},
            id="being-deleted-does-not-count",
        ),
        pytest.param(
            [web("q").namespace("other").node("a1").obj()],
            web().spread("zone"),
            {"lost"},
            id="other-namespace-does-not-count",
        ),
        pytest.param(
            webs(lost=5), web().spread("zone"), {"lost"}, id="on-a-node-without-zone-does-not-count"
        ),
        pytest.param(
            webs(a1=5),
            web().spread("zone", selector=LabelSelector()),
            {"lost"},
            id="an-empty-selector-counts-nobody",
        ),
        pytest.param(
            webs(a1=5),
            web().spread_by(TopologySpreadConstraint(1, "zone", "DoNotSchedule")),
            {"lost"},
            id="no-selector-counts-nobody",
        ),
        pytest.param(
            webs(a1=1, b1=1, b2=1),
            web().spread("zone").spread(HOSTNAME),
            {"b1", "b2", "a1", "lost"},
            id="every-constraint-must-hold",
        ),
        pytest.param(
            webs(a1=1),
            web().spread("zone", min_domains=2),
            NO_A,
            id="as-many-domains-as-wanted",
        ),
        pytest.param(
            webs(a1=1, b1=1),
            web().spread("zone", min_domains=3),
            {"a1", "a2", "b1", "b2", "lost"},
            id="fewer-domains-than-wanted",
        ),
        pytest.param(
            webs(a1=1, b1=1),
            web().spread("zone", max_skew=2, min_domains=3),
            {"lost"},
            id="fewer-domains-than-wanted-within-max-skew",
        ),
    ],
)
def test_domains_fill_evenly(running: list[Pod], pod: PodBuilder, rejected: set[str]) -> None:
    answers = spread_over(NODES, running).filter(pod.obj())

    assert {name for name, status in answers.items() if status is not None} == rejected
    assert answers["lost"] == (MISSING if "lost" in rejected else None)
    assert all(answers[name] == VIOLATED for name in rejected - {"lost"})


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param(("zone", "rack"), VIOLATED, id="violated-before-missing"),
        pytest.param(("rack", "zone"), MISSING, id="missing-before-violated"),
    ],
)
def test_the_first_constraint_that_a_node_misses_decides(
    keys: tuple[str, ...], expected: fwk.Status
) -> None:
    # only nodes with both keys are counted; the crowded one of zone a is one of them
    racked = [
        make_node("full").label("zone", "a").label("rack", "1").obj(),
        make_node("free").label("zone", "b").label("rack", "2").obj(),
    ]
    harness = spread_over([*racked, node_in("a", "unracked").obj()], webs(full=1))
    pod = web()
    for key in keys:
        pod = pod.spread(key)

    assert harness.filter(pod.obj()) == {"full": VIOLATED, "free": None, "unracked": expected}


def ssd(zone: str, name: str) -> Node:
    return node_in(zone, name).label("disk", "ssd").obj()


def tainted(zone: str, name: str, effect: str = "NoSchedule") -> Node:
    return node_in(zone, name).taint("dedicated", effect=effect).obj()


@pytest.mark.parametrize(
    ("policies", "counts"),
    [
        pytest.param({}, False, id="affinity-is-honoured-by-default"),
        pytest.param({"node_affinity_policy": "Honor"}, False, id="affinity-honoured"),
        pytest.param({"node_affinity_policy": "Ignore"}, True, id="affinity-ignored"),
    ],
)
@pytest.mark.parametrize(
    "wish",
    [
        pytest.param(lambda pod: pod.node_selector({"disk": "ssd"}), id="selector"),
        pytest.param(lambda pod: pod.required_affinity(("disk", "In", ["ssd"])), id="affinity"),
        pytest.param(
            lambda pod: pod.required_affinity(fields=[("metadata.name", "NotIn", ["c"])]),
            id="names",
        ),
    ],
)
def test_nodes_that_the_pod_does_not_select_count_as_the_policy_says(
    policies: Mapping[str, str], counts: bool, wish: object
) -> None:
    """If the empty zone c counts, zones a and b are one pod ahead of it."""
    assert callable(wish)
    nodes = [ssd("a", "a"), ssd("b", "b"), node_in("c", "c").obj()]
    pod = wish(web()).spread("zone", **policies).obj()

    answers = spread_over(nodes, webs(a=1, b=1)).filter(pod)

    assert answers["a"] == answers["b"] == (VIOLATED if counts else None)
    # whether the pod may run there is another plugin's affair
    assert answers["c"] is None


@pytest.mark.parametrize(
    ("policies", "effect", "tolerates", "counts"),
    [
        pytest.param({}, "NoSchedule", False, True, id="taints-are-ignored-by-default"),
        pytest.param(
            {"node_taints_policy": "Ignore"}, "NoSchedule", False, True, id="taints-ignored"
        ),
        pytest.param(
            {"node_taints_policy": "Honor"}, "NoSchedule", False, False, id="taints-honoured"
        ),
        pytest.param({"node_taints_policy": "Honor"}, "NoExecute", False, False, id="no-execute"),
        pytest.param(
            {"node_taints_policy": "Honor"}, "PreferNoSchedule", False, True, id="soft-taint"
        ),
        pytest.param({"node_taints_policy": "Honor"}, "NoSchedule", True, True, id="tolerated"),
    ],
)
def test_tainted_nodes_count_as_the_policy_says(
    policies: Mapping[str, str], effect: str, tolerates: bool, counts: bool
) -> None:
    nodes = [*nodes_in({"a": "a", "b": "b"}), tainted("c", "c", effect)]
    pod = web().toleration("dedicated", operator="Exists") if tolerates else web()
    spread = pod.spread("zone", **policies).obj()  # type: ignore[arg-type]  # keyword names only

    answers = spread_over(nodes, webs(a=1, b=1)).filter(spread)

    assert answers["a"] == answers["b"] == (VIOLATED if counts else None)


def test_each_constraint_has_its_own_policies() -> None:
    """The tainted rack counts for racks, and its zone does not for zones."""
    rack = [node_in(zone, zone).label("rack", zone) for zone in ("a", "b")]
    nodes = [*(node.obj() for node in rack), node_in("c", "c").label("rack", "c").taint("t").obj()]
    pod = web().spread("zone", node_taints_policy="Honor").spread("rack", max_skew=2).obj()

    answers = spread_over(nodes, webs(a=1, b=1)).filter(pod)

    assert answers == {"a": None, "b": None, "c": None}
    crowded = spread_over(nodes, webs(a=2, b=1)).filter(pod)
    assert crowded == {"a": VIOLATED, "b": None, "c": None}


@pytest.mark.parametrize(
    ("version", "rejected"),
    [
        pytest.param("1", {"a1", "a2", "lost"}, id="same-version-counts"),
        pytest.param("2", {"lost"}, id="other-versions-do-not"),
        pytest.param(None, {"a1", "a2", "lost"}, id="a-key-that-the-pod-lacks-is-left-out"),
    ],
)
def test_match_label_keys_narrow_to_pods_like_this_one(
    version: str | None, rejected: set[str]
) -> None:
    running = [web("q").label("version", "1").node("a1").obj()]
    pod = web() if version is None else web().label("version", version)
    pod = pod.spread("zone", selector=WEB, match_label_keys=["version"])

    answers = spread_over(NODES, running).filter(pod.obj())

    assert {name for name, status in answers.items() if status} == rejected


def test_match_label_keys_are_the_same_whether_the_api_server_merged_them_or_not() -> None:
    versioned = LabelSelectorRequirement("version", "In", ("1",))
    merged = LabelSelector(match_labels=WEB.match_labels, match_expressions=(versioned,))
    pod = web().label("version", "1")
    harness = spread_over(NODES)

    one, other = (
        harness.sign(pod.spread("zone", selector=s, match_label_keys=["version"]).obj())
        for s in (WEB, merged)
    )

    answers = [
        spread_over(NODES, webs(a1=1)).filter(
            pod.spread("zone", selector=s, match_label_keys=["version"]).obj()
        )
        for s in (WEB, merged)
    ]
    assert answers[0] == answers[1]
    assert one is not None
    assert other is not None


def test_match_label_keys_mean_nothing_with_the_gate_off() -> None:
    harness = spread_over(NODES, webs(a1=1), features={"MatchLabelKeysInPodTopologySpread": False})
    pod = web().label("version", "1").spread("zone", selector=WEB, match_label_keys=["version"])

    assert harness.feasible(pod.obj()) == ["b1", "b2"]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(make_pod("p"), id="none"),
        pytest.param(web().spread("zone", when_unsatisfiable=SOFT), id="soft"),
    ],
)
def test_without_hard_constraints_filter_is_skipped(pod: PodBuilder) -> None:
    assert spread_over(NODES).pre_filter(pod.obj()) is SKIP


@pytest.mark.parametrize(
    ("add", "remove", "expected"),
    [
        pytest.param([], ["a1-0"], None, id="a-victim-makes-room"),
        pytest.param([], ["other"], VIOLATED, id="another-pod-does-not"),
        pytest.param([web("guest")], ["a1-0"], VIOLATED, id="a-guest-takes-it-again"),
        pytest.param([], ["dying"], None, id="one-that-is-being-deleted-counts-as-it-goes"),
    ],
)
def test_a_what_if_follows_pods(
    add: list[PodBuilder], remove: list[str], expected: fwk.Status | None
) -> None:
    running = [
        *webs(a1=1),
        make_pod("other").node("a1").obj(),
        web("dying").terminating().node("a1").obj(),
    ]
    by_name = {pod.name: pod for pod in running}
    harness = spread_over(NODES, running)

    assert (
        harness.what_if(
            web().spread("zone").obj(),
            "a1",
            add=[pod.node("a1").obj() for pod in add],
            remove=[by_name[name] for name in remove],
        )
        == expected
    )


def test_what_leaves_the_smallest_domain_makes_others_too_full() -> None:
    """Zones a and b have two pods each: with one gone from b, a is ahead."""
    running = webs(a1=2, b1=1, b2=1)
    harness = spread_over(NODES, running)
    plugin = harness.plugin
    assert isinstance(plugin, PodTopologySpread)
    pod = web().spread("zone").obj()
    state = harness.state(pod)

    plugin.remove_pod(state, pod, running[2], harness.nodes.node(2))

    verdicts = [plugin.filter(state, pod, harness.nodes.node(row)) for row in range(4)]
    assert verdicts == [VIOLATED, VIOLATED, None, None]


@pytest.mark.parametrize(
    ("pod", "problem"),
    [
        pytest.param(
            web().spread(
                "zone",
                selector=LabelSelector(
                    match_expressions=(LabelSelectorRequirement("app", "Near", ("web",)),)
                ),
            ),
            "spec.topologySpreadConstraints[0].labelSelector: key 'app': unknown operator 'Near'",
            id="operator",
        ),
        pytest.param(
            web().spread("zone").spread("zone", when_unsatisfiable="Wait"),
            "spec.topologySpreadConstraints[1].whenUnsatisfiable: unknown action 'Wait'",
            id="action",
        ),
        pytest.param(
            web().spread("zone", node_affinity_policy="Maybe"),
            "spec.topologySpreadConstraints[0].nodeAffinityPolicy: unknown policy 'Maybe'",
            id="affinity-policy",
        ),
        pytest.param(
            web().spread("zone", node_taints_policy="Maybe", when_unsatisfiable=SOFT),
            "spec.topologySpreadConstraints[0].nodeTaintsPolicy: unknown policy 'Maybe'",
            id="taints-policy-of-a-soft-constraint",
        ),
    ],
)
def test_what_nobody_understands_rejects_the_pod_alone(pod: PodBuilder, problem: str) -> None:
    harness = spread_over(NODES, webs(a1=1))

    assert harness.pre_filter(pod.obj()) == fwk.unresolvable(
        f"invalid topology spread constraint: {problem}"
    )
    assert harness.feasible(web("sound").spread("zone").obj()) == ["b1", "b2"]


@pytest.mark.parametrize("action", ["DoNotSchedule", SOFT])
def test_a_node_affinity_that_nobody_understands_rejects_the_pod(action: str) -> None:
    pod = web().required_affinity(("disk", "Near", ["ssd"]))

    assert spread_over(NODES).pre_filter(
        pod.spread("zone", when_unsatisfiable=action).obj()
    ) == fwk.unresolvable("invalid node affinity: key 'disk': unknown operator 'Near'")


def _rows_judged_again(spread: PodBuilder, *came: Pod) -> list[int] | None:
    """For the next pod of a class, once pods came to an even cluster."""
    zoned, running = NODES[:4], webs(a1=1, b2=1)
    before, after = (spread_over(zoned, pods) for pods in (running, [*running, *came]))
    pod, plugin = spread.obj(), after.plugin
    assert isinstance(plugin, PodTopologySpread)
    state = before.state(pod)
    where = [node.name for node in zoned]
    changed = sorted({where.index(pod.spec.node_name) for pod in came})
    rows = plugin.pre_filter_again(state, pod, after.nodes, changed)
    if rows is None:
        return None
    judged = [plugin.filter(state, pod, after.nodes.node(row)) for row in range(len(zoned))]
    assert judged == list(after.filter(pod).values())
    return list(map(int, rows))


def test_who_comes_changes_nothing_for_anybody_while_no_domain_is_full() -> None:
    assert _rows_judged_again(web().spread("zone", max_skew=2), *webs(a2=1)) == []


def test_all_nodes_of_a_domain_that_is_full_now_are_judged_again() -> None:
    assert _rows_judged_again(web().spread("zone"), *webs(a2=1)) == [0, 1]


def test_all_nodes_are_judged_again_when_the_smallest_domains_have_grown() -> None:
    uneven = web().spread("zone", max_skew=2)
    assert _rows_judged_again(uneven, *webs(a2=3, b1=1)) == [0, 1]
    assert _rows_judged_again(uneven, *webs(a2=3, b1=2)) == []


def test_a_domain_counts_for_each_constraint() -> None:
    both = web().spread("zone").spread(HOSTNAME, max_skew=2)
    assert _rows_judged_again(both, *webs(a2=1)) == [0, 1]


def test_counts_of_some_nodes_are_made_again() -> None:
    picky = web().node_selector({"zone": "a"}).spread("zone")
    assert _rows_judged_again(picky, *webs(a2=1)) is None


def test_no_node_is_judged_again_for_soft_constraints() -> None:
    harness, pod = spread_over(NODES), web().spread("zone", when_unsatisfiable=SOFT).obj()
    assert isinstance(harness.plugin, PodTopologySpread)
    rows = harness.plugin.pre_filter_again(harness.state(pod), pod, harness.nodes, [0])
    assert rows is not None
    assert not rows.size
