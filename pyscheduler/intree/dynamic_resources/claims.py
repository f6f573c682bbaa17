"""Which claims a pod has, whose they are, and who may use them. No state, no effects.

A pod names a claim, or a template: a controller then makes a claim of the pod's own and writes its
name into the pod's status. The claim that the scheduler makes for extended resources is not named
by the pod at all; it is found by its annotation and its owner.

Called by: ``plugin``, and by whoever else here reads claims. Source: kube-scheduler 1.37,
``k8s.io/dynamic-resource-allocation/resourceclaim``. Knowing difference: claims of pod groups
(DRAWorkloadResourceClaims, off by default) are not there.
"""

from __future__ import annotations

from collections.abc import Callable

from pyscheduler.api.core_v1 import Pod, PodResourceClaim
from pyscheduler.api.keys import object_key
from pyscheduler.api.resource_v1 import (
    EXTENDED_RESOURCE_CLAIM_ANNOTATION,
    ResourceClaim,
    ResourceClaimConsumerReference,
)
from pyscheduler.errors import PySchedulerError


class ClaimUnusable(PySchedulerError):  # noqa: N818  # says why the pod has to wait
    """A claim of the pod is not there, or not the pod's; the text is what its user reads."""


def claim_name(pod: Pod, reference: PodResourceClaim) -> tuple[str | None, bool]:
    """The name of the claim that ``reference`` stands for, and whether it must be the pod's own.

    The name is None when the controller found that no claim is needed.

    Raises:
        ClaimUnusable: the claim was not made yet, or the reference cannot be understood.
    """
    if reference.resource_claim_name is not None:
        return reference.resource_claim_name, False
    if reference.resource_claim_template_name is None:
        raise ClaimUnusable(
            f'pod "{pod.key}", spec.resourceClaim "{reference.name}":'
            " none of the supported fields are set"
        )
    for generated in pod.status.resource_claim_statuses:
        if generated.name == reference.name:
            return generated.resource_claim_name, True
    raise ClaimUnusable(f'pod "{pod.key}": ResourceClaim not created yet')


def claim_keys(pod: Pod) -> list[str]:
    """``namespace/name`` of the claims that the pod names, as far as they have names already."""
    keys = []
    for reference in pod.spec.resource_claims:
        try:
            name, _ = claim_name(pod, reference)
        except ClaimUnusable:
            continue
        if name is not None:
            keys.append(object_key(pod.namespace, name))
    return keys


def claims_of(pod: Pod, get: Callable[[str], ResourceClaim | None]) -> list[ResourceClaim]:
    """The claims that the pod names, in its order.

    Args:
        pod: the pod.
        get: the claim named ``namespace/name``.

    Raises:
        ClaimUnusable: one is not there (yet), is being deleted, or was made for another pod.
    """
    claims = []
    for reference in pod.spec.resource_claims:
        name, is_generated = claim_name(pod, reference)
        if name is None:
            continue
        key = object_key(pod.namespace, name)
        claim = get(key)
        if claim is None:
            raise ClaimUnusable(f'could not find ResourceClaim "{key}"')
        if claim.metadata.deletion_timestamp is not None:
            raise ClaimUnusable(f'resourceclaim "{name}" is being deleted')
        if is_generated and controller_uid(claim) != pod.uid:
            raise ClaimUnusable(
                f"ResourceClaim {key} was not created for Pod {pod.key} (Pod is not owner)"
            )
        claims.append(claim)
    return claims


def controller_uid(claim: ResourceClaim) -> str:
    """The uid of the owner that controls the claim; empty when none does."""
    for owner in claim.metadata.owner_references:
        if owner.controller:
            return owner.uid
    return ""


def extended_resource_owner(claim: ResourceClaim) -> str | None:
    """The uid of the pod for whose extended resources the claim was made; None for all others."""
    if claim.metadata.annotations.get(EXTENDED_RESOURCE_CLAIM_ANNOTATION) != "true":
        return None
    return controller_uid(claim)


def is_reserved_for(claim: ResourceClaim, pod: Pod) -> bool:
    """True when the pod is among those who may use the claim."""
    return any(consumer.uid == pod.uid for consumer in claim.status.reserved_for)


def is_in_use_by_others(claim: ResourceClaim, pod: Pod) -> bool:
    """True when anybody but the pod may use the claim."""
    return any(consumer.uid != pod.uid for consumer in claim.status.reserved_for)


def consumer(pod: Pod) -> ResourceClaimConsumerReference:
    """The pod as a claim names who may use it."""
    return ResourceClaimConsumerReference(resource="pods", name=pod.name, uid=pod.uid)
