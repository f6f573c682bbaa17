"""Victims that were told to go, as long as the watch still shows them as if nothing had happened.

Between the answer to a delete and its echo the cluster looks as before. Whoever decides in that
gap must neither evict the same pods again nor look for others, so they are remembered until the
echo: it comes even after an outage, with the list that follows. A victim that was taken back in
memory (at Permit or in PreBind) is remembered until it changes in any way.

Called by: ``executor`` (fills it), ``evaluator`` (asks it), the pods' informer (empties it).
"""

from __future__ import annotations

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.informers import Informer


class Departures:
    """The uids of pods that are about to leave their node."""

    def __init__(self, pods: Informer[Pod]) -> None:
        self._lister = pods.lister
        self._uids: set[str] = set()
        pods.add_handler(self)

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids

    def __len__(self) -> int:
        return len(self._uids)

    def newest(self, pod: Pod) -> Pod | None:
        """That very pod as the watch last showed it; None when it is gone or was made again."""
        known = self._lister.get(pod.key)
        return known if known is not None and known.uid == pod.uid else None

    def is_due(self, pod: Pod) -> bool:
        """True while somebody must still tell ``pod`` to go."""
        if pod.uid in self._uids:
            return False
        newest = self.newest(pod)
        return newest is not None and not newest.is_terminating

    def add(self, pod: Pod) -> None:
        """``pod`` was told to go; nothing to remember if that shows already."""
        if self.is_due(pod):
            self._uids.add(pod.uid)

    # --- what the watch says; framework.informers.ResourceHandler ---

    def on_add(self, added: Pod, initial: bool) -> None:
        """A new pod is nobody's victim."""

    def on_update(self, old: Pod, new: Pod) -> None:
        """Forgets a victim once it terminates, or was taken back, or runs somewhere after that."""
        stays_bound = old.uid == new.uid and new.node_name and new.node_name == old.node_name
        if not stays_bound or new.is_terminating:
            self._uids.discard(old.uid)

    def on_delete(self, deleted: Pod) -> None:
        """Forgets a victim that is gone."""
        self._uids.discard(deleted.uid)
