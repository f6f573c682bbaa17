"""Devices that must be made ready before the pod is bound: whether they are, or are too late.

A device may name conditions that its driver sets on the claim once it is attached to the node, and
others that mean that it never will be. After the allocation all of the former must become true
within ``bindingTimeout``; else the claim counts as not available and is allocated anew.

Called by: ``plugin``. Source: kube-scheduler 1.37, ``dynamicresources.go`` isClaimReadyForBinding
and isClaimTimeout.
"""

from __future__ import annotations

from pyscheduler.api.resource_v1 import (
    AllocatedDeviceStatus,
    Condition,
    DeviceRequestAllocationResult,
    ResourceClaim,
)
from pyscheduler.api.times import parse_rfc3339
from pyscheduler.errors import PySchedulerError

TIMEOUT = "device binding timeout"


class DeviceBindingFailed(PySchedulerError):  # noqa: N818  # what the driver says
    """A driver says that it cannot make a device of the claim ready."""


def has_conditions(claim: ResourceClaim) -> bool:
    """True when a device of the claim has to be made ready."""
    return any(result.binding_conditions for result in _results(claim))


def is_ready(claim: ResourceClaim) -> bool:
    """True when every device of the claim is ready, or needs not be made so.

    Raises:
        DeviceBindingFailed: one of them will not be.
    """
    if claim.status.allocation is None:
        return False
    for result in _results(claim):
        if not result.binding_conditions:
            continue
        told = _told_of(claim, result)
        if told is None:
            return False
        for failure in map(told.get, result.binding_failure_conditions):
            if failure is not None and failure.status == "True":
                raise DeviceBindingFailed(
                    f"device binding failed: claim={claim.metadata.name},"
                    f' reason={failure.reason}, message="{failure.message}"'
                )
        for name in result.binding_conditions:
            condition = told.get(name)
            if condition is None or condition.status != "True":
                return False
    return True


def is_too_late(claim: ResourceClaim, *, now_s: float, timeout_s: float) -> bool:
    """True when the devices should have been ready by now.

    Args:
        claim: the claim.
        now_s: wall time in seconds since the epoch.
        timeout_s: how long they may take.
    """
    allocation = claim.status.allocation
    if allocation is None or allocation.allocation_timestamp is None or not has_conditions(claim):
        return False
    try:
        since_s = parse_rfc3339(allocation.allocation_timestamp)
    except ValueError:  # nobody knows when it began
        return False
    return since_s + timeout_s < now_s


def _results(claim: ResourceClaim) -> tuple[DeviceRequestAllocationResult, ...]:
    allocation = claim.status.allocation
    return () if allocation is None else allocation.devices.results


def _told_of(
    claim: ResourceClaim, result: DeviceRequestAllocationResult
) -> dict[str, Condition] | None:
    """What the driver says of a device, by type of condition; None before it said anything."""
    wanted = (result.device, result.driver, result.pool)
    for status in claim.status.devices:
        if (status.device, status.driver, status.pool) == wanted:
            return _by_type(status)
    return None


def _by_type(status: AllocatedDeviceStatus) -> dict[str, Condition]:
    # of two of one type the first counts
    return {condition.type: condition for condition in reversed(status.conditions)}
