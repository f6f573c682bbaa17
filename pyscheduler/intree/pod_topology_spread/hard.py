"""Filter: hard constraints (``DoNotSchedule``).

A node fits if, for each hard constraint,

    pods in its domain + 1 if the pod is one of them - pods in the smallest domain <= maxSkew

Domains are those of nodes that have the keys of all hard constraints and that the node inclusion
policies let count. With fewer domains than ``minDomains`` the smallest is taken to have no pods. A
node without a key is rejected for good: nobody's leaving gives it a label.

`HardCounts` is what PreFilter leaves behind: the pods per domain of each constraint. It is counted
over all nodes, and shared by all rows; a what-if clones it and notes what came and went. For the
next pod of the class it follows the pods that came or went (`HardCounts.follow`); it is made again
when nodes, labels or taints have changed.

Source: kube-scheduler 1.37, ``plugins/podtopologyspread/filtering.go``; there, the two smallest
domains are kept in place of all, which comes to the same as long as a what-if changes one node.
Two of its habits are kept: in a what-if, pods that are being deleted count as they come and go, and
so do all pods of the namespace for an empty selector, though neither is counted in the first place.

Axes: N node rows of the table, V values of a topology key, one more entry as in ``domains``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.framework.status import BoolArray, Int64Array
from pyscheduler.intree.pod_topology_spread.constraints import Constraint
from pyscheduler.intree.pod_topology_spread.domains import (
    Domains,
    nodes_per_code,
    pods_per_code,
)
from pyscheduler.intree.pod_topology_spread.inclusion import (
    NodeInclusion,
    both,
    has_all_keys,
    nodes_with_other_keys,
)

#: node rows, ascending
Rows = npt.NDArray[np.intp]
_NO_ROWS: Rows = np.zeros(0, dtype=np.intp)

_VIOLATED = "node(s) didn't match pod topology spread constraints"
_MISSING = f"{_VIOLATED} (missing required label)"

#: What upstream takes for the smallest domain when there is none: the largest int32.
_NO_DOMAIN: Final = 2**31 - 1
#: More than any domain has.
_ABSENT: Final = np.iinfo(np.int64).max
#: Fewer than any domain has: a node without the label violates nothing, it is rejected otherwise.
_UNLABELLED: Final = np.iinfo(np.int64).min


class _Counted:
    """The pods per domain of one constraint, as they were counted. Never changes."""

    def __init__(
        self,
        constraint: Constraint,
        domains: Domains,
        *,
        is_domain: BoolArray,
        pods: Int64Array,
        is_kept: bool,
    ) -> None:
        """Judges the domains.

        Args:
            constraint: what was counted.
            domains: the values of its key.
            is_domain: (V,) bool: those that nodes that count have.
            pods: (V + 1,) int64: how many they have.
            is_kept: all nodes count, so that the cache keeps the pods per domain.
        """
        self.domains = domains
        self.is_domain = is_domain
        self.number = int(np.count_nonzero(is_domain))
        self.is_kept = is_kept
        self.pods: Int64Array = pods.copy()
        self.pods[-1] = _UNLABELLED
        #: (V + 1,) bool: the domains that the pod would make too large
        self.exceeds: BoolArray = self.pods > self.most(constraint, {})

    def most(self, constraint: Constraint, changes: Mapping[int, int]) -> int:
        """Pods that a domain may have for the pod to fit there.

        Args:
            constraint: what was counted.
            changes: code -> pods more (or fewer) than counted.
        """
        least = 0
        if self.number >= constraint.min_domains:
            least = self._least_but(changes) if changes else self._least()
            for code, difference in changes.items():
                least = min(least, self.pods.item(code) + difference)
        return constraint.max_skew + least - constraint.self_match

    def recounted(self, constraint: Constraint, nodes: fwk.NodeTable) -> _Counted:
        """The same domains with the pods that they have now."""
        pods = pods_per_code(constraint, nodes, among=None)
        return _Counted(
            constraint, self.domains, is_domain=self.is_domain, pods=pods, is_kept=self.is_kept
        )

    def _least(self) -> int:
        """Pods in the smallest domain."""
        return int(self.pods[:-1].min(initial=_NO_DOMAIN, where=self.is_domain))

    def _least_but(self, changed: Collection[int]) -> int:
        """Pods in the smallest domain whose code is not ``changed``."""
        for code in self._lowest:
            if code not in changed:
                return self.pods.item(code)
        others = self.is_domain.copy()
        others[list(changed)] = False
        return int(self.pods[:-1].min(initial=_NO_DOMAIN, where=others))

    @cached_property
    def _lowest(self) -> tuple[int, ...]:
        """Codes of the two smallest domains, or of as many as there are; for what-ifs."""
        pods = np.where(self.is_domain, self.pods[:-1], _ABSENT)
        first = int(pods.argmin()) if self.number else -1
        if self.number < 2:  # one or none
            return (first,) if self.number else ()
        pods[first] = _ABSENT
        return first, int(pods.argmin())


class HardCounts:
    """Pods per domain of each hard constraint, and what a what-if changed since."""

    __slots__ = ("_changes", "_constraints", "_counted", "_inclusion")

    def __init__(
        self,
        constraints: tuple[Constraint, ...],
        counted: tuple[_Counted, ...],
        inclusion: NodeInclusion,
    ) -> None:
        self._constraints = constraints
        self._counted = counted
        self._inclusion = inclusion
        #: per constraint, code -> pods more (or fewer) than counted
        self._changes: tuple[dict[int, int], ...] = tuple({} for _ in constraints)

    @classmethod
    def over(
        cls, nodes: fwk.NodeTable, constraints: tuple[Constraint, ...], inclusion: NodeInclusion
    ) -> HardCounts:
        """Counts the pods over ``nodes``, which must be all there are."""
        counted = []
        for constraint, mask in zip(constraints, inclusion.masks(constraints, nodes), strict=True):
            key = constraint.topology_key
            among = both(nodes_with_other_keys(nodes, constraints, than=key), mask)
            _, values = nodes.label_codes(key)
            in_domains = nodes_per_code(nodes, key, among=among)
            pods = pods_per_code(constraint, nodes, among=among)
            counted.append(
                _Counted(
                    constraint,
                    Domains(values),
                    is_domain=in_domains[:-1] > 0,
                    pods=pods,
                    is_kept=among is None,
                )
            )
        return cls(constraints, tuple(counted), inclusion)

    def clone(self) -> HardCounts:
        """A copy for a what-if; what was counted is shared."""
        copy = HardCounts(self._constraints, self._counted, self._inclusion)
        copy._changes = tuple(dict(changes) for changes in self._changes)
        return copy

    def follow(self, nodes: fwk.NodeTable) -> Rows | None:
        """Takes over that pods came or went on all ``nodes``.

        Returns:
            The rows that may be judged otherwise now; None when that cannot be told.
        """
        before = self._counted
        if not all(counted.is_kept for counted in before):
            return None
        self._counted = tuple(
            counted.recounted(constraint, nodes)
            for counted, constraint in zip(before, self._constraints, strict=True)
        )
        affected = None
        for constraint, was, now in zip(self._constraints, before, self._counted, strict=True):
            flipped = was.exceeds != now.exceeds
            if flipped.any():
                codes, _ = nodes.label_codes(constraint.topology_key)
                rows = flipped.take(codes)
                affected = rows if affected is None else affected | rows
        return _NO_ROWS if affected is None else np.flatnonzero(affected)

    def change(self, pod: Pod, node: Node, difference: int) -> None:
        """``pod`` comes to ``node`` (+1) or leaves it (-1)."""
        if not has_all_keys(self._constraints, node):
            return
        for index, constraint in enumerate(self._constraints):
            (term,) = constraint.pods.terms
            if term.matches(pod) and self._inclusion.includes(constraint, node):
                changes = self._changes[index]
                code = self._counted[index].domains.code(node.labels[constraint.topology_key])
                assert code >= 0, "a what-if changes nodes of the snapshot"
                changes[code] = changes.get(code, 0) + difference

    def judge(self, node: Node) -> fwk.Status | None:
        """None if ``node`` fits; else the first constraint that it misses decides."""
        for index, constraint in enumerate(self._constraints):
            value = node.labels.get(constraint.topology_key)
            if value is None:
                return fwk.unresolvable(_MISSING)
            counted = self._counted[index]
            code = counted.domains.code(value)
            pods = counted.pods.item(code) if code >= 0 else 0
            changes = self._changes[index]
            if pods + changes.get(code, 0) > counted.most(constraint, changes):
                return fwk.unschedulable(_VIOLATED)
        return None

    def judge_all(self, nodes: fwk.NodeTable) -> fwk.NodeVerdict:
        """The same for all nodes of ``nodes``."""
        missing = violated = None
        for index, constraint in enumerate(self._constraints):
            codes, _ = nodes.label_codes(constraint.topology_key)
            lacks = codes < 0
            exceeds = self._exceeds(index).take(codes)
            if missing is None or violated is None:
                missing, violated = lacks, exceeds
                continue
            passed = ~(missing | violated)
            missing |= lacks & passed
            violated |= exceeds & passed
        verdict = nodes.verdict()
        if missing is None or violated is None:
            return verdict
        return verdict.reject(missing, _MISSING, unresolvable=True).reject(violated, _VIOLATED)

    def _exceeds(self, index: int) -> BoolArray:
        """(V + 1,) bool: the domains that the pod would make too large, with what changed."""
        counted, changes = self._counted[index], self._changes[index]
        if not changes:
            return counted.exceeds
        pods = counted.pods.copy()
        for code, difference in changes.items():
            pods[code] += difference
        return pods > counted.most(self._constraints[index], changes)
