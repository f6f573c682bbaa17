"""Which terms of existing pods mean an incoming pod, without asking all of them.

Workloads have terms of their own, thousands in a large cluster, and nearly all of them name one
value of a label or two (``app In [web]``). A term is filed by the label keys for which it names
values, its *shape*, and under the namespace and values that it names. There are few shapes: for
each the pod's own values are looked up, and only what is found there is matched. Terms that name no
values share the empty shape.

The index follows the tally of terms by what comes and goes there, and remembers answers per
namespace and labels until then.

Called by: ``plugin``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.frozen_map import StringMap
from pyscheduler.intree.inter_pod_affinity.namespaces import Namespaces
from pyscheduler.intree.inter_pod_affinity.terms import ExistingTerm, Kind, Term

#: Places that one term is filed under at most; above that by fewer keys, or in any namespace.
_MOST_PLACES = 16
#: Answers remembered; then all are forgotten. A guess: labels of the pods of a busy minute.
_REMEMBERED = 4096

#: label keys, sorted
_Shape = tuple[str, ...]
#: a namespace (None: any) and a value for each key of the shape
_Place = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """The existing terms that mean a pod."""

    #: required anti-affinity
    apart: frozenset[ExistingTerm] = frozenset()
    #: what counts for scores
    scoring: frozenset[ExistingTerm] = frozenset()


_NONE = Matched()


class TermIndex:
    """All terms of existing pods, by whom they may mean."""

    def __init__(self, namespaces: Namespaces, *, kinds: Collection[Kind]) -> None:
        self._namespaces = namespaces
        #: the others are not filed
        self._kinds = frozenset(kinds)
        self._terms: set[ExistingTerm] = set()
        #: terms by shape and place; no empty ones
        self._filed: dict[_Shape, dict[_Place, set[ExistingTerm]]] = {}
        self._known: dict[tuple[str, StringMap], Matched] = {}
        #: of the tally and of the namespaces, that `_known` is true for
        self._version = (0, 0)

    def matching(self, pod: Pod, tally: fwk.TallyCounts) -> Matched:
        """The terms in ``tally``, which is always the same one, that mean ``pod``."""
        if not tally:
            return _NONE
        version = tally.version, self._namespaces.version
        if version != self._version or len(self._known) > _REMEMBERED:
            self._follow(tally)
            self._known.clear()
            self._version = version
        key = pod.metadata.namespace, pod.metadata.labels
        matched = self._known.get(key)
        if matched is None:
            matched = self._known[key] = self._match(pod)
        return matched

    def _match(self, pod: Pod) -> Matched:
        labels = self._namespaces.labels_of(pod.metadata.namespace)
        found = {t for t in self._candidates(pod) if t.term.matches(pod, labels)}
        if not found:
            return _NONE
        apart = frozenset(term for term in found if term.kind is Kind.ANTI_AFFINITY)
        return Matched(apart, frozenset(found - apart))

    def _candidates(self, pod: Pod) -> Iterator[ExistingTerm]:
        labels = pod.metadata.labels
        for shape, places in self._filed.items():
            values = [labels[key] for key in shape if key in labels]
            if len(values) == len(shape):
                yield from places.get((pod.metadata.namespace, *values), ())
                yield from places.get((None, *values), ())

    def _follow(self, tally: fwk.TallyCounts) -> None:
        changed = tally.changed_keys(self._version[0])
        for key in self._terms.symmetric_difference(tally) if changed is None else changed:
            assert isinstance(key, ExistingTerm)
            is_there = key in tally
            if key.kind not in self._kinds or is_there == (key in self._terms):
                continue  # the latter: it came and went, or is named twice
            if is_there:
                self._file(key)
            else:
                self._unfile(key)

    def _file(self, term: ExistingTerm) -> None:
        self._terms.add(term)
        shape, places = _filing(term.term)
        filed = self._filed.setdefault(shape, {})
        for place in places:
            filed.setdefault(place, set()).add(term)

    def _unfile(self, term: ExistingTerm) -> None:
        self._terms.remove(term)
        shape, places = _filing(term.term)
        filed = self._filed[shape]
        for place in places:
            filed[place].remove(term)
            if not filed[place]:
                del filed[place]
        if not filed:
            del self._filed[shape]


def _filing(term: Term) -> tuple[_Shape, list[_Place]]:
    """The shape of a term, and the places there."""
    is_anywhere = not term.namespace_selector.is_nothing or len(term.namespaces) > _MOST_PLACES
    namespaces: list[str | None] = [None] if is_anywhere else [*term.namespaces]
    named = {r.key: r.values for r in term.selector.requirements if r.operator == "In"}
    count = max(len(namespaces), 1)
    shape = []
    for key in sorted(named, key=lambda key: (len(named[key]), key)):
        count *= len(named[key])
        if count > _MOST_PLACES:
            break
        shape.append(key)
    shape.sort()
    return tuple(shape), list(product(namespaces, *(named[key] for key in shape)))
