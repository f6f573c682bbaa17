"""From a chosen node to written claims: Reserve in memory, PreBind at the API server, and back.

    Reserve     the claims that were allocated in Filter are in flight
    PreBind     each claim that is not reserved for the pod yet is written and assumed, and is then
                no longer in flight; binding conditions are waited for
    Unreserve   what is still in flight is given up; reservations are taken back in the background

A device is given up only when it is known not to be written. A pod that is taken away while its
write is on the way does not end that write: it is seen to its end in the background, and the claim
stays in flight until then.

Called by: ``plugin``. Source: kube-scheduler 1.37, ``dynamicresources.go`` Reserve, PreBind,
bindClaim and Unreserve.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog
from msgspec.structs import replace

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.keys import key_of
from pyscheduler.api.resource_v1 import FINALIZER, AllocationResult, ResourceClaim
from pyscheduler.errors import PySchedulerError
from pyscheduler.intree.dynamic_resources import binding_conditions
from pyscheduler.intree.dynamic_resources.claim_tracker import ClaimTracker
from pyscheduler.intree.dynamic_resources.claims import is_reserved_for
from pyscheduler.intree.dynamic_resources.extended_resources import is_in_memory
from pyscheduler.intree.dynamic_resources.pod_claims import PodClaims
from pyscheduler.intree.dynamic_resources.writing import ClaimChanged, ClaimWrites

_log = structlog.get_logger(__name__)

#: How often binding conditions are looked at, in seconds. Source: ``dynamicresources.go``.
_POLL_S: Final = 5.0
#: How long the watch may take to tell of a claim that we made, in seconds. Source:
#: ``extendeddynamicresources.go``, AssumeExtendedResourceTimeoutDefaultSeconds.
_TOLD_AFTER_S: Final = 120.0
#: First pause between two looks whether it did, in seconds; then twice as long each time, up to the
#: last. It takes milliseconds as a rule.
_FIRST_LOOK_S, _LAST_LOOK_S = 0.01, 1.0


class Reserving:
    """Reserves, writes and gives back the claims of pods.

    Args:
        handle: the plugin's.
        tracker: knows all claims.
        binding_timeout_s: for binding conditions; None: they are not waited for.
    """

    def __init__(
        self, handle: fwk.Handle, tracker: ClaimTracker, *, binding_timeout_s: float | None
    ) -> None:
        self._handle = handle
        self._tracker = tracker
        self._binding_timeout_s = binding_timeout_s
        self.writes = ClaimWrites(handle, tracker, stamps=binding_timeout_s is not None)

    def reserve(self, held: PodClaims, node_name: str) -> None:
        """Everything that is to be allocated is in flight with what was found on the node.

        Raises:
            ClaimChanged: a claim or a device was given away since PreFilter.
            PySchedulerError: Filter found nothing for the node.
        """
        if held.allocator is None:
            return
        found = held.found.get(node_name)
        allocations = {} if found is None else found.allocations
        if any(i not in allocations for i, _ in held.unallocated() if i != held.special):
            raise PySchedulerError("claim allocation not found for node")
        for i, allocation in allocations.items():
            allocated = _allocated(held.claims[i], allocation)
            self._refuse_given_away(held.claims[i], allocated)
            self._tracker.begin(allocated)
            held.in_flight.add(allocated.metadata.uid)
        held.reserved = allocations

    async def pre_bind(self, held: PodClaims, pod: Pod, node_name: str) -> None:
        """The pod may use all its claims, and their devices are ready.

        Raises:
            PySchedulerError: the text says which claim it failed for, and why.
        """
        for i, claim in enumerate(held.claims):
            allocation = held.reserved.get(i)
            if allocation is None:
                if i == held.special:
                    continue  # the node's device plugin provides it all
                # an earlier attempt may be taking its reservation back, or has since PreFilter
                await self._tracker.releases.wait(claim, pod)
                if is_reserved_for(self._tracker.latest(claim), pod):
                    continue
            await self._bind_claim(held, i, pod, node_name, allocation)
        if self._binding_timeout_s is not None and any(
            map(binding_conditions.has_conditions, held.claims)
        ):
            self._handle.recorder.event(
                pod,
                "Normal",
                "BindingConditionsPending",
                "Scheduling",
                f"waiting for binding conditions for device on node {node_name}",
            )
            await self._wait_until_ready(held, self._binding_timeout_s)

    def unreserve(self, held: PodClaims, pod: Pod) -> None:
        """Nothing of the pod is in flight; its reservations go back in the background."""
        self._tracker.give_up(held.in_flight, pod)
        held.in_flight.clear()
        for _, claim in held.named():
            if claim.status.allocation is not None and is_reserved_for(claim, pod):
                self._release(claim, pod)
        special = held.special_claim
        if special is not None and not is_in_memory(special):
            self._handle.tasks.start(
                partial(self._delete, special), name=f"delete claim {key_of(special)}"
            )

    # --- inside ---

    def _refuse_given_away(self, claim: ResourceClaim, allocated: ResourceClaim) -> None:
        """Returns if claim and devices are as free as they were in PreFilter."""
        if not is_in_memory(claim):
            current = self._tracker.get(key_of(claim))
            if current is None or current.metadata.uid != claim.metadata.uid:
                raise ClaimChanged(f"claim {key_of(claim)} got deleted in the meantime")
            if current.status.allocation is not None:
                raise ClaimChanged(f"claim {key_of(claim)} got allocated elsewhere in the meantime")
        device = self._tracker.already_taken(allocated)
        if device is not None:
            raise ClaimChanged(f"device {device} got allocated elsewhere in the meantime")

    async def _bind_claim(
        self,
        held: PodClaims,
        index: int,
        pod: Pod,
        node_name: str,
        allocation: AllocationResult | None,
    ) -> None:
        claim = held.claims[index]
        in_flight_uid = claim.metadata.uid
        found = held.found.get(node_name)
        needs = found.needs if index == held.special and found is not None else None
        if needs is not None and is_in_memory(claim):
            claim = held.claims[index] = await self.writes.create(claim, needs.spec)
        write = asyncio.ensure_future(self.writes.reserve(claim, pod, allocation=allocation))
        try:
            written = await asyncio.shield(write)
        except asyncio.CancelledError:
            held.in_flight.discard(in_flight_uid)
            self._handle.tasks.start(
                partial(self._see_to_its_end, write, pod, in_flight_uid),
                name=f"write claim {key_of(claim)}",
            )
            raise
        held.claims[index] = written
        if needs is not None:
            await self._wait_until_told(written)
        else:
            self._tracker.assume(written)
        self._tracker.end(in_flight_uid)
        held.in_flight.discard(in_flight_uid)
        if needs is not None:
            await self.writes.tell_pod(pod, written, needs.mappings)

    async def _see_to_its_end(
        self, write: asyncio.Future[ResourceClaim], pod: Pod, in_flight_uid: str
    ) -> None:
        """A write whose pod is gone: the claim is in flight until it is known what became of it."""
        try:
            written = await write
            self._tracker.assume(written)
            self._release(written, pod)
        except PySchedulerError as error:
            _log.info("claim was not written", pod=pod.key, reason=str(error))
        finally:
            self._tracker.end(in_flight_uid)

    async def _wait_until_told(self, claim: ResourceClaim) -> None:
        """Returns when the watch knows the claim, so that it can be assumed; or after long."""
        clock = self._handle.clock
        give_up = clock.monotonic() + _TOLD_AFTER_S
        pause_s = _FIRST_LOOK_S
        while not self._tracker.assume(claim):
            if clock.monotonic() >= give_up:
                _log.warning("the watch does not tell of a claim", claim=key_of(claim))
                return
            await clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_LOOK_S)

    async def _wait_until_ready(self, held: PodClaims, timeout_s: float) -> None:
        clock = self._handle.clock
        give_up = clock.monotonic() + timeout_s
        while not self._are_ready(held, timeout_s):
            left_s = give_up - clock.monotonic()
            if left_s <= 0:
                raise PySchedulerError(f"{binding_conditions.TIMEOUT}: context deadline exceeded")
            await clock.sleep(min(_POLL_S, left_s))

    def _are_ready(self, held: PodClaims, timeout_s: float) -> bool:
        for i, claim in enumerate(held.claims):
            current = self._tracker.get(key_of(claim))
            if current is None:
                if i == held.special and is_in_memory(claim):
                    continue  # nothing was needed of it on this node
                raise PySchedulerError(f'could not find ResourceClaim "{key_of(claim)}"')
            held.claims[i] = current
            if binding_conditions.is_ready(current):
                continue
            now_s = self._handle.clock.now()
            if binding_conditions.is_too_late(current, now_s=now_s, timeout_s=timeout_s):
                raise PySchedulerError(
                    f"{binding_conditions.TIMEOUT}: claim={current.metadata.name}"
                )
            return False
        return True

    def _release(self, claim: ResourceClaim, pod: Pod) -> None:
        self._tracker.releases.begin(claim, pod)
        self._handle.tasks.start(
            partial(self.writes.release, claim, pod), name=f"unreserve claim {key_of(claim)}"
        )

    async def _delete(self, claim: ResourceClaim) -> None:
        try:
            await self.writes.delete(claim)
        except PySchedulerError as error:
            # the pod's next attempt finds it, and deletes it first
            _log.warning("cannot delete claim", claim=key_of(claim), reason=str(error))


def _allocated(claim: ResourceClaim, allocation: AllocationResult) -> ResourceClaim:
    """The claim as it will be once it is written."""
    metadata = claim.metadata
    if FINALIZER not in metadata.finalizers:
        metadata = replace(metadata, finalizers=(*metadata.finalizers, FINALIZER))
    return replace(claim, metadata=metadata, status=replace(claim.status, allocation=allocation))
