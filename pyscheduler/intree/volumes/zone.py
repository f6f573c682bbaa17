"""VolumeZone: pods go where the labels of their bound volumes say that the volumes are.

A persistent volume's labels for zone and region (the old ``failure-domain.beta`` ones and today's)
must match the node's: a node's label must be one of the volume's values, of which there may be
several, ``a__b``. Where the node lacks an old label, today's counts. A node without any of the four
labels passes: such a cluster has one zone.

    no claim by name, or none with a label   PreFilter answers SKIP
    a claim, volume or class is missing, or
    a claim is unbound and should be bound   PreFilter rejects the pod
    an unbound claim that waits for its pod  it says nothing yet
    else                                     Filter compares labels

Claims of generic ephemeral volumes are not asked about; VolumeBinding looks at their volumes'
affinity. Pods that name claims are signed None: volumes change without the change log.

Source: kube-scheduler 1.37, ``plugins/volumezone/volume_zone.go``. No knowing differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.keys import REGION, ZONE
from pyscheduler.api.storage_v1 import WAIT_FOR_FIRST_CONSUMER, StorageClass
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.framework.status import BoolArray
from pyscheduler.intree.volumes.claims import (
    CLAIMS,
    NO_NAME,
    STORAGE_CLASSES,
    VOLUMES,
    named_claims,
    names_claim,
    not_found,
)
from pyscheduler.intree.volumes.migration import BETA_REGION, BETA_ZONE, ZONES_DELIMITER

_REASON: Final = "node(s) had no available volume zone"

#: label -> the one that counts where a node lacks it
_LABELS: Final = {BETA_ZONE: ZONE, BETA_REGION: REGION, ZONE: ZONE, REGION: REGION}


@dataclass(frozen=True, slots=True)
class _Place:
    """A node must have one of the values."""

    label: str
    values: frozenset[str]


_PLACES: Final = fwk.StateKey[tuple[_Place, ...]]("VolumeZone.pre_filter")


def _places(volume: PersistentVolume) -> tuple[_Place, ...]:
    """Where the volume's labels say that it is; one that is no list of names says nothing."""
    found = []
    for label in _LABELS:
        written = volume.labels.get(label)
        if written is not None:
            values = frozenset(value.strip() for value in written.split(ZONES_DELIMITER))
            if "" not in values:
                found.append(_Place(label, values))
    return tuple(found)


class VolumeZone(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[fwk.NoArgs],
):
    """Rejects nodes outside the zones and regions of the pod's volumes."""

    depends_on = (fwk.Aspect.LABELS,)
    signs_spec = True
    skips_unsigned = True

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._claims = handle.listers.of(CLAIMS, PersistentVolumeClaim)
        self._volumes = handle.listers.of(VOLUMES, PersistentVolume)
        self._classes = handle.listers.of(STORAGE_CLASSES, StorageClass)

    def sign_pod(self, pod: Pod) -> tuple[()] | None:
        """Nothing is kept about pods that name claims; all others are alike."""
        return None if pod.spec.volumes and named_claims(pod) else ()

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Finds where the volumes are; rejects the pod if that cannot be known."""
        if not pod.spec.volumes:
            return fwk.SKIP
        places: list[_Place] = []
        for name in named_claims(pod):
            found = self._places_of_claim(pod.namespace, name)
            if isinstance(found, str):
                return fwk.unresolvable(found)
            places += found
        if not places:
            return fwk.SKIP
        state.write(_PLACES, tuple(places))
        return None

    def _places_of_claim(self, namespace: str, name: str) -> tuple[_Place, ...] | str:
        """Where the claim's volume is, or why that cannot be known."""
        if not name:
            return NO_NAME
        claim = self._claims.get(f"{namespace}/{name}")
        if claim is None:
            return not_found(CLAIMS, name)
        if not claim.spec.volume_name:
            return self._why_unbound(claim)
        volume = self._volumes.get(claim.spec.volume_name)
        if volume is None:
            return not_found(VOLUMES, claim.spec.volume_name)
        return _places(volume)

    def _why_unbound(self, claim: PersistentVolumeClaim) -> tuple[()] | str:
        """Nothing if the claim waits for its pod, else what is wrong."""
        if not claim.class_name:
            return "PersistentVolumeClaim had no pv name and storageClass name"
        storage_class = self._classes.get(claim.class_name)
        if storage_class is None:
            return not_found(STORAGE_CLASSES, claim.class_name)
        if storage_class.volume_binding_mode is None:
            return f'VolumeBindingMode not set for StorageClass "{claim.class_name}"'
        if storage_class.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER:
            return ()
        return "PersistentVolume had no name"

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Rejects the node if one of its labels is none of a volume's."""
        labels = node.labels
        if not any(label in labels for label in _LABELS):
            return None
        for place in state.read(_PLACES):
            value = labels.get(place.label, labels.get(_LABELS[place.label]))
            if value not in place.values:
                return fwk.unresolvable(_REASON)
        return None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes, by the values that their labels have."""
        is_somewhere = np.zeros(len(nodes), dtype=np.bool_)
        for label in _LABELS:
            is_somewhere |= nodes.label_codes(label)[0] >= 0
        fits = np.ones(len(nodes), dtype=np.bool_)
        for place in state.read(_PLACES):
            fits &= _fits(nodes, place)
        return nodes.verdict().reject(is_somewhere & ~fits, _REASON, unresolvable=True)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """What was missing appears, a volume or a node gets other labels, a node joins."""
        add, update = fwk.ActionType.ADD, fwk.ActionType.UPDATE
        resource = fwk.EventResource
        return [
            fwk.ClusterEventWithHint(
                fwk.ClusterEvent(resource.STORAGE_CLASS, add), self.after_class_added
            ),
            fwk.ClusterEventWithHint(fwk.NODE_ADDED | fwk.NODE_LABELS_CHANGED),
            fwk.ClusterEventWithHint(
                fwk.ClusterEvent(resource.PERSISTENT_VOLUME_CLAIM, add | update),
                self.after_claim_change,
            ),
            fwk.ClusterEventWithHint(
                fwk.ClusterEvent(resource.PERSISTENT_VOLUME, add | update),
                self.after_volume_change,
            ),
        ]

    def after_class_added(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when claims of the class wait for their pod."""
        if isinstance(new, StorageClass) and new.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER:
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP

    def after_claim_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when it is one that the pod names."""
        if isinstance(new, PersistentVolumeClaim) and names_claim(pod, new):
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP

    def after_volume_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the volume is new, or is somewhere else now."""
        if (
            isinstance(old, PersistentVolume)
            and isinstance(new, PersistentVolume)
            and _places(old) == _places(new)
        ):
            return fwk.QueueingHint.SKIP
        return fwk.QueueingHint.QUEUE


def _fits(nodes: fwk.NodeTable, place: _Place) -> BoolArray:
    """(N,) bool: nodes whose label has one of the values."""
    codes, values = nodes.label_codes(place.label)
    fits = _among(values, place)[codes]
    newer = _LABELS[place.label]
    if newer != place.label:
        newer_codes, newer_values = nodes.label_codes(newer)
        fits = np.where(codes >= 0, fits, _among(newer_values, place)[newer_codes])
    return fits


def _among(values: Sequence[str], place: _Place) -> BoolArray:
    """By code, whether the value is one of the place's; false for -1, which is no value."""
    return np.array([*(value in place.values for value in values), False], dtype=np.bool_)
