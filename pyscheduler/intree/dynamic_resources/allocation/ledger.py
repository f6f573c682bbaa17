"""What one search has taken so far: devices, shares, counters, capacity, and what constraints saw.

Taking either books everything or nothing; giving back undoes the last one of a claim.

Called by: ``search``. Source: ``allocator_incubating.go`` allocateDevice and rollbackDevice, 1.37.
Knowing difference: taints are looked at before counters, which only saves work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyscheduler.api.resource_v1 import ResourceClaim
from pyscheduler.intree.dynamic_resources.allocation.capacity import fits
from pyscheduler.intree.dynamic_resources.allocation.constraints import Constraint
from pyscheduler.intree.dynamic_resources.allocation.counters import Counters
from pyscheduler.intree.dynamic_resources.allocation.devices import DeviceID
from pyscheduler.intree.dynamic_resources.allocation.failures import AllocationFailed
from pyscheduler.intree.dynamic_resources.allocation.pools import Candidate, Consumption, Pool
from pyscheduler.intree.dynamic_resources.allocation.requests import Demand
from pyscheduler.intree.dynamic_resources.allocation.suitability import Knowledge, Suitability
from pyscheduler.intree.dynamic_resources.allocation.taints import is_tolerated


@dataclass(frozen=True, slots=True)
class Taken:
    """A device that was taken for a demand."""

    demand: Demand
    candidate: Candidate
    pool: Pool
    #: None: the whole device; else what this share consumes of its capacities
    share: Consumption | None
    #: whether it was this one that paid for the device's counters
    consumed_counters: bool


class Ledger:
    """The books of one search.

    Args:
        knowledge: what is taken already, and what is switched on.
        suitability: what demands consume.
        claims: for whom devices are taken; elsewhere they go by their index.
    """

    def __init__(
        self, knowledge: Knowledge, suitability: Suitability, *, claims: Sequence[ResourceClaim]
    ) -> None:
        self._features = knowledge.features
        self._allocated = knowledge.allocated
        self._suitability = suitability
        self._counters = Counters(knowledge.available, knowledge.allocated)
        self._constraints = [
            [Constraint(wanted) for wanted in claim.spec.devices.constraints] for claim in claims
        ]
        #: whole devices -> for which claims; for several only with admin access
        self._whole: dict[DeviceID, set[int]] = {}
        #: shared devices -> how many shares, and how many billionths of each capacity
        self._shares: dict[DeviceID, int] = {}
        self._consumed: dict[DeviceID, dict[str, int]] = {}
        #: What each claim has got, in order.
        self.taken: list[list[Taken]] = [[] for _ in claims]

    def is_in_use(self, claim: int, demand: Demand, candidate: Candidate) -> bool:
        """Whether the device is taken as a whole, by whomever the demand has to respect."""
        device = candidate.id
        if demand.admin_access:
            return claim in self._whole.get(device, ())
        return device in self._allocated.devices or device in self._whole

    def has_capacity(self, demand: Demand, candidate: Candidate) -> bool:
        """Whether enough is left of the device's capacities.

        Raises:
            AllocationFailed: what the demand consumes cannot be computed.
        """
        consumed = self._suitability.consumption(demand, candidate)
        if consumed is None:
            return False
        taken = (
            self._allocated.capacity.get(candidate.id),
            self._consumed.get(candidate.id),
        )
        return not any(taken) or fits(consumed, candidate.device, *filter(None, taken))

    def take(
        self, claim: int, demand: Demand, candidate: Candidate, pool: Pool, *, must: bool
    ) -> bool:
        """Whether the device was taken.

        Args:
            claim: for which claim.
            demand: for what.
            candidate: the device, which suits the demand.
            pool: where it is from.
            must: there is no other, so that constraints that forbid it are a mistake.

        Raises:
            AllocationFailed: it must be taken, and a constraint forbids it.
        """
        device = candidate.device
        is_shared = self._features.consumable_capacity and device.allow_multiple_allocations
        if not (is_shared and demand.admin_access) and self.is_in_use(claim, demand, candidate):
            return False
        if candidate.counters and not self._features.partitionable_devices:
            return False
        if self._features.device_taints and not is_tolerated(device.taints, demand.tolerations):
            return False
        # The first share of a device pays for its counters.
        pays = bool(candidate.counters) and not (is_shared and self._has_shares(candidate.id))
        if pays and not self._counters.consume(candidate, pool):
            return False
        share = self._suitability.consumption(demand, candidate) if is_shared else None
        taken = Taken(demand, candidate, pool, share, pays)
        if not self._satisfies_constraints(claim, demand, candidate):
            if pays:
                self._counters.give_back(candidate, pool)
            if must:
                raise AllocationFailed(
                    f"{demand.described}: cannot add device {candidate.id} because a claim"
                    " constraint would not be satisfied"
                )
            return False
        if not self.has_capacity(demand, candidate):
            self._release(claim, taken)
            return False
        self._book(claim, taken, 1)
        self.taken[claim].append(taken)
        return True

    def give_back(self, claim: int) -> None:
        """Undoes the claim's last `take`."""
        taken = self.taken[claim].pop()
        self._book(claim, taken, -1)
        self._release(claim, taken)

    def _has_shares(self, device: DeviceID) -> bool:
        allocated = self._allocated
        return device in allocated.capacity or device in allocated.shared or device in self._shares

    def _satisfies_constraints(self, claim: int, demand: Demand, candidate: Candidate) -> bool:
        constraints = self._constraints[claim]
        for index, constraint in enumerate(constraints):
            if not constraint.add(demand, candidate):
                for added in constraints[:index]:
                    added.remove_last(demand)
                return False
        return True

    def _release(self, claim: int, taken: Taken) -> None:
        for constraint in self._constraints[claim]:
            constraint.remove_last(taken.demand)
        if taken.consumed_counters:
            self._counters.give_back(taken.candidate, taken.pool)

    def _book(self, claim: int, taken: Taken, sign: int) -> None:
        device = taken.candidate.id
        if taken.share is None:
            self._book_whole(claim, device, sign)
            return
        self._shares[device] = self._shares.get(device, 0) + sign
        consumed = self._consumed.setdefault(device, {})
        for name, quantity in taken.share.items():
            consumed[name] = consumed.get(name, 0) + sign * quantity.nanos
        if not self._shares[device]:
            del self._shares[device], self._consumed[device]

    def _book_whole(self, claim: int, device: DeviceID, sign: int) -> None:
        if sign > 0:
            self._whole.setdefault(device, set()).add(claim)
            return
        holders = self._whole[device]
        holders.discard(claim)
        if not holders:
            del self._whole[device]
