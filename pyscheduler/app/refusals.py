"""Counts the pods of ours that kubelets refused for want of room (``OutOfcpu``, ``OutOfpods``...).

The watch of live pods cannot tell: a pod that ends leaves its selection, and the server then sends
the state in which it was still live. So failed pods have a watch of their own, per profile, in
which nothing is kept but their uids. Only the leader follows it (`app.assembly`), so that the
replicas' counters may be added up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyscheduler.api.codec import MalformedObject
from pyscheduler.api.core_v1 import Pod

#: How the reason begins with which a kubelet refuses a pod that does not fit.
_NO_ROOM = "OutOf"


def failed_pods_of(scheduler_name: str) -> dict[str, str]:
    """The selection whose pods a `RefusalWatch` is to be told of."""
    return {"fieldSelector": f"status.phase=Failed,spec.schedulerName={scheduler_name}"}


class RefusalWatch:
    """``client.sink.Sink`` of failed pods.

    Args:
        on_refusal: told once of every pod that is refused from now on.
    """

    def __init__(self, on_refusal: Callable[[Pod], None]) -> None:
        self._on_refusal = on_refusal
        #: uids of the failed pods there are, as far as we know; None before the first sync
        self._known: set[str] | None = None

    async def replace(
        self,
        objects: Sequence[Pod],
        *,
        resource_version: str,
        malformed: Sequence[MalformedObject] = (),
    ) -> None:
        """These have failed. What had done so before the first look is not news."""
        known, self._known = self._known, {pod.uid for pod in objects}
        self._known.update(error.uid for error in malformed)
        if known is not None:
            for pod in objects:
                if pod.uid not in known:
                    self._tell(pod)

    def apply(self, event_type: str, changed: Pod) -> None:
        """A pod failed, or a failed one is gone."""
        assert self._known is not None, "changes come after the first sync"
        if event_type == "DELETED":
            self._known.discard(changed.uid)
        elif changed.uid not in self._known:
            self._known.add(changed.uid)
            self._tell(changed)

    def on_bookmark(self, resource_version: str) -> None:
        """No news."""

    def on_malformed(self, error: MalformedObject) -> None:
        """Its reason cannot be read; the watch of live pods has said so."""

    def _tell(self, pod: Pod) -> None:
        if pod.status.reason.startswith(_NO_ROOM):
            self._on_refusal(pod)
