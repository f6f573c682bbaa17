"""What is written about claims: allocation, reservation, and both taken back.

Every write is a merge patch that says which version of the claim it was decided on, so that nothing
is written over what somebody else did meanwhile. A refusal for that reason (409) is answered by
reading the claim and deciding again: benign changes such as a label do no harm, a deletion or an
allocation by somebody else ends the attempt. A write whose answer was lost is handled the same way:
only what the API server says afterwards counts, because a device that may have been given away
must not be given away again.

Called by: ``plugin``. Source: kube-scheduler 1.37, ``dynamicresources.go`` bindClaim, Unreserve and
PostFilter, ``extendeddynamicresources.go`` deleteClaim. Knowing differences: a claim that was
deallocated and allocated anew since it was decided about ends the attempt (there only one that is
not allocated does), and a write without an answer is looked after (there it counts as failed).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from msgspec.structs import replace

from pyscheduler import framework as fwk
from pyscheduler.api.codec import from_builtins
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.keys import key_of
from pyscheduler.api.resource_v1 import (
    FINALIZER,
    AllocationResult,
    ResourceClaim,
    ResourceClaimSpec,
)
from pyscheduler.api.times import format_seconds
from pyscheduler.errors import PySchedulerError
from pyscheduler.intree.dynamic_resources.claim_tracker import ClaimTracker
from pyscheduler.intree.dynamic_resources.claims import consumer, is_reserved_for
from pyscheduler.intree.dynamic_resources.extended_resources import ContainerRequest

_log = structlog.get_logger(__name__)

#: How often a claim is decided about against other writers. Source: client-go, retry.DefaultRetry.
_ATTEMPTS: Final = 5
#: Between two looks at a claim whose write went unanswered, in seconds. A guess: each look is
#: already tried for long.
_LOOK_AGAIN_S: Final = 1.0

_NOT_FOUND, _CONFLICT, _SERVER_ERRORS = 404, 409, 500


class ClaimChanged(PySchedulerError):  # noqa: N818  # what happened to it
    """The claim is not any more what was decided about."""


class ClaimWrites:
    """Writes claims.

    Args:
        handle: the plugin's.
        tracker: is told what the API server answered.
        stamps: allocations say when they were made, which binding conditions count from.
    """

    def __init__(self, handle: fwk.Handle, tracker: ClaimTracker, *, stamps: bool) -> None:
        self._handle = handle
        self._tracker = tracker
        self._stamps = stamps

    async def reserve(
        self, claim: ResourceClaim, pod: Pod, *, allocation: AllocationResult | None
    ) -> ResourceClaim:
        """Writes that ``pod`` may use the claim, and what it was allocated if that is new.

        Args:
            claim: as it was decided about.
            pod: who may use it.
            allocation: the new allocation; None if the claim has one.

        Returns:
            The claim as it is now.

        Raises:
            ClaimChanged: it was deleted, or allocated or deallocated elsewhere.
            PySchedulerError: the API server refused.
        """
        current = self._tracker.latest(claim)
        for left in reversed(range(_ATTEMPTS)):
            if _refuse_changed(current, claim, pod, allocation):
                return current
            try:
                return await self._try_to_reserve(current, pod, allocation)
            except _Refused as refused:
                if not left or not refused.is_worth_a_look:
                    raise PySchedulerError(str(refused)) from refused.cause
                current = await self._look_again(current, refused)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def release(self, claim: ResourceClaim, pod: Pod) -> None:
        """Takes the pod's reservation back; a failure is logged, the next attempt may use it."""
        current = self._tracker.latest(claim)
        try:
            for _ in range(_ATTEMPTS):
                if current.metadata.uid != claim.metadata.uid or not is_reserved_for(current, pod):
                    return
                left = [c for c in current.status.reserved_for if c.uid != pod.uid]
                try:
                    written = await self._patch(
                        current, "/status", {"status": {"reservedFor": left}}
                    )
                except PySchedulerError as error:
                    if _status_of(error) != _CONFLICT:
                        raise
                else:
                    self._tracker.assume(written)
                    return
                current = await self._read(claim)
        except PySchedulerError as error:
            if _status_of(error) != _NOT_FOUND:
                _log.warning("cannot unreserve claim", claim=key_of(claim), reason=str(error))
        finally:
            self._tracker.releases.end(claim, pod)

    async def deallocate(self, claim: ResourceClaim) -> None:
        """The claim has no devices any more, and nobody may use it.

        Raises:
            PySchedulerError: the API server refused, for example because the claim changed.
        """
        cleared = {"allocation": None, "reservedFor": None, "devices": None}
        await self._patch(claim, "/status", {"status": cleared})

    async def create(self, claim: ResourceClaim, spec: ResourceClaimSpec) -> ResourceClaim:
        """Makes the claim for a pod's extended resources; returns it with its name.

        Raises:
            PySchedulerError: the API server refused.
        """
        metadata = claim.metadata
        body = {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceClaim",
            "metadata": {
                "generateName": metadata.generate_name,
                "annotations": metadata.annotations,
                "ownerReferences": metadata.owner_references,
            },
            "spec": spec,
        }
        path = _collection(metadata.namespace)
        try:
            return _claim_of(await self._handle.writes.request("POST", path, body))
        except PySchedulerError as error:
            raise PySchedulerError(
                f"create claim for extended resources {metadata.namespace}/: {error}"
            ) from error

    async def delete(self, claim: ResourceClaim) -> None:
        """The claim is gone, its finalizer first; it being gone already is as good.

        Raises:
            PySchedulerError: the API server refused.
        """
        key, current = key_of(claim), claim
        for left in reversed(range(_ATTEMPTS)):
            others = [name for name in current.metadata.finalizers if name != FINALIZER]
            if len(others) == len(current.metadata.finalizers):
                break
            try:
                current = await self._patch(current, "", {}, finalizers=others)
            except PySchedulerError as error:
                if _status_of(error) == _NOT_FOUND:
                    return
                if _status_of(error) != _CONFLICT or not left:
                    raise PySchedulerError(f"update resourceclaim {key}: {error}") from error
                current = await self._read(claim)
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": claim.metadata.uid},
        }
        try:
            await self._handle.writes.request("DELETE", _path(claim), body)
        except PySchedulerError as error:
            # another of that name is not ours
            if _status_of(error) not in (_NOT_FOUND, _CONFLICT):
                raise

    async def tell_pod(
        self, pod: Pod, claim: ResourceClaim, mappings: tuple[ContainerRequest, ...]
    ) -> None:
        """Writes into the pod's status which claim has the devices of its extended resources.

        Raises:
            PySchedulerError: the API server refused, or there is nothing to tell.
        """
        if not mappings:
            raise PySchedulerError(
                "nil or empty request mappings, no update of pod"
                f" {pod.key} ExtendedResourceClaimStatus"
            )
        status = {"requestMappings": mappings, "resourceClaimName": claim.metadata.name}
        body = {
            "metadata": {"uid": pod.uid},
            "status": {"extendedResourceClaimStatus": status},
        }
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status"
        try:
            await self._handle.writes.request("PATCH", path, body)
        except PySchedulerError as error:
            raise PySchedulerError(
                f"update pod {pod.key} ExtendedResourceClaimStatus: {error}"
            ) from error

    # --- inside ---

    async def _try_to_reserve(
        self, claim: ResourceClaim, pod: Pod, allocation: AllocationResult | None
    ) -> ResourceClaim:
        key = key_of(claim)
        status: dict[str, Any] = {"reservedFor": (*claim.status.reserved_for, consumer(pod))}
        if allocation is not None:
            if FINALIZER not in claim.metadata.finalizers:
                finalizers = [*claim.metadata.finalizers, FINALIZER]
                try:
                    claim = await self._patch(claim, "", {}, finalizers=finalizers)
                except PySchedulerError as error:
                    raise _Refused(f"add finalizer to claim {key}: {error}", error) from error
            status["allocation"] = self._stamped(allocation)
        elif claim.status.allocation != (stamped := self._stamped(claim.status.allocation)):
            status["allocation"] = stamped
        what = "allocation and reservation" if allocation is not None else "reservation"
        try:
            return await self._patch(claim, "/status", {"status": status})
        except PySchedulerError as error:
            raise _Refused(f"add {what} to claim {key}: {error}", error) from error

    def _stamped(self, allocation: AllocationResult | None) -> AllocationResult | None:
        if allocation is None or not self._stamps or allocation.allocation_timestamp is not None:
            return allocation
        return replace(allocation, allocation_timestamp=format_seconds(self._handle.clock.now()))

    async def _look_again(self, claim: ResourceClaim, refused: _Refused) -> ResourceClaim:
        """The claim as it is after a refusal, or once somebody says what became of the write."""
        while True:
            try:
                return await self._read(claim)
            except PySchedulerError as error:
                if not (refused.is_uncertain and _is_uncertain(error)):
                    raise PySchedulerError(
                        f"get updated claim {key_of(claim)} after conflict: {error}"
                    ) from error
            await self._handle.clock.sleep(_LOOK_AGAIN_S)

    async def _read(self, claim: ResourceClaim) -> ResourceClaim:
        return _claim_of(await self._handle.writes.request("GET", _path(claim)))

    async def _patch(
        self,
        claim: ResourceClaim,
        subresource: str,
        body: Mapping[str, Any],
        *,
        finalizers: list[str] | None = None,
    ) -> ResourceClaim:
        metadata: dict[str, Any] = {
            "uid": claim.metadata.uid,
            "resourceVersion": claim.metadata.resource_version,
        }
        if finalizers is not None:
            metadata["finalizers"] = finalizers
        path = _path(claim) + subresource
        return _claim_of(
            await self._handle.writes.request("PATCH", path, {"metadata": metadata, **body})
        )


