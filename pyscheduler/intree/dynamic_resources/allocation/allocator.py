"""The entry to allocation: one `Allocator` per scheduling cycle, asked node by node.

Source: `structured/allocator.go`, 1.37.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyscheduler.api.core_v1 import Node
from pyscheduler.api.resource_v1 import AllocationResult, DeviceClass, ResourceClaim
from pyscheduler.intree.dynamic_resources.allocation.devices import AllocatedState
from pyscheduler.intree.dynamic_resources.allocation.features import Features
from pyscheduler.intree.dynamic_resources.allocation.inventory import PoolIndex
from pyscheduler.intree.dynamic_resources.cel import DeviceSelectors


def _never() -> bool:
    return False


class Allocator:
    """Finds devices for claims on one node at a time; what nodes have in common is done once.

    Args:
        features: what is switched on.
        pools: what devices there are.
        allocated: which are taken.
        get_class: the class of a name; None if there is none.
        selectors: compiles and keeps CEL expressions; of the plugin, not of the cycle.
        new_share_id: makes the identity of a share of a device, a UUID.
    """

    def __init__(
        self,
        *,
        features: Features,
        pools: PoolIndex,
        allocated: AllocatedState,
        get_class: Callable[[str], DeviceClass | None],
        selectors: DeviceSelectors,
        new_share_id: Callable[[], str],
    ) -> None:
        self._features = features
        self._pools = pools
        self._allocated = allocated
        self._get_class = get_class
        self._selectors = selectors
        self._new_share_id = new_share_id

    def allocate(
        self,
        node: Node,
        claims: Sequence[ResourceClaim],
        *,
        is_expired: Callable[[], bool] = _never,
    ) -> tuple[AllocationResult, ...] | None:
        """Returns what each of the claims is given on the node; None if they cannot all be served.

        Claims are served together: none of them gets a device that another one gets. The same
        input always gives the same devices (and other share ids).

        Args:
            node: where.
            claims: those without an allocation, in the pod's order. The same objects for every
                node, as far as possible: what was found out about one is kept.
            is_expired: whether to give up; asked now and then.

        Raises:
            AllocationFailed: it is no use trying other nodes either.
            NodeAllocationFailed: like None, with a reason to be told.
            AllocationAborted: ``is_expired`` said so.
        """
