"""Static binding: a volume that is there already for a claim that waits for its first pod.

A volume is kept for a claim (its ``claimRef`` names it), or free. One that is kept and large enough
decides: the claim gets it where it can be reached, and nothing else anywhere. Else the claim gets
the smallest free volume that is large enough, of its class, mode and attributes class, available,
selected by its labels, with its access modes, and reachable from the node; of equal ones the one
that is known longest (upstream takes any).

What does not depend on the node is asked once per pod, in `Candidates`.

Called by: ``search``. A volume that cannot be understood (a quantity, an operator) is no candidate.
Source: kube-scheduler 1.37, ``component-helpers/storage/volume/pv_helpers.go`` FindMatchingVolume.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from pyscheduler.api.quantity import InvalidQuantity, nano_value
from pyscheduler.api.selectors import InvalidSelector, selector
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.framework.assumed_objects import AssumedObjects
from pyscheduler.intree.volumes.binding.reach import NOWHERE, ByLabels, Rule, reach_of, rule_of
from pyscheduler.intree.volumes.binding.remembered import Remembered

STORAGE: Final = "storage"
_FILESYSTEM: Final = "Filesystem"
_AVAILABLE: Final = "Available"


def place_of(volume: PersistentVolume) -> tuple[str, str]:
    """Where `Candidates` looks for the volume: its class, and the claim it is kept for, or ""."""
    reference = volume.spec.claim_ref
    kept_for = "" if reference is None else f"{reference.namespace}/{reference.name}"
    return (volume.class_name, kept_for)


@dataclass(frozen=True, slots=True)
class VolumeWorth:
    """What matters of a volume to each claim."""

    volume: PersistentVolume
    #: billionths of bytes; less than nothing if it cannot be understood
    capacity: int
    rule: Rule
    access_modes: frozenset[str]


def volume_worth(volume: PersistentVolume) -> VolumeWorth:
    """Reads the volume."""
    try:
        capacity = nano_value(volume.spec.capacity.get(STORAGE, "0"))
    except InvalidQuantity:
        capacity = -1
    try:
        reach = reach_of(volume)
    except InvalidSelector:
        reach = NOWHERE
    return VolumeWorth(volume, capacity, rule_of(reach), frozenset(volume.spec.access_modes))


class Candidates:
    """The volumes that one claim may get, before it is known from which node."""

    def __init__(self, claim: PersistentVolumeClaim) -> None:
        self.claim = claim
        self._kept: VolumeWorth | None = None
        self._free: ByLabels[PersistentVolume] = ByLabels()

    @property
    def keys(self) -> frozenset[str]:
        """The node labels that the choice depends on."""
        return self._free.keys if self._kept is None else self._kept.rule.keys

    def first(self, labels: Mapping[str, str], taken: Collection[str]) -> PersistentVolume | None:
        """The volume for the claim on a node with these labels.

        Args:
            labels: of the node.
            taken: the names of volumes that the pod's other claims get.
        """
        if self._kept is not None:
            return self._kept.volume if self._kept.rule.reach.matches(labels, "") else None
        for volume in self._free.reachable(labels):
            if volume.name not in taken:
                return volume
        return None

    def collect(
        self,
        requested: int,
        volumes: AssumedObjects[PersistentVolume],
        worth: Remembered[PersistentVolume, VolumeWorth],
    ) -> Candidates:
        """Looks through the volumes of the claim's class; itself.

        Args:
            requested: billionths of bytes.
            volumes: by `place_of`.
            worth: what matters of them.

        Raises:
            InvalidSelector: the claim's selector cannot be understood.
        """
        claim = self.claim
        wanted = None if claim.spec.selector is None else selector(claim.spec.selector)
        kept = volumes.indexed((claim.class_name, claim.key))
        for one in self._suitable(map(worth.of, kept), requested):
            if is_kept_for(one.volume, claim):
                self._kept = one
                return self
        modes = frozenset(claim.spec.access_modes)
        free = volumes.indexed((claim.class_name, ""))
        found = [
            one
            for one in self._suitable(map(worth.of, free), requested)
            if one.volume.status.phase == _AVAILABLE
            and one.access_modes >= modes
            and (wanted is None or wanted.matches(one.volume.labels))
        ]
        found.sort(key=attrgetter("capacity"))
        for one in found:
            self._free.add(one.volume, one.rule)
        return self

    def _suitable(self, volumes: Iterable[VolumeWorth], requested: int) -> Iterable[VolumeWorth]:
        """Those that are large enough, and what the claim asks for in other ways."""
        spec = self.claim.spec
        mode = spec.volume_mode or _FILESYSTEM
        attributes = spec.volume_attributes_class_name or ""
        for one in volumes:
            offered = one.volume.spec
            if (
                one.capacity >= requested
                and (offered.volume_mode or _FILESYSTEM) == mode
                and (offered.volume_attributes_class_name or "") == attributes
                and not one.volume.is_terminating
            ):
                yield one


def is_kept_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """True when the volume's ``claimRef`` is that claim, or whichever claim has its name."""
    reference = volume.spec.claim_ref
    return (
        reference is not None
        and (reference.namespace, reference.name) == (claim.namespace, claim.name)
        and reference.uid in ("", claim.uid)
    )
