"""What PreScore finds out for Score: how much weight speaks for or against each topology domain.

A node's raw score is, over its topology domains, the sum of

- the weight of each preferred term of the incoming pod, for each existing pod that it means;
- the weight of each preferred term of an existing pod that means the incoming pod;
- ``hardPodAffinityWeight`` for each required affinity term of an existing pod that means it;

weights of anti-affinity being negative. It is stretched over the feasible nodes, the lowest to 0
and the highest to 100: ``100·(s − min)/(max − min)`` in floats, cut off; all 0 when they are equal.
Hence a topology key by which all nodes are one domain, so that it adds the same to each of them,
is left out.

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
    #: False: no term meets any pod, or none that tells nodes apart
    is_any: bool

    def clone(self) -> Weights:
        """The same weights, to be changed alone."""
        if not self.domains:
            return self
        copies = tuple(domains.clone() for domains in self.domains)
        return Weights(copies, self.are_alike, self.is_any)

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
            The rows that have another weight now; None when that cannot be told, or whether there
            are weights at all may be another answer now: they are to be summed again.
        """
        if not self.are_alike:
            return None
        changed: list[tuple[str, int]] = []
        for domains in self.domains:
            moved = domains.follow(nodes, tally, rows)
            if moved is None:
                return None
            changed += [(domains.key, code) for code in moved]
        is_any = any(domains.total for domains in self.domains)
        return nodes_in(changed, nodes) if is_any is self.is_any else None


SCORES = fwk.StateKey[Weights]("InterPodAffinity.scores")


def weights_by_domain(
    own: OwnTerms,
    existing: Iterable[ExistingTerm],
    nodes: fwk.NodeTable,
    *,
    tally: fwk.TallyCounts,
    hard_weight: int,
) -> Weights:
    """The weights over all ``nodes``.

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
    by_key = {key: _tells_apart(key, nodes) for key in {key for key, _ in weighted}}
    telling = [(key, source) for key, source in weighted if by_key[key]]
    sources = Sources()
    for key, source in telling:
        sources.add(key, source)
    domains = tuple(sources.domains(nodes, tally).values())
    are_alike = all(s.weight > 0 for _, s in telling) or all(s.weight < 0 for _, s in telling)
    # weights that cancel out are no reason to skip the pod
    is_any = any(d.total for d in domains) or any(
        source.counts(key, nodes, tally)[:-1].any() for key, source in telling
    )
    return Weights(domains, are_alike, is_any)


def _tells_apart(key: str, nodes: fwk.NodeTable) -> bool:
    """False when all nodes are in one domain, or none is in any."""
    return bool(nodes.nodes_by_value(key).max() < len(nodes))


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
