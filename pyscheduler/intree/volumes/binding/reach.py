"""From which nodes something can be reached, and what of many things can be reached from one node.

A volume's node affinity and a capacity's topology are rules about a node's labels, `Reach`: the
field terms of a volume's affinity do not count, as upstream asks about labels alone.

There may be a volume per node, so `ByLabels` finds those for a node without asking each: a rule
that needs a label to have one of some values is looked up by that value.

Called by: ``bound``, ``finding``, ``provisioning``.
Source: kube-scheduler 1.37, ``component-helpers/storage/volume/helpers.go`` CheckNodeAffinity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule about labels, taken apart once."""

    reach: Reach
    #: the labels that it asks about
    keys: frozenset[str]
    #: labels and values one of which a node must have; None: no such are known
    pins: tuple[tuple[str, str], ...] | None
    #: there is nothing in it but the pins, or nothing at all
    is_told_by_pins: bool


def rule_of(reach: Reach) -> Rule:
    """The rule, taken apart."""
    pins = _pins(reach)
    if pins is None:
        return Rule(reach, keys_of(reach), None, reach.is_empty)
    pairs = dict.fromkeys((pin.key, value) for pin in pins for value in sorted(pin.values))
    return Rule(reach, keys_of(reach), tuple(pairs), _is_told_by_pins(reach))


class ByLabels(Generic[T]):
    """Things in an order, found by the labels of a node that can reach them."""

    def __init__(self) -> None:
        self._count = 0
        self._others: list[tuple[int, T, Rule]] = []
        #: label -> value -> those that need it
        self._pinned: dict[str, dict[str, list[tuple[int, T, Rule]]]] = {}
        #: the labels that any rule asks about
        self.keys: frozenset[str] = frozenset()

    def add(self, thing: T, rule: Rule) -> None:
        """``thing`` comes after those that are there already."""
        entry = (self._count, thing, rule)
        self._count += 1
        if not self.keys >= rule.keys:
            self.keys |= rule.keys
        if rule.pins is None:
            self._others.append(entry)
            return
        for key, value in rule.pins:
            self._pinned.setdefault(key, {}).setdefault(value, []).append(entry)

    def reachable(self, labels: Mapping[str, str]) -> Iterator[T]:
        """Those that a node with these labels can reach, in their order."""
        last = -1
        for order, thing, rule in self._possible(labels):
            if order == last:
                continue  # pinned twice
            if rule.is_told_by_pins or rule.reach.matches(labels, ""):
                last = order
                yield thing

    def _possible(self, labels: Mapping[str, str]) -> Iterable[tuple[int, T, Rule]]:
        lists = [self._others] if self._others else []
        for key, by_value in self._pinned.items():
            value = labels.get(key)
            found = None if value is None else by_value.get(value)
            if found is not None:
                lists.append(found)
        if len(lists) == 1:
            return lists[0]
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
