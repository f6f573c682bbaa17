"""One figure per domain: the nodes that share a value of the topology key.

Nodes have the values of a label as codes, so a figure per domain is an array by code, and what
holds for each node is one look-up: ``by_code.take(codes)``. The array has one entry more than there
are values, the last: it answers for code -1, a node without the label.

Axes: N node rows of the table, V values of the topology key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyscheduler.framework.status import BoolArray, Int64Array

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


def counted_codes(codes: Codes, size: int, *, among: BoolArray | None) -> Codes:
    """(N,): the code of each node that counts, and ``size`` for the others.

    Args:
        codes: (N,), of which none that counts is -1.
        size: V.
        among: (N,) bool: the nodes that count; None: all.
    """
    return codes if among is None else np.where(among, codes, size)


def nodes_per_code(codes: Codes, size: int) -> Int64Array:
    """(V,) int64: how many nodes have each of ``size`` codes; others are left out."""
    return np.bincount(codes, minlength=size)[:size]


def pods_per_code(codes: Codes, size: int, pods: Int64Array | None) -> Int64Array:
    """(V,) int64: the sum of ``pods`` (N,) over the nodes of each of ``size`` codes.

    None stands for no pods at all.
    """
    if pods is None:
        return np.zeros(size, dtype=np.int64)
    # exact: a float holds every integer up to 2**53
    return np.bincount(codes, weights=pods, minlength=size)[:size].astype(np.int64)
