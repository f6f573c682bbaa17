"""The claims of a pod, as they stand: bound, waiting for their first pod, or to be bound at once.

    bound      the claim has its volume, and the controller has said so
    waiting    its class binds where the first pod goes, and it names no volume: the scheduler's
    immediate  all others: some controller's; a pod cannot run before it is done

Claims that are not there, lost, being deleted, or were not made for the pod turn it away before
that, in kube-scheduler's words. A claim that several volumes of the pod share counts once (upstream
would look for a volume for each).

Called by: ``plugin`` (PreFilter).
Source: kube-scheduler 1.37, ``plugins/volumebinding/volume_binding.go`` podHasPVCs, ``binder.go``
GetPodVolumeClaims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.storage_v1 import WAIT_FOR_FIRST_CONSUMER, StorageClass
from pyscheduler.api.volumes_v1 import PersistentVolumeClaim
from pyscheduler.intree.volumes.binding.annotations import is_bound
from pyscheduler.intree.volumes.claims import CLAIMS, ClaimOfPod, claims, not_for_pod, not_found

_LOST: Final = "Lost"


@dataclass(slots=True)
class SortedClaims:
    """Each in the order of the pod's volumes."""

    bound: list[PersistentVolumeClaim] = field(default_factory=list)
    waiting: list[tuple[PersistentVolumeClaim, StorageClass]] = field(default_factory=list)
    immediate: list[PersistentVolumeClaim] = field(default_factory=list)


def sort_claims(
    pod: Pod,
    claim_of: Callable[[str], PersistentVolumeClaim | None],
    class_of: Callable[[str], StorageClass | None],
) -> SortedClaims | fwk.Status:
    """The pod's claims, or why it cannot run yet.

    Args:
        pod: with volumes.
        claim_of: finds a claim by its key.
        class_of: finds a storage class by its name.
    """
    found: dict[str, PersistentVolumeClaim] = {}
    for used in claims(pod):
        claim = claim_of(used.key)
        if claim is None:
            return fwk.unresolvable(_missing(used))
        if claim.status.phase == _LOST:
            return fwk.unresolvable(
                f'persistentvolumeclaim "{claim.name}" bound to non-existent persistentvolume'
                f' "{claim.spec.volume_name}"'
            )
        if claim.is_terminating:
            return fwk.unresolvable(f'persistentvolumeclaim "{claim.name}" is being deleted')
        if used.is_ephemeral and (objection := not_for_pod(claim, pod)):
            return fwk.unresolvable(objection)
        found[used.key] = claim
    return _by_state(found.values(), class_of)


def _by_state(
    found: Iterable[PersistentVolumeClaim], class_of: Callable[[str], StorageClass | None]
) -> SortedClaims | fwk.Status:
    by_state = SortedClaims()
    for claim in found:
        if is_bound(claim):
            by_state.bound.append(claim)
            continue
        name = claim.class_name
        storage_class = class_of(name) if name else None
        mode = None if storage_class is None else storage_class.volume_binding_mode
        if storage_class is not None and mode is None:
            return fwk.Status(
                fwk.Code.ERROR, (f'VolumeBindingMode not set for StorageClass "{name}"',)
            )
        if (
            storage_class is not None
            and mode == WAIT_FOR_FIRST_CONSUMER
            and not claim.spec.volume_name
        ):
            by_state.waiting.append((claim, storage_class))
        else:
            by_state.immediate.append(claim)
    return by_state


def _missing(used: ClaimOfPod) -> str:
    if used.is_ephemeral:
        return (
            "waiting for ephemeral volume controller to create the persistentvolumeclaim"
            f' "{used.name}"'
        )
    return not_found(CLAIMS, used.name)
