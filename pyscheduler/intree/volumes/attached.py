"""Which drivers' volumes are on which nodes: counted as pods, claims and attachments come and go.

A volume takes one place on a node, however many pods there use it, and whether pods do, a
VolumeAttachment names it, or both. `AttachedVolumes` knows of each volume of each pod, and of each
attachment, what it was resolved to, and keeps per driver and node to how many volumes these come.

`update` brings that up to date when a cycle asks: the pods by the keys that came to the tally or
left it since, and whatever was resolved through a claim, volume, class or attachment of which the
watch has told since. So a cycle costs what changed, not what is there.

Called by: ``limits``, whose per-node form counts afresh and is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Generic, TypeVar, cast

from pyscheduler import framework as fwk
from pyscheduler.api.storage_v1 import StorageClass, VolumeAttachment
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.intree.volumes.claims import CLAIMS, STORAGE_CLASSES, VOLUME_ATTACHMENTS, VOLUMES
from pyscheduler.intree.volumes.driver_volumes import (
    DriverVolume,
    DriverVolumes,
    PodVolume,
    pod_volumes,
)

T = TypeVar("T")

#: The volumes of pods that may take a place on their nodes.
POD_VOLUMES: Final = fwk.PodTally("volumes of pods", pod_volumes)

_NOWHERE: Final[Mapping[str, int]] = {}


class _Handler(Generic[T]):
    """Tells one function of every change: the object, and how it was and is."""

    def __init__(self, changed: Callable[[T, T | None, T | None], None]) -> None:
        self._changed = changed

    def on_add(self, added: T, initial: bool) -> None:
        self._changed(added, None, added)

    def on_update(self, old: T, new: T) -> None:
        self._changed(new, old, new)

    def on_delete(self, deleted: T) -> None:
        self._changed(deleted, deleted, None)


class _Index(Generic[T]):
    """Names of objects by a name that they mention."""

    def __init__(self, mentioned: Callable[[T], str | None]) -> None:
        self._mentioned = mentioned
        self._names: dict[str, set[str]] = {}

    def change(self, name: str, old: T | None, new: T | None) -> None:
        """The object of that name was and is."""
        before = None if old is None else self._mentioned(old)
        after = None if new is None else self._mentioned(new)
        if before and before in self._names:
            self._names[before].discard(name)
            if not self._names[before]:
                del self._names[before]
        if after:
            self._names.setdefault(after, set()).add(name)

    def of(self, mentioned: str) -> Collection[str]:
        """Those that mention it."""
        return self._names.get(mentioned, ())


class AttachedVolumes:
    """The volumes on all nodes, by the nodes' names."""

    def __init__(self, informers: fwk.Informers, volumes: DriverVolumes) -> None:
        self._volumes = volumes
        #: of the tally, up to which pods are counted
        self._version = -1
        #: each volume of a pod -> the pod's node, and what takes a place there
        self._entries: dict[PodVolume, tuple[str, DriverVolume | None]] = {}
        #: claim -> the volumes of pods that are this claim
        self._entries_of: dict[str, set[PodVolume]] = {}
        #: each attachment -> its node and volume
        self._attached: dict[str, tuple[str, DriverVolume]] = {}
        #: volume -> node -> by how many pods, and by how many attachments
        self._by_pods: dict[DriverVolume, dict[str, int]] = {}
        self._by_attachments: dict[DriverVolume, dict[str, int]] = {}
        #: driver -> node -> how many volumes
        self._used: dict[str, dict[str, int]] = {}
        self._claims_by_volume = _Index[PersistentVolumeClaim](lambda c: c.spec.volume_name)
        self._claims_by_class = _Index[PersistentVolumeClaim](lambda c: c.class_name)
        self._attachments_by_volume = _Index[VolumeAttachment](
            lambda a: a.spec.source.persistent_volume_name
        )
        self._attachments_by_node = _Index[VolumeAttachment](lambda a: a.spec.node_name)
        #: told of since the last update
        self._stale_claims: set[str] = set()
        self._stale_attachments: set[str] = set()
        self._attachments = informers.of(VOLUME_ATTACHMENTS, VolumeAttachment)
        informers.of(CLAIMS, PersistentVolumeClaim).add_handler(_Handler(self._claim_changed))
        informers.of(VOLUMES, PersistentVolume).add_handler(_Handler(self._volume_changed))
        informers.of(STORAGE_CLASSES, StorageClass).add_handler(_Handler(self._class_changed))
        self._attachments.add_handler(_Handler(self._attachment_changed))

    # --- what is asked ---

    def used(self, driver: str) -> Mapping[str, int]:
        """How many of the driver's volumes there are on each node; nodes without any lack."""
        return self._used.get(driver, _NOWHERE)

    def users(self, volume: DriverVolume) -> Collection[str]:
        """The nodes with pods that use ``volume``."""
        return self._by_pods.get(volume, _NOWHERE)

    def attached_to(self, node: str) -> set[DriverVolume]:
        """What attachments name on one node, looked up afresh."""
        attachments = map(self._attachments.lister.get, self._attachments_by_node.of(node))
        return {
            volume
            for attachment in attachments
            if attachment is not None and (volume := self._resolve(attachment)) is not None
        }

    def update(self, nodes: fwk.NodeTable) -> None:
        """Counts what is on all ``nodes`` now."""
        tally = nodes.tally(POD_VOLUMES)
        version, self._version = self._version, tally.version
        changed = tally.changed_keys(version) if 0 <= version <= tally.version else None
        if changed is None:
            changed = [*self._entries, *tally]
            # all are about to be looked up
            self._stale_claims.clear()
        # a tally tells of nobody's keys but those that `pod_volumes` gave
        for used in dict.fromkeys(cast("Iterable[PodVolume]", changed)):
            rows = tally.rows(used)
            if rows.size:
                self._put(used, nodes.node(int(rows[0])).name)
            elif used not in tally:
                self._drop(used)
        while self._stale_claims:
            for used in tuple(self._entries_of.get(self._stale_claims.pop(), ())):
                self._put(used, self._entries[used][0])
        while self._stale_attachments:
            self._attach(self._stale_attachments.pop())

    # --- what the informers tell ---

    def _claim_changed(
        self,
        claim: PersistentVolumeClaim,
        old: PersistentVolumeClaim | None,
        new: PersistentVolumeClaim | None,
    ) -> None:
        self._stale_claims.add(claim.key)
        self._claims_by_volume.change(claim.key, old, new)
        self._claims_by_class.change(claim.key, old, new)

    def _volume_changed(self, volume: PersistentVolume, _old: object, _new: object) -> None:
        self._stale_claims.update(self._claims_by_volume.of(volume.name))
        self._stale_attachments.update(self._attachments_by_volume.of(volume.name))

    def _class_changed(self, changed: StorageClass, _old: object, _new: object) -> None:
        self._stale_claims.update(self._claims_by_class.of(changed.name))

    def _attachment_changed(
        self,
        attachment: VolumeAttachment,
        old: VolumeAttachment | None,
        new: VolumeAttachment | None,
    ) -> None:
        self._stale_attachments.add(attachment.name)
        self._attachments_by_volume.change(attachment.name, old, new)
        self._attachments_by_node.change(attachment.name, old, new)

    # --- counting ---

    def _put(self, used: PodVolume, node: str) -> None:
        old = self._entries.get(used)
        new = node, self._volumes.of_pod_volume(used)
        if old == new:
            return
        self._drop(used)
        self._entries[used] = new
        self._entries_of.setdefault(used.claim_key, set()).add(used)
        self._count(self._by_pods, new, 1)

    def _drop(self, used: PodVolume) -> None:
        old = self._entries.pop(used, None)
        if old is None:
            return
        others = self._entries_of[used.claim_key]
        others.discard(used)
        if not others:
            del self._entries_of[used.claim_key]
        self._count(self._by_pods, old, -1)

    def _attach(self, name: str) -> None:
        old = self._attached.pop(name, None)
        if old is not None:
            self._count(self._by_attachments, old, -1)
        attachment = self._attachments.lister.get(name)
        volume = None if attachment is None else self._resolve(attachment)
        if attachment is not None and volume is not None:
            new = self._attached[name] = attachment.spec.node_name, volume
            self._count(self._by_attachments, new, 1)

    def _resolve(self, attachment: VolumeAttachment) -> DriverVolume | None:
        driver, name = attachment.spec.attacher, attachment.spec.source.persistent_volume_name
        return self._volumes.of_attachment(driver, name) if driver and name is not None else None

    def _count(
        self,
        counts: dict[DriverVolume, dict[str, int]],
        place: tuple[str, DriverVolume | None],
        difference: int,
    ) -> None:
        """One more, or less, of the pods or attachments that bring a volume to a node."""
        node, volume = place
        if volume is None:
            return
        was_there = self._is_there(volume, node)
        _add(counts, volume, node, difference)
        if self._is_there(volume, node) != was_there:
            _add(self._used, volume.driver, node, difference)

    def _is_there(self, volume: DriverVolume, node: str) -> bool:
        return node in self._by_pods.get(volume, _NOWHERE) or node in self._by_attachments.get(
            volume, _NOWHERE
        )


def _add(counts: dict[T, dict[str, int]], key: T, node: str, difference: int) -> None:
    """Changes one count; what is 0 is not kept."""
    nodes = counts.setdefault(key, {})
    left = nodes.get(node, 0) + difference
    if left:
        nodes[node] = left
        return
    nodes.pop(node, None)
    if not nodes:
        del counts[key]
