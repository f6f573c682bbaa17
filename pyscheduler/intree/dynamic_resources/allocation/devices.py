"""Names of devices, and which are taken: the tally of all allocated claims.

`AllocatedDevices` is kept up to date claim by claim; `AllocatedState` is what one scheduling cycle
sees of it and does not change.

Source: ``dynamicresources/allocateddevices.go`` and `structured/schedulerapi/types.go`, 1.37.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from pyscheduler.api.quantity import nano_value
from pyscheduler.api.resource_v1 import DeviceRequestAllocationResult, ResourceClaim


class DeviceID(NamedTuple):
    """What names a device in the whole cluster."""

    driver: str
    pool: str
    device: str

    def __str__(self) -> str:
        return f"{self.driver}/{self.pool}/{self.device}"


#: Billionths of each capacity by its qualified name.
ConsumedCapacity = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AllocatedState:
    """What is taken."""

    #: taken as a whole
    devices: Set[DeviceID] = frozenset()
    #: taken by one or more shares
    shared: Set[DeviceID] = frozenset()
    #: what the shares consume altogether; a share may consume nothing
    capacity: Mapping[DeviceID, ConsumedCapacity] = field(default_factory=dict)

    def is_allocated(self, device: DeviceID) -> bool:
        """Whether any claim has the device or a share of it."""
        return device in self.devices or device in self.shared or device in self.capacity

    @classmethod
    def of(
        cls, claims: Iterable[ResourceClaim], *, consumable_capacity: bool = True
    ) -> AllocatedState:
        """Returns what these claims take."""
        tally = AllocatedDevices(consumable_capacity=consumable_capacity)
        for claim in claims:
            tally.add(claim)
        return tally.snapshot()


class AllocatedDevices:
    """Counts what claims take; a claim is taken out as it was put in."""

    def __init__(self, *, consumable_capacity: bool = True) -> None:
        self._shares_count = consumable_capacity
        #: device -> by how many claims; more than one only after a mistake of somebody's
        self._devices: dict[DeviceID, int] = {}
        self._shared: dict[DeviceID, int] = {}
        self._capacity: dict[DeviceID, dict[str, int]] = {}
        self._snapshot: AllocatedState | None = None

    def add(self, claim: ResourceClaim) -> None:
        """What the claim is allocated is taken."""
        self._change(claim, 1)

    def remove(self, claim: ResourceClaim) -> None:
        """What the claim is allocated is free again, as far as no other claim has it."""
        self._change(claim, -1)

    def snapshot(self) -> AllocatedState:
        """Returns what is taken now; costs nothing if nothing changed since the last time."""
        if self._snapshot is None:
            self._snapshot = AllocatedState(
                frozenset(self._devices),
                frozenset(self._shared),
                {device: dict(taken) for device, taken in self._capacity.items()},
            )
        return self._snapshot

    def _change(self, claim: ResourceClaim, by: int) -> None:
        allocation = claim.status.allocation
        if allocation is None:
            return
        for result in allocation.devices.results:
            # Administrators look at devices that others use; that takes nothing from anybody.
            if result.admin_access:
                continue
            device = DeviceID(result.driver, result.pool, result.device)
            if result.share_id is None or not self._shares_count:
                _count(self._devices, device, by)
            else:
                _count(self._shared, device, by)
                self._consume(device, result, by)
            self._snapshot = None

    def _consume(self, device: DeviceID, result: DeviceRequestAllocationResult, by: int) -> None:
        if not result.consumed_capacity:
            return
        taken = self._capacity.setdefault(device, {})
        for name, quantity in result.consumed_capacity.items():
            taken[name] = taken.get(name, 0) + by * nano_value(quantity)
        if not any(taken.values()):
            del self._capacity[device]


def _count(counts: dict[DeviceID, int], device: DeviceID, by: int) -> None:
    left = counts.get(device, 0) + by
    if left > 0:
        counts[device] = left
    else:
        counts.pop(device, None)
