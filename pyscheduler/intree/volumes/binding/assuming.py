"""What Reserve decides for a pod's claims, in memory: the `Reservation`.

A volume that was found gets the claim's reference, a claim whose volume is to be made gets the name
of the node. Both are assumed, so that the next pod does not get them as well; PreBind writes them.

    reserved   assumed; `revert` takes it back
    written    the API server has it: `revert` leaves it, for it is true; the watch will tell

Called by: ``plugin`` (Reserve, Unreserve), ``writing``.
Source: kube-scheduler 1.37, ``plugins/volumebinding/binder.go`` AssumePodVolumes and
RevertAssumedPodVolumes, ``pv_helpers.go`` GetBindVolumeToClaim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import ObjectReference
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.intree.volumes.binding.annotations import BOUND_BY_CONTROLLER, SELECTED_NODE
from pyscheduler.intree.volumes.binding.finding import is_kept_for
from pyscheduler.intree.volumes.binding.known import KnownStorage
from pyscheduler.intree.volumes.binding.search import Outcome


@dataclass(slots=True)
class Binding:
    """A volume that goes to a claim."""

    #: as assumed
    volume: PersistentVolume
    claim: PersistentVolumeClaim
    #: a merge patch that makes the volume so; empty if it is so already
    patch: Mapping[str, Any]
    #: the version that the volume has with it; "" until it is written
    written: str = ""


@dataclass(slots=True)
class Selection:
    """A claim whose volume is to be made for a node."""

    #: as assumed
    claim: PersistentVolumeClaim
    patch: Mapping[str, Any]
    written: str = ""


@dataclass(slots=True)
class Reservation:
    """All that is to be written for a pod."""

    bindings: list[Binding] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)

    def revert(self, known: KnownStorage) -> None:
        """Takes back what is not written; may be called again."""
        for binding in self.bindings:
            if not binding.written:
                known.volumes.restore(binding.volume)
        for selection in self.selections:
            if not selection.written:
                known.claims.restore(selection.claim)


def reserve(outcome: Outcome, node_name: str, *, known: KnownStorage) -> Reservation:
    """The outcome is assumed.

    Raises:
        CannotAssume: a volume or claim is gone, or changed meanwhile; nothing is assumed then.
    """
    reservation = Reservation()
    try:
        for match in outcome.matches:
            binding = bind_to(match.volume, match.claim)
            if binding.patch:
                known.volumes.assume(binding.volume)
            reservation.bindings.append(binding)
        for provision in outcome.provisions:
            selection = _select(provision.claim, node_name)
            known.claims.assume(selection.claim)
            reservation.selections.append(selection)
    except fwk.CannotAssume:
        reservation.revert(known)
        raise
    return reservation


def bind_to(volume: PersistentVolume, claim: PersistentVolumeClaim) -> Binding:
    """The volume with the claim's reference, and what of it is new.

    That a controller chose the claim is noted unless the volume was kept for it before.
    """
    reference = volume.spec.claim_ref
    patch: dict[str, Any] = {}
    bound = volume
    if reference is None or (reference.namespace, reference.name, reference.uid) != (
        claim.namespace,
        claim.name,
        claim.uid,
    ):
        reference = ObjectReference(
            kind="PersistentVolumeClaim",
            api_version="v1",
            namespace=claim.namespace,
            name=claim.name,
            uid=claim.uid,
            resource_version=claim.metadata.resource_version,
        )
        bound = replace(bound, spec=replace(bound.spec, claim_ref=reference))
        patch["spec"] = {"claimRef": msgspec.to_builtins(reference)}
    if not is_kept_for(volume, claim) and BOUND_BY_CONTROLLER not in volume.annotations:
        annotations = FrozenMap({**volume.annotations, BOUND_BY_CONTROLLER: "yes"})
        bound = replace(bound, metadata=replace(bound.metadata, annotations=annotations))
        patch["metadata"] = {"annotations": {BOUND_BY_CONTROLLER: "yes"}}
    return Binding(bound, claim, patch)


def _select(claim: PersistentVolumeClaim, node_name: str) -> Selection:
    annotations = FrozenMap({**claim.annotations, SELECTED_NODE: node_name})
    selected = replace(claim, metadata=replace(claim.metadata, annotations=annotations))
    return Selection(selected, {"metadata": {"annotations": {SELECTED_NODE: node_name}}})
