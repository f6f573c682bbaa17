"""Scheduling throughput, as upstream's scheduler_perf defines it: samples once a second.

The first sample with a pod in it only sets where counting begins. A second without a new pod gives
no sample; when pods are bound again, the mean rate since the last sample counts once for each of
the seconds that went by, so that percentiles stay those of time.

Pure: fed with (time, pods scheduled so far). Called by: ``workloads.execution``.

Source: throughputCollector in test/integration/scheduler_perf/util.go of Kubernetes 1.37.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

#: Seconds between two samples.
SAMPLE_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """Pods per second over the samples of one measurement."""

    average: float
    perc50: float
    perc90: float
    perc95: float
    perc99: float

    @classmethod
    def of(cls, rates: Sequence[float]) -> Self | None:
        """Returns the figures of these samples; None if there is none."""
        if not rates:
            return None
        ascending = sorted(rates)
        average = sum(ascending) / len(ascending)
        return cls(average, *(_percentile(ascending, share) for share in (50, 90, 95, 99)))


class ThroughputCollector:
    """Turns the counts of one measurement into samples."""

    def __init__(self) -> None:
        self._rates: list[float] = []
        #: (time, pods scheduled so far) of the last sample; None before the first pod
        self._last: tuple[float, int] | None = None
        #: intervals since the last sample in which no pod was scheduled
        self._idle = 0

    @property
    def rates(self) -> Sequence[float]:
        """Pods per second of each interval that counts, in order."""
        return self._rates

    def sample(self, now_s: float, scheduled: int) -> None:
        """The count at a tick is known; ticks come every `SAMPLE_INTERVAL_S`.

        Args:
            now_s: on a clock that never runs backwards.
            scheduled: pods scheduled since the measurement began.
        """
        if scheduled == 0:
            return
        if self._last is None:
            self._last = (now_s, scheduled)
            return
        last_s, last_scheduled = self._last
        if scheduled == last_scheduled:
            self._idle += 1
            return
        rate = (scheduled - last_scheduled) / (now_s - last_s)
        self._rates += [rate] * (self._idle + 1)
        self._last = (now_s, scheduled)
        self._idle = 0

    def result(self) -> Throughput | None:
        """Returns the figures so far; None if the measurement was too short for a sample."""
        return Throughput.of(self._rates)


def _percentile(ascending: Sequence[float], share: int) -> float:
    rank = -(-len(ascending) * share // 100)  # rounded up
    return ascending[rank - 1]
