"""One figure per domain: the nodes that share a value of the topology key.

Nodes have the values of a label as codes, so a figure per domain is an array by code, and what
holds for each node is one look-up: ``by_code[codes]``. The array has one entry more than there are
values, the last: it answers for code -1, a node without the label.

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


def nodes_per_code(codes: Codes, size: int, *, among: BoolArray | None) -> Int64Array:
    """(size,) int64: how many nodes have each code.

    Args:
        codes: (N,), of which none that counts is -1.
        size: V.
        among: (N,) bool: the nodes that count; None: all.
    """
    return np.bincount(codes if among is None else codes[among], minlength=size)


def pods_per_code(
    codes: Codes, size: int, *, pods: Int64Array | None, among: BoolArray | None
) -> Int64Array:
    """(size,) int64: the sum of ``pods`` over the nodes of each code.

    Args:
        codes: (N,), of which none that counts is -1.
        size: V.
        pods: (N,); None: no node has any.
        among: (N,) bool: the nodes that count; None: all.
    """
    if pods is None:
        return np.zeros(size, dtype=np.int64)
    if among is not None:
        codes, pods = codes[among], pods[among]
    # exact: a float holds every integer up to 2**53
    return np.bincount(codes, weights=pods, minlength=size).astype(np.int64)
