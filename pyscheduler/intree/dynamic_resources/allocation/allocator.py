"""The entry to allocation: one `Allocator` per scheduling cycle, asked node by node.

Source: `structured/allocator.go`, 1.37.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from pyscheduler.api.core_v1 import Node
from pyscheduler.api.resource_v1 import AllocationResult, DeviceClass, ResourceClaim
from pyscheduler.intree.dynamic_resources.allocation.devices import AllocatedState
from pyscheduler.intree.dynamic_resources.allocation.failures import NodeAllocationFailed
from pyscheduler.intree.dynamic_resources.allocation.features import Features
from pyscheduler.intree.dynamic_resources.allocation.inventory import PoolIndex
from pyscheduler.intree.dynamic_resources.allocation.pools import Pool
from pyscheduler.intree.dynamic_resources.allocation.requests import check_constraints, expand
from pyscheduler.intree.dynamic_resources.allocation.results import allocation_result
from pyscheduler.intree.dynamic_resources.allocation.search import ClaimPlan, Search
from pyscheduler.intree.dynamic_resources.allocation.suitability import Knowledge
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
        self._get_class = get_class
        self._new_share_id = new_share_id
        self._knowledge = Knowledge(features, allocated, selectors)
        #: id of a claim -> the claim, which keeps the id from being used again, and its requests
        self._plans: dict[int, ClaimPlan] = {}

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
            is_expired: whether to give up; asked before each device that is looked at.

        Raises:
            AllocationFailed: it is no use trying other nodes either.
            NodeAllocationFailed: like None, with a reason to be told.
            AllocationAborted: ``is_expired`` said so.
        """
        plans = [self._plan(claim) for claim in claims]
        pools = self._seen_from(node)
        search = Search(self._knowledge, node, plans=plans, pools=pools, is_expired=is_expired)
        if not search.run():
            if any(pool.invalid_reason for pool in pools):
                raise NodeAllocationFailed("invalid resource pools were encountered")
            return None
        return tuple(
            [
                allocation_result(
                    claim,
                    node_name=node.metadata.name,
                    taken=search.taken(index),
                    chosen=search.chosen(index),
                    features=self._features,
                    new_share_id=self._new_share_id,
                )
                for index, claim in enumerate(claims)
            ]
        )

    def _plan(self, claim: ResourceClaim) -> ClaimPlan:
        plan = self._plans.get(id(claim))
        if plan is None:
            wanted = expand(claim, features=self._features, get_class=self._get_class)
            check_constraints(claim)
            plan = self._plans[id(claim)] = ClaimPlan(claim, wanted)
        return plan

    def _seen_from(self, node: Node) -> list[Pool]:
        """Returns the node's pools in the order in which they are tried."""
        of_node = self._pools.of_node(node.metadata.name)
        seen = [pool for slices in of_node if (pool := slices.seen_from(node)) is not None]
        seen.sort(key=attrgetter("rank"))
        return seen
