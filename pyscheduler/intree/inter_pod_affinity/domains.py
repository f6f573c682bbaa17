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
from functools import cached_property

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.framework.status import BoolArray, Int64Array


class _Counted:
    """What the cache had counted: never changes, and is shared by all clones."""

    def __init__(self, amounts: Int64Array, values: Sequence[str]) -> None:
        #: (V + 1,) int64 by code of `values`; the last, for nodes without the label, is 0
        self.amounts = amounts
        self.values = values

    @cached_property
    def total(self) -> int:
        """The sum of all."""
        return int(self.amounts.sum())

    @cached_property
    def by_value(self) -> Mapping[str, int]:
        """Those that are not 0; made when somebody asks about a single node."""
        pairs = zip(self.values, self.amounts.tolist(), strict=False)
        return {value: amount for value, amount in pairs if amount}

    def amounts_for(self, values: Sequence[str]) -> Int64Array:
        """(V + 1,) int64 by code of ``values``: codes are given anew now and then."""
        if values is self.values:
            return self.amounts
        return np.array([*(self.by_value.get(value, 0) for value in values), 0], dtype=np.int64)


class Domains:
    """Amounts by value of one topology key."""

    __slots__ = ("_counted", "_differences", "key")

    def __init__(self, key: str, counted: _Counted | None = None) -> None:
        self.key = key
        #: None: all 0
        self._counted = counted
        #: value -> what was added since; empty but in what-ifs
        self._differences: dict[str, int] = {}

    @classmethod
    def of(cls, key: str, nodes: fwk.NodeTable, by_value: Int64Array) -> Domains:
        """These amounts (V + 1,), by code of ``key``; that of nodes without the label is nobody's.

        V is that of ``nodes``.
        """
        if not by_value[:-1].any():
            return cls(key)
        amounts = by_value.copy()
        amounts[-1] = 0
        return cls(key, _Counted(amounts, nodes.label_codes(key)[1]))

    @property
    def total(self) -> int:
        """Over all domains."""
        counted = 0 if self._counted is None else self._counted.total
        return counted + sum(self._differences.values())

    def clone(self) -> Domains:
        """The same amounts, to be changed alone."""
        copy = Domains(self.key, self._counted)
        copy._differences = self._differences.copy()
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
        counted = 0 if self._counted is None else self._counted.by_value.get(value, 0)
        return counted + self._differences.get(value, 0)

    def at_nodes(self, nodes: fwk.NodeTable) -> Int64Array | None:
        """(N,) int64: the amount of each node's domain, 0 where it is in none; None: all 0."""
        if self._counted is None and not self._differences:
            return None
        codes, values = nodes.label_codes(self.key)
        if self._counted is None:
            found: Int64Array = np.zeros(len(nodes), dtype=np.int64)
        else:
            found = self._counted.amounts_for(values).take(codes)
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
        if self._counted is None:
            return None
        codes, values = nodes.label_codes(self.key)
        return (self._counted.amounts_for(values) > 0).take(codes)


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
