"""What a soak is to be, and what it came to: readings, and the judgement on what was left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Self

from pyscheduler.cache.change_log import CHANGES_KEPT

HOUR_S = 3600
TICK_S = 60
#: Templates in use at a time; one leaves for each that comes.
TEMPLATES_AT_ONCE = 40
#: Of the namespaces that come, the share that is there at a time.
NAMESPACES_SHARE = 10
#: Of the process, after the last hour against after the first sixth of the time.
_GROWTH_ALLOWED = 1.05
#: By how much a count may differ between two moments at which as much lives.
_UNEVEN = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """How much happens, and in how long."""

    hours: float = 24
    nodes: int = 2_000
    #: pods that come (and go) over the whole time
    pods: int = 50_000
    replacements_per_node: int = 10
    templates: int = 5_000
    namespaces: int = 1_000
    seed: int = 1

    @classmethod
    def scaled(cls, *, hours: float, scale: float) -> Self:
        """The plan of a day, cut to so many hours and that share of everything."""
        whole = cls()
        share = scale * hours / whole.hours
        return cls(
            hours=hours,
            nodes=max(round(whole.nodes * scale), 10),
            pods=max(round(whole.pods * share), 200),
            replacements_per_node=whole.replacements_per_node,
            templates=max(round(whole.templates * share), 2 * TEMPLATES_AT_ONCE),
            namespaces=max(round(whole.namespaces * share), 2 * NAMESPACES_SHARE),
        )

    @property
    def ticks(self) -> int:
        """Steps of a minute."""
        return round(self.hours * HOUR_S / TICK_S)


@dataclass(frozen=True, slots=True)
class Reading:
    """What there was at a moment."""

    hour: float
    rss_bytes: int
    counts: Counter[str] = field(repr=False)
    live_pods: int
    waiting_pods: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a soak came to."""

    plan: Plan
    pods: int
    bound: int
    unschedulable: int
    preempted: int
    before: Counter[str]
    after: Counter[str]
    readings: tuple[Reading, ...]
    wall_s: float

    @property
    def growth(self) -> float:
        """The process after the last hour, against after the first sixth of the time."""
        return self.readings[-1].rss_bytes / self._early.rss_bytes

    @property
    def problems(self) -> list[str]:
        """What must not be."""
        found = [
            f"{name} holds {count} when all is gone, at first {self.before[name]}"
            for name, count in sorted(self.after.items())
            if count > self.before[name] + self._may_keep(name)
        ]
        early, late = self._early.counts, self.readings[-1].counts
        found += [
            f"{name} has grown from {early[name]} to {count} while as much lived"
            for name, count in sorted(late.items())
            if count > 2 * early[name] + max(_UNEVEN, _kept(name))
        ]
        if self.plan.hours >= 6 and self.growth > _GROWTH_ALLOWED:
            found.append(f"the process has grown to {self.growth:.3f} of what it was")
        return found

    @property
    def _early(self) -> Reading:
        return next(each for each in self.readings if each.hour >= self.plan.hours / 6)

    def _may_keep(self, name: str) -> int:
        if any(fnmatch(name, pattern) for pattern in TIDIED_BY_NEWCOMERS):
            return max(reading.counts[name] for reading in self.readings)
        return _kept(name)


#: What looks for the unused only when something new comes: it may keep what it had.
TIDIED_BY_NEWCOMERS = (
    "ClassCache.*",
    "ClassEntry.*",
    "CycleState.*",
    "Generations.*",
)
#: What is bounded by itself, and by how much.
KEPT: Mapping[str, int] = {
    # The change log.
    "ChangeLog.*": 2 * CHANGES_KEPT,
    # Classes that the change log has not left behind yet, with their answers.
    "ClassCache.*": 1000,
    "ClassEntry.*": 20_000,
    "CycleState.*": 20_000,
    # What follows from a pod's spec alone is remembered for the last so many of them.
    "Signing._by_spec*": 2048,
    "_SignedSpec.*": 20 * 2048,
    # A vocabulary is rebuilt once 64 of its values are out of use; columns of 256 label keys.
    "CodedColumn.*": 64 + 256 * 2,
    "ColumnStore._labels": 256,
    # Reasons are forgotten with the classes that refer to them.
    "ReasonTable.*": 10_000,
    # How many warnings about a pod may still be sent; for two hours after the last one.
    "EventRecorder._buckets": 4096,
    # Of nominations written, the last.
    "StatusWrites._nominated": 10_000,
    # Statuses of rows judged one by one, and what pods that were nominated take; the last of each.
    "Narrowing._statuses": 10_000,
    "Status.reasons": 10_000,
    "SchedulerCache._usages*": 2 * 1024,
    "PodUsage.requests": 10 * 1024,
    # Functions remember what they made of templates, selectors and quantities.
    "pyscheduler.*": 2048,
    "pyscheduler.api.quantity.*": 16_384,
    # Metrics: series by plugin, event and result, of which there are so many.
    "Family._children": 200,
    "Histogram.*": 4000,
    "*Observer.*": 200,
    # Which plugins hear of which sort of event.
    "HintIndex.*": 200,
    "Audience.*": 2000,
}


def _kept(name: str) -> int:
    return max((limit for pattern, limit in KEPT.items() if fnmatch(name, pattern)), default=0)
