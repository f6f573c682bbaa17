"""A place as a running workload sees it: where it writes, and whom it tells what is measured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from benchmarks.places.contestants import DEFAULT_SCHEDULER
from benchmarks.places.place import Place
from pyscheduler.clock import Clock, SystemClock
from tests.controlplane.api_client import ApiClient


async def _nobody_asks() -> None:
    """Nothing is measured."""


class BenchCluster:
    """`workloads.Cluster` on a place."""

    #: No place runs kube-controller-manager.
    makes_claims = False
    #: What upstream's files count on.
    scheduler_name = DEFAULT_SCHEDULER

    def __init__(
        self,
        place: Place,
        *,
        on_start: Callable[[], Awaitable[None]] = _nobody_asks,
    ) -> None:
        """A cluster nobody has written to.

        Args:
            on_start: called before the first measured write.
        """
        self.clock: Clock = SystemClock()
        self._place = place
        self._on_start: Callable[[], Awaitable[None]] | None = on_start

    @property
    def api(self) -> ApiClient:
        return self._place.api

    async def start_collecting(self, name: str) -> None:  # all count together
        """The first of a workload's measurements begins what is measured here."""
        if self._on_start is not None:
            on_start, self._on_start = self._on_start, None
            await on_start()

    async def stop_collecting(self) -> None:
        """Events may still come: who follows the audit log knows the end."""
