"""What a workload needs of the place it runs in.

Called by: ``workloads.execution``; implemented by ``benchmarks.places``.
"""

from __future__ import annotations

from typing import Protocol

from pyscheduler.clock import Clock
from tests.controlplane.api_client import ApiClient


class Cluster(Protocol):
    """An API server with a scheduler at it, and somebody who takes measurements."""

    @property
    def api(self) -> ApiClient:
        """A client that may write everything."""
        ...

    @property
    def clock(self) -> Clock:
        """Where sleeps, rates and samples come from."""
        ...

    @property
    def scheduler_name(self) -> str:
        """The profile that every pod names whose template names none."""
        ...

    @property
    def makes_claims(self) -> bool:
        """Whether somebody makes ResourceClaims from the pods' claim templates.

        If not, the running workload does it, in place of kube-controller-manager.
        """
        ...

    async def start_collecting(self, name: str) -> None:
        """What is measured begins now; the operation's first write follows."""
        ...

    async def stop_collecting(self) -> None:
        """What is measured has ended: the last pod waited for is bound."""
        ...
