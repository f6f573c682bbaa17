"""What the operations of one execution share.

Called by: ``workloads.execution``, which makes it, and every operation.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field

from benchmarks.workloads.api_objects import ApiObjects
from benchmarks.workloads.cluster import Cluster
from benchmarks.workloads.pod_watch import PodWatch
from benchmarks.workloads.ticking import ticks
from pyscheduler.clock import Clock
from tests.controlplane.api_client import ApiClient


@dataclass(slots=True)
class Stage:
    """One execution's cluster, and what its operations have done so far."""

    cluster: Cluster
    objects: ApiObjects
    pods: PodWatch
    progress: Callable[[str], None]
    #: namespace -> pods made there that nobody waited for yet; a barrier does
    awaited: Counter[str] = field(default_factory=Counter)
    #: what goes on beside the operations; ended with the execution
    background: list[asyncio.Task[None]] = field(default_factory=list)
    #: cleared while what comes at a rate is to stand still
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.goes_on.set()

    @property
    def api(self) -> ApiClient:
        """The cluster's client."""
        return self.cluster.api

    @property
    def clock(self) -> Clock:
        """The cluster's clock."""
        return self.cluster.clock

    def beside(self, work: Coroutine[None, None, None], *, name: str) -> None:
        """The work goes on while further operations run."""
        self.background.append(asyncio.create_task(work, name=name))

    def ticks(self, interval_s: float) -> AsyncIterator[float]:
        """Yields the time at the end of every interval, except while things stand still."""
        return ticks(self.clock, interval_s, goes_on=self.goes_on)

    def raise_faults(self) -> None:
        """What failed in the background fails here."""
        for task in self.background:
            if task.done() and not task.cancelled() and (fault := task.exception()) is not None:
                raise fault
