"""Waits until a contestant has nothing left to do of what came before its measured pods.

Ready is not at rest: a scheduler that knows every pod still has to try those that wait for the
first time, and to write what became of each. Called by: `contest.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import aiohttp

from benchmarks import prometheus_text
from benchmarks.metrics_endpoint import get
from benchmarks.places.contestants import Contestant

#: How long a process has to be quiet, and how often it is looked at meanwhile.
_QUIET_FOR_S, _EVERY_S = 1.0, 0.1
#: CPU seconds per second of a process that is quiet: its own timers use a fifth of that. It is five
#: ticks of the kernel's clock, so one or two more or less make no difference.
_QUIET_CPU = 0.05

#: Queues whose pods are tried again without anything having happened.
_MOVING = ("active", "backoff")


class Quiet:
    """Whether a process has used next to no CPU for a while, by samples of what it has used."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, at_s: float, cpu_s: float) -> None:
        """The sample is kept; times come in order."""
        self._samples.append((at_s, cpu_s))
        while len(self._samples) > 1 and self._samples[1][0] <= at_s - _QUIET_FOR_S:
            self._samples.popleft()

    def __bool__(self) -> bool:
        if not self._samples:
            return False
        (begin_s, cpu_before_s), (end_s, cpu_after_s) = self._samples[0], self._samples[-1]
        seconds = end_s - begin_s
        return seconds >= _QUIET_FOR_S and cpu_after_s - cpu_before_s <= _QUIET_CPU * seconds


def has_pods_to_try(metrics: str) -> bool:
    """Claims that by its metrics a scheduler holds pods that it will try by itself."""
    return any(
        prometheus_text.value(metrics, "scheduler_pending_pods", queue=queue) for queue in _MOVING
    )


async def until_at_rest(contestant: Contestant, *, limit_s: float = 120) -> bool:
    """Waits until the process is quiet and has no pod to try; returns whether it came to that.

    Where objects come and go beside the measured pods it may not, and is to be measured as it is.

    Raises:
        ProcessEndedError: the process has ended.
    """
    deadline_s = time.monotonic() + limit_s
    quiet = Quiet()
    while time.monotonic() < deadline_s:
        contestant.process.check()
        quiet.add(time.monotonic(), contestant.process.usage().cpu_s)
        if quiet:
            # asked only now, for the answer takes CPU itself
            if not has_pods_to_try(await _metrics(contestant)):
                return True
            quiet = Quiet()
        await asyncio.sleep(_EVERY_S)
    return False


async def _metrics(contestant: Contestant) -> str:
    if not contestant.metrics_port:
        return ""
    try:
        return await get(contestant.metrics_port, "/metrics")
    except (aiohttp.ClientError, TimeoutError):
        contestant.process.check()
        raise
