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

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
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
    nodes_in,
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
NO_ROWS: Rows = np.zeros(0, dtype=np.intp)

_VIOLATED = "node(s) didn't match pod topology spread constraints"
_MISSING = f"{_VIOLATED} (missing required label)"

#: What upstream takes for the smallest domain when there is none: the largest int32.
_NO_DOMAIN: Final = 2**31 - 1
#: Fewer than any domain has: a node without the label violates nothing, it is rejected otherwise.
_UNLABELLED: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class _Places:
    """Where pods are counted for one constraint; it follows from the nodes."""

    constraint: Constraint
    domains: Domains
    #: (D,) codes of the domains: the values that nodes that count have
    codes: npt.NDArray[np.intp]
    #: all nodes count, so that the cache keeps the pods per domain
    is_kept: bool

    def most(self, least: int) -> int:
        """Pods that a domain may have for the pod to fit there; ``least`` of them has the smallest.

        The smallest is that of the domains there are; with too few of them it has none.
        """
        constraint = self.constraint
        is_enough = len(self.codes) >= constraint.min_domains
        return constraint.max_skew + (least if is_enough else 0) - constraint.self_match


class _Counted:
    """The pods per domain of one constraint, as they were counted. Never changes."""

    def __init__(
        self, places: _Places, pods: Int64Array, exceeds: BoolArray, *, least: int
    ) -> None:
        self.places = places
        #: (V + 1,) int64: pods per domain
        self.pods = pods
        #: (V + 1,) bool: the domains that the pod would make too large
        self.exceeds = exceeds
        #: pods in the smallest domain
        self._least = least

    @classmethod
    def over(cls, places: _Places, pods: Int64Array) -> _Counted:
        """Judges the domains by their ``pods`` (V + 1,)."""
        pods = pods.copy()
        pods[-1] = _UNLABELLED
        least = int(pods.take(places.codes).min(initial=_NO_DOMAIN))
        return cls(places, pods, pods > places.most(least), least=least)

    def most(self, changes: Mapping[int, int]) -> int:
        """Pods that a domain may have with ``changes``: code -> pods more than were counted."""
        least = self._least_but(changes)
        for code, difference in changes.items():
            least = min(least, self.pods.item(code) + difference)
        return self.places.most(least)

    def followed(self, nodes: fwk.NodeTable, rows: Sequence[int]) -> _Counted:
        """The same domains with the pods that they have now that some came to ``rows``, or left.

        Only domains of ``rows`` are looked at as long as no smallest one grew and none shrank
        below it: what a domain may have is as before then.
        """
        key = self.places.constraint.topology_key
        now = pods_per_code(self.places.constraint, nodes, among=None)
        codes, _ = nodes.label_codes(key)
        before, least = self.pods, self._least
        others = {
            code: pods
            for code in {codes.item(row) for row in rows}
            if code >= 0 and (pods := now.item(code)) != before.item(code)
        }
        if not others:
            return self
        if any(before.item(code) <= least or pods < least for code, pods in others.items()):
            return _Counted.over(self.places, now)
        return self._with(others)

    def _with(self, others: Mapping[int, int]) -> _Counted:
        """The same with these pods in some domains, code -> pods, and the smallest as it was."""
        pods, exceeds, most = self.pods.copy(), self.exceeds, self.places.most(self._least)
        for code, number in others.items():
            pods[code] = number
            if (number > most) != exceeds.item(code):
                exceeds = exceeds.copy()
                exceeds[code] = number > most
        return _Counted(self.places, pods, exceeds, least=self._least)

    def _least_but(self, changed: Collection[int]) -> int:
        """Pods in the smallest domain whose code is not ``changed``."""
        for code in self._lowest:
            if code not in changed:
                return self.pods.item(code)
        others = np.setdiff1d(self.places.codes, list(changed))
        return int(self.pods[others].min(initial=_NO_DOMAIN))

    @cached_property
    def _lowest(self) -> list[int]:
        """Codes of the two smallest domains, or of as many as there are; for what-ifs."""
        codes = self.places.codes
        if len(codes) > 1:
            codes = codes[np.argpartition(self.pods[codes], 1)[:2]]
        return list(map(int, codes))


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
            codes = np.flatnonzero(in_domains[:-1])
            places = _Places(constraint, Domains(values), codes, is_kept=among is None)
            counted.append(_Counted.over(places, pods))
        return cls(constraints, tuple(counted), inclusion)

    def clone(self) -> HardCounts:
        """A copy for a what-if; what was counted is shared."""
        copy = HardCounts(self._constraints, self._counted, self._inclusion)
        copy._changes = tuple(dict(changes) for changes in self._changes)
        return copy

    def follow(self, nodes: fwk.NodeTable, rows: Sequence[int]) -> Rows | None:
        """Takes over that pods came to ``rows`` of all ``nodes``, or left them.

        Returns:
            The rows that may be judged otherwise now; None when that cannot be told.
        """
        before = self._counted
        if not all(counted.places.is_kept for counted in before):
            return None
        self._counted = tuple([counted.followed(nodes, rows) for counted in before])
        affected = None
        for constraint, was, now in zip(self._constraints, before, self._counted, strict=True):
            if now.exceeds is was.exceeds:
                continue
            flipped = was.exceeds != now.exceeds
            if flipped.any():
                codes, _ = nodes.label_codes(constraint.topology_key)
                judged = nodes_in(flipped, codes)
                affected = judged if affected is None else affected | judged
        return NO_ROWS if affected is None else np.flatnonzero(affected)

    def change(self, pod: Pod, node: Node, difference: int) -> None:
        """``pod`` comes to ``node`` (+1) or leaves it (-1)."""
        if not has_all_keys(self._constraints, node):
            return
        for index, constraint in enumerate(self._constraints):
            (term,) = constraint.pods.terms
            if term.matches(pod) and self._inclusion.includes(constraint, node):
                changes, domains = self._changes[index], self._counted[index].places.domains
                code = domains.code(node.labels[constraint.topology_key])
                assert code >= 0, "a what-if changes nodes of the snapshot"
                changes[code] = changes.get(code, 0) + difference

    def judge(self, node: Node) -> fwk.Status | None:
        """None if ``node`` fits; else the first constraint that it misses decides."""
        for index, constraint in enumerate(self._constraints):
            value = node.labels.get(constraint.topology_key)
            if value is None:
                return fwk.unresolvable(_MISSING)
            counted = self._counted[index]
            code = counted.places.domains.code(value)
            pods = counted.pods.item(code) if code >= 0 else 0
            changes = self._changes[index]
            if pods + changes.get(code, 0) > counted.most(changes):
                return fwk.unschedulable(_VIOLATED)
        return None

    def judge_all(self, nodes: fwk.NodeTable) -> fwk.NodeVerdict:
        """The same for all nodes of ``nodes``."""
        missing = violated = None
        for index, constraint in enumerate(self._constraints):
            codes, _ = nodes.label_codes(constraint.topology_key)
            lacks = codes < 0
            exceeds = nodes_in(self._exceeds(index), codes)
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
        return pods > counted.most(changes)
