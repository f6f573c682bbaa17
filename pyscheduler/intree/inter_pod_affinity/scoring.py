"""What PreScore finds out for Score: how much weight speaks for or against each topology domain.

A node's raw score is, over its topology domains, the sum of

- the weight of each preferred term of the incoming pod, for each existing pod that it means;
- the weight of each preferred term of an existing pod that means the incoming pod;
- ``hardPodAffinityWeight`` for each required affinity term of an existing pod that means it;

weights of anti-affinity being negative. It is stretched over the feasible nodes, the lowest to 0
and the highest to 100: ``100·(s − min)/(max − min)`` in floats, cut off; all 0 when they are equal.

Called by: ``plugin``. Source: kube-scheduler 1.37, ``plugins/interpodaffinity/scoring.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.inter_pod_affinity.domains import (
    Domains,
    Rows,
    Source,
    Sources,
    nodes_in,
)
from pyscheduler.intree.inter_pod_affinity.terms import ExistingTerm, Kind, OwnTerms


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight by domain, of each topology key."""

    domains: tuple[Domains, ...]
    #: weights are all positive or all negative, so that none stands for no pods at all
    are_alike: bool

    @property
    def total(self) -> int:
        """Over all domains."""
        return sum(domains.total for domains in self.domains)

    def clone(self) -> Weights:
        """The same weights, to be changed alone."""
        return Weights(tuple(domains.clone() for domains in self.domains), self.are_alike)

    def at_node(self, labels: Mapping[str, str]) -> int:
        """The weight in the domains of a node with these labels."""
        return sum(domains.at_node(labels) for domains in self.domains)

    def at_nodes(self, nodes: fwk.NodeTable) -> Int64Array:
        """(N,) int64: the weight in each node's domains."""
        every = (domains.at_nodes(nodes) for domains in self.domains)
        found = [amounts for amounts in every if amounts is not None]
        if len(found) == 1:
            return found[0]
        return np.sum(found, axis=0) if found else np.zeros(len(nodes), dtype=np.int64)

    def follow(
        self, nodes: fwk.NodeTable, tally: fwk.TallyCounts, rows: Sequence[int]
    ) -> Rows | None:
        """Takes over that pods came to ``rows`` of all ``nodes``, or left them.

        Returns:
            The rows that have another weight now; None when that cannot be told, or there may be
            none left to have one: the weights are to be summed again.
        """
        if not self.are_alike:
            return None
        changed: list[tuple[str, int]] = []
        for domains in self.domains:
            moved = domains.follow(nodes, tally, rows)
            if moved is None:
                return None
            changed += [(domains.key, code) for code in moved]
        return nodes_in(changed, nodes) if self.total else None


SCORES = fwk.StateKey[Weights]("InterPodAffinity.scores")


def weights_by_domain(
    own: OwnTerms,
    existing: Iterable[ExistingTerm],
    nodes: fwk.NodeTable,
    *,
    tally: fwk.TallyCounts,
    hard_weight: int,
) -> Weights | None:
    """The weights over all ``nodes``; None when no term meets any pod in any domain.

    Args:
        own: terms of the incoming pod.
        existing: terms of existing pods that mean the pod, required anti-affinity left out.
        nodes: all of them, whether feasible or not.
        tally: of the terms of existing pods.
        hard_weight: of a required affinity term.
    """
    weighted = [(key, Source(matcher, weight)) for weight, key, matcher in own.preferred]
    for known in existing:
        weight = hard_weight if known.kind is Kind.AFFINITY else known.weight
        weighted.append((known.term.topology_key, Source(known, weight)))
    sources = Sources()
    for key, source in weighted:
        sources.add(key, source)
    are_positive = {source.weight > 0 for _, source in weighted}
    are_alike = len(are_positive) == 1 and all(source.weight for _, source in weighted)
    weights = Weights(tuple(sources.domains(nodes, tally).values()), are_alike)
    # weights that cancel out are no reason to skip the pod
    is_any = weights.total or any(
        source.counts(key, nodes, tally)[:-1].any() for key, source in weighted
    )
    return weights if is_any else None


def normalized(scores: Int64Array) -> Int64Array:
    """Stretched to 0..100, in floats as there."""
    if not scores.size:
        return scores
    lowest = scores.min()
    spread = scores.max() - lowest
    if spread == 0:
        return np.zeros_like(scores)
    shares = (scores - lowest) / spread
    stretched: Int64Array = (fwk.MAX_NODE_SCORE * shares).astype(np.int64)
    return stretched
