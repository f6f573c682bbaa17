"""How much there is in each topology domain: matching pods, or weight.

A domain is all nodes with one value of a topology key. Amounts are sums by value over all nodes,
which the cache keeps, and are looked up by the codes of whatever nodes are asked about. A what-if
changes its clone by a few pods: those differences are kept apart, so that a clone costs nothing.

States: made in PreFilter or PreScore. When pods come or go, `Domains.follow` looks at the domains
of their nodes alone; after a label or a node has changed they are made anew.

Axes: V values of one topology key.

Called by: ``filtering``, ``scoring``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.framework.status import BoolArray, Int64Array
from pyscheduler.intree.inter_pod_affinity.terms import ExistingTerm

#: node rows, ascending
Rows = npt.NDArray[np.intp]
NO_ROWS: Rows = np.zeros(0, dtype=np.intp)


class Source(NamedTuple):
    """Pods that match, or pods with a term, each of which adds ``weight`` to its domain."""

    what: fwk.PodMatcher | ExistingTerm
    weight: int = 1

    def counts(self, key: str, nodes: fwk.NodeTable, tally: fwk.TallyCounts) -> Int64Array:
        """(V + 1,) int64: how many there are, by code of ``key``."""
        if isinstance(self.what, ExistingTerm):
            return tally.by_value(self.what, key)
        return nodes.pods_by_value(self.what, key)


class _Vocabulary:
    """The values of a label by code, as they were when something was counted."""

    def __init__(self, values: Sequence[str]) -> None:
        self.values = values

    @cached_property
    def codes(self) -> Mapping[str, int]:
        """Made when somebody asks about a single node."""
        return {value: code for code, value in enumerate(self.values)}


class _Counted:
    """What the cache had counted: never changes, and is shared by all clones."""

    __slots__ = ("amounts", "total", "vocabulary")

    def __init__(self, amounts: Int64Array, vocabulary: _Vocabulary, total: int) -> None:
        #: (V + 1,) int64 by code; the last, for nodes without the label, is 0
        self.amounts = amounts
        self.vocabulary = vocabulary
        #: the sum of all
        self.total = total

    def changed(self, amounts: Mapping[int, int]) -> _Counted:
        """The same with other amounts for some codes."""
        copy, total = self.amounts.copy(), self.total
        for code, amount in amounts.items():
            total += amount - copy.item(code)
            copy[code] = amount
        return _Counted(copy, self.vocabulary, total)

    def at(self, value: str) -> int:
        """The amount of one value."""
        code = self.vocabulary.codes.get(value, -1)
        # a value that came since is nobody's whom we have counted
        return self.amounts.item(code) if code < len(self.amounts) else 0

    def amounts_for(self, values: Sequence[str]) -> Int64Array:
        """(V + 1,) int64 by code of ``values``: codes are given anew now and then."""
        if values is self.vocabulary.values:
            return self.amounts
        return np.array([*map(self.at, values), 0], dtype=np.int64)


class Domains:
    """Amounts by value of one topology key."""

    __slots__ = ("_counted", "_differences", "_sources", "key")

    def __init__(
        self, key: str, counted: _Counted | None = None, sources: Sequence[Source] = ()
    ) -> None:
        self.key = key
        #: None: all 0
        self._counted = counted
        #: what the amounts are sums of
        self._sources = sources
        #: value -> what was added since; empty but in what-ifs
        self._differences: dict[str, int] = {}

    @classmethod
    def over(
        cls, key: str, sources: Sequence[Source], nodes: fwk.NodeTable, tally: fwk.TallyCounts
    ) -> Domains:
        """The amounts of these sources, of which there is one at least, over all ``nodes``."""
        counts = [source.counts(key, nodes, tally) * source.weight for source in sources]
        by_value = counts[0] if len(counts) == 1 else np.sum(counts, axis=0)
        return cls.of(key, nodes, by_value, sources)

    @classmethod
    def of(
        cls, key: str, nodes: fwk.NodeTable, by_value: Int64Array, sources: Sequence[Source] = ()
    ) -> Domains:
        """These amounts (V + 1,), by code of ``key``; that of nodes without the label is nobody's.

        V is that of ``nodes``.
        """
        if not by_value[:-1].any():
            return cls(key, None, sources)
        amounts = by_value.copy()
        amounts[-1] = 0
        vocabulary = _Vocabulary(nodes.label_codes(key)[1])
        return cls(key, _Counted(amounts, vocabulary, int(amounts.sum())), sources)

    @property
    def total(self) -> int:
        """Over all domains."""
        counted = 0 if self._counted is None else self._counted.total
        return counted + sum(self._differences.values()) if self._differences else counted

    def clone(self) -> Domains:
        """The same amounts, to be changed alone."""
        copy = Domains(self.key, self._counted, self._sources)
        if self._differences:
            copy._differences = self._differences.copy()
        return copy

    def follow(
        self, nodes: fwk.NodeTable, tally: fwk.TallyCounts, rows: Iterable[int]
    ) -> dict[int, tuple[int, int]] | None:
        """Takes over that pods came to ``rows`` of all ``nodes``, or left them.

        Returns:
            Code -> the amount before and now, where it is another; None when codes were given anew,
            so that nothing can be said.
        """
        codes, values = nodes.label_codes(self.key)
        counted = self._counted
        if counted is not None and counted.vocabulary.values is not values:
            return None
        touched = {code for code in map(codes.item, rows) if code >= 0}
        counts = [(s.weight, s.counts(self.key, nodes, tally)) for s in self._sources]
        moved = {}
        for code in touched:
            before = 0 if counted is None else counted.amounts.item(code)
            now = sum(weight * by_value.item(code) for weight, by_value in counts)
            if now != before:
                moved[code] = before, now
        if moved:
            if counted is None:
                zeros = np.zeros(len(values) + 1, dtype=np.int64)
                counted = _Counted(zeros, _Vocabulary(values), 0)
            self._counted = counted.changed({code: now for code, (_, now) in moved.items()})
        return moved

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
        counted = 0 if self._counted is None else self._counted.at(value)
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


class Sources:
    """What is counted by each topology key, put together term by term."""

    def __init__(self) -> None:
        self._by_key: dict[str, list[Source]] = {}

    def add(self, key: str, source: Source) -> None:
        """Counts ``source`` by ``key``, too."""
        self._by_key.setdefault(key, []).append(source)

    def domains(self, nodes: fwk.NodeTable, tally: fwk.TallyCounts) -> dict[str, Domains]:
        """The domains of each topology key."""
        return {key: Domains.over(key, s, nodes, tally) for key, s in self._by_key.items()}


def nodes_in(domains: Iterable[tuple[str, int]], nodes: fwk.NodeTable) -> Rows:
    """The rows of the nodes in these domains, each given by topology key and code."""
    found = [
        (nodes.label_codes(key)[0] == code).nonzero()[0] for key, code in dict.fromkeys(domains)
    ]
    if len(found) > 1:
        return np.unique(np.concatenate(found))
    return found[0] if found else NO_ROWS
