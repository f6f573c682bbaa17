"""Score: soft constraints (``ScheduleAnyway``).

For each soft constraint a node has

    pods in its domain * ln(number of domains + 2) + maxSkew - 1

and its raw score is the sum, rounded: few pods are good, small topologies are not drowned by large
ones, and ``maxSkew`` waters differences down. Domains are those of the feasible nodes; their pods
are counted over all nodes that the node inclusion policies let count. For
``kubernetes.io/hostname`` the domain is the node itself: all its pods count, and there are as many
domains as feasible nodes.

Normalised, the node with the fewest gets 100:

    100 * (most + fewest - raw) / most

Nodes without the key of each constraint are ignored: `IGNORED` in place of a raw score, normalised
to 0. Under System defaulting none is: a missing key adds nothing to the node's score, and all nodes
without it count as one domain, that of the empty value.

Source: kube-scheduler 1.37, ``plugins/podtopologyspread/scoring.go``. Knowing difference: Go's
logarithm is one unit in the last place off that of the C library for one number of domains in a
hundred; no rounded score differs for up to 15,000 domains and 500,000 pods.

Axes: N node rows of the table, F feasible nodes, V values of a topology key, one more entry as in
``domains``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.api.keys import HOSTNAME
from pyscheduler.framework.status import BoolArray, Int64Array
from pyscheduler.intree.pod_topology_spread.constraints import Constraint, PodConstraints
from pyscheduler.intree.pod_topology_spread.domains import (
    Codes,
    Domains,
    nodes_in,
    nodes_per_code,
    pods_per_code,
)
from pyscheduler.intree.pod_topology_spread.inclusion import (
    NodeInclusion,
    both,
    has_all_keys,
    nodes_with_keys,
    nodes_with_other_keys,
)

#: The raw score of a node that is left out.
IGNORED: Final = -1
#: More than any node scores.
_MOST: Final = np.iinfo(np.int64).max

#: node rows, ascending
Rows = npt.NDArray[np.intp]
NO_ROWS: Rows = np.zeros(0, dtype=np.intp)
FloatArray = npt.NDArray[np.float64]


class SoftScores:
    """What each domain of each soft constraint adds to the score of its nodes.

    Made by PreScore, never changed. Those for the next pod of the class come of it, as long as the
    same nodes are feasible and nothing but pods has changed.
    """

    __slots__ = ("_constraints", "_needs_all_keys", "_terms")

    def __init__(
        self, constraints: tuple[Constraint, ...], terms: tuple[_Term, ...], *, needs_all_keys: bool
    ) -> None:
        self._constraints = constraints
        self._needs_all_keys = needs_all_keys
        self._terms = terms

    @classmethod
    def over(
        cls,
        feasible: fwk.NodeTable,
        nodes: fwk.NodeTable,
        constraints: PodConstraints,
        inclusion: NodeInclusion,
    ) -> SoftScores:
        """Counts the pods over all ``nodes`` in the domains of the ``feasible`` ones."""
        soft, needs_all_keys = constraints.soft, constraints.needs_all_keys
        terms: list[_Term] = []
        for constraint, mask in zip(soft, inclusion.masks(soft, nodes), strict=True):
            key = constraint.topology_key
            if key == HOSTNAME:
                wanted = nodes_with_keys(feasible, soft) if needs_all_keys else None
                count = len(feasible) if wanted is None else int(np.count_nonzero(wanted))
                terms.append(_NodeTerm(constraint, _weight(count)))
                continue
            wanted = among = None
            if needs_all_keys:
                wanted = nodes_with_other_keys(feasible, soft, than=key)
                among = nodes_with_other_keys(nodes, soft, than=key)
            among = both(among, mask)
            factors = _Factors.of(
                Domains(nodes.label_codes(key)[1]),
                nodes_per_code(feasible, key, among=wanted),
                without_key_too=not needs_all_keys,
            )
            pods = pods_per_code(constraint, nodes, among=among)
            terms.append(_DomainTerm(constraint, factors, pods, is_kept=among is None))
        return cls(soft, tuple(terms), needs_all_keys=needs_all_keys)

    def followed(self, nodes: fwk.NodeTable, rows: Sequence[int]) -> tuple[SoftScores, Rows] | None:
        """The scores now that pods came to ``rows`` of all ``nodes``, or left them.

        Returns:
            With them the rows that may score otherwise than before, none where `by_label` says
            it; None when all of it is to be counted again.
        """
        terms: list[_Term] = []
        for term in self._terms:
            now = term.followed(nodes)
            if now is None:
                return None
            terms.append(now)
        scores = SoftScores(self._constraints, tuple(terms), needs_all_keys=self._needs_all_keys)
        if self._sole_term is not None:
            return scores, NO_ROWS
        affected = np.zeros(len(nodes), dtype=np.bool_)
        affected[rows] = True
        for was, term in zip(self._terms, terms, strict=True):
            if isinstance(was, _DomainTerm) and isinstance(term, _DomainTerm):
                affected |= was.differing(term, nodes)
        return scores, np.flatnonzero(affected)

    def of(self, node: fwk.NodeInfo) -> int:
        """The raw score of one node."""
        if self._needs_all_keys and not has_all_keys(self._constraints, node.node):
            return IGNORED
        total = 0.0
        for constraint, term in zip(self._constraints, self._terms, strict=True):
            if constraint.topology_key in node.labels:
                total += term.of(node)
        return fwk.round_half_away(total)

    def of_all(self, nodes: fwk.NodeTable) -> Int64Array:
        """(N,) int64: the raw scores of all nodes of ``nodes``."""
        by_label = self.by_label()
        if by_label is not None:
            key, figures = by_label
            codes, _ = nodes.label_codes(key)
            return figures.take(codes)
        scores = fwk.round_half_away(self._totals(nodes))
        labelled = nodes_with_keys(nodes, self._constraints) if self._needs_all_keys else None
        if labelled is not None:
            scores[~labelled] = IGNORED
        return scores

    def by_label(self) -> tuple[str, Int64Array] | None:
        """The topology key and (V + 1,) int64, the raw scores by code, if one key decides."""
        term = self._sole_term
        if term is None:
            return None
        # nothing is added to it: few figures are rounded instead of many
        scores = fwk.round_half_away(term.by_code)
        if self._needs_all_keys:
            scores[-1] = IGNORED
        return self._constraints[0].topology_key, scores

    @property
    def _sole_term(self) -> _DomainTerm | None:
        """The one there is, if its domains are shared by nodes."""
        term = self._terms[0]
        return term if len(self._terms) == 1 and isinstance(term, _DomainTerm) else None

    def _totals(self, nodes: fwk.NodeTable) -> FloatArray:
        total: FloatArray = np.zeros(len(nodes))
        for constraint, term in zip(self._constraints, self._terms, strict=True):
            codes, _ = nodes.label_codes(constraint.topology_key)
            term.add_to(total, nodes, codes)
        return total


class _NodeTerm:
    """A constraint whose domains are the nodes themselves."""

    __slots__ = ("_constraint", "_weight")

    def __init__(self, constraint: Constraint, weight: float) -> None:
        self._constraint = constraint
        self._weight = weight

    def of(self, node: fwk.NodeInfo) -> float:
        """What it adds to the score of a node."""
        pods = 0
        if self._constraint.counts_pods:
            pods = sum(map(self._constraint.pods.matches, node.pods.values()))
        return pods * self._weight + (self._constraint.max_skew - 1)

    def followed(self, nodes: fwk.NodeTable) -> _NodeTerm:
        """The same, for it counts when it is asked."""
        return self

    def add_to(self, total: FloatArray, nodes: fwk.NodeTable, codes: Codes) -> None:
        """Adds it to the scores of all nodes that have the key."""
        pods = self._constraint.pods_on(nodes)
        added = float(self._constraint.max_skew - 1)
        term = np.full(len(nodes), added) if pods is None else pods * self._weight + added
        if not nodes.all_have(self._constraint.topology_key):
            term[codes < 0] = 0.0
        total += term


@dataclass(frozen=True, slots=True)
class _Factors:
    """What a pod counts in each domain of one key; they follow from the nodes."""

    domains: Domains
    #: (V + 1,) float64: 0 where no feasible node is
    by_code: FloatArray
    #: code of the domain that nodes without the key are in, too; -1: of none
    blank: int

    @classmethod
    def of(cls, domains: Domains, wanted: Int64Array, *, without_key_too: bool) -> _Factors:
        """Weighs the domains.

        Args:
            domains: V of them.
            wanted: (V + 1,) int64: feasible nodes per domain; those that are not ignored.
            without_key_too: whether nodes without the key are a domain, that of the empty value.
        """
        blank = domains.code("") if without_key_too else -1
        is_wanted = wanted > 0
        if blank >= 0:
            is_wanted[blank] |= is_wanted[-1]
        if blank >= 0 or not without_key_too:
            is_wanted[-1] = False
        weight = _weight(int(np.count_nonzero(is_wanted)))
        return cls(domains, np.where(is_wanted, weight, 0.0), blank)


class _DomainTerm:
    """A constraint whose domains are shared by nodes. Never changes."""

    __slots__ = ("_constraint", "_factors", "_is_kept", "by_code")

    def __init__(
        self, constraint: Constraint, factors: _Factors, pods: Int64Array, *, is_kept: bool
    ) -> None:
        """Weighs the pods of each domain.

        Args:
            constraint: what was counted.
            factors: of its domains.
            pods: (V + 1,) int64: pods per domain, on the nodes that count.
            is_kept: all nodes count, so that the cache keeps the pods per domain.
        """
        self._constraint = constraint
        self._factors = factors
        self._is_kept = is_kept
        if factors.blank >= 0:
            pods = pods.copy()
            pods[factors.blank] += pods[-1]
        #: (V + 1,) float64: what it adds to the score of the nodes of each domain
        self.by_code: FloatArray = pods * factors.by_code + (constraint.max_skew - 1)
        self.by_code[-1] = 0.0

    def followed(self, nodes: fwk.NodeTable) -> _DomainTerm | None:
        """The same domains with the pods that they have now on all ``nodes``, or None."""
        if not self._is_kept:
            return None
        pods = pods_per_code(self._constraint, nodes, among=None)
        return _DomainTerm(self._constraint, self._factors, pods, is_kept=True)

    def differing(self, other: _DomainTerm, nodes: fwk.NodeTable) -> BoolArray:
        """(N,) bool: the nodes to whose score ``other`` adds something else."""
        codes, _ = nodes.label_codes(self._constraint.topology_key)
        return nodes_in(other.by_code != self.by_code, codes)

    def of(self, node: fwk.NodeInfo) -> float:
        """What it adds to the score of a node."""
        value = node.labels[self._constraint.topology_key]
        return self.by_code.item(self._factors.domains.code(value))

    def add_to(self, total: FloatArray, nodes: fwk.NodeTable, codes: Codes) -> None:
        """Adds it to the scores of all nodes that have the key."""
        total += self.by_code.take(codes)


_Term = _NodeTerm | _DomainTerm


def normalized(raw: Int64Array) -> Int64Array:
    """(F,) int64: raw scores brought into 0..100, the fewest pods best; ignored nodes get 0."""
    if not len(raw):
        return raw
    most, fewest = max(int(raw.max()), 0), int(raw.min())
    ignored = None
    if fewest == IGNORED:
        ignored = raw == IGNORED
        fewest = int(raw[~ignored].min(initial=_MOST))
    if most:
        scores = fwk.truncated_quotient(fwk.MAX_NODE_SCORE * (most + fewest - raw), most)
    else:
        scores = np.full_like(raw, fwk.MAX_NODE_SCORE)
    if ignored is not None:
        scores[ignored] = 0
    return scores


def _weight(domains: int) -> float:
    return math.log(domains + 2)
