"""A small cluster of claims and volumes, and an API server that takes patches of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from pyscheduler.api.codec import from_builtins
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.storage_v1 import CSIDriver, CSINode, CSIStorageCapacity, StorageClass
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.errors import PySchedulerError
from pyscheduler.intree.volumes.binding import VolumeBinding
from pyscheduler.intree.volumes.claims import (
    CLAIMS,
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    STORAGE_CLASSES,
    VOLUMES,
)
from pyscheduler.testing import FakeInformers, PluginHarness
from pyscheduler.testing.fakes import FakeWrites

_RESOURCES: Mapping[type[Any], str] = {
    PersistentVolumeClaim: CLAIMS,
    PersistentVolume: VOLUMES,
    StorageClass: STORAGE_CLASSES,
    CSIDriver: CSI_DRIVERS,
    CSINode: CSI_NODES,
    CSIStorageCapacity: CSI_STORAGE_CAPACITIES,
    Pod: "pods.v1",
    Node: "nodes.v1",
}


class Refused(PySchedulerError):  # noqa: N818  # what the server says
    """A write that the server did not take."""


class StorageWorld:
    """Objects by kind, told to the informers at once unless `holds_back`."""

    def __init__(self, *objects: object) -> None:
        self.informers = FakeInformers()
        self._version = 10
        #: the watch tells nothing of writes while set
        self.holds_back = False
        self._untold: list[object] = []
        self.put(*objects)

    def put(self, *objects: Any) -> None:
        """Adds or changes objects; each gets the next version."""
        for one in objects:
            self._version += 1
            metadata = replace(one.metadata, resource_version=str(self._version))
            self.tell(replace(one, metadata=metadata))

    def tell(self, one: Any) -> None:
        """The watch tells of that very state."""
        self.informers.of(_RESOURCES[type(one)]).put(one)

    def remove(self, kind: type[Any], key: str) -> None:
        """The object is gone."""
        self.informers.of(_RESOURCES[kind]).remove(key)

    def claim(self, key: str) -> PersistentVolumeClaim:
        """As the watch last told."""
        found = self.informers.of(CLAIMS).get(key)
        assert isinstance(found, PersistentVolumeClaim)
        return found

    def volume(self, name: str) -> PersistentVolume:
        """As the watch last told."""
        found = self.informers.of(VOLUMES).get(name)
        assert isinstance(found, PersistentVolume)
        return found

    def harness(
        self,
        nodes: Iterable[Node],
        *,
        args: Mapping[str, Any] | None = None,
        features: Mapping[str, bool] | None = None,
    ) -> PluginHarness:
        """The plugin over these nodes, whose writes come here."""
        nodes = list(nodes)
        self.put(*nodes)
        harness = PluginHarness(
            VolumeBinding, args=args, nodes=nodes, informers=self.informers, features=features
        )
        harness.writes = Patches(self)
        harness.plugin.handle = dataclasses.replace(harness.handle, writes=harness.writes)
        return harness

    def patch(self, kind: type[Any], key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Applies a merge patch on its version's condition."""
        known = self.informers.of(_RESOURCES[kind]).get(key)
        if known is None:
            raise Refused(f'{_RESOURCES[kind].split(".")[0]} "{key}" not found')
        if body["metadata"]["resourceVersion"] != known.metadata.resource_version:
            raise Refused(f"{key}: the object has been modified")
        self._version += 1
        merged = _merged(msgspec.to_builtins(known), body)
        merged["metadata"]["resourceVersion"] = str(self._version)
        written = from_builtins(merged, kind)
        if self.holds_back:
            self._untold.append(written)
        else:
            self.tell(written)
        return merged

    def tell_all(self) -> None:
        """The watch catches up."""
        untold, self._untold = self._untold, []
        for one in untold:
            self.tell(one)


class Patches(FakeWrites):
    """Writes that go to a `StorageWorld`."""

    def __init__(self, world: StorageWorld) -> None:
        super().__init__()
        self._world = world

    async def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Carries out a patch."""
        await super().request(method, path, body)
        assert method == "PATCH"
        assert body is not None
        match path.split("/")[3:]:
            case ["persistentvolumes", name]:
                return self._world.patch(PersistentVolume, name, body)
            case ["namespaces", namespace, "persistentvolumeclaims", name]:
                return self._world.patch(PersistentVolumeClaim, f"{namespace}/{name}", body)
        raise AssertionError(path)


def _merged(base: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {**base}
    for key, value in patch.items():
        merged[key] = _merged(base.get(key) or {}, value) if isinstance(value, Mapping) else value
    return merged
