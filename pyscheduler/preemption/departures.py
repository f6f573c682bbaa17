"""Victims that were told to go, as long as the watch still shows them as if nothing had happened.

Between the answer to a delete and its echo the cluster looks as before. Whoever decides in that
gap must neither evict the same pods again nor look for others, so they are remembered until the
echo: it comes even after an outage, with the list that follows. A victim that was taken back in
memory (at Permit or in PreBind) has no echo: it is remembered until it changes in any way, or is on
its way to a node once more.

Called by: ``executor`` (fills it), ``evaluator`` (asks it), the pods' informer (empties it).
"""

from __future__ import annotations

from collections.abc import Callable

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.informers import Informer
from pyscheduler.framework.waiting import PodInPreBind, WaitingPod


class Departures:
    """The pods that are about to leave their node."""

    def __init__(
        self,
        handle: Handle,
        *,
        on_change: Callable[[Pod], None],
        on_end: Callable[[Pod], None],
    ) -> None:
        """Knows of none.

        Args:
            handle: the plugin's.
            on_change: told of each pod that nobody may have to tell any more.
            on_end: told of each pod that is gone.
        """
        pods: Informer[Pod] = handle.informers.of("pods.v1", Pod)
        self._lister = pods.lister
        self._handle = handle
        #: uid -> the wait at Permit or the PreBind that was ended; None for who is being deleted
        self._told: dict[str, WaitingPod | PodInPreBind | None] = {}
        self._on_change = on_change
        self._on_end = on_end
        pods.add_handler(self)

    def __contains__(self, pod: Pod) -> bool:
        if pod.uid not in self._told:
            return False
        ended = self._told[pod.uid]
        if ended is None:
            return True
        unbound = self._unbound(pod)
        return unbound is None or unbound is ended

    def __len__(self) -> int:
        return len(self._told)

    def newest(self, pod: Pod) -> Pod | None:
        """That very pod as the watch last showed it; None when it is gone or was made again."""
        known = self._lister.get(pod.key)
        return known if known is not None and known.uid == pod.uid else None

    def is_due(self, pod: Pod) -> bool:
        """True while somebody must still tell ``pod`` to go."""
        if pod in self:
            return False
        newest = self.newest(pod)
        return newest is not None and not newest.is_terminating

    def will_be_seen_to_go(self, pod: Pod) -> bool:
        """True while ``pod`` is being deleted and the watch has still to tell of its end."""
        newest = self.newest(pod)
        if newest is None:
            return False
        return newest.is_terminating or self._told.get(pod.uid, newest) is None

    def add(self, pod: Pod, ended: WaitingPod | PodInPreBind | None) -> None:
        """``pod`` was told to go; nothing to remember if that shows already.

        Args:
            pod: the victim.
            ended: through what it was taken back; None when it was deleted.
        """
        if self.is_due(pod):
            self._told[pod.uid] = ended
        self._on_change(pod)

    # --- what the watch says; framework.informers.ResourceHandler ---

    def on_add(self, added: Pod, initial: bool) -> None:
        """A new pod is nobody's victim."""

    def on_update(self, old: Pod, new: Pod) -> None:
        """Forgets a victim once it terminates, or was taken back, or runs somewhere after that."""
        stays_bound = old.uid == new.uid and new.node_name and new.node_name == old.node_name
        if not stays_bound or new.is_terminating:
            self._told.pop(old.uid, None)
            self._on_change(old)

    def on_delete(self, deleted: Pod) -> None:
        """Forgets a victim that is gone."""
        self._told.pop(deleted.uid, None)
        self._on_change(deleted)
        self._on_end(deleted)

    # --- inside ---

    def _unbound(self, pod: Pod) -> WaitingPod | PodInPreBind | None:
        """``pod`` at Permit or in PreBind, where it can be taken back."""
        handle = self._handle
        return handle.waiting_pods.get(pod.uid) or handle.pods_in_pre_bind.get(pod.uid)
