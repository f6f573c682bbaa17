"""The best node among the feasible; ties are broken evenly by a seeded generator."""

from __future__ import annotations

from pyscheduler.framework.handle import Rng
from pyscheduler.framework.status import Int64Array
from pyscheduler.runtime.class_cache import ClassEntry


def select_host(entry: ClassEntry, rng: Rng) -> int:
    """The row with the highest total, any of them with equal chance."""
    best = entry.ranking.best()
    return best[rng.randrange(len(best))] if len(best) > 1 else best[0]


def best_of(totals: Int64Array, rng: Rng) -> int:
    """The index of the highest total, any of them with equal chance."""
    best = (totals == totals.max()).nonzero()[0]
    return int(best[rng.randrange(len(best))] if len(best) > 1 else best[0])


def only_host(entry: ClassEntry) -> int:
    """The one feasible row; nothing to score then."""
    return int(entry.feasible[: entry.n].argmax())
