"""VolumeRestrictions: pods that cannot share a disk, or a claim that is for one pod alone.

Two rules:

- Four kinds of disks that stand in the pod itself exclude each other on a node: a GCE disk, an
  iSCSI target (by IQN) and an RBD image (same pool and image, a monitor in common) unless both pods
  only read; an EBS volume always.
- A claim with access mode ReadWriteOncePod that any pod in the cluster uses rejects every node; a
  preemption of that pod would help.

Both are looked up among what pods have (`DISKS`, `CLAIMS_IN_USE`); only ReadWriteOncePod needs
state, the number of such claims in use, which what-ifs count up and down.

    no such disk, and no such claim in use   PreFilter answers SKIP
    a claim that is not there                PreFilter rejects the pod
    else                                     Filter

Pods with claims are signed None: claims change without the change log. Disks may be signed.

Source: kube-scheduler 1.37, ``plugins/volumerestrictions/volume_restrictions.go``. Knowing
difference: a preemption, or a promise, counts for a claim only if the pod is of the same namespace;
upstream compares the claim's name alone, and would evict a pod that uses another claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod, Volume
from pyscheduler.api.volumes_v1 import PersistentVolumeClaim
from pyscheduler.intree.volumes.claims import CLAIMS, named_claims, names_claim, not_found

READ_WRITE_ONCE_POD: Final = "ReadWriteOncePod"

_DISK_TAKEN: Final = "node(s) had no available disk"
_CLAIM_TAKEN: Final = (
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode"
    " already in-use by another pod"
)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as a pod uses it; an RBD image is one per monitor."""

    kind: str
    name: tuple[str, ...]
    is_read_only: bool = False


@dataclass(slots=True)
class _Wanted:
    """What the pod must not find in use."""

    #: the disks in a use that excludes the pod's own
    disks: frozenset[Disk]
    #: the keys of the claims that are for one pod alone
    claims: frozenset[str]
    #: how many of the claims are in use
    in_use: int

    def clone(self) -> _Wanted:
        return _Wanted(self.disks, self.claims, self.in_use)


def _disks(pod: Pod) -> Iterator[Disk]:
    return (disk for volume in pod.spec.volumes for disk in _disks_of(volume))


def _disks_of(volume: Volume) -> Iterator[Disk]:
    if (gce := volume.gce_persistent_disk) is not None:
        yield Disk("gce", (gce.pd_name,), gce.read_only)
    if (ebs := volume.aws_elastic_block_store) is not None:
        # also two readers exclude each other
        yield Disk("ebs", (ebs.volume_id,))
    if (iscsi := volume.iscsi) is not None:
        yield Disk("iscsi", (iscsi.iqn,), iscsi.read_only)
    if (rbd := volume.rbd) is not None:
        for monitor in rbd.monitors:
            yield Disk("rbd", (monitor, rbd.pool, rbd.image), rbd.read_only)


def _excluded_by(disks: Iterable[Disk]) -> frozenset[Disk]:
    """The uses of these disks by others that these uses exclude."""
    writing = {Disk(disk.kind, disk.name) for disk in disks}
    read = {Disk(disk.kind, disk.name, True) for disk in disks if not disk.is_read_only}
    return frozenset(writing | read)


def _claim_keys(pod: Pod) -> list[str]:
    return [f"{pod.metadata.namespace}/{name}" for name in named_claims(pod)]


#: The disks that stand in pods.
DISKS: Final = fwk.PodTally("disks of pods", _disks)
#: The claims that pods name, as `namespace/name`.
CLAIMS_IN_USE: Final = fwk.PodTally("claims in use", _claim_keys)

_WANTED: Final = fwk.StateKey[_Wanted]("VolumeRestrictions.pre_filter")


class VolumeRestrictions(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[fwk.NoArgs],
):
    """Rejects nodes with a disk, and all nodes with a claim, that another pod keeps from us."""

    depends_on = (DISKS, CLAIMS_IN_USE)
    signs_spec = True
    skips_unsigned = True

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._claims = handle.listers.of(CLAIMS, PersistentVolumeClaim)

    def sign_pod(self, pod: Pod) -> tuple[object, ...] | None:
        """The disks; nothing is kept about pods with claims."""
        if not pod.spec.volumes:
            return ()
        return None if named_claims(pod) else tuple(_disks(pod))

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Finds what the pod must not share; rejects it if a claim is not there."""
        if not pod.spec.volumes:
            return fwk.SKIP
        exclusive = set()
        for name in named_claims(pod):
            claim = self._claims.get(f"{pod.namespace}/{name}")
            if claim is None:
                return fwk.unresolvable(not_found(CLAIMS, name))
            if READ_WRITE_ONCE_POD in claim.spec.access_modes:
                exclusive.add(claim.key)
        used = nodes.tally(CLAIMS_IN_USE) if exclusive else ()
        in_use = sum(key in used for key in exclusive)
        disks = _excluded_by(tuple(_disks(pod)))
        if not disks and not in_use:
            return fwk.SKIP
        state.write(_WANTED, _Wanted(disks, frozenset(exclusive), in_use))
        return None

    def add_pod(
        self, state: fwk.CycleState, pod: Pod, added: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        """Its claims are in use, too."""
        wanted = state.read(_WANTED)
        wanted.in_use += sum(key in wanted.claims for key in _claim_keys(added))
        return None

    def remove_pod(
        self, state: fwk.CycleState, pod: Pod, removed: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        """Its claims are not in use any more."""
        wanted = state.read(_WANTED)
        wanted.in_use -= sum(key in wanted.claims for key in _claim_keys(removed))
        return None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Rejects the node for a disk, or else for a claim."""
        wanted = state.read(_WANTED)
        if wanted.disks and any(
            not wanted.disks.isdisjoint(_disks(other)) for other in node.pods.values()
        ):
            return fwk.unschedulable(_DISK_TAKEN)
        return fwk.unschedulable(_CLAIM_TAKEN) if wanted.in_use > 0 else None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes: those that have one of the disks, then all others."""
        wanted = state.read(_WANTED)
        taken = np.zeros(len(nodes), dtype=np.bool_)
        if wanted.disks:
            disks = nodes.tally(DISKS)
            for disk in wanted.disks:
                taken[disks.rows(disk)] = True
        verdict = nodes.verdict().reject(taken, _DISK_TAKEN)
        return verdict.reject(~taken, _CLAIM_TAKEN) if wanted.in_use > 0 else verdict

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A pod that gives up a disk or a claim, a node that joins, the claim that was missing."""
        claim_added = fwk.ClusterEvent(
            fwk.EventResource.PERSISTENT_VOLUME_CLAIM, fwk.ActionType.ADD
        )
        return [
            fwk.ClusterEventWithHint(fwk.ASSIGNED_POD_DELETED, self.after_pod_deleted),
            fwk.ClusterEventWithHint(fwk.NODE_ADDED),
            fwk.ClusterEventWithHint(claim_added, self.after_claim_added),
        ]

    def after_pod_deleted(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when a pod of our namespace left that had one of our disks or claims.

        Whether the claim is ReadWriteOncePod is not looked at, as upstream does not.
        """
        if not isinstance(old, Pod) or old.namespace != pod.namespace:
            return fwk.QueueingHint.SKIP
        shares_disk = not _excluded_by(tuple(_disks(pod))).isdisjoint(_disks(old))
        if shares_disk or not set(named_claims(pod)).isdisjoint(named_claims(old)):
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP

    def after_claim_added(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when it is one that the pod names."""
        if isinstance(new, PersistentVolumeClaim) and names_claim(pod, new):
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP
