"""Which pods may leave without breaking a disruption budget."""

from __future__ import annotations

import pytest

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.preemption import split_by_budgets
from pyscheduler.testing import make_pod
from tests.unit.preemption.stage import make_budget

WEB = [make_pod(f"web-{i}").label("app", "web").obj() for i in range(3)]


def split(pods: list[Pod], *budgets: PodDisruptionBudget) -> list[str]:
    """Names of the pods that break a budget."""
    violating, others = split_by_budgets(pods, budgets)
    assert [pod for pod in pods if pod in violating] == violating
    assert [pod for pod in pods if pod not in violating] == others
    return [pod.name for pod in violating]


def test_a_budget_is_spent_on_the_first_pods() -> None:
    assert split(WEB, make_budget("b", {"app": "web"}, allowed=2)) == ["web-2"]


def test_an_exhausted_budget_protects_all_its_pods() -> None:
    assert split(WEB, make_budget("b", {"app": "web"}, allowed=0)) == ["web-0", "web-1", "web-2"]


@pytest.mark.parametrize(
    "budget",
    [
        pytest.param(make_budget("b", {"app": "db"}, allowed=0), id="other labels"),
        pytest.param(make_budget("b", {"app": "web"}, namespace="x"), id="other namespace"),
        pytest.param(make_budget("b", {}, allowed=0), id="an empty selector matches nothing"),
        pytest.param(make_budget("b", None, allowed=0), id="no selector matches nothing"),
        pytest.param(
            make_budget(
                "b",
                LabelSelector(
                    match_expressions=(
                        _bad := LabelSelectorRequirement(
                            key="app", operator="Like", values=("web",)
                        ),
                    )
                ),
            ),
            id="a selector that cannot be read",
        ),
        pytest.param(
            make_budget("b", {"app": "web"}, disrupted=[pod.name for pod in WEB]),
            id="evictions that were admitted before",
        ),
    ],
)
def test_a_budget_that_protects_none_of_the_pods(budget: PodDisruptionBudget) -> None:
    assert split(WEB, budget) == []


def test_a_pod_without_labels_is_protected_by_nothing() -> None:
    everything = LabelSelector(
        match_expressions=(LabelSelectorRequirement(key="app", operator="DoesNotExist"),)
    )

    assert split([make_pod("bare").obj()], make_budget("b", everything, allowed=0)) == []


def test_a_pod_of_two_budgets_breaks_one() -> None:
    loose = make_budget("loose", {"app": "web"}, allowed=5)
    tight = make_budget("tight", {"app": "web"}, allowed=1)

    assert split(WEB, loose, tight) == ["web-1", "web-2"]


def test_a_pod_that_broke_one_budget_costs_the_next_nothing() -> None:
    first = make_pod("first").label("app", "web").label("tier", "x").obj()
    second = make_pod("second").label("tier", "x").obj()
    exhausted = make_budget("exhausted", {"app": "web"}, allowed=0)
    one_left = make_budget("one-left", {"tier": "x"}, allowed=1)

    assert split([first, second], exhausted, one_left) == ["first"]


def test_a_disrupted_pod_does_not_cost_its_budget_again() -> None:
    budget = make_budget("b", {"app": "web"}, allowed=1, disrupted=["web-0"])

    assert split(WEB, budget) == ["web-2"]


def test_budgets_are_spent_anew_for_each_node() -> None:
    budget = make_budget("b", {"app": "web"}, allowed=1)

    assert split(WEB[:1], budget) == []
    assert split(WEB[:1], budget) == []
    assert budget.metadata.labels == FrozenMap()
