"""The pool: entities that wait for an event, found by the plugin whose events concern them.

Two parts of one make. Rejected entities stand under each plugin that rejected them; gated ones
stand apart and only under the plugin that gates them, so that ten thousand gated pods cost an
event nothing unless the gating plugin hears of it.

Called by: ``scheduling_queue``.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyscheduler.framework.entities import QueuedEntity


@dataclass(slots=True, eq=False)
class _Place:
    entity: QueuedEntity
    #: (scheduler name, plugin) of each index it stands in
    keys: tuple[tuple[str, str], ...]
    since: float


class WaitingEntities:
    """Entities by scheduler name and plugin, oldest first."""

    __slots__ = ("_by_plugin", "_places")

    def __init__(self) -> None:
        #: in the order of `since`, as long as the clock does not run backwards
        self._places: OrderedDict[str, _Place] = OrderedDict()
        #: (scheduler name, plugin) -> uid -> entity; a set with nobody in it is dropped
        self._by_plugin: dict[tuple[str, str], dict[str, QueuedEntity]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, uid: str) -> bool:
        return uid in self._places

    def __iter__(self) -> Iterator[QueuedEntity]:
        return (place.entity for place in self._places.values())

    def add(self, entity: QueuedEntity, *, plugins: frozenset[str], since: float) -> None:
        """Adds the entity under `plugins`; `since` is what the timeout counts from."""
        self.remove(entity.uid)
        scheduler = entity.pod.scheduler_name
        keys = tuple((scheduler, plugin) for plugin in plugins)
        self._places[entity.uid] = _Place(entity, keys, since)
        for key in keys:
            self._by_plugin.setdefault(key, {})[entity.uid] = entity

    def remove(self, uid: str) -> QueuedEntity | None:
        """Removes and returns that entity; None when it is not here."""
        place = self._places.pop(uid, None)
        if place is None:
            return None
        for key in place.keys:
            entities = self._by_plugin[key]
            del entities[uid]
            if not entities:
                del self._by_plugin[key]
        return place.entity

    def get(self, uid: str) -> QueuedEntity | None:
        """Returns that entity; None when it is not here."""
        place = self._places.get(uid)
        return None if place is None else place.entity

    def under(self, scheduler: str, plugin: str) -> Mapping[str, QueuedEntity]:
        """The scheduler's entities that stand under `plugin`, by uid."""
        return self._by_plugin.get((scheduler, plugin), {})

    def due(self, *, before: float, limit: int) -> list[QueuedEntity]:
        """The entities that have waited since `before` or longer, the oldest `limit` of them."""
        entities: list[QueuedEntity] = []
        for place in self._places.values():
            if place.since > before or len(entities) == limit:
                break
            entities.append(place.entity)
        return entities

    def oldest_since(self) -> float | None:
        """What the longest-waiting entity waits since; None when empty."""
        return next(iter(self._places.values())).since if self._places else None

    def validate(self) -> None:
        """Asserts that the index holds the entities under their plugins and nothing else."""
        expected: dict[tuple[str, str], dict[str, QueuedEntity]] = {}
        for uid, place in self._places.items():
            assert uid == place.entity.uid
            assert place.keys
            for key in place.keys:
                expected.setdefault(key, {})[uid] = place.entity
        assert expected == self._by_plugin


class UnschedulablePool:
    """The rejected and the gated, each with a timeout."""

    __slots__ = ("_timeout_s", "gated", "rejected")

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self.rejected = WaitingEntities()
        self.gated = WaitingEntities()

    @property
    def parts(self) -> tuple[WaitingEntities, WaitingEntities]:
        """Both parts."""
        return self.rejected, self.gated

    def __len__(self) -> int:
        return len(self.rejected) + len(self.gated)

    def __contains__(self, uid: str) -> bool:
        return uid in self.rejected or uid in self.gated

    def add_rejected(self, entity: QueuedEntity) -> None:
        """Adds the entity under the plugins that rejected its last attempt."""
        plugins = entity.unschedulable_plugins | entity.pending_plugins
        self.rejected.add(entity, plugins=plugins, since=entity.timestamp)

    def add_gated(self, entity: QueuedEntity, *, now: float) -> None:
        """Adds the entity under the plugin that gates it; its timeout starts anew."""
        self.gated.add(entity, plugins=frozenset((entity.gating_plugin,)), since=now)

    def remove(self, uid: str) -> QueuedEntity | None:
        """Removes and returns that entity; None when it is not here."""
        return self.rejected.remove(uid) or self.gated.remove(uid)

    def get(self, uid: str) -> QueuedEntity | None:
        """Returns that entity; None when it is not here."""
        return self.rejected.get(uid) or self.gated.get(uid)

    def timed_out(self, *, now: float, limit: int) -> list[QueuedEntity]:
        """At most `limit` of the entities whose timeout has passed; they stay here."""
        before = now - self._timeout_s
        due = self.rejected.due(before=before, limit=limit)
        return due + self.gated.due(before=before, limit=limit - len(due))

    def next_timeout(self) -> float | None:
        """The unix second at which `timed_out` next gives something; None when empty.

        Rounded up, so that a crowd that failed within a second costs one wake-up.
        """
        waiting = (self.rejected.oldest_since(), self.gated.oldest_since())
        starts = [since for since in waiting if since is not None]
        return self.times_out_at(min(starts)) if starts else None

    def times_out_at(self, since: float) -> float:
        """The whole unix second by which an entity waiting since `since` is flushed."""
        return float(math.ceil(since + self._timeout_s))

    def validate(self) -> None:
        """Asserts the invariants of this tier."""
        self.rejected.validate()
        self.gated.validate()
        assert not any(entity.is_gated for entity in self.rejected)
        assert all(entity.is_gated for entity in self.gated)
        assert not any(entity.uid in self.gated for entity in self.rejected)
