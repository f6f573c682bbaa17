"""One contestant, followed from its start to its last event.

    async with followed(place, contestant, concerns=among(pods)) as watch:
        await watch.until_done(len(pods))
        outcome = watch.outcome()

Called by: `contest.py`, `upstream_run.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from benchmarks.audit_tail import AuditTail, Concern
from benchmarks.figures import quantile
from benchmarks.metrics_endpoint import get
from benchmarks.places.contestants import Contestant
from benchmarks.places.outcome import Outcome
from benchmarks.places.place import Place
from benchmarks.places.usage import Usage, watched
from benchmarks.prometheus_text import grown, histogram
from benchmarks.workloads import Throughput

#: Events may be dropped (kube-scheduler's broadcaster does so): none for so long is the end.
_QUIET_S = 5.0

_ALGORITHM = "scheduler_scheduling_algorithm_duration_seconds"


class Watch:
    """What is seen of one contestant: its writes, its usage and that of the servers."""

    def __init__(
        self,
        place: Place,
        contestant: Contestant,
        *,
        concerns: Concern,
        usage: Usage,
        servers: Usage,
    ) -> None:
        self._tail = AuditTail(place.audit_path, concerns)
        self._concerns = concerns
        self._place = place
        self._contestant = contestant
        self._usage = usage
        self._servers = servers
        self._begin_s: float | None = None
        self._algorithm_before: dict[float, float] = {}
        self._algorithm: dict[float, float] = {}

    async def begin(self) -> None:
        """What counts begins now: neither with the first bind nor with the process."""
        self._algorithm_before = await self._algorithm_durations()
        self._tail = AuditTail(self._place.audit_path, self._concerns)
        self._begin_s = time.time()

    def bound(self) -> int:
        """Returns how many of the pods that count are bound."""
        return len(self._tail.read().binds)

    async def until_done(self, pods: int, *, events: bool = True, timeout_s: float = 600) -> None:
        """So many pods are bound and have an event, or no event came for a while.

        Raises:
            ProcessEndedError: the process ended before that.
            TimeoutError: it did not come to it.
        """
        process = self._contestant.process
        deadline = time.monotonic() + timeout_s
        last_count, last_change = -1, time.monotonic()
        while True:
            writes = self._tail.read()
            recorded = len({event.name for event in writes.events})
            now, count = time.monotonic(), len(writes.binds) + len(writes.events)
            if count != last_count:
                last_count, last_change = count, now
            quiet = now - last_change > _QUIET_S
            if len(writes.binds) >= pods and (not events or recorded >= pods or quiet):
                break
            if now > deadline:
                raise TimeoutError(
                    f"{process.name}: {len(writes.binds)} of {pods} pods bound after "
                    f"{timeout_s:.0f} s\n{process.log_tail()}"
                )
            if quiet:  # the plain client ends by itself
                process.check()
            await asyncio.sleep(0.05)
        self._algorithm = await self._algorithm_durations()

    def outcome(self, *, throughput: Throughput | None = None) -> Outcome:
        """Returns what it came to."""
        writes = self._tail.writes
        first, last_bind, last = writes.moments()
        begin = self._begin_s or writes.first_write_s or first
        return Outcome(
            contestant=self._contestant.name,
            pace=writes.pace(),
            cpu_s=self._usage.cpu_s_between(begin, last),
            whole_cpu_s=self._usage.cpu_s_at(last),
            peak_memory_bytes=self._usage.peak_memory_bytes,
            server_cpu_s=self._servers.cpu_s_between(begin, last),
            requests=writes.requests,
            refused=len(writes.refused),
            first_bind_s=first - self._contestant.started_s,
            last_bind_s=last_bind - self._contestant.started_s,
            bound_at_s=tuple(sorted(bind.time_s - first for bind in writes.binds)),
            transport=self._contestant.transport() or writes.binds[0].user_agent,
            algorithm_p99_s=self._algorithm_p99_s(),
            throughput=throughput,
        )

    def _algorithm_p99_s(self) -> float | None:
        if not self._algorithm:
            return None
        return quantile(grown(self._algorithm_before, self._algorithm), 0.99)

    async def _algorithm_durations(self) -> dict[float, float]:
        port = self._contestant.metrics_port
        return histogram(await get(port, "/metrics"), _ALGORITHM) if port else {}


@contextlib.asynccontextmanager
async def followed(
    place: Place, contestant: Contestant, *, concerns: Concern
) -> AsyncIterator[Watch]:
    """Yields the watch of a process just started; the process is gone afterwards."""
    try:
        async with watched(contestant.process) as usage, watched(*place.servers) as servers:
            yield Watch(place, contestant, concerns=concerns, usage=usage, servers=servers)
    finally:
        await contestant.stop()
