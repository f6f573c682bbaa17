"""Disruption budgets in one line: ``make_pdb("web").selector({"app": "web"}).allows(1).obj()``."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, ObjectMeta
from pyscheduler.api.policy_v1 import PodDisruptionBudget, PodDisruptionBudgetSpec


class BudgetBuilder:
    """Builds a `PodDisruptionBudget`; ``obj()`` gives it. Every method returns a new builder."""

    def __init__(self, budget: PodDisruptionBudget) -> None:
        self._budget = budget

    def obj(self) -> PodDisruptionBudget:
        """The budget."""
        return self._budget

    def namespace(self, namespace: str) -> BudgetBuilder:
        """In another namespace than ``default``."""
        metadata = replace(self._budget.metadata, namespace=namespace)
        return BudgetBuilder(replace(self._budget, metadata=metadata))

    def selector(self, labels: Mapping[str, str]) -> BudgetBuilder:
        """About the pods with these labels; about none unless said."""
        selector = LabelSelector(match_labels=FrozenMap(labels))
        return BudgetBuilder(replace(self._budget, spec=PodDisruptionBudgetSpec(selector=selector)))

    def allows(self, disruptions: int) -> BudgetBuilder:
        """So many of its pods may go right now; none unless said."""
        status = replace(self._budget.status, disruptions_allowed=disruptions)
        return BudgetBuilder(replace(self._budget, status=status))

    def disrupted(self, *pod_names: str) -> BudgetBuilder:
        """The evictions of these pods are counted already."""
        counted = FrozenMap(dict.fromkeys(pod_names, "2026-01-01T00:00:00Z"))
        status = replace(self._budget.status, disrupted_pods=counted)
        return BudgetBuilder(replace(self._budget, status=status))


def make_pdb(name: str) -> BudgetBuilder:
    """Starts a budget in namespace ``default`` that allows nothing."""
    metadata = ObjectMeta(name=name, namespace="default", uid=f"uid-default-{name}")
    return BudgetBuilder(PodDisruptionBudget(metadata=metadata))
