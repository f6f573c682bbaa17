"""How much there is in each topology domain: matching pods, or weight.

A domain is all nodes with one value of a topology key. Amounts are sums by value over all nodes,
which the cache keeps, and are looked up by the codes of whatever nodes are asked about. A what-if
changes its clone by a few pods: those differences are kept apart, so that a clone costs nothing.

States: made in PreFilter or PreScore, read until a pod, a label or a node changes; then they are
made anew.

Axes: V values of one topology key.

Called by: ``filtering``, ``scoring``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.framework.status import BoolArray, Int64Array


class Domains:
    """Amounts by value of one topology key."""

    __slots__ = ("_amounts", "_by_value", "_differences", "_sum", "_values", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        #: value -> what was added since; empty but in what-ifs
        self._differences: dict[str, int] = {}
        #: (V + 1,) int64 by code of `_values`; the last is for nodes without the label. None: all 0
        self._amounts: Int64Array | None = None
        #: of `_amounts`; None until somebody asked
        self._sum: int | None = None
        self._values: Sequence[str] = ()
        #: the amounts that are not 0; None until somebody asked about a single node
        self._by_value: dict[str, int] | None = None

    @classmethod
    def of(cls, key: str, nodes: fwk.NodeTable, by_value: Int64Array) -> Domains:
        """These amounts (V + 1,), by code of ``key``; that of nodes without the label is nobody's.

        V is that of ``nodes``.
        """
        domains = cls(key)
        if by_value[:-1].any():
            domains._amounts = by_value.copy()
            domains._amounts[-1] = 0
            domains._values = nodes.label_codes(key)[1]
        return domains

    @property
    def total(self) -> int:
        """Over all domains."""
        if self._sum is None:
            self._sum = 0 if self._amounts is None else int(self._amounts.sum())
        return self._sum + sum(self._differences.values())

    def clone(self) -> Domains:
        """The same amounts, to be changed alone."""
        copy = Domains(self.key)
        copy._sum = self._sum
        copy._differences = self._differences.copy()
        copy._amounts, copy._values = self._amounts, self._values
        copy._by_value = self._by_value
        return copy

    def add(self, labels: Mapping[str, str], amount: int) -> None:
        """Adds to the domain of a node with these labels, if it is in one."""
        value = labels.get(self.key)
        if value is not None:
            self._differences[value] = self._differences.get(value, 0) + amount

    def at_node(self, labels: Mapping[str, str]) -> int:
        """The amount of the domain of a node with these labels; 0 if it is in none."""
        value = labels.get(self.key)
        if value is None:
            return 0
        return self._amount_by_value().get(value, 0) + self._differences.get(value, 0)

    def at_nodes(self, nodes: fwk.NodeTable) -> Int64Array | None:
        """(N,) int64: the amount of each node's domain, 0 where it is in none; None: all 0."""
        if self._amounts is None and not self._differences:
            return None
        codes, values = nodes.label_codes(self.key)
        found: Int64Array = self._amounts_for(values).take(codes)
        if self._differences:
            # copied rows, which are asked about one by one
            found += [
                self._differences.get(values[code], 0) if code >= 0 else 0
                for code in codes.tolist()
            ]
        return found

    def are_positive(self, nodes: fwk.NodeTable) -> BoolArray | None:
        """(N,) bool: the nodes whose domain has a positive amount; None: none has."""
        if self._differences:
            amounts = self.at_nodes(nodes)
            return None if amounts is None else amounts > 0
        if self._amounts is None:
            return None
        codes, values = nodes.label_codes(self.key)
        return (self._amounts_for(values) > 0).take(codes)

    def _amounts_for(self, values: Sequence[str]) -> Int64Array:
        """(V + 1,) int64 by code of ``values``: codes are given anew now and then."""
        if values is self._values and self._amounts is not None:
            return self._amounts
        known = self._amount_by_value()
        return np.array([*(known.get(value, 0) for value in values), 0], dtype=np.int64)

    def _amount_by_value(self) -> dict[str, int]:
        if self._by_value is None:
            amounts = () if self._amounts is None else self._amounts.tolist()
            pairs = zip(self._values, amounts, strict=False)
            self._by_value = {value: amount for value, amount in pairs if amount}
        return self._by_value


class Amounts:
    """Amounts by topology key and value, put together from several sources."""

    def __init__(self, nodes: fwk.NodeTable) -> None:
        self._nodes = nodes
        self._by_value: dict[str, Int64Array] = {}

    def add(self, key: str, counts: Int64Array, *, weight: int = 1) -> None:
        """Adds ``counts`` (V + 1,) by code of ``key``, times ``weight``."""
        amounts = counts if weight == 1 else counts * weight
        known = self._by_value.get(key)
        self._by_value[key] = amounts if known is None else known + amounts

    def domains(self) -> dict[str, Domains]:
        """The domains of each topology key."""
        return {key: Domains.of(key, self._nodes, a) for key, a in self._by_value.items()}
