"""Disruption budgets: which pods may leave without breaking one.

Called by: ``dry_run``. Source: kube-scheduler 1.37, ``framework/preemption/util.go``
FilterVictimsWithPDBViolation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.api.selectors import InvalidSelector, Selector, selector


class _Budget:
    """One budget as it is spent on the pods of one node."""

    __slots__ = ("disrupted", "left", "selector")

    def __init__(self, budget: PodDisruptionBudget, compiled: Selector) -> None:
        self.selector = compiled
        self.disrupted = budget.status.disrupted_pods
        self.left = budget.status.disruptions_allowed


def split_by_budgets(
    pods: Sequence[Pod], budgets: Iterable[PodDisruptionBudget]
) -> tuple[list[Pod], list[Pod]]:
    """Returns the pods whose leaving breaks a budget, and the others, both in the given order.

    Args:
        pods: in the order in which the budgets are spent on them, the most important first.
        budgets: as they are now; each is spent anew on every call.
    """
    by_namespace = _compiled(budgets, {pod.namespace for pod in pods})
    violating: list[Pod] = []
    others: list[Pod] = []
    for pod in pods:
        breaks = _breaks_one(pod, by_namespace.get(pod.namespace, ()))
        (violating if breaks else others).append(pod)
    return violating, others


def _breaks_one(pod: Pod, budgets: Iterable[_Budget]) -> bool:
    """Spends the budgets on ``pod`` up to the first that it exceeds."""
    if not pod.labels:
        return False
    for budget in budgets:
        if pod.name in budget.disrupted or not budget.selector.matches(pod.labels):
            continue
        budget.left -= 1
        if budget.left < 0:
            return True
    return False


def _compiled(
    budgets: Iterable[PodDisruptionBudget], namespaces: set[str]
) -> dict[str, list[_Budget]]:
    """The budgets that can match anything at all, by namespace."""
    found: dict[str, list[_Budget]] = {}
    for budget in budgets:
        namespace = budget.metadata.namespace
        if namespace not in namespaces:
            continue
        try:
            compiled = selector(budget.spec.selector)
        except InvalidSelector:
            continue  # as upstream: such a budget protects nobody
        if compiled.requirements:
            found.setdefault(namespace, []).append(_Budget(budget, compiled))
    return found
