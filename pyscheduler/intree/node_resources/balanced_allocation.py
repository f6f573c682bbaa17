"""NodeResourcesBalancedAllocation: prefers nodes whose resources would be used more evenly.

What counts is how the pod changes the balance: a node that the pod evens out beats one that it
makes lopsided, wherever they start.

Source: kube-scheduler 1.37, ``plugins/noderesources/balanced_allocation.go`` (the form of 1.36
and later; before, only the balance with the pod counted).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.resources import CPU, EPHEMERAL_STORAGE, MEMORY, pod_requests
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.node_resources.args import NodeResourcesBalancedAllocationArgs

#: resource and how much of it the pod asks for
Wanted = tuple[tuple[str, int], ...]

WANTED = fwk.StateKey[Wanted]("NodeResourcesBalancedAllocation.wanted")

#: counted even if the pod asks for none of them; other resources only if it does
_ALWAYS_COUNTED = (CPU, MEMORY, EPHEMERAL_STORAGE)

Fraction = npt.NDArray[np.float64]


class NodeResourcesBalancedAllocation(
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.SignPlugin,
    fwk.Plugin[NodeResourcesBalancedAllocationArgs],
):
    """Scores 50 to 100: 75 where the pod leaves the balance as it is."""

    depends_on = (fwk.Aspect.ALLOCATABLE, fwk.Aspect.REQUESTED)

    def sign_pod(self, pod: Pod) -> tuple[object, ...]:
        """All that the pod's requests follow from."""
        spec = pod.spec
        return (spec.containers, spec.init_containers, spec.overhead, spec.resources)

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        """Skips pods that ask for none of the resources."""
        requests = pod_requests(pod).requests
        if not any(requests.get(resource.name) for resource in self.args.resources):
            return fwk.SKIP
        wanted = ((r.name, requests.get(r.name, 0)) for r in self.args.resources)
        state.write(WANTED, tuple(w for w in wanted if w[1] or w[0] in _ALWAYS_COUNTED))
        return None

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        """The score of one node."""
        before, after = [], []
        for resource, request in state.read(WANTED):
            allocatable = node.allocatable.get(resource, 0)
            if allocatable > 0:
                requested = node.requested.get(resource, 0)
                before.append(min(requested / allocatable, 1.0))
                after.append(min((requested + request) / allocatable, 1.0))
        gain = fwk.MAX_NODE_SCORE // 2 + _balance(after) - _balance(before)
        return fwk.MAX_NODE_SCORE // 2 + fwk.truncated_quotient(gain, 2)

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """The same for all nodes."""
        before: list[Fraction] = []
        after: list[Fraction] = []
        for resource, request in state.read(WANTED):
            allocatable = nodes.allocatable(resource)
            requested = nodes.requested(resource)
            before.append(_fractions(requested, allocatable))
            after.append(_fractions(requested + request, allocatable))
        gain = _balances(after, len(nodes))
        gain -= _balances(before, len(nodes))
        gain += fwk.MAX_NODE_SCORE // 2
        # never negative: both balances lie between 50 and 100
        gain //= 2
        gain += fwk.MAX_NODE_SCORE // 2
        return gain


def _balance(fractions: Sequence[float]) -> int:
    """100 when all fractions are equal, 50 when they are as far apart as can be."""
    if len(fractions) < 2:
        return fwk.MAX_NODE_SCORE
    if len(fractions) == 2:
        deviation = abs(fractions[0] - fractions[1]) / 2
    else:
        mean = sum(fractions) / len(fractions)
        squares = sum((fraction - mean) * (fraction - mean) for fraction in fractions)
        deviation = math.sqrt(squares / len(fractions))
    return int((1 - deviation) * fwk.MAX_NODE_SCORE)


def _fractions(requested: Int64Array, allocatable: Int64Array) -> Fraction:
    """(N,) float64 in 0..1; NaN where the node has nothing of the resource."""
    fractions = np.full(len(requested), np.nan)
    np.divide(requested, allocatable, out=fractions, where=allocatable > 0)
    np.minimum(fractions, 1.0, out=fractions)
    return fractions


def _balances(fractions: Sequence[Fraction], n: int) -> Int64Array:
    """(N,) int64: `_balance` of each node, in the same order of operations."""
    if len(fractions) == 2:
        deviation = np.subtract(fractions[0], fractions[1])
        np.abs(deviation, out=deviation)
        deviation /= 2
    else:
        deviation = _deviations(fractions, n)
    # one fraction alone, or none, is balanced
    np.nan_to_num(deviation, copy=False, nan=0.0)
    np.subtract(1, deviation, out=deviation)
    deviation *= fwk.MAX_NODE_SCORE
    return deviation.astype(np.int64)


def _deviations(fractions: Sequence[Fraction], n: int) -> Fraction:
    present = [~np.isnan(fraction) for fraction in fractions]
    count = np.zeros(n)
    total = np.zeros(n)
    for mask, fraction in zip(present, fractions, strict=True):
        count += mask
        np.add(total, fraction, out=total, where=mask)
    mean = total / np.maximum(count, 1)
    squares = np.zeros(n)
    for mask, fraction in zip(present, fractions, strict=True):
        apart = fraction - mean
        np.add(squares, apart * apart, out=squares, where=mask)
    deviation = np.sqrt(squares / np.maximum(count, 1))
    pairs = count == 2
    if pairs.any():
        # two fractions have a formula of their own, which rounds differently
        stacked = np.array(fractions)[:, pairs]
        deviation[pairs] = (np.nanmax(stacked, axis=0) - np.nanmin(stacked, axis=0)) / 2
    deviation[count < 2] = 0.0
    return deviation
