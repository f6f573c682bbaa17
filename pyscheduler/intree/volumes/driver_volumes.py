"""Which driver's volume a pod's volume is, as far as it takes a place on a node.

    claim bound to a CSI volume       the driver's, by its handle
    claim bound to an in-tree volume  the driver's that the plugin became, if it counts as migrated
    claim not bound, or its volume
    is not there                      one of its class's driver, by the claim's own name: the claim
                                      will take a place once it is bound
    in-tree source in the pod itself  the driver's that the plugin became, likewise
    anything else                     no driver's: it takes no place

What is an in-tree plugin's takes a place only on nodes with a CSINode, which says how many there
are; elsewhere there is no limit either.

Called by: ``limits``, ``attached``. Source: kube-scheduler 1.37,
``plugins/nodevolumelimits/csi.go``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pyscheduler.api.core_v1 import Pod, Volume
from pyscheduler.api.storage_v1 import StorageClass
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.framework.informers import Listers
from pyscheduler.intree.volumes import migration
from pyscheduler.intree.volumes.claims import CLAIMS, STORAGE_CLASSES, VOLUMES, is_controlled_by
from pyscheduler.intree.volumes.migration import CannotTranslate


class DriverVolume(NamedTuple):
    """A volume as its driver knows it, or will; a tuple, for it is hashed often."""

    driver: str
    handle: str
    #: the driver does not know it yet; the handle is the claim's `namespace/name`
    is_unbound: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """A volume, and whether it takes a place only on nodes with a CSINode."""

    volume: DriverVolume
    is_migrated: bool = False


class PodVolume(NamedTuple):
    """One volume of one pod, by the pod alone."""

    pod_uid: str
    #: "" until the API server says so
    node_name: str
    namespace: str
    #: "" for a source in the pod itself
    claim: str
    #: the pod must control the claim
    is_ephemeral: bool = False
    inline: DriverVolume | None = None

    @property
    def claim_key(self) -> str:
        """`namespace/name` of the claim."""
        return f"{self.namespace}/{self.claim}"


def pod_volumes(pod: Pod) -> Iterator[PodVolume]:
    """The volumes of a pod that may take a place; what no driver understands takes none."""
    if not pod.spec.volumes:
        return
    uid, namespace, node = pod.metadata.uid, pod.metadata.namespace, pod.spec.node_name
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            name = volume.persistent_volume_claim.claim_name
            yield PodVolume(uid, node, namespace, name)
        elif volume.ephemeral is not None:
            name = f"{pod.metadata.name}-{volume.name}"
            yield PodVolume(uid, node, namespace, name, is_ephemeral=True)
        else:
            try:
                inline = inline_volume(volume, namespace)
            except CannotTranslate:
                continue
            if inline is not None:
                yield PodVolume(uid, node, namespace, "", inline=inline)


def inline_volume(volume: Volume, namespace: str) -> DriverVolume | None:
    """The driver's volume that stands in the pod itself, if its plugin counts as migrated.

    Raises:
        CannotTranslate: the driver would not understand it.
    """
    plugin = migration.plugin_of(volume)
    if plugin is None or not plugin.is_migrated:
        return None
    found = migration.of_pod(volume, namespace)
    return None if found is None else DriverVolume(found.driver, found.handle)


class DriverVolumes:
    """Looks claims up."""

    def __init__(self, listers: Listers) -> None:
        self.claims = listers.of(CLAIMS, PersistentVolumeClaim)
        self._volumes = listers.of(VOLUMES, PersistentVolume)
        self._classes = listers.of(STORAGE_CLASSES, StorageClass)

    def of_pod_volume(self, used: PodVolume) -> DriverVolume | None:
        """What a pod on a node has; None where the claim is not there, or is not the pod's."""
        if used.inline is not None:
            return used.inline
        claim = self.claims.get(used.claim_key)
        if claim is None:
            return None
        if used.is_ephemeral and not is_controlled_by(
            claim, namespace=used.namespace, pod_uid=used.pod_uid
        ):
            return None
        found = self.of_claim(claim)
        return None if found is None else found.volume

    def of_claim(self, claim: PersistentVolumeClaim) -> Counted | None:
        """The volume that the claim is bound to or will be; None: no driver's."""
        volume = self._volumes.get(claim.spec.volume_name) if claim.spec.volume_name else None
        return self._of_class(claim) if volume is None else _of_volume(volume)

    def of_attachment(self, driver: str, volume_name: str) -> DriverVolume | None:
        """What is attached; None for a volume that is not there, or no CSI driver's."""
        volume = self._volumes.get(volume_name)
        if volume is None or volume.spec.csi is None:
            return None
        return DriverVolume(driver, volume.spec.csi.volume_handle)

    def _of_class(self, claim: PersistentVolumeClaim) -> Counted | None:
        storage_class = self._classes.get(claim.class_name) if claim.class_name else None
        if storage_class is None or not storage_class.provisioner:
            return None
        plugin = migration.plugin_named(storage_class.provisioner)
        if plugin is None:
            return Counted(DriverVolume(storage_class.provisioner, claim.key, is_unbound=True))
        if not plugin.is_migrated:
            return None
        volume = DriverVolume(plugin.driver, claim.key, is_unbound=True)
        return Counted(volume, is_migrated=True)


def _of_volume(volume: PersistentVolume) -> Counted | None:
    source, is_migrated = volume.spec.csi, False
    if source is None:
        plugin = migration.plugin_of(volume.spec)
        if plugin is None or not plugin.is_migrated:
            return None
        try:
            source, is_migrated = migration.of_volume(volume).spec.csi, True
        except CannotTranslate:
            return None
    if source is None or not source.driver or not source.volume_handle:
        return None
    return Counted(DriverVolume(source.driver, source.volume_handle), is_migrated)
