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

from collections.abc import Iterable

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.inter_pod_affinity.domains import Amounts, Domains
from pyscheduler.intree.inter_pod_affinity.terms import ExistingTerm, Kind, OwnTerms

#: the weight by domain, of each topology key
SCORES = fwk.StateKey[tuple[Domains, ...]]("InterPodAffinity.scores")


def weights_by_domain(
    own: OwnTerms,
    existing: Iterable[ExistingTerm],
    nodes: fwk.NodeTable,
    *,
    tally: fwk.TallyCounts,
    hard_weight: int,
) -> tuple[Domains, ...] | None:
    """The weights over all ``nodes``; None when no term meets any pod in any domain.

    Args:
        own: terms of the incoming pod.
        existing: terms of existing pods that mean the pod, required anti-affinity left out.
        nodes: all of them, whether feasible or not.
        tally: of the terms of existing pods.
        hard_weight: of a required affinity term.
    """
    weighted = [
        (weight, key, nodes.pods_by_value(matcher, key)) for weight, key, matcher in own.preferred
    ] + [
        (
            hard_weight if known.kind is Kind.AFFINITY else known.weight,
            known.term.topology_key,
            tally.by_value(known, known.term.topology_key),
        )
        for known in existing
    ]
    amounts = Amounts(nodes)
    is_any = False
    for weight, key, counts in weighted:
        # weights that cancel out are no reason to skip the pod
        is_any = is_any or bool(counts[:-1].any())
        amounts.add(key, counts, weight=weight)
    return tuple(amounts.domains().values()) if is_any else None


def score_nodes(weights: Iterable[Domains], nodes: fwk.NodeTable) -> Int64Array:
    """(N,) int64: the weight in each node's domains."""
    found = [amounts for domains in weights if (amounts := domains.at_nodes(nodes)) is not None]
    if len(found) == 1:
        return found[0]
    scores = np.zeros(len(nodes), dtype=np.int64)
    for amounts in found:
        scores += amounts
    return scores


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
