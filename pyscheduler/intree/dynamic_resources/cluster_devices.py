"""What the whole cluster has of devices: slices, taint rules, classes and claims, for all profiles.

Follows the four kinds and hands each cycle an `Allocator` over what is known at that moment. It is
made by the first profile that has the plugin, so a scheduler without it follows none of them.

Called by: ``plugin``, through ``handle.shared``.
"""

from __future__ import annotations

import uuid
from typing import Final

from pyscheduler import framework as fwk
from pyscheduler.api.resource_v1 import (
    DeviceClass,
    DeviceTaintRule,
    ResourceClaim,
    ResourceSlice,
)
from pyscheduler.framework.extended_resources import DEVICE_CLASSES
from pyscheduler.intree.dynamic_resources.allocation import Allocator, Features, Inventory
from pyscheduler.intree.dynamic_resources.cel import DeviceSelectors
from pyscheduler.intree.dynamic_resources.claim_tracker import RESOURCE_CLAIMS, ClaimTracker

RESOURCE_SLICES: Final = "resourceslices.v1.resource.k8s.io"
DEVICE_TAINT_RULES: Final = "devicetaintrules.v1.resource.k8s.io"

_UUID_BITS: Final = 128


class ClusterDevices:
    """Devices of the cluster and claims to them."""

    def __init__(self, handle: fwk.Handle) -> None:
        self.features = Features.from_gates(handle.features)
        self.claims = ClaimTracker(
            handle.informers.of(RESOURCE_CLAIMS, ResourceClaim),
            consumable_capacity=self.features.consumable_capacity,
        )
        self._classes = handle.listers.of(DEVICE_CLASSES, DeviceClass)
        self._inventory = Inventory(features=self.features)
        self._selectors = DeviceSelectors()
        self._rng = handle.rng
        handle.informers.of(RESOURCE_SLICES, ResourceSlice).add_handler(_Slices(self._inventory))
        if handle.features.get("DRADeviceTaintRules", True) and self.features.device_taints:
            rules = handle.informers.of(DEVICE_TAINT_RULES, DeviceTaintRule)
            rules.add_handler(_Rules(self._inventory))

    def device_class(self, name: str) -> DeviceClass | None:
        """The class of that name."""
        return self._classes.get(name)

    def allocator(self) -> Allocator:
        """An allocator over what is there and what is taken now."""
        return Allocator(
            features=self.features,
            pools=self._inventory.snapshot(),
            allocated=self.claims.taken(),
            get_class=self.device_class,
            selectors=self._selectors,
            new_share_id=self._new_share_id,
        )

    def _new_share_id(self) -> str:
        return str(uuid.UUID(int=self._rng.randrange(1 << _UUID_BITS), version=4))


class _Slices:
    """Tells the inventory of slices."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def on_add(self, added: ResourceSlice, initial: bool) -> None:  # the informer's own signature
        """A slice is there."""
        self._inventory.put_slice(added)

    def on_update(self, old: ResourceSlice, new: ResourceSlice) -> None:
        """A slice changed."""
        self._inventory.put_slice(new)

    def on_delete(self, deleted: ResourceSlice) -> None:
        """A slice is gone."""
        self._inventory.drop_slice(deleted.metadata.name)


class _Rules:
    """Tells the inventory of taint rules."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def on_add(self, added: DeviceTaintRule, initial: bool) -> None:  # the informer's own signature
        """A rule is there."""
        self._inventory.put_rule(added)

    def on_update(self, old: DeviceTaintRule, new: DeviceTaintRule) -> None:
        """A rule changed."""
        self._inventory.put_rule(new)

    def on_delete(self, deleted: DeviceTaintRule) -> None:
        """A rule is gone."""
        self._inventory.drop_rule(deleted.metadata.name)


CLUSTER: Final = fwk.StateKey[ClusterDevices]("DynamicResources.cluster")
