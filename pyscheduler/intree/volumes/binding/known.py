"""The claims, volumes and capacities that the scheduler knows, assumed ones included.

One for all profiles: a volume that one of them has given away is no other's to give.

Called by: ``plugin``.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from pyscheduler import framework as fwk
from pyscheduler.api.storage_v1 import CSIDriver, CSINode, CSIStorageCapacity, StorageClass
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.intree.volumes.binding.finding import place_of, volume_worth
from pyscheduler.intree.volumes.binding.provisioning import Room, room_of
from pyscheduler.intree.volumes.binding.remembered import Remembered
from pyscheduler.intree.volumes.claims import (
    CLAIMS,
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    STORAGE_CLASSES,
    VOLUMES,
)


class KnownStorage:
    """What there is; made once, with the first profile's plugin."""

    def __init__(self, handle: fwk.Handle) -> None:
        informers, listers = handle.informers, handle.listers
        self.claims = fwk.AssumedObjects(informers.of(CLAIMS, PersistentVolumeClaim))
        #: by `place_of`
        self.volumes = fwk.AssumedObjects(informers.of(VOLUMES, PersistentVolume), index=place_of)
        self.worth = Remembered(volume_worth)
        self.volumes.add_handler(self.worth)
        # capacities are never assumed: it is the index that is wanted
        self._capacities = fwk.AssumedObjects(
            informers.of(CSI_STORAGE_CAPACITIES, CSIStorageCapacity),
            index=attrgetter("storage_class_name"),
        )
        self._rooms = Remembered(room_of)
        self._capacities.add_handler(self._rooms)
        self.classes = listers.of(STORAGE_CLASSES, StorageClass)
        self.drivers = listers.of(CSI_DRIVERS, CSIDriver)
        self.csi_nodes = listers.of(CSI_NODES, CSINode)

    def rooms(self, storage_class: str) -> Iterable[Room]:
        """What is published for a class."""
        return map(self._rooms.of, self._capacities.indexed(storage_class))


_KEY: Final = fwk.StateKey[KnownStorage]("VolumeBinding.known")


def known_storage(handle: fwk.Handle) -> KnownStorage:
    """That of the scheduler, whichever profile asks."""
    return handle.shared.of(_KEY, lambda: KnownStorage(handle))
