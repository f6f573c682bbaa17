"""Which pods are one class: those that ask the same and that the same terms of others mean."""

from __future__ import annotations

import pytest

from pyscheduler.api.core_v1 import Pod
from pyscheduler.testing import PluginHarness, PodBuilder, make_pod
from tests.unit.intree.inter_pod_affinity.cluster import HOST, cluster, expression, namespace

POD_NAME = "statefulset.kubernetes.io/pod-name"
WEB = make_pod("web").label("app", "web")
APART = WEB.anti_affinity(HOST, {"app": "web"})
LONER = make_pod("loner").anti_affinity("zone", {"app": "web"}).node("a1")
FRIEND = make_pod("friend").affinity("zone", {"app": "web"}, weight=1).node("a1")


def _of_set(number: int) -> Pod:
    """A pod of a StatefulSet whose pods keep away from each other."""
    return APART.uid(f"web-{number}").label(POD_NAME, f"web-{number}").obj()


def _classes(harness: PluginHarness, *pods: Pod) -> int:
    return len({harness.sign(pod) for pod in pods})


@pytest.mark.parametrize(
    ("existing", "classes"),
    [
        pytest.param([], 1, id="nobody"),
        pytest.param([APART.uid("w").node("a1")], 1, id="one-of-them"),
        pytest.param([LONER], 1, id="a-term-that-means-them-all"),
        pytest.param(
            [make_pod("x").anti_affinity(HOST, {POD_NAME: "web-1"}).node("a1")],
            2,
            id="a-term-that-means-one-of-them",
        ),
    ],
)
def test_pods_of_a_stateful_set_are_one_class_until_a_term_tells_them_apart(
    existing: list[PodBuilder], classes: int
) -> None:
    harness = cluster(*(known.obj() for known in existing))

    assert _classes(harness, _of_set(0), _of_set(1), _of_set(2)) == classes


@pytest.mark.parametrize(
    ("pods", "existing"),
    [
        pytest.param([WEB, make_pod("db")], [LONER], id="kept-out-or-not"),
        pytest.param([WEB, make_pod("db")], [FRIEND], id="preferred-or-not"),
        pytest.param([WEB, APART], [], id="with-and-without-terms"),
        pytest.param([APART, APART.namespace("other")], [], id="terms-of-other-namespaces"),
        pytest.param(
            [WEB.affinity("zone", {"app": "web"}), make_pod("x").affinity("zone", {"app": "web"})],
            [],
            id="first-of-its-group-or-not",
        ),
        pytest.param(
            [WEB.affinity("zone", {"app": "x"}), WEB.affinity("zone", {"app": "x"}, weight=1)],
            [],
            id="required-or-preferred",
        ),
        pytest.param(
            [WEB.affinity("zone", expression("a", "Near"), weight=1), APART.affinity("zone", None)],
            [],
            id="readable-or-not",
        ),
    ],
)
def test_pods_that_may_be_answered_differently_are_of_different_classes(
    pods: list[PodBuilder], existing: list[PodBuilder]
) -> None:
    harness = cluster(*(known.obj() for known in existing))

    assert _classes(harness, *(pod.obj() for pod in pods)) == len(pods)


def test_a_pod_without_terms_that_nobody_means_is_of_no_concern() -> None:
    harness = cluster(LONER.obj(), FRIEND.obj())

    assert harness.sign(make_pod("db").label("app", "db").obj()) == ()


def test_preferences_that_are_ignored_make_no_class() -> None:
    harness = cluster(FRIEND.obj(), args={"ignorePreferredTermsOfExistingPods": True})

    assert harness.sign(WEB.obj()) == ()


def test_a_namespace_that_comes_to_be_selected_changes_the_class() -> None:
    selected = expression("team", "In", ["red"])
    pod = WEB.anti_affinity(HOST, {"app": "web"}, namespace_selector=selected).obj()
    harness = cluster(namespaces={"shop": {"team": "blue"}})
    before = harness.sign(pod)

    harness.informers.of("namespaces.v1").put(namespace("shop", {"team": "red"}))
    after = harness.sign(pod)

    assert after != before
    harness.informers.of("namespaces.v1").remove("shop")
    assert harness.sign(pod) == before


def test_labels_of_the_own_namespace_decide_which_terms_mean_the_pod() -> None:
    selected = expression("team", "In", ["red"])
    loner = make_pod("x").anti_affinity(HOST, {"app": "web"}, namespace_selector=selected)
    harness = cluster(loner.node("a1").obj(), namespaces={"default": {"team": "blue"}})
    assert harness.sign(WEB.obj()) == ()

    harness.informers.of("namespaces.v1").put(namespace("default", {"team": "red"}))

    assert harness.sign(WEB.obj()) != ()


def test_pods_that_a_promised_pod_would_keep_out_are_a_class_of_their_own() -> None:
    """What-ifs with promised pods are kept per class, and these have terms that nobody runs yet."""
    harness = cluster()
    apart = [
        make_pod(name).label("app", name).anti_affinity(HOST, {"tier": "x"}).priority(1).obj()
        for name in ("web", "db")
    ]
    assert _classes(harness, *apart) == 1
    promised = make_pod("loner").anti_affinity(HOST, {"app": "web"})

    harness.nominator.add(promised.uid("lower").priority(0).obj(), node_name="a1")
    assert _classes(harness, *apart) == 1
    harness.nominator.add(promised.priority(1).obj(), node_name="a1")

    assert _classes(harness, *apart) == 2
