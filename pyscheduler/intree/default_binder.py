"""DefaultBinder: binds through the API server.

It posts a Binding of the pod, with its uid, to the node that was chosen, and is done when the API
server has accepted it. What the server refuses, or nobody answers, is raised by the write: the pod
is unreserved and tried again after its backoff. There is no state, and no event to wait for.

Source: kube-scheduler 1.37, ``plugins/defaultbinder/default_binder.go``. Knowing difference: the
write is sent again after a failure that may pass, and "already assigned" to this very node is
success.
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
