"""What is known about all claims: as assumed, which are being allocated, which devices are taken.

A claim that the scheduler allocates goes through

    unallocated --begin (Reserve)--> in flight --written and assumed (PreBind)--> allocated
         ^                              |
         +-----end (Unreserve)----------+

In flight its devices are taken for everybody, whatever the API server says of the claim, and no
other pod may use it: two pods that share a claim could not write it in an order that is always
right. In flight it stays until its allocation is known to be written (then the claim is assumed as
the API server answered, so that its devices are taken without a gap), or known not to be.

`Releases` are the reservations that are being taken back in the background; the pod's next attempt
waits for them before it counts on one.

One tracker serves all profiles (``handle.shared``). Source: kube-scheduler 1.37,
``dynamicresources/dra_manager.go`` and ``allocateddevices.go``. Knowing differences: an assumption
that the API server has confirmed is not given up when the pod fails later; a claim being allocated
is not shared within a pod group (GenericWorkload, off by default).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from cachetools import LRUCache

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.keys import key_of
from pyscheduler.api.resource_v1 import ResourceClaim
from pyscheduler.framework.assumed_objects import AssumedObjects, CannotAssume
from pyscheduler.framework.cycle_state import StateKey
from pyscheduler.framework.informers import Informer
from pyscheduler.intree.dynamic_resources.allocation.devices import (
    AllocatedDevices,
    AllocatedState,
    DeviceID,
)
from pyscheduler.intree.dynamic_resources.claims import extended_resource_owner

RESOURCE_CLAIMS: Final = "resourceclaims.v1.resource.k8s.io"

#: Pods that are known to have given devices up. It matters for the length of an attempt: longer
#: than any that was under way at that time.
_REMEMBERED: Final = 1_000


class ClaimTracker:
    """Claims and devices of the whole cluster, for all profiles.

    Args:
        informer: follows the claims.
        consumable_capacity: shares of devices count as shares.
    """

    def __init__(
        self, informer: Informer[ResourceClaim], *, consumable_capacity: bool = True
    ) -> None:
        self._claims = AssumedObjects(informer, index=extended_resource_owner)
        self._taken = AllocatedDevices(consumable_capacity=consumable_capacity)
        #: uid -> the claim with the allocation that is to be written; counted in `_taken`
        self._in_flight: dict[str, ResourceClaim] = {}
        #: uids of pods that gave up devices which nobody was told they had
        self._gave_up: LRUCache[str, None] = LRUCache(_REMEMBERED)
        self.releases = Releases()
        self._claims.add_handler(self)

    def get(self, key: str) -> ResourceClaim | None:
        """The claim named ``namespace/name``, as assumed."""
        return self._claims.get(key)

    def latest(self, claim: ResourceClaim) -> ResourceClaim:
        """The claim as assumed now; as it is here if it is gone, or was never told of."""
        known = self._claims.get(key_of(claim))
        return known if known is not None and known.metadata.uid == claim.metadata.uid else claim

    def made_for(self, pod: Pod) -> ResourceClaim | None:
        """The claim that was made for the pod's extended resources in an earlier attempt."""
        found = self._claims.indexed(pod.uid)
        return found[0] if found else None

    def taken(self) -> AllocatedState:
        """The devices that are allocated or being allocated."""
        return self._taken.snapshot()

    def is_in_flight(self, uid: str) -> bool:
        """True while that claim is being allocated."""
        return uid in self._in_flight

    def begin(self, allocated: ResourceClaim) -> None:
        """The claim is in flight with the allocation it has here; not if it already is."""
        uid = allocated.metadata.uid
        if uid not in self._in_flight:
            self._in_flight[uid] = allocated
            self._taken.add(allocated)

    def end(self, uid: str) -> None:
        """That claim is not in flight any more, if it was."""
        claim = self._in_flight.pop(uid, None)
        if claim is not None:
            self._taken.remove(claim)

    def give_up(self, uids: Collection[str], pod: Pod) -> None:
        """Those claims are not in flight any more, as their pod has failed."""
        if uids:
            self._gave_up[pod.uid] = None
        for uid in uids:
            self.end(uid)

    def has_given_up(self, pod: Pod) -> bool:
        """Whether devices became free as the pod failed, of which no event of a claim tells."""
        return pod.uid in self._gave_up

    def assume(self, written: ResourceClaim) -> bool:
        """The claim is as the API server answered; False if the watch does not know it (yet).

        It is as well when the watch knows a newer state of it, or that it is gone.
        """
        try:
            self._claims.assume(written)
        except CannotAssume:
            return self._claims.get(key_of(written)) is not None
        return True

    def already_taken(self, allocated: ResourceClaim) -> DeviceID | None:
        """A device of the allocation that somebody else has as a whole by now; None if all is well.

        Shares are not looked at: their capacity was weighed by the allocator.
        """
        taken = self._taken.snapshot().devices
        allocation = allocated.status.allocation
        for result in () if allocation is None else allocation.devices.results:
            device = DeviceID(result.driver, result.pool, result.device)
            if not result.admin_access and result.share_id is None and device in taken:
                return device
        return None

    # what the assumed claims tell

    def on_add(self, added: ResourceClaim, initial: bool) -> None:  # the informer's own signature
        """A claim is there."""
        self._taken.add(added)

    def on_update(self, old: ResourceClaim, new: ResourceClaim) -> None:
        """A claim changed."""
        if old.status.allocation != new.status.allocation:
            self._taken.remove(old)
            self._taken.add(new)

    def on_delete(self, deleted: ResourceClaim) -> None:
        """A claim is gone, and its devices are free."""
        self._taken.remove(deleted)


class Releases:
    """Reservations that are being taken back, by claim and pod."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, str], asyncio.Event] = {}

    def begin(self, claim: ResourceClaim, pod: Pod) -> None:
        """The pod's reservation is on its way back from now on."""
        self._under_way.setdefault((claim.metadata.uid, pod.uid), asyncio.Event())

    def end(self, claim: ResourceClaim, pod: Pod) -> None:
        """It is back, or could not be taken back; who waits for it goes on."""
        ended = self._under_way.pop((claim.metadata.uid, pod.uid), None)
        if ended is not None:
            ended.set()

    async def wait(self, claim: ResourceClaim, pod: Pod) -> None:
        """Returns when no release is under way."""
        under_way = self._under_way.get((claim.metadata.uid, pod.uid))
        if under_way is not None:
            await under_way.wait()


TRACKER: Final = StateKey[ClaimTracker]("DynamicResources.claim_tracker")
