"""How much each node is preferred: weights of both sides, by topology domain."""

from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.testing import PodBuilder, make_node, make_pod
from tests.unit.intree.inter_pod_affinity.cluster import HOST, cluster

WEB, DB = make_pod("web").label("app", "web"), make_pod("db").label("app", "db")
POD = make_pod("p")
PREFERS_WEB = POD.affinity("zone", {"app": "web"}, weight=10)
LIKES_WEB = DB.affinity("zone", {"app": "web"}, weight=10).node("a1")
NEEDS_WEB = DB.affinity("zone", {"app": "web"}).node("b1")


@pytest.mark.parametrize(
    ("pod", "existing", "scores"),
    [
        pytest.param(
            PREFERS_WEB, [WEB.node("a1"), WEB.uid("w2").node("a2")], [20, 20, 0, 0, 0], id="near"
        ),
        pytest.param(
            POD.anti_affinity(HOST, {"app": "web"}, weight=10),
            [WEB.node("a1")],
            [-10, 0, 0, 0, 0],
            id="apart",
        ),
        pytest.param(
            PREFERS_WEB.anti_affinity(HOST, {"app": "web"}, weight=3),
            [WEB.node("a1")],
            [7, 10, 0, 0, 0],
            id="both",
        ),
        pytest.param(WEB, [LIKES_WEB], [10, 10, 0, 0, 0], id="others-prefer-it"),
        pytest.param(
            WEB,
            [DB.anti_affinity(HOST, {"app": "web"}, weight=4).node("a1")],
            [-4, 0, 0, 0, 0],
            id="others-avoid-it",
        ),
        pytest.param(WEB, [NEEDS_WEB], [0, 0, 1, 1, 0], id="others-require-it"),
        pytest.param(
            WEB.affinity("zone", {"app": "db"}, weight=100),
            [LIKES_WEB, NEEDS_WEB.uid("d2")],
            [110, 110, 101, 101, 0],
            id="both-sides",
        ),
    ],
)
def test_weights_add_up_by_domain(
    pod: PodBuilder, existing: list[PodBuilder], scores: list[int]
) -> None:
    harness = cluster(*(known.obj() for known in existing))

    assert list(harness.raw_score(pod.obj()).values()) == scores


@pytest.mark.parametrize(
    ("pod", "existing", "args"),
    [
        pytest.param(POD, [WEB.node("a1")], {}, id="nobody-has-terms"),
        pytest.param(PREFERS_WEB, [DB.node("a1")], {}, id="nobody-is-meant"),
        pytest.param(PREFERS_WEB, [WEB.node("outside")], {}, id="in-no-domain"),
        pytest.param(WEB, [NEEDS_WEB], {"hardPodAffinityWeight": 0}, id="required-weighs-nothing"),
        pytest.param(
            WEB,
            [LIKES_WEB, NEEDS_WEB.uid("d2")],
            {"ignorePreferredTermsOfExistingPods": True},
            id="others-are-ignored",
        ),
        pytest.param(
            WEB, [DB.anti_affinity("zone", {"app": "web"}).node("a1")], {}, id="anti-affinity"
        ),
    ],
)
def test_a_pod_about_which_nobody_says_anything_is_skipped(
    pod: PodBuilder, existing: list[PodBuilder], args: dict[str, Any]
) -> None:
    harness = cluster(*(known.obj() for known in existing), args=args)

    assert harness.raw_score(pod.obj()) == {}


def test_weights_that_cancel_out_do_not_skip_the_pod() -> None:
    pod = PREFERS_WEB.anti_affinity("zone", {"app": "web"}, weight=10).obj()

    assert cluster(WEB.node("a1").obj()).raw_score(pod) == dict.fromkeys(
        ("a1", "a2", "b1", "b2", "outside"), 0
    )


def test_who_prefers_something_itself_hears_the_others_though_they_are_to_be_ignored() -> None:
    pod = WEB.affinity(HOST, {"app": "db"}, weight=100).obj()
    harness = cluster(LIKES_WEB.obj(), args={"ignorePreferredTermsOfExistingPods": True})

    assert harness.raw_score(pod)["a2"] == 10


def test_required_affinity_of_others_weighs_what_the_arguments_say() -> None:
    harness = cluster(NEEDS_WEB.obj(), args={"hardPodAffinityWeight": 100})

    assert harness.raw_score(WEB.obj())["b1"] == 100


@pytest.mark.parametrize(
    ("existing", "scores"),
    [
        pytest.param([WEB.node("a1")], [100, 100, 0, 0, 0], id="stretched"),
        pytest.param(
            [WEB.node("a1"), *(WEB.uid(f"w{i}").node("b1") for i in range(3))],
            [33, 33, 100, 100, 0],
            id="cut-off",
        ),
    ],
)
def test_scores_are_stretched_from_0_to_100(existing: list[PodBuilder], scores: list[int]) -> None:
    harness = cluster(*(known.obj() for known in existing))

    assert list(harness.score(PREFERS_WEB.obj()).values()) == scores


def test_equal_scores_are_all_0() -> None:
    everywhere = [WEB.uid(node).node(node).obj() for node in ("a1", "a2", "b1", "b2", "outside")]
    pod = POD.affinity(HOST, {"app": "web"}, weight=50).obj()

    assert set(cluster(*everywhere).score(pod).values()) == {0}


@pytest.mark.parametrize(
    "args",
    [
        pytest.param({"hardPodAffinityWeight": -1}, id="too-small"),
        pytest.param({"hardPodAffinityWeight": 101}, id="too-large"),
    ],
)
def test_weights_outside_0_to_100_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="hardPodAffinityWeight"):
        cluster(args=args)


def test_a_key_by_which_all_nodes_are_one_domain_is_left_out() -> None:
    nodes = [make_node(name).label("zone", "a").label(HOST, name).obj() for name in ("n1", "n2")]
    with_web = cluster(WEB.node("n1").obj(), nodes=nodes)

    assert with_web.raw_score(PREFERS_WEB.obj()) == {}
    both = PREFERS_WEB.affinity(HOST, {"app": "web"}, weight=3)
    assert list(with_web.raw_score(both.obj()).values()) == [3, 0]
