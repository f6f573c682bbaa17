"""Which devices claims get on a node: pure, without a handle, a clock or an event loop.

Apart from the plugin because it is a search over data: slices go in, allocations come out. The
flow: an `Inventory` follows slices and taint rules, `AllocatedDevices` follows claims; once per
cycle the plugin takes a `snapshot()` of both and makes an `Allocator`, which it asks node by node.

* ``devices``: names of devices, what is allocated already
* ``inventory``: slices and taint rules, by pool and by node
* ``pools``: what a node sees of a pool: newest generation, complete or not, valid or not
* ``requests``: a claim's requests, subrequests and what each demands
* ``constraints``, ``counters``, ``capacity``, ``taints``: when a device may be taken
* ``suitability``: which devices suit a demand; ``ledger``: what a search has taken so far
* ``search``: the search itself, depth first; ``results`` puts together what it found
* ``allocator``: the entry

Source: `k8s.io/dynamic-resource-allocation/structured`, 1.37, of its three allocators the one that
the default gates choose (incubating).
"""

from pyscheduler.intree.dynamic_resources.allocation.allocator import Allocator
from pyscheduler.intree.dynamic_resources.allocation.devices import (
    AllocatedDevices,
    AllocatedState,
    DeviceID,
)
from pyscheduler.intree.dynamic_resources.allocation.failures import (
    AllocationAborted,
    AllocationFailed,
    NodeAllocationFailed,
)
from pyscheduler.intree.dynamic_resources.allocation.features import Features
from pyscheduler.intree.dynamic_resources.allocation.inventory import Inventory, PoolIndex

__all__ = [
    "AllocatedDevices",
    "AllocatedState",
    "AllocationAborted",
    "AllocationFailed",
    "Allocator",
    "DeviceID",
    "Features",
    "Inventory",
    "NodeAllocationFailed",
    "PoolIndex",
]
