"""How NodeResourcesFit turns "requested of allocatable" into a score: three strategies.

Every strategy scores each resource from 0 to 100 and joins them by weight, for one node in plain
integers and for N nodes in int64 arrays. With r requested (the pod included), a allocatable:

    LeastAllocated            (a - r) * 100 / a, 0 if r > a
    MostAllocated             min(r, a) * 100 / a
    RequestedToCapacityRatio  the broken line at r * 100 / a, at 100 if r > a

    score                     sum of weight * score / sum of weights, truncated; of the third,
                              rounded, and without resources that score 0

Sums and products wrap around in int64, and quotients are truncated toward zero, as in Go.

Source: kube-scheduler 1.37, ``plugins/noderesources/{least_allocated,most_allocated,
requested_to_capacity_ratio}.go``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.config.utilization_shape import UtilizationShapePoint, score_at
from pyscheduler.framework.arithmetic import Float64Array, wrapped_int64
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.node_resources.args import ScoringStrategy

#: (weight, requested, allocatable) of one resource
Share = tuple[int, int, int]
#: the same for N nodes, both arrays (N,) int64
Shares = tuple[int, Int64Array, Int64Array]
#: (weight, left, allocatable) of one resource of N nodes: what the pod leaves of it, below 0 where
#: it does not fit; both arrays (N,) float64
Rest = tuple[int, Float64Array, Float64Array]

#: Amounts below it (35 TB) may be floats: with x = 100 * left, a quotient x / y that is not whole
#: is at least 1 / y below the next whole k, and is rounded up to it only if that is less than
#: k / 2**53; but k * y <= x + y < 2**53. So it is cut off to the same as that of integers.
EXACT_BELOW = 1 << 45


class Strategy(ABC):
    """Scores nodes by their shares; a resource that a node does not have is left out."""

    def score(self, shares: Sequence[Share]) -> int:
        """One node: the weighted mean of the resources' scores, 0 if it has none of them."""
        total = weights = 0
        for weight, requested, allocatable in shares:
            if allocatable > 0:
                total += weight * self.resource_score(requested, allocatable)
                weights += weight
        return fwk.truncated_quotient(wrapped_int64(total), weights) if weights else 0

    def score_nodes(self, shares: Sequence[Shares], n: int) -> Int64Array:
        """N nodes: (N,) int64."""
        total = np.zeros(n, dtype=np.int64)
        weights: Int64Array | int = 0
        for weight, requested, allocatable in shares:
            has_it = allocatable > 0
            if has_it.all():
                scores = self.resource_scores(requested, allocatable)
                total += scores if weight == 1 else weight * scores
                weights = weights + weight
            else:
                scores = self.resource_scores(requested, np.maximum(allocatable, 1))
                total += weight * np.where(has_it, scores, 0)
                weights = weights + weight * has_it
        divisor = max(weights, 1) if isinstance(weights, int) else np.maximum(weights, 1)
        return fwk.truncated_quotient(total, divisor)

    @abstractmethod
    def resource_score(self, requested: int, allocatable: int) -> int:
        """0..100 for one resource of one node; ``allocatable`` is above 0."""

    @abstractmethod
    def resource_scores(self, requested: Int64Array, allocatable: Int64Array) -> Int64Array:
        """(N,) int64, 0..100: the same for N nodes."""


class LeastAllocated(Strategy):
    """The more is free the better: spreads."""

    def resource_score(self, requested: int, allocatable: int) -> int:
        """The free percentage, 0 when over-committed."""
        if requested > allocatable:
            return 0
        return _percentage(wrapped_int64(allocatable - requested), allocatable)

    def resource_scores(self, requested: Int64Array, allocatable: Int64Array) -> Int64Array:
        """The same for N nodes."""
        free = allocatable - requested
        free[requested > allocatable] = 0
        return _percentages(free, allocatable)

    def score_rests(self, rests: Sequence[Rest], n: int) -> Int64Array:
        """`score_nodes` by what is left, which is used up.

        All nodes have all the resources, and everything is `EXACT_BELOW`.
        """
        total = np.zeros(n, dtype=np.int32)  # what numpy makes of floats in a third of the time
        weights = 0
        for weight, left, allocatable in rests:
            left *= fwk.MAX_NODE_SCORE
            left /= allocatable
            np.maximum(left, 0, out=left)
            scores = left.astype(np.int32)
            total += scores if weight == 1 else weight * scores
            weights += weight
        return fwk.truncated_quotient(total.astype(np.int64), max(weights, 1))


class MostAllocated(Strategy):
    """The less is free the better: packs."""

    def resource_score(self, requested: int, allocatable: int) -> int:
        """The used percentage."""
        return _percentage(min(requested, allocatable), allocatable)

    def resource_scores(self, requested: Int64Array, allocatable: Int64Array) -> Int64Array:
        """The same for N nodes."""
        return _percentages(np.minimum(requested, allocatable), allocatable)


class RequestedToCapacityRatio(Strategy):
    """The used percentage through a broken line; resources that score 0 do not count."""

    def __init__(self, shape: Sequence[UtilizationShapePoint]) -> None:
        #: score by utilization, for 0 to 100 percent
        self._curve = np.array([score_at(shape, p) for p in range(101)], dtype=np.int64)
        self._curve.flags.writeable = False

    def score(self, shares: Sequence[Share]) -> int:
        """One node: the weighted mean of the scores above 0, rounded."""
        total = weights = 0
        for weight, requested, allocatable in shares:
            score = self.resource_score(requested, allocatable) if allocatable > 0 else 0
            if score > 0:
                total += weight * score
                weights += weight
        return fwk.round_half_away(total / weights) if weights else 0

    def score_nodes(self, shares: Sequence[Shares], n: int) -> Int64Array:
        """N nodes: (N,) int64."""
        total = np.zeros(n, dtype=np.int64)
        weights = np.zeros(n, dtype=np.int64)
        for weight, requested, allocatable in shares:
            scores = self.resource_scores(requested, np.maximum(allocatable, 1))
            scores[allocatable <= 0] = 0
            total += weight * scores
            weights += weight * (scores > 0)
        weights[weights == 0] = 1
        # both are >= 0: rounding half up is rounding half away from zero
        return (2 * total + weights) // (2 * weights)

    def resource_score(self, requested: int, allocatable: int) -> int:
        """The score of the used percentage, that of 100 when over-committed."""
        used = 100 if requested > allocatable else _percentage(requested, allocatable)
        return int(self._curve[min(max(used, 0), 100)])

    def resource_scores(self, requested: Int64Array, allocatable: Int64Array) -> Int64Array:
        """The same for N nodes."""
        used = _percentages(np.minimum(requested, allocatable), allocatable)
        used[requested > allocatable] = 100
        return self._curve[np.clip(used, 0, 100)]


def _percentage(part: int, whole: int) -> int:
    """``part * 100 / whole`` as Go computes it in int64; ``whole`` is above 0."""
    return fwk.truncated_quotient(wrapped_int64(part * fwk.MAX_NODE_SCORE), whole)


def _percentages(part: Int64Array, whole: Int64Array) -> Int64Array:
    """The same for N nodes; writes into ``part``."""
    part *= fwk.MAX_NODE_SCORE
    return fwk.truncated_quotient(part, whole)


def strategy_of(args: ScoringStrategy) -> Strategy:
    """The strategy that the arguments name."""
    if args.type == "MostAllocated":
        return MostAllocated()
    if args.requested_to_capacity_ratio is not None and args.type == "RequestedToCapacityRatio":
        return RequestedToCapacityRatio(args.requested_to_capacity_ratio.shape)
    return LeastAllocated()
