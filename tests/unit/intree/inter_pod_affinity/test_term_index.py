"""Terms are found by the labels they name, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.meta import LabelSelector
from pyscheduler.intree.inter_pod_affinity.namespaces import Namespaces
from pyscheduler.intree.inter_pod_affinity.term_index import TermIndex
from pyscheduler.intree.inter_pod_affinity.terms import EXISTING, Kind, Term
from pyscheduler.testing import FakeInformers, PodBuilder, make_node, make_pod
from pyscheduler.testing.tables import node_table
from tests.unit.intree.inter_pod_affinity.cluster import HOST, expression

WEB = make_pod("web").label("app", "web").label("tier", "front")
MANY = [f"n{i}" for i in range(40)]


def _kept_out(pod: Pod, existing: Iterable[PodBuilder]) -> bool:
    nodes = node_table([make_node("n").obj()], [known.node("n").obj() for known in existing])
    index = TermIndex(Namespaces(FakeInformers()), kinds=list(Kind))
    return bool(index.matching(pod, nodes.tally(EXISTING)).apart)


@pytest.mark.parametrize(
    ("term", "means_web"),
    [
        pytest.param({"labels": {"app": "web"}}, True, id="one-value"),
        pytest.param({"labels": {"app": "db"}}, False, id="another-value"),
        pytest.param({"labels": {"app": "web", "tier": "front"}}, True, id="two-values"),
        pytest.param({"labels": {"app": "web", "tier": "back"}}, False, id="one-of-two"),
        pytest.param({"labels": {}}, True, id="everything"),
        pytest.param({"labels": expression("tier", "NotIn", ["back"])}, True, id="not-in"),
        pytest.param({"labels": expression("zone", "Exists")}, False, id="exists"),
        pytest.param({"labels": expression("app", "In", ["db", "web"])}, True, id="of-values"),
        pytest.param({"labels": expression("app", "In", [*MANY, "web"])}, True, id="of-very-many"),
        pytest.param({"labels": expression("app", "In", MANY)}, False, id="of-very-many-others"),
        pytest.param(
            {"labels": {"app": "web"}, "namespaces": [*MANY, "default"]}, True, id="of-many-spaces"
        ),
        pytest.param({"labels": {"app": "web"}, "namespaces": MANY}, False, id="of-other-spaces"),
        pytest.param(
            {"labels": {"app": "web"}, "namespace_selector": LabelSelector()}, True, id="of-any"
        ),
    ],
)
def test_a_term_is_found_by_whom_it_means(term: dict[str, object], means_web: bool) -> None:
    existing = make_pod("x").anti_affinity(HOST, **term)  # type: ignore[arg-type]  # a table's row

    assert _kept_out(WEB.obj(), [existing]) is means_web


def test_terms_that_name_other_labels_are_not_even_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apart = [
        make_pod(name).label("app", name).label("tier", "front").anti_affinity(HOST, {"app": name})
        for name in (*MANY, "web")
    ]
    looked_at: list[str] = []
    matches = Term.matches

    def spy(self: Term, pod: Pod, labels: Mapping[str, str]) -> bool:
        looked_at.append(self.topology_key)
        return matches(self, pod, labels)

    monkeypatch.setattr(Term, "matches", spy)

    assert _kept_out(WEB.obj(), apart)
    assert len(looked_at) == 1
