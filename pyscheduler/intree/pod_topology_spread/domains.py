"""One figure per domain: the nodes that share a value of the topology key.

Nodes have the values of a label as codes, so a figure per domain is an array by code, and what
holds for each node is one look-up: ``by_code.take(codes)``. The array has one entry more than there
are values, the last: it answers for code -1, a node without the label.

Where all nodes count, figures per domain are kept by the cache (``NodeTable.pods_by_value``); for
some of the nodes they are summed.

Axes: N node rows of the table, V values of the topology key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.framework.pod_matching import sum_by_code
from pyscheduler.framework.status import BoolArray, Int64Array
from pyscheduler.intree.pod_topology_spread.constraints import Constraint

#: Up to so many, comparing all codes with each is quicker than looking them up: by measurement.
_FEW_DOMAINS = 5

Codes = npt.NDArray[np.signedinteger[Any]]


class Domains:
    """The values of one topology key, as one cycle sees them."""

    __slots__ = ("_code_of", "values")

    def __init__(self, values: Sequence[str]) -> None:
        self.values = values
        self._code_of: dict[str, int] | None = None

    def code(self, value: str | None) -> int:
        """The code of ``value``; -1 if no node has it, or None."""
        if value is None:
            return -1
        if self._code_of is None:
            self._code_of = {value: code for code, value in enumerate(self.values)}
        return self._code_of.get(value, -1)


def nodes_in(domains: BoolArray, codes: Codes) -> BoolArray:
    """(N,) bool: the nodes with ``codes`` (N,) that are in one of these (V + 1,) domains."""
    among = domains.nonzero()[0].tolist()
    if len(among) > _FEW_DOMAINS:
        return domains.take(codes)
    last = len(domains) - 1
    found: BoolArray = np.zeros(len(codes), dtype=np.bool_)
    for code in among:
        found |= codes == (code if code < last else -1)
    return found


def nodes_per_code(nodes: fwk.NodeTable, key: str, *, among: BoolArray | None) -> Int64Array:
    """(V + 1,) int64: how many of the nodes ``among`` (N,) bool have each code; None: of all."""
    if among is None:
        return nodes.nodes_by_value(key)
    return _summed(np.ones(len(nodes), dtype=np.int64), nodes, key, among)


def pods_per_code(
    constraint: Constraint, nodes: fwk.NodeTable, *, among: BoolArray | None
) -> Int64Array:
    """(V + 1,) int64: the constraint's pods on the nodes of each code, likewise."""
    key = constraint.topology_key
    if not constraint.counts_pods:
        return np.zeros(len(nodes.label_codes(key)[1]) + 1, dtype=np.int64)
    if among is None:
        return nodes.pods_by_value(constraint.pods, key)
    return _summed(nodes.pod_counts(constraint.pods), nodes, key, among)


def _summed(per_node: Int64Array, nodes: fwk.NodeTable, key: str, among: BoolArray) -> Int64Array:
    codes, values = nodes.label_codes(key)
    return sum_by_code(per_node[among], codes[among], len(values))
