"""From which nodes something can be reached, and what of many things can be reached from one node.

A volume's node affinity and a capacity's topology are rules about a node's labels, `Reach`: the
field terms of a volume's affinity do not count, as upstream asks about labels alone.

There may be a volume per node, so `ByLabels` finds those for a node without asking each: a rule
that needs a label to have one of some values is looked up by that value.

Called by: ``bound``, ``finding``, ``provisioning``.
Source: kube-scheduler 1.37, ``component-helpers/storage/volume/helpers.go`` CheckNodeAffinity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from heapq import merge
from operator import itemgetter
from typing import Final, Generic, TypeVar

from pyscheduler.api.selectors import (
    EVERYTHING,
    NodeTerm,
    RequiredNodeAffinity,
    Requirement,
    node_term,
)
from pyscheduler.api.volumes_v1 import PersistentVolume

T = TypeVar("T")

#: A rule about the labels of a node.
Reach = RequiredNodeAffinity

ANYWHERE: Final = Reach()
NOWHERE: Final = Reach(terms=())


def reach_of(volume: PersistentVolume) -> Reach:
    """The nodes that can reach the volume.

    Raises:
        InvalidSelector: a term cannot be understood.
    """
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return ANYWHERE
    terms: list[NodeTerm] = []
    for written in affinity.required.node_selector_terms:
        term = node_term(written)
        if term.fields.requirements:
            if not term.expressions.requirements:
                return ANYWHERE
            term = replace(term, fields=EVERYTHING)
        terms.append(term)
    return Reach(terms=tuple(terms))


def keys_of(reach: Reach) -> frozenset[str]:
    """The labels that the rule asks about."""
    keys = reach.labels.keys
    for term in reach.terms or ():
        keys |= term.expressions.keys
    return keys


class ByLabels(Generic[T]):
    """Things in an order, found by the labels of a node that can reach them."""

    def __init__(self) -> None:
        self._count = 0
        self._others: list[tuple[int, T, Reach | None]] = []
        #: label -> value -> those that need it; a rule of None is already kept by the value
        self._pinned: dict[str, dict[str, list[tuple[int, T, Reach | None]]]] = {}
        #: the labels that any rule asks about
        self.keys: frozenset[str] = frozenset()

    def add(self, thing: T, reach: Reach) -> None:
        """``thing`` comes after those that are there already."""
        order, self._count = self._count, self._count + 1
        if not self.keys >= (keys := keys_of(reach)):
            self.keys |= keys
        pins = _pins(reach)
        if pins is None:
            rule = None if reach.is_empty else reach
            self._others.append((order, thing, rule))
            return
        entry = (order, thing, None if _is_told_by_pins(reach) else reach)
        for pin in pins:
            by_value = self._pinned.setdefault(pin.key, {})
            for value in pin.values:
                by_value.setdefault(value, []).append(entry)

    def reachable(self, labels: Mapping[str, str]) -> Iterator[T]:
        """Those that a node with these labels can reach, in their order."""
        last = -1
        for order, thing, reach in self._possible(labels):
            if order == last:
                continue  # pinned twice
            if reach is None or reach.matches(labels, ""):
                last = order
                yield thing

    def _possible(self, labels: Mapping[str, str]) -> Iterator[tuple[int, T, Reach | None]]:
        lists = [self._others] if self._others else []
        for key, by_value in self._pinned.items():
            value = labels.get(key)
            found = None if value is None else by_value.get(value)
            if found is not None:
                lists.append(found)
        if len(lists) == 1:
            return iter(lists[0])
        return merge(*lists, key=itemgetter(0))


def _pins(reach: Reach) -> list[Requirement] | None:
    """Conditions of which one must hold, each on the value of a label; None if there are none."""
    pin = _pin(reach.labels.requirements)
    if pin is not None:
        return [pin]
    if reach.terms is None:
        return None
    pins = [_pin(term.expressions.requirements) for term in reach.terms]
    found = [pin for pin in pins if pin is not None]
    return found if len(found) == len(pins) else None


def _pin(requirements: tuple[Requirement, ...]) -> Requirement | None:
    return next((one for one in requirements if one.operator == "In"), None)


def _is_told_by_pins(reach: Reach) -> bool:
    """True when there is nothing in the rule but its pins."""
    if reach.terms is None:
        return len(reach.labels.requirements) == 1
    return not reach.labels.requirements and all(
        len(term.expressions.requirements) == 1 for term in reach.terms
    )
