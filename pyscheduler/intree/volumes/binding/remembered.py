"""What was worked out about API objects, kept while they stay as they are.

Called by: ``finding`` and ``provisioning``, which look at the same many objects for each pod.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from pyscheduler.api.keys import key_of
from pyscheduler.api.meta import HasMetadata

T = TypeVar("T", bound=HasMetadata)
WorthT = TypeVar("WorthT")


class Remembered(Generic[T, WorthT]):
    """Works something out about an object once; a handler of the informer that tells of it."""

    def __init__(self, work_out: Callable[[T], WorthT]) -> None:
        self._work_out = work_out
        self._known: dict[str, tuple[T, WorthT]] = {}

    def of(self, subject: T) -> WorthT:
        """What was worked out of that very state of the object."""
        key = key_of(subject)
        known = self._known.get(key)
        if known is not None and known[0] is subject:
            return known[1]
        worth = self._work_out(subject)
        self._known[key] = (subject, worth)
        return worth

    def __len__(self) -> int:
        return len(self._known)

    def on_add(self, added: T, initial: bool) -> None:  # the informer's own signature
        """Nothing: what nobody asks for is not worked out."""

    def on_update(self, old: T, new: T) -> None:
        """Forgets what is no longer so."""
        self._known.pop(key_of(old), None)

    def on_delete(self, deleted: T) -> None:
        """Forgets what is gone."""
        self._known.pop(key_of(deleted), None)
