"""What PreFilter finds out for Filter: how many pods speak for or against each topology domain.

Three counts by topology key and value:

- ``near``: existing pods that *all* required affinity terms of the incoming pod mean, once for each
  topology key of the terms;
- ``apart``: existing pods that a required anti-affinity term of the incoming pod means;
- ``existing``: required anti-affinity terms of existing pods that mean the incoming pod.

A node passes when it has every topology key of the affinity terms and a pod in ``near`` for each,
and none in ``apart`` and ``existing``. The first pod of a group that is to stay together finds
nobody: it passes on any node with the keys when ``near`` is empty over the whole cluster and the
pod means itself.

States: `FilterState` is made by PreFilter, over all nodes. It follows pods that come and go, and is
made again when labels or nodes change; what-ifs change a clone of it, pod by pod.

Called by: ``plugin``. Source: kube-scheduler 1.37, ``plugins/interpodaffinity/filtering.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.status import BoolArray
from pyscheduler.intree.inter_pod_affinity.domains import (
    Domains,
    Rows,
    Source,
    Sources,
    nodes_in,
)
from pyscheduler.intree.inter_pod_affinity.terms import ExistingTerm, OwnTerms, terms_of

_NOT_NEAR = "node(s) didn't match pod affinity rules"
_NOT_APART = "node(s) didn't match pod anti-affinity rules"
_KEPT_OUT = "node(s) didn't satisfy existing pods anti-affinity rules"

_ByKey = dict[str, Domains]


@dataclass(frozen=True, slots=True)
class FilterState:
    """The counts for one class of pods."""

    own: OwnTerms
    #: the pod is one of those that it wants to be near
    means_itself: bool
    near: _ByKey
    apart: _ByKey
    existing: _ByKey

    @property
    def is_pointless(self) -> bool:
        """True when no node can be rejected."""
        return not self.own.has_required and not _is_any(self.existing)

    def clone(self) -> FilterState:
        """The same counts, to be changed alone."""
        near, apart, existing = map(_cloned, (self.near, self.apart, self.existing))
        return FilterState(self.own, self.means_itself, near, apart, existing)

    def follow(
        self, nodes: fwk.NodeTable, tally: fwk.TallyCounts, rows: Sequence[int]
    ) -> Rows | None:
        """Takes over that pods came to ``rows`` of all ``nodes``, or left them.

        Returns:
            The rows that may be judged otherwise now; None when that cannot be told, or whether
            there is anything to judge by is another answer now: the counts are to be made again.
        """
        was_first, was_pointless, flipped = self._is_first, self.is_pointless, []
        for domains in (*self.near.values(), *self.apart.values(), *self.existing.values()):
            moved = domains.follow(nodes, tally, rows)
            if moved is None:
                return None
            flipped += [
                (domains.key, code)
                for code, (before, now) in moved.items()
                if (before > 0) != (now > 0)
            ]
        if self._is_first != was_first or self.is_pointless != was_pointless:
            return None
        return nodes_in(flipped, nodes)

    def count(
        self,
        pod: Pod,
        other: Pod,
        *,
        labels: Mapping[str, str],
        namespace_labels: Mapping[str, str],
        difference: int,
    ) -> None:
        """Counts ``other`` in (+1) or out (-1).

        Args:
            pod: the incoming one.
            other: that comes or goes.
            labels: of the node it is on.
            namespace_labels: of the incoming pod's namespace.
            difference: 1 or -1.
        """
        for term in terms_of(other).anti_affinity:
            if term.matches(pod, namespace_labels):
                self.existing.setdefault(term.topology_key, Domains(term.topology_key)).add(
                    labels, difference
                )
        if self.own.near is not None and self.own.near.matches(other):
            for domains in self.near.values():
                domains.add(labels, difference)
        for key, matcher in self.own.apart:
            if matcher.matches(other):
                self.apart[key].add(labels, difference)

    # --- one node ---

    def judge(self, labels: Mapping[str, str]) -> fwk.Status | None:
        """None if a node with these labels will do."""
        if not self._is_near(labels):
            return fwk.unresolvable(_NOT_NEAR)
        if any(domains.at_node(labels) > 0 for domains in self.apart.values()):
            return fwk.unschedulable(_NOT_APART)
        if any(domains.at_node(labels) > 0 for domains in self.existing.values()):
            return fwk.unschedulable(_KEPT_OUT)
        return None

    def _is_near(self, labels: Mapping[str, str]) -> bool:
        if not all(key in labels for key in self.near):
            return False
        return self._is_first or all(domains.at_node(labels) > 0 for domains in self.near.values())

    @property
    def _is_first(self) -> bool:
        return self.means_itself and not _is_any(self.near)

    # --- all nodes ---

    def judge_nodes(self, nodes: fwk.NodeTable) -> fwk.NodeVerdict:
        """The same for all nodes; the first objection to a node is the one that is told."""
        verdict = nodes.verdict()
        rejected = None
        if self.near:
            rejected = self._far_nodes(nodes)
            verdict.reject(rejected, _NOT_NEAR, unresolvable=True)
        for domains, reason in ((self.apart, _NOT_APART), (self.existing, _KEPT_OUT)):
            occupied = _occupied(nodes, domains.values())
            if occupied is None:
                continue
            verdict.reject(occupied if rejected is None else occupied & ~rejected, reason)
            rejected = _either(rejected, occupied)
        return verdict

    def _far_nodes(self, nodes: fwk.NodeTable) -> BoolArray:
        far = np.zeros(len(nodes), dtype=np.bool_)
        if self._is_first:
            for key in self.near:
                far |= nodes.label_codes(key)[0] < 0
            return far
        for domains in self.near.values():
            are_near = domains.are_positive(nodes)
            far |= True if are_near is None else ~are_near
        return far


FILTER = fwk.StateKey[FilterState]("InterPodAffinity.filter")


def filter_state(
    own: OwnTerms,
    existing: Iterable[ExistingTerm],
    nodes: fwk.NodeTable,
    *,
    tally: fwk.TallyCounts,
    means_itself: bool,
) -> FilterState:
    """The counts over all ``nodes``.

    Args:
        own: terms of the incoming pod.
        existing: required anti-affinity terms that mean the pod.
        nodes: all of them.
        tally: of the terms of existing pods.
        means_itself: the pod is one of those that it wants to be near.
    """
    near, apart, kept_out = Sources(), Sources(), Sources()
    for term in existing:
        kept_out.add(term.term.topology_key, Source(term))
    for key, matcher in own.apart:
        apart.add(key, Source(matcher))
    if own.near is not None:
        for key in own.near_by:
            near.add(key, Source(own.near))
    counted = (sources.domains(nodes, tally) for sources in (near, apart, kept_out))
    return FilterState(own, means_itself, *counted)


def _is_any(by_key: _ByKey) -> bool:
    return any(domains.total for domains in by_key.values())


def _cloned(by_key: _ByKey) -> _ByKey:
    return {key: domains.clone() for key, domains in by_key.items()}


def _occupied(nodes: fwk.NodeTable, by_key: Iterable[Domains]) -> BoolArray | None:
    """(N,) bool: nodes in a domain with a positive count; None: none."""
    found: BoolArray | None = None
    for domains in by_key:
        positive = domains.are_positive(nodes)
        if positive is not None:
            found = _either(found, positive)
    return found


def _either(one: BoolArray | None, other: BoolArray) -> BoolArray:
    return other if one is None else one | other
