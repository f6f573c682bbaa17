"""Which nodes are near enough, and which are too near; in which order that is told."""

from __future__ import annotations

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.meta import LabelSelector
from pyscheduler.framework.status import Status
from pyscheduler.testing import PodBuilder, make_pod
from tests.unit.intree.inter_pod_affinity.cluster import (
    APART,
    EXISTING,
    HOST,
    NEAR,
    cluster,
    expression,
    namespace,
)

WEB, DB = make_pod("web").label("app", "web"), make_pod("db").label("app", "db")
POD = make_pod("p")
ALL = ["a1", "a2", "b1", "b2", "outside"]
TEAMS = {"red": {"team": "red"}, "blue": {"team": "blue"}}


@pytest.mark.parametrize(
    ("pod", "existing", "feasible"),
    [
        pytest.param(POD, [WEB.node("a1")], ALL, id="no-terms"),
        pytest.param(
            POD.affinity("zone", {"app": "web"}), [WEB.node("a1")], ["a1", "a2"], id="near"
        ),
        pytest.param(
            POD.affinity(HOST, {"app": "web"}), [WEB.node("a1")], ["a1"], id="near-by-host"
        ),
        pytest.param(
            POD.affinity("zone", {"app": "web"}),
            [WEB.node("outside")],
            [],
            id="near-one-that-is-in-no-domain",
        ),
        pytest.param(
            POD.anti_affinity("zone", {"app": "web"}),
            [WEB.node("a1")],
            ["b1", "b2", "outside"],
            id="apart",
        ),
        pytest.param(
            POD.anti_affinity(HOST, {"app": "web"}).anti_affinity("zone", {"app": "db"}),
            [WEB.node("a1"), DB.node("b1")],
            ["a2", "outside"],
            id="apart-from-any",
        ),
        pytest.param(
            WEB,
            [DB.node("b2").anti_affinity("zone", {"app": "web"})],
            ["a1", "a2", "outside"],
            id="kept-out",
        ),
        pytest.param(
            DB, [DB.node("b2").anti_affinity("zone", {"app": "web"})], ALL, id="others-kept-out"
        ),
        pytest.param(
            POD.affinity("zone", {"app": "web"}).affinity(HOST, {"tier": "x"}),
            [WEB.node("a1"), make_pod("x").label("tier", "x").node("a2")],
            [],
            id="no-single-pod-is-meant-by-all-terms",
        ),
        pytest.param(
            POD.affinity("zone", {"app": "web"}).affinity(HOST, {"tier": "x"}),
            [WEB.label("tier", "x").node("a1"), WEB.uid("w2").label("tier", "x").node("b2")],
            ["a1", "b2"],
            id="a-single-pod-is-meant-by-all-terms",
        ),
        pytest.param(
            POD.affinity("zone", None), [WEB.node("a1")], [], id="no-selector-means-nobody"
        ),
        pytest.param(
            POD.affinity("zone", {}), [WEB.node("b1")], ["b1", "b2"], id="empty-selector-means-all"
        ),
        pytest.param(
            POD.affinity("zone", {"app": "web"}),
            [WEB.node("a1").terminating()],
            ["a1", "a2"],
            id="one-that-is-being-deleted-counts",
        ),
    ],
)
def test_terms_decide_by_topology_domain(
    pod: PodBuilder, existing: list[PodBuilder], feasible: list[str]
) -> None:
    harness = cluster(*(known.obj() for known in existing))

    assert harness.feasible(pod.obj()) == feasible


@pytest.mark.parametrize(
    ("term", "feasible"),
    [
        pytest.param({}, ["a1"], id="own-namespace"),
        pytest.param({"namespaces": ["red"]}, ["a2"], id="listed"),
        pytest.param({"namespace_selector": LabelSelector()}, ["a1", "a2", "b1"], id="any"),
        pytest.param(
            {"namespace_selector": expression("team", "In", ["blue"])}, ["b1"], id="selected"
        ),
        pytest.param(
            {"namespaces": ["red"], "namespace_selector": expression("team", "In", ["blue"])},
            ["a2", "b1"],
            id="listed-or-selected",
        ),
        pytest.param(
            {"namespace_selector": expression("team", "DoesNotExist")},
            [],
            id="selected-among-the-known",
        ),
    ],
)
def test_own_terms_mean_pods_of_their_namespaces(
    term: dict[str, object], feasible: list[str]
) -> None:
    harness = cluster(
        WEB.node("a1").obj(),
        WEB.namespace("red").node("a2").obj(),
        WEB.namespace("blue").node("b1").obj(),
        namespaces=TEAMS,
    )

    assert harness.feasible(POD.affinity(HOST, {"app": "web"}, **term).obj()) == feasible  # type: ignore[arg-type]  # a table's row


@pytest.mark.parametrize(
    ("term", "kept_out"),
    [
        pytest.param({}, {"default"}, id="own-namespace"),
        pytest.param({"namespaces": ["red"]}, {"red"}, id="listed"),
        pytest.param(
            {"namespace_selector": LabelSelector()}, {"default", "red", "blue", "new"}, id="any"
        ),
        pytest.param(
            {"namespace_selector": expression("team", "NotIn", ["red"])},
            {"default", "blue", "new"},
            id="selected-or-unknown",
        ),
    ],
)
def test_terms_of_existing_pods_mean_pods_of_their_namespaces(
    term: dict[str, object], kept_out: set[str]
) -> None:
    alone = DB.node("a1").anti_affinity(HOST, {"app": "web"}, **term).obj()  # type: ignore[arg-type]  # a table's row
    harness = cluster(alone, namespaces=TEAMS)

    assert {
        name
        for name in ("default", "red", "blue", "new")
        if "a1" not in harness.feasible(WEB.namespace(name).obj())
    } == kept_out


