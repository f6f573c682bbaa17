"""Terms that cannot be read reject their pod, and disturb nobody when it runs already."""

from __future__ import annotations

import pytest

from pyscheduler import framework as fwk
from pyscheduler.testing import PodBuilder, make_pod
from tests.unit.intree.inter_pod_affinity.cluster import HOST, cluster, expression

ODD = expression("app", "Near", ["web"])
NO_VALUES = expression("app", "In")
POD = make_pod("p").label("app", "web")
SAID = "key 'app': unknown operator 'Near'"


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        pytest.param(POD.affinity("zone", ODD), f"requiredAffinityTerms: {SAID}", id="affinity"),
        pytest.param(
            POD.anti_affinity("zone", ODD), f"requiredAntiAffinityTerms: {SAID}", id="anti-affinity"
        ),
        pytest.param(
            POD.affinity("zone", ODD, weight=1), f"preferredAffinityTerms: {SAID}", id="preferred"
        ),
        pytest.param(
            POD.anti_affinity("zone", ODD, weight=1),
            f"preferredAntiAffinityTerms: {SAID}",
            id="preferred-anti-affinity",
        ),
        pytest.param(
            POD.affinity("zone", {}, namespace_selector=ODD),
            f"requiredAffinityTerms: {SAID}",
            id="namespaces",
        ),
        pytest.param(
            POD.affinity("zone", NO_VALUES),
            "requiredAffinityTerms: key 'app': operator In needs values",
            id="without-values",
        ),
        pytest.param(
            POD.affinity("zone", ODD).anti_affinity("zone", ODD, weight=1),
            f"[requiredAffinityTerms: {SAID}, preferredAntiAffinityTerms: {SAID}]",
            id="two-kinds",
        ),
    ],
)
def test_a_pod_whose_terms_cannot_be_read_is_told_which_and_why(
    pod: PodBuilder, message: str
) -> None:
    expected = fwk.unresolvable(f"parsing pod: {message}")

    assert cluster().pre_filter(pod.obj()) == expected


def test_an_existing_pod_keeps_the_kinds_of_terms_that_can_be_read() -> None:
    existing = (
        make_pod("db")
        .anti_affinity(HOST, ODD)
        .anti_affinity(HOST, {"app": "web"})
        .anti_affinity(HOST, {"app": "web"}, weight=5)
        .affinity(HOST, {"app": "web"}, weight=50)
        .affinity(HOST, ODD, weight=50)
        .node("a1")
    )
    harness = cluster(existing.obj())

    assert harness.pre_filter(POD.obj()) is fwk.SKIP
    assert harness.raw_score(POD.obj())["a1"] == -5


def test_a_pod_with_empty_affinity_has_no_terms() -> None:
    plain = cluster().sign(make_pod("p").obj())
    term_less = make_pod("q").required_affinity(("zone", "Exists", [])).obj()

    assert cluster().sign(term_less) == plain == ()
