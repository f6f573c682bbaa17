"""One measurement: pods that get scheduled are counted, once a second.

Called by: ``workloads.execution``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from benchmarks.workloads.pod_watch import PodChange, PodWatch
from benchmarks.workloads.throughput import SAMPLE_INTERVAL_S, Throughput, ThroughputCollector
from benchmarks.workloads.ticking import ticks
from pyscheduler.clock import Clock


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was seen between the start and the stop of collecting metrics."""

    #: of the measured namespace, or what startCollectingMetrics is called
    name: str
    #: pods that got a node while it lasted
    scheduled: int
    duration_s: float
    #: None if it was too short for a sample
    throughput: Throughput | None
    #: (seconds since the start, pods scheduled so far) at every tick, and at the end
    progress: tuple[tuple[float, int], ...]


class Measuring:
    """A measurement under way; counts what its watch tells from the start on."""

    def __init__(
        self,
        name: str,
        pods: PodWatch,
        *,
        clock: Clock,
        namespaces: Collection[str],
        labels: Mapping[str, str],
    ) -> None:
        """A measurement that has begun.

        Args:
            name: of its result.
            pods: who tells.
            clock: of its ticks.
            namespaces: whose pods count.
            labels: that pods must have to count.
        """
        self.name = name
        self._pods = pods
        self._clock = clock
        self._namespaces = namespaces
        self._labels = labels
        self._scheduled = 0
        self._collector = ThroughputCollector()
        self._progress: list[tuple[float, int]] = []
        self._began_s = clock.monotonic()
        pods.listen(self._count)
        self._sampling = asyncio.create_task(self._sample(), name="throughput samples")

    async def stop(self) -> Measurement:
        """Returns what was seen; the measurement has ended."""
        await self.abandon()
        ended_s = self._clock.monotonic() - self._began_s
        self._progress.append((ended_s, self._scheduled))
        return Measurement(
            self.name,
            self._scheduled,
            ended_s,
            self._collector.result(),
            tuple(self._progress),
        )

    async def abandon(self) -> None:
        """Nothing is counted any more."""
        self._pods.forget(self._count)
        self._sampling.cancel()
        await asyncio.gather(self._sampling, return_exceptions=True)

    def _count(self, change: PodChange) -> None:
        new = change.new
        if change.got_scheduled and new and new.is_meant(self._namespaces, self._labels):
            self._scheduled += 1

    async def _sample(self) -> None:
        async for now_s in ticks(self._clock, SAMPLE_INTERVAL_S):
            self._collector.sample(now_s, self._scheduled)
            self._progress.append((now_s - self._began_s, self._scheduled))
