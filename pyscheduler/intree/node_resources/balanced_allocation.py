"""NodeResourcesBalancedAllocation: prefers nodes whose resources would be used more evenly.

What counts is how the pod changes the balance: a node that the pod evens out beats one that it
makes lopsided, wherever they start. With d the standard deviation of the used fractions (each at
most 1) of the resources that the node has, a node's balance is ``trunc((1 - d) * 100)``, and

    score = 50 + trunc((50 + balance with the pod - balance without it) / 2)

Two resources have d = abs(f1 - f2) / 2, fewer have d = 0. CPU, memory and ephemeral storage count
always, other resources only if the pod asks for them. PreScore skips pods that ask for none of the
resources and leaves the others' requests; there is nothing to normalize.

Source: kube-scheduler 1.37, ``plugins/noderesources/balanced_allocation.go`` (the form of 1.36
and later; before, only the balance with the pod counted).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.resources import CPU, EPHEMERAL_STORAGE, MEMORY, pod_requests
from pyscheduler.framework.arithmetic import Float64Array, wrapped_int64
from pyscheduler.framework.status import BoolArray, Int64Array
from pyscheduler.intree.node_resources.args import NodeResourcesBalancedAllocationArgs
from pyscheduler.intree.node_resources.kept_figures import FiguresByResources
from pyscheduler.intree.node_resources.pod_signature import signed_requests

#: resource and how much of it the pod asks for
Wanted = tuple[tuple[str, int], ...]

WANTED = fwk.StateKey[Wanted]("NodeResourcesBalancedAllocation.wanted")

#: counted even if the pod asks for none of them; other resources only if it does
_ALWAYS_COUNTED = (CPU, MEMORY, EPHEMERAL_STORAGE)

_LEAST_INT64 = -(2**63)


class NodeResourcesBalancedAllocation(
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.SignPlugin,
    fwk.Plugin[NodeResourcesBalancedAllocationArgs],
):
    """Scores 50 to 100: 75 where the pod leaves the balance as it is."""

    depends_on = (fwk.Aspect.ALLOCATABLE, fwk.Aspect.REQUESTED)
    signs_spec = True

    def __init__(self, args: NodeResourcesBalancedAllocationArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._kept = FiguresByResources(_node_figures, _table_figures)

    def sign_pod(self, pod: Pod) -> tuple[object, ...]:
        """The pod's requests."""
        return signed_requests(pod)

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
                with_pod = wrapped_int64(requested + request)
                # floats are divided, as in Go: Python's quotient of integers is more exact
                before.append(min(float(requested) / float(allocatable), 1.0))
                after.append(min(float(with_pod) / float(allocatable), 1.0))
        gain = wrapped_int64(fwk.MAX_NODE_SCORE // 2 + _balance(after) - _balance(before))
        return fwk.MAX_NODE_SCORE // 2 + fwk.truncated_quotient(gain, 2)

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """The same for all nodes."""
        wanted = state.read(WANTED)
        *wholes, before = self._kept.about(tuple([resource for resource, _ in wanted])).of(nodes)
        gain = _balances([nodes.requested(r) + request for r, request in wanted], wholes)
        gain -= before
        gain += fwk.MAX_NODE_SCORE // 2
        return fwk.MAX_NODE_SCORE // 2 + fwk.truncated_quotient(gain, 2)


def _node_figures(node: fwk.NodeInfo, resources: Sequence[str]) -> list[float]:
    """What one node has of each resource, and the balance of what is used of them."""
    wholes = [float(node.allocatable.get(resource, 0)) for resource in resources]
    fractions = [
        min(float(node.requested.get(resource, 0)) / whole, 1.0)
        for resource, whole in zip(resources, wholes, strict=True)
        if whole > 0
    ]
    return [*wholes, _balance(fractions)]


def _table_figures(nodes: fwk.NodeTable, resources: Sequence[str]) -> list[npt.NDArray[Any]]:
    """The same for all nodes."""
    wholes = [nodes.allocatable(resource).astype(np.float64) for resource in resources]
    return [*wholes, _balances([nodes.requested(resource) for resource in resources], wholes)]


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
    balance = (1 - deviation) * fwk.MAX_NODE_SCORE
    # what does not fit becomes the least int64, as on amd64
    return int(balance) if balance > _LEAST_INT64 else _LEAST_INT64


def _balances(used: Sequence[Int64Array], wholes: Sequence[Float64Array]) -> Int64Array:
    """(N,) int64: `_balance` of each node, with the same operations in the same order.

    Args:
        used: of each resource, how much of it is used.
        wholes: how much there is; 0 where the node does not have it.
    """
    # None: two everywhere
    counts = None
    if len(wholes) != 2 or min(whole.min(initial=1) for whole in wholes) <= 0:
        present = [whole > 0 for whole in wholes]
        counts = _counts(present)
        # keeps the division defined; what it gives for these is not looked at
        wholes = [np.maximum(whole, 1) for whole in wholes]
    fractions = [_fractions(*each) for each in zip(used, wholes, strict=True)]
    if len(fractions) == 2:
        deviations = fractions[0] - fractions[1]
        np.abs(deviations, out=deviations)
        deviations /= 2
    else:
        assert counts is not None, "None is for two resources"
        deviations = _deviations(fractions, present, counts)
    if counts is not None:
        deviations[counts < 2] = 0.0
    balances = np.subtract(1, deviations, out=deviations)
    balances *= fwk.MAX_NODE_SCORE
    with np.errstate(invalid="ignore"):  # what does not fit becomes the least int64
        return balances.astype(np.int64)


def _fractions(used: Int64Array, whole: Float64Array) -> Float64Array:
    """(N,) float64: the used fraction, at most 1."""
    # floats first: numpy takes thrice as long for the quotients of integers, which are the same
    fractions = used.astype(np.float64)
    np.minimum(fractions, whole, out=fractions)
    fractions /= whole
    return fractions


def _counts(present: Sequence[BoolArray]) -> Int64Array:
    """(N,) int64: how many of the resources each node has."""
    counts: Int64Array = np.sum(present, axis=0, dtype=np.int64)
    return counts


def _deviations(
    fractions: Sequence[Float64Array], present: Sequence[BoolArray], counts: Int64Array
) -> Float64Array:
    """(N,) float64: the population's standard deviation of the fractions that are present."""
    divisors = np.maximum(counts, 1)
    totals = np.zeros(len(counts))
    for fraction, has_it in zip(fractions, present, strict=True):
        np.add(totals, fraction, out=totals, where=has_it)
    means = totals / divisors
    squares = np.zeros(len(counts))
    for fraction, has_it in zip(fractions, present, strict=True):
        apart = fraction - means
        np.add(squares, apart * apart, out=squares, where=has_it)
    deviations = np.sqrt(squares / divisors)
    pairs = counts == 2
    if pairs.any():
        # two fractions have a formula of their own, which rounds differently
        chosen = np.where(present, fractions, np.nan)[:, pairs]
        deviations[pairs] = (np.nanmax(chosen, axis=0) - np.nanmin(chosen, axis=0)) / 2
    return deviations
