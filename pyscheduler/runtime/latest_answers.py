"""What each plugin said last about all rows, for the next class of which it signs the same.

A class that is met for the first time is new to some plugins only: pods that ask for other amounts
have the tolerations and the images of those before them. Who signs both classes alike and depends
on nothing that changed since would say the same again, and is not asked. One answer is remembered
per plugin, the latest: of classes that come once, the one before is as good as any.

Called by: ``filtering``, ``scoring``, where a class has no answer of a plugin yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pyscheduler.cache.change_log import ChangeLog
from pyscheduler.runtime.class_cache import ClassEntry
from pyscheduler.runtime.profile import Profile

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Latest(Generic[Answer]):
    """One plugin's."""

    answer: Answer
    part: tuple[Any, ...]
    #: of the change log, up to which it is true
    position: int
    #: rows that it has room for
    capacity: int


class LatestAnswers(Generic[Answer]):
    """The latest answers of a profile's plugins at one extension point."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._latest: dict[str, _Latest[Answer]] = {}

    def get(self, plugin: str, entry: ClassEntry, changes: ChangeLog) -> Answer | None:
        """What is true of the class of ``entry``, too; to be copied. None: nothing is known."""
        latest = self._latest.get(plugin)
        if (
            latest is None
            or plugin not in self._profile.cacheable
            or entry.parts.get(plugin) != latest.part
            or entry.capacity != latest.capacity
        ):
            return None
        aspects = self._profile.cacheable[plugin] | self._profile.cross_node.get(plugin, 0)
        # None, too: nobody knows any more
        if changes.since(latest.position, aspects) != {}:
            return None
        latest.position = changes.position
        return latest.answer

    def put(self, plugin: str, answer: Answer, entry: ClassEntry, changes: ChangeLog) -> None:
        """``entry`` has this answer, true for the current snapshot."""
        part = entry.parts.get(plugin)
        if part is not None and plugin not in self._profile.scores_feasible_set:
            self._latest[plugin] = _Latest(answer, part, changes.position, entry.capacity)

    def clear(self) -> None:
        """Forgets all of them."""
        self._latest.clear()
