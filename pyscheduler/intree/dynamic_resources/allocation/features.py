"""Which parts of allocation are on; follows from feature gates.

Source: `structured/internal/types.go` and ``dynamicresources.go`` AllocatorFeatures, 1.37.
Knowing difference: what is alpha in 1.37 does not exist here (DRADerivedAttributes,
DRADeviceCompatibilityGroups, DRAListTypeAttributes, DRAOptionalNodeOperations).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Features:
    """The defaults are those of 1.37."""

    admin_access: bool = True
    consumable_capacity: bool = True
    #: binding conditions, together with device status
    binding_conditions: bool = True
    device_taints: bool = True
    fractional_capacity_range: bool = True
    partitionable_devices: bool = True
    prioritized_list: bool = True

    @classmethod
    def from_gates(cls, gates: Mapping[str, bool]) -> "Features":
        """Returns what these gates switch on; a gate that is not named is on."""

        def on(name: str) -> bool:
            return gates.get(name, True)

        return cls(
            admin_access=on("DRAAdminAccess"),
            consumable_capacity=on("DRAConsumableCapacity"),
            binding_conditions=on("DRADeviceBindingConditions")
            and on("DRAResourceClaimDeviceStatus"),
            device_taints=on("DRADeviceTaints"),
            fractional_capacity_range=on("DRAFractionalCapacityRange"),
            partitionable_devices=on("DRAPartitionableDevices"),
            prioritized_list=on("DRAPrioritizedList"),
        )
