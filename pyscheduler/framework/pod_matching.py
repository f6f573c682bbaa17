"""Pods by what they are: how many there are on each node, and what they have in common.

Spreading and inter-pod affinity ask two questions about the pods that run already:

- `PodMatcher`: how many of them match these namespaces and selectors? A question of the incoming
  pod, put to ``NodeTable.pod_counts``.
- `PodTally`: which keys do they have themselves (affinity terms, claims), and how often on each
  node? Declared once, read through ``NodeTable.tally``.

Both are answered from counts that are kept as pods come and go, never by walking over pods; per
node, or per topology domain: summed over the nodes of each value of a label.

Called by: plugins (they make the values), ``cache.pod_counts`` (keeps the counts).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.selectors import Selector
from pyscheduler.framework.columns import Aspect


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Pods of these namespaces whose labels the selector matches."""

    #: None: all namespaces
    namespaces: frozenset[str] | None
    selector: Selector

    def matches(self, pod: Pod) -> bool:
        """True when ``pod`` is meant."""
        return self.means(pod.metadata.namespace, pod.metadata.labels)

    def means(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """True when a pod of that namespace with these labels is meant."""
        in_namespace = self.namespaces is None or namespace in self.namespaces
        return in_namespace and self.selector.matches(labels)


class PodMatcher:
    """Pods that all ``terms`` match; hashed once, for it is looked up in every cycle.

    Args:
        terms: at least one.
        terminating: whether pods that are being deleted count, too.
    """

    __slots__ = ("_hash", "terminating", "terms")

    def __init__(self, terms: Iterable[PodTerm], *, terminating: bool = True) -> None:
        self.terms = tuple(terms)
        if not self.terms:
            raise ValueError("a pod matcher without terms would mean every pod or none")
        self.terminating = terminating
        self._hash = hash((self.terms, terminating))

    @property
    def namespaces(self) -> frozenset[str] | None:
        """The namespaces that a match can be in; None: any."""
        found: frozenset[str] | None = None
        for term in self.terms:
            if term.namespaces is not None:
                found = term.namespaces if found is None else found & term.namespaces
        return found

    def matches(self, pod: Pod) -> bool:
        """True when ``pod`` counts."""
        metadata = pod.metadata
        return self.means(metadata.namespace, metadata.labels, is_terminating=pod.is_terminating)

    def means(self, namespace: str, labels: Mapping[str, str], *, is_terminating: bool) -> bool:
        """True when a pod of that namespace with these labels counts."""
        if is_terminating and not self.terminating:
            return False
        return all(term.means(namespace, labels) for term in self.terms)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, PodMatcher)
            and self._hash == other._hash
            and self.terminating == other.terminating
            and self.terms == other.terms
        )

    def __repr__(self) -> str:
        return f"PodMatcher({self.terms!r}, terminating={self.terminating})"


class PodTally:
    """What pods have, by key: declared once, at import, and named in a plugin's ``depends_on``.

    Args:
        name: tells it from other tallies, and appears in messages.
        keys: the keys of one pod; one that occurs twice counts twice. It must depend on the pod
            alone. One that raises gives that pod no keys.
    """

    #: what must change before a tally can
    aspect: Aspect = Aspect.PODS

    def __init__(self, name: str, keys: Callable[[Pod], Iterable[Hashable]]) -> None:
        self.name = name
        self.keys = keys

    def __repr__(self) -> str:
        return f"PodTally({self.name!r})"


class TallyCounts(Protocol):
    """One tally over the N nodes of a table. Read only."""

    def __iter__(self) -> Iterator[Hashable]:
        """The keys that some pod of the whole cluster has, also one outside this table."""

    def __len__(self) -> int:
        """How many keys that are."""

    def __contains__(self, key: object) -> bool:
        """True when some pod of the whole cluster has ``key``."""

    def total(self, key: Hashable) -> int:
        """How often pods of the whole cluster have ``key``."""

    def rows(self, key: Hashable) -> npt.NDArray[np.intp]:
        """The rows of this table with pods that have ``key``, sorted; cheap when they are few."""

    def counts(self, key: Hashable) -> npt.NDArray[np.int64]:
        """(N,) int64: how often pods on each node have ``key``."""

    def by_value(self, key: Hashable, label: str) -> npt.NDArray[np.int64]:
        """(V + 1,) int64: `counts` summed by value of a label, as ``NodeTable.pods_by_value``."""

    @property
    def version(self) -> int:
        """Grows by one with each key that comes to the cluster or goes."""

    def changed_keys(self, since: int) -> Sequence[Hashable] | None:
        """The keys that came or went since that version; None: so long ago that nobody knows."""


def sum_by_code(
    per_node: npt.NDArray[np.int64], codes: npt.NDArray[np.signedinteger[Any]], values: int
) -> npt.NDArray[np.int64]:
    """(V + 1,) int64: ``per_node`` (N,) summed over the nodes of each of ``values`` codes.

    The last entry is of the nodes with code -1, which have none of the values: what is by value is
    looked up by code.
    """
    sums = np.zeros(values + 1, dtype=np.int64)
    np.add.at(sums, codes, per_node)
    return sums