class _Refused(Exception):  # noqa: N818  # what became of a write
    """One write was not carried out, or nobody knows."""

    def __init__(self, text: str, cause: PySchedulerError) -> None:
        super().__init__(text)
        self.cause = cause
        #: the write may have been carried out all the same
        self.is_uncertain = _is_uncertain(cause)
        self.is_worth_a_look = self.is_uncertain or _status_of(cause) == _CONFLICT


def _refuse_changed(
    current: ResourceClaim, decided: ResourceClaim, pod: Pod, allocation: AllocationResult | None
) -> bool:
    """True when what is to be written is there already.

    Raises:
        ClaimChanged: it must not be written any more.
    """
    key = key_of(current)
    is_another = current.metadata.uid != decided.metadata.uid
    if is_another or current.metadata.deletion_timestamp is not None:
        raise ClaimChanged(f"claim {key} got deleted in the meantime")
    present, is_reserved = current.status.allocation, is_reserved_for(current, pod)
    if allocation is not None:
        if present is None:
            return False
        # an earlier write of ours whose answer was lost
        if is_reserved and _is_same(present, allocation):
            return True
        raise ClaimChanged(f"claim {key} got allocated elsewhere in the meantime")
    if present is None:
        raise ClaimChanged(f"claim {key} got deallocated elsewhere in the meantime")
    if decided.status.allocation is None or not _is_same(present, decided.status.allocation):
        raise ClaimChanged(f"claim {key} got reallocated elsewhere in the meantime")
    return is_reserved


def _is_same(one: AllocationResult, other: AllocationResult) -> bool:
    """True for the same devices in the same places, whenever they were allocated."""
    return one.devices.results == other.devices.results and one.node_selector == other.node_selector


def _status_of(error: PySchedulerError) -> int | None:
    """The HTTP status that the API server refused with; None when it did not answer.

    What writes raise is the client's, which plugins do not know; its refusals carry the status.
    """
    status: object = getattr(error, "status", None)
    return status if isinstance(status, int) else None


def _is_uncertain(error: PySchedulerError) -> bool:
    """True when the write may have been carried out: no answer came, or the server broke down."""
    status = _status_of(error)
    if status is not None:
        return status >= _SERVER_ERRORS
    return getattr(error, "is_sent", None) is not None


def _claim_of(answer: Any) -> ResourceClaim:
    return from_builtins(answer, ResourceClaim)


def _collection(namespace: str) -> str:
    return f"/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims"


def _path(claim: ResourceClaim) -> str:
    return f"{_collection(claim.metadata.namespace)}/{claim.metadata.name}"
