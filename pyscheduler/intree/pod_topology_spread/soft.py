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
from typing import Final

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.api.keys import HOSTNAME
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.pod_topology_spread.constraints import Constraint, PodConstraints
from pyscheduler.intree.pod_topology_spread.domains import (
    Codes,
    Domains,
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

FloatArray = npt.NDArray[np.float64]


class SoftScores:
    """What each domain of each soft constraint adds to the score of its nodes."""

    __slots__ = ("_constraints", "_needs_all_keys", "_terms")

    def __init__(self, constraints: PodConstraints, terms: tuple[_Term, ...]) -> None:
        self._constraints = constraints.soft
        self._needs_all_keys = constraints.needs_all_keys
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
            terms.append(
                _DomainTerm(
                    constraint,
                    nodes.label_codes(key)[1],
                    wanted=nodes_per_code(feasible, key, among=wanted),
                    pods=pods_per_code(constraint, nodes, among=both(among, mask)),
                    without_key_too=not needs_all_keys,
                )
            )
        return cls(constraints, tuple(terms))

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
        total: FloatArray = np.zeros(len(nodes))
        for constraint, term in zip(self._constraints, self._terms, strict=True):
            codes, _ = nodes.label_codes(constraint.topology_key)
            term.add_to(total, nodes, codes)
        scores = fwk.round_half_away(total)
        labelled = nodes_with_keys(nodes, self._constraints) if self._needs_all_keys else None
        if labelled is not None:
            scores[~labelled] = IGNORED
        return scores


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

    def add_to(self, total: FloatArray, nodes: fwk.NodeTable, codes: Codes) -> None:
        """Adds it to the scores of all nodes that have the key."""
        pods = self._constraint.pods_on(nodes)
        added = float(self._constraint.max_skew - 1)
        term = np.full(len(nodes), added) if pods is None else pods * self._weight + added
        if not nodes.all_have(self._constraint.topology_key):
            term[codes < 0] = 0.0
        total += term


class _DomainTerm:
    """A constraint whose domains are shared by nodes."""

    __slots__ = ("_by_code", "_domains", "_key")

    def __init__(
        self,
        constraint: Constraint,
        values: Sequence[str],
        *,
        wanted: Int64Array,
        pods: Int64Array,
        without_key_too: bool,
    ) -> None:
        """Weighs the pods of each domain.

        Args:
            constraint: what was counted.
            values: V, the domains.
            wanted: (V + 1,) int64: feasible nodes per domain; those that are not ignored.
            pods: (V + 1,) int64: pods per domain, on the nodes that count.
            without_key_too: whether nodes without the key are a domain, that of the empty value.
        """
        self._key = constraint.topology_key
        self._domains = Domains(values)
        if wanted[-1] or pods[-1]:
            wanted, pods = wanted.copy(), pods.copy()
            blank = self._domains.code("") if without_key_too else -1
            if blank >= 0:
                wanted[blank] += wanted[-1]
                pods[blank] += pods[-1]
            if blank >= 0 or not without_key_too:
                wanted[-1] = 0
        weight = _weight(int(np.count_nonzero(wanted)))
        #: (V + 1,) float64
        self._by_code: FloatArray = np.where(wanted, pods, 0) * weight + (constraint.max_skew - 1)
        self._by_code[-1] = 0.0

    def of(self, node: fwk.NodeInfo) -> float:
        """What it adds to the score of a node."""
        return self._by_code.item(self._domains.code(node.labels[self._key]))

    def add_to(self, total: FloatArray, nodes: fwk.NodeTable, codes: Codes) -> None:
        """Adds it to the scores of all nodes that have the key."""
        total += self._by_code.take(codes)


_Term = _NodeTerm | _DomainTerm


def normalized(raw: Int64Array) -> Int64Array:
    """(F,) int64: raw scores brought into 0..100, the fewest pods best; ignored nodes get 0."""
    most, fewest = int(raw.max(initial=0)), int(raw.min(initial=_MOST))
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
