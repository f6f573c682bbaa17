"""DefaultBinder: binds through the API server.

Source: kube-scheduler 1.37, ``plugins/defaultbinder/default_binder.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod


class DefaultBinder(fwk.BindPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """Posts the pod's binding; the write guards against a namesake by uid."""

    async def bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        """Returns once the API server accepted it; a refusal is raised by the write."""
        await self.handle.writes.bind(pod, node_name)
        return None

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """None: it rejects nobody, and what fails is tried again without an event."""
        return ()
