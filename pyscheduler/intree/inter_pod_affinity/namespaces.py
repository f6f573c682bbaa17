"""Namespaces as terms see them: their labels, and which of them a selector selects.

Called by: ``plugin``, ``term_index``.
"""

from __future__ import annotations

from collections.abc import Mapping

from cachetools import LRUCache

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Namespace
from pyscheduler.api.frozen_map import EMPTY
from pyscheduler.api.selectors import Selector

#: Selectors whose namespaces are remembered. A guess: few templates select namespaces by label.
_REMEMBERED = 256


class Namespaces:
    """What the watch told of namespaces; a `framework.informers.ResourceHandler` of theirs."""

    def __init__(self, informers: fwk.Informers) -> None:
        informer = informers.of("namespaces.v1", Namespace)
        self._lister = informer.lister
        self._selected: LRUCache[Selector, frozenset[str]] = LRUCache(_REMEMBERED)
        #: grows whenever any answer may have changed
        self.version = 0
        informer.add_handler(self)

    def labels_of(self, name: str) -> Mapping[str, str]:
        """The labels of that namespace; none when it is not known."""
        namespace = self._lister.get(name)
        return EMPTY if namespace is None else namespace.labels

    def selected(self, by: Selector) -> frozenset[str]:
        """The names of the namespaces whose labels ``by`` matches."""
        found = self._selected.get(by)
        if found is None:
            found = frozenset(n.name for n in self._lister.list() if by.matches(n.labels))
            self._selected[by] = found
        return found

    # --- framework.informers.ResourceHandler ---

    def on_add(self, added: Namespace, initial: bool) -> None:
        """A namespace is there."""
        self._forget()

    def on_update(self, old: Namespace, new: Namespace) -> None:
        """A namespace changed."""
        if old.labels != new.labels:
            self._forget()

    def on_delete(self, deleted: Namespace) -> None:
        """A namespace is gone."""
        self._forget()

    def _forget(self) -> None:
        self.version += 1
        self._selected.clear()
