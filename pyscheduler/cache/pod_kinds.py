"""Kinds of pods: those that no matcher tells apart, and how to find them by label.

A cluster has far fewer kinds than pods, since the pods of a template are alike. A `PodMatcher` that
is asked about for the first time is held against kinds instead of pods, and against those alone
that have a label value which it names.

Called by: ``pod_counts``.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import NamedTuple

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.frozen_map import StringMap
from pyscheduler.framework.pod_matching import PodMatcher, PodTally, TallyCounts


class PodKind(NamedTuple):
    """All that a matcher reads of a pod."""

    namespace: str
    labels: StringMap
    is_terminating: bool

    def is_matched(self, by: PodMatcher) -> bool:
        """True when pods of this kind count."""
        return by.means(self.namespace, self.labels, is_terminating=self.is_terminating)


def kind_of(pod: Pod) -> PodKind:
    """The kind of ``pod``."""
    return PodKind(pod.metadata.namespace, pod.metadata.labels, pod.is_terminating)


#: how many pods of each kind are on each node
KINDS = PodTally("kinds of pods", lambda pod: (kind_of(pod),))


class KindIndex:
    """The kinds in a tally of `KINDS`, by label."""

    def __init__(self) -> None:
        self._by_label: dict[tuple[str, str], set[Hashable]] = {}
        #: of the tally, that `_by_label` is true for
        self._version = 0

    def candidates(self, matcher: PodMatcher, tally: TallyCounts) -> Collection[Hashable]:
        """The kinds in ``tally``, which is always the same one, that ``matcher`` may match."""
        self._follow(tally)
        fewest: set[Hashable] | None = None
        for term in matcher.terms:
            for requirement in term.selector.requirements:
                if requirement.operator != "In":
                    continue
                labels = [(requirement.key, value) for value in requirement.values]
                found = set().union(*(self._by_label.get(label, ()) for label in labels))
                if fewest is None or len(found) < len(fewest):
                    fewest = found
        return list(tally) if fewest is None else fewest

    def _follow(self, tally: TallyCounts) -> None:
        changed = tally.changed_keys(self._version)
        if changed is None:
            self._by_label.clear()
            changed = list(tally)
        self._version = tally.version
        for kind in changed:
            assert isinstance(kind, PodKind)
            for label in kind.labels.items():
                if kind in tally:
                    self._by_label.setdefault(label, set()).add(kind)
                elif label in self._by_label:
                    self._by_label[label].discard(kind)
                    if not self._by_label[label]:
                        del self._by_label[label]