def test_a_selected_namespace_is_selected_as_its_labels_are_now() -> None:
    harness = cluster(WEB.namespace("red").node("a1").obj(), namespaces={"red": {"team": "blue"}})
    pod = POD.affinity(HOST, {"app": "web"}, namespace_selector=expression("team", "In", ["red"]))
    assert harness.feasible(pod.obj()) == []

    harness.informers.of("namespaces.v1").put(namespace("red", {"team": "red"}))

    assert harness.feasible(pod.obj()) == ["a1"]


def test_the_first_pod_of_a_group_goes_anywhere_with_the_topology_keys() -> None:
    pod = WEB.affinity("zone", {"app": "web"}).affinity(HOST, {"app": "web"})

    assert cluster().feasible(pod.obj()) == ["a1", "a2", "b1", "b2"]


@pytest.mark.parametrize(
    ("pod", "existing"),
    [
        pytest.param(POD.affinity("zone", {"app": "web"}), [], id="not-of-the-group-itself"),
        pytest.param(
            WEB.affinity("zone", {"app": "web"}).affinity("rack", {"app": "web"}),
            [WEB.uid("w").node("a1")],
            id="not-the-first",
        ),
    ],
)
def test_any_other_pod_needs_one_to_be_near(pod: PodBuilder, existing: list[PodBuilder]) -> None:
    assert cluster(*(known.obj() for known in existing)).feasible(pod.obj()) == []


def test_a_group_member_that_is_in_no_domain_leaves_the_next_one_first() -> None:
    pod = WEB.affinity("zone", {"app": "web"}).obj()

    assert cluster(WEB.uid("w").node("outside").obj()).feasible(pod) == ["a1", "a2", "b1", "b2"]


def test_of_several_objections_the_first_is_told() -> None:
    pod = WEB.affinity("zone", {"app": "db"}).anti_affinity(HOST, {"app": "db"}).obj()
    harness = cluster(
        DB.node("a1").obj(),
        DB.uid("d2").node("b1").anti_affinity("zone", {"app": "web"}).obj(),
    )

    assert harness.filter(pod) == {
        "a1": fwk.unschedulable(APART),
        "a2": None,
        "b1": fwk.unschedulable(APART),
        "b2": fwk.unschedulable(EXISTING),
        "outside": fwk.unresolvable(NEAR),
    }


@pytest.mark.parametrize(
    ("pod", "existing"),
    [
        pytest.param(POD, [], id="nobody-has-terms"),
        pytest.param(POD, [DB.anti_affinity("zone", {"app": "web"}).node("a1")], id="not-meant"),
        pytest.param(
            WEB, [DB.anti_affinity("zone", {"app": "web"}).node("outside")], id="in-no-domain"
        ),
        pytest.param(WEB, [DB.affinity("zone", {"app": "web"}).node("a1")], id="affinity"),
        pytest.param(POD.affinity("zone", {"app": "web"}, weight=3), [], id="preferred"),
    ],
)
def test_a_pod_that_no_node_can_be_wrong_for_is_skipped(
    pod: PodBuilder, existing: list[PodBuilder]
) -> None:
    assert cluster(*(known.obj() for known in existing)).pre_filter(pod.obj()) is fwk.SKIP


# --- preemption ---


@pytest.mark.parametrize(
    ("pod", "existing", "gone", "expected"),
    [
        pytest.param(
            POD.anti_affinity("zone", {"app": "web"}), [WEB.node("a1")], ["web"], None, id="apart"
        ),
        pytest.param(
            POD.anti_affinity("zone", {"app": "web"}),
            [WEB.node("a1"), WEB.uid("w2").node("a2")],
            ["web"],
            fwk.unschedulable(APART),
            id="another-is-in-the-domain",
        ),
        pytest.param(
            WEB,
            [DB.anti_affinity("zone", {"app": "web"}).node("a1")],
            ["db"],
            None,
            id="kept-out",
        ),
        pytest.param(
            POD.affinity("zone", {"app": "web"}),
            [WEB.node("a1")],
            ["web"],
            fwk.unresolvable(NEAR),
            id="near",
        ),
        pytest.param(
            POD.label("app", "web").affinity("zone", {"app": "web"}),
            [WEB.node("a1")],
            ["web"],
            None,
            id="the-first-again",
        ),
    ],
)
def test_pods_that_leave_count_no_more(
    pod: PodBuilder, existing: list[PodBuilder], gone: list[str], expected: Status | None
) -> None:
    pods = [known.obj() for known in existing]
    harness = cluster(*pods)

    leaving = [known for known in pods if known.name in gone and known.spec.node_name == "a1"]
    assert harness.what_if(pod.obj(), "a1", remove=leaving) == expected


@pytest.mark.parametrize(
    ("pod", "guest", "expected"),
    [
        pytest.param(
            POD.anti_affinity("zone", {"app": "web"}), WEB, fwk.unschedulable(APART), id="apart"
        ),
        pytest.param(
            WEB.affinity("zone", {"app": "web"}),
            DB.anti_affinity(HOST, {"app": "web"}),
            fwk.unschedulable(EXISTING),
            id="kept-out",
        ),
        pytest.param(POD.affinity("zone", {"app": "web"}), WEB, None, id="near"),
    ],
)
def test_pods_that_come_count(pod: PodBuilder, guest: PodBuilder, expected: Status | None) -> None:
    asking: Pod = pod.obj()

    assert cluster().what_if(asking, "a1", add=[guest.uid("guest").obj()]) == expected
