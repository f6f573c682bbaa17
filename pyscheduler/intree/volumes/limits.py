"""NodeVolumeLimits: no more volumes of a driver on a node than the driver can attach there.

A node's CSINode says per driver how many. A node is rejected when, for a driver with a limit,

    volumes there + the pod's volumes that no pod there has  >  limit

with a volume counted once, however many pods or VolumeAttachments bring it (``driver_volumes`` says
which volume is whose). A pod's volume that is attached while no pod on the node uses it counts
twice, as it does upstream. With the gate VolumeLimitScaling, a driver whose CSIDriver asks for that
(``preventPodSchedulingIfMissing``) rejects the nodes where it does not run.

    no claim and no migrated volume   PreFilter answers SKIP
    a claim is missing                Filter rejects every node
    a claim of an ephemeral volume is
    not the pod's, or a migrated
    volume cannot be translated       Filter fails: the pod is tried again with backoff
    else                              Filter counts

Filter has both forms: per node it looks at that node's pods; for the whole cluster it asks
``attached``, which counts as things change. Where pods were added to a node or taken off it, as in
what-ifs, the whole-cluster form goes node by node, too.

Pods with such volumes are signed None: claims, volumes and CSINodes change without the change log.

Source: kube-scheduler 1.37, ``plugins/nodevolumelimits/csi.go``. Knowing differences: a volume of a
pod on the node that cannot be resolved is not counted, where upstream fails every pod that looks at
the node; of several missing drivers the pod's first is named, upstream's is any of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.storage_v1 import CSIDriver, CSINode, VolumeAttachment
from pyscheduler.api.volumes_v1 import PersistentVolumeClaim
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.status import BoolArray
from pyscheduler.intree.volumes import migration
from pyscheduler.intree.volumes.attached import POD_VOLUMES, AttachedVolumes
from pyscheduler.intree.volumes.claims import (
    CLAIMS,
    CSI_DRIVERS,
    NO_NAME,
    ClaimOfPod,
    claims,
    has_claims,
    not_for_pod,
    not_found,
    uses_claim,
)
from pyscheduler.intree.volumes.csi_nodes import CSINodes
from pyscheduler.intree.volumes.driver_volumes import (
    DriverVolume,
    DriverVolumes,
    inline_volume,
    pod_volumes,
)

_FULL: Final = "node(s) exceed max volume count"


class VolumesUnclear(PySchedulerError):  # noqa: N818  # says what is unclear
    """A volume of the pod cannot be counted; names it, and what is wrong."""


@dataclass(slots=True)
class _Wanted:
    """What the pod brings to a node."""

    #: each volume, and whether it takes a place only on nodes with a CSINode
    volumes: dict[DriverVolume, bool] = field(default_factory=dict)
    #: why every node is rejected, and why none can be judged
    refusal: str = ""
    fault: str = ""
    #: why no node with a CSINode can be judged; found before the others
    fault_with_csi_node: str = ""
    #: pods were added to a node or taken off it
    is_what_if: bool = False

    def clone(self) -> _Wanted:
        return _Wanted(
            self.volumes, self.refusal, self.fault, self.fault_with_csi_node, self.is_what_if
        )

    def drivers(self, *, has_csi_node: bool) -> dict[str, int]:
        """How many volumes the pod brings of each driver."""
        return Counter(
            volume.driver
            for volume, is_migrated in self.volumes.items()
            if has_csi_node or not is_migrated
        )

    def check(self, *, has_csi_node: bool) -> fwk.Status | None:
        """A rejection if a claim is missing.

        Raises:
            VolumesUnclear: the node cannot be judged.
        """
        if has_csi_node and self.fault_with_csi_node:
            raise VolumesUnclear(self.fault_with_csi_node)
        if self.fault:
            raise VolumesUnclear(self.fault)
        return fwk.unresolvable(self.refusal) if self.refusal else None


_WANTED: Final = fwk.StateKey[_Wanted]("NodeVolumeLimits.pre_filter")


class NodeVolumeLimits(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[fwk.NoArgs],
):
    """Rejects nodes where a driver cannot attach the pod's volumes."""

    depends_on = (POD_VOLUMES,)
    signs_spec = True
    skips_unsigned = True

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._volumes = DriverVolumes(handle.listers)
        self._csi_nodes = CSINodes(handle.informers)
        self._csi_drivers = handle.listers.of(CSI_DRIVERS, CSIDriver)
        self._attached = AttachedVolumes(handle.informers, self._volumes)
        self._respects_missing_drivers = handle.features["VolumeLimitScaling"]

    def sign_pod(self, pod: Pod) -> tuple[()] | None:
        """Nothing is kept about pods with such volumes; all others are alike."""
        return None if pod.spec.volumes and _concerns(pod) else ()

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Resolves the pod's volumes."""
        if not pod.spec.volumes or not _concerns(pod):
            return fwk.SKIP
        self._attached.update(nodes)
        state.write(_WANTED, self._wanted(pod))
        return None

    def _wanted(self, pod: Pod) -> _Wanted:
        wanted = _Wanted()
        used = claims(pod)
        for volume in pod.spec.volumes:
            if volume.persistent_volume_claim is not None or volume.ephemeral is not None:
                self._add_claim(wanted, pod, next(used))
                if wanted.refusal or wanted.fault:
                    break
                continue
            try:
                inline = inline_volume(volume, pod.namespace)
            except migration.CannotTranslate as error:
                # what comes later matters on nodes without a CSINode alone
                wanted.fault_with_csi_node = wanted.fault_with_csi_node or (
                    f"converting volume({volume.name}) from inline to csi: {error}"
                )
                continue
            if inline is not None:
                wanted.volumes.setdefault(inline, True)
        return wanted

    def _add_claim(self, wanted: _Wanted, pod: Pod, used: ClaimOfPod) -> None:
        if not used.name:
            wanted.fault = NO_NAME
            return
        claim = self._volumes.claims.get(used.key)
        if claim is None:
            wanted.refusal = f"looking up PVC {used.key}: {not_found(CLAIMS, used.name)}"
            return
        if used.is_ephemeral and (problem := not_for_pod(claim, pod)):
            wanted.fault = problem
            return
        found = self._volumes.of_claim(claim)
        if found is not None:
            known = wanted.volumes.get(found.volume, True)
            wanted.volumes[found.volume] = known and found.is_migrated

    def add_pod(
        self, state: fwk.CycleState, pod: Pod, added: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        """The node is not as it was counted."""
        state.read(_WANTED).is_what_if = True
        return None

    def remove_pod(
        self, state: fwk.CycleState, pod: Pod, removed: Pod, node: fwk.NodeInfo
    ) -> fwk.Status | None:
        """The same."""
        state.read(_WANTED).is_what_if = True
        return None

    # --- one node ---

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Rejects the node if a driver does not run there, or has no room for the volumes."""
        wanted = state.read(_WANTED)
        csi_node = self._csi_nodes.get(node.name)
        refusal = wanted.check(has_csi_node=csi_node is not None)
        if refusal is not None:
            return refusal
        drivers = wanted.drivers(has_csi_node=csi_node is not None)
        for driver in drivers:
            if self._keeps_away(driver) and node.name not in self._csi_nodes.running(driver):
                return fwk.unschedulable(_not_installed(driver))
        limits = _limits(csi_node)
        if limits.keys().isdisjoint(drivers):
            return None
        of_pods = set(self._on_node(node))
        there = Counter(v.driver for v in of_pods | self._attached.attached_to(node.name))
        new = Counter(v.driver for v in wanted.volumes if v not in of_pods)
        for driver, count in new.items():
            if driver in limits and there[driver] + count > limits[driver]:
                return fwk.unschedulable(_FULL)
        return None

    def _on_node(self, node: fwk.NodeInfo) -> Iterator[DriverVolume]:
        for pod in node.pods.values():
            for used in pod_volumes(pod):
                volume = self._volumes.of_pod_volume(used)
                if volume is not None:
                    yield volume

    def _keeps_away(self, driver: str) -> bool:
        """True when pods must not go where the driver does not run."""
        if not self._respects_missing_drivers:
            return False
        known = self._csi_drivers.get(driver)
        return known is not None and bool(known.spec.prevent_pod_scheduling_if_missing)

    # --- the whole cluster ---

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes, from what was counted."""
        wanted = state.read(_WANTED)
        if wanted.is_what_if:
            return self._one_by_one(state, pod, nodes)
        with_csi_node = any(nodes.row_of(name) is not None for name in self._csi_nodes.names)
        refusal = wanted.check(has_csi_node=with_csi_node)
        verdict = nodes.verdict()
        if refusal is not None:
            everywhere = np.ones(len(nodes), dtype=np.bool_)
            return verdict.reject(everywhere, wanted.refusal, unresolvable=True)
        missing = self._reject_without_driver(verdict, wanted, nodes)
        full = _rows(self._full(wanted), nodes)
        return verdict.reject(full & ~missing, _FULL)

    def _one_by_one(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.NodeVerdict:
        verdict = nodes.verdict()
        for row in range(len(nodes)):
            status = self.filter(state, pod, nodes.node(row))
            if status is not None:
                only = np.zeros(len(nodes), dtype=np.bool_)
                only[row] = True
                is_unresolvable = status.code is fwk.Code.UNSCHEDULABLE_AND_UNRESOLVABLE
                verdict.reject(only, status.message, unresolvable=is_unresolvable)
        return verdict

    def _reject_without_driver(
        self, verdict: fwk.NodeVerdict, wanted: _Wanted, nodes: fwk.NodeTable
    ) -> BoolArray:
        """Rejects the nodes that lack a driver of the pod's, and returns them."""
        missing = np.zeros(len(nodes), dtype=np.bool_)
        everywhere = wanted.drivers(has_csi_node=False)
        for driver in wanted.drivers(has_csi_node=True):
            if not self._keeps_away(driver):
                continue
            lacks = ~_rows(self._csi_nodes.running(driver), nodes) & ~missing
            if driver not in everywhere:
                lacks &= _rows(self._csi_nodes.names, nodes)
            verdict.reject(lacks, _not_installed(driver))
            missing |= lacks
        return missing

    def _full(self, wanted: _Wanted) -> Iterator[str]:
        """The nodes where a driver has no room for the pod's volumes."""
        for driver, count in wanted.drivers(has_csi_node=True).items():
            shared = Counter(
                node
                for volume in wanted.volumes
                if volume.driver == driver
                for node in self._attached.users(volume)
            )
            used = self._attached.used(driver)
            for node, limit in self._csi_nodes.limits(driver).items():
                # the second look only where the first finds too many
                if used.get(node, 0) + count > limit:
                    new = count - shared[node]
                    if new and used.get(node, 0) + new > limit:
                        yield node

    # --- events ---

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """More room on a node, a volume that leaves one, the claim that was missing."""
        event, resource, action = fwk.ClusterEvent, fwk.EventResource, fwk.ActionType
        return [
            fwk.ClusterEventWithHint(event(resource.CSI_NODE, action.ADD)),
            fwk.ClusterEventWithHint(
                event(resource.CSI_NODE, action.UPDATE), self.after_csi_node_change
            ),
            fwk.ClusterEventWithHint(fwk.ASSIGNED_POD_DELETED, self.after_pod_deleted),
            fwk.ClusterEventWithHint(
                event(resource.PERSISTENT_VOLUME_CLAIM, action.ADD), self.after_claim_added
            ),
            fwk.ClusterEventWithHint(
                event(resource.VOLUME_ATTACHMENT, action.DELETE), self.after_attachment_deleted
            ),
        ]

    def after_csi_node_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when a driver can attach more than before; no limit counts as 0, as upstream."""
        if not isinstance(old, CSINode) or not isinstance(new, CSINode):
            return fwk.QueueingHint.SKIP
        before = {driver.name: driver.limit or 0 for driver in old.spec.drivers}
        if any((driver.limit or 0) > before.get(driver.name, 0) for driver in new.spec.drivers):
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP

    def after_pod_deleted(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the pod that left had, or was promised, a place for a volume."""
        if not isinstance(old, Pod) or not (old.node_name or old.status.nominated_node_name):
            return fwk.QueueingHint.SKIP
        return fwk.QueueingHint.QUEUE if _has_volumes(old) else fwk.QueueingHint.SKIP

    def after_claim_added(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when it is one of the pod's."""
        if isinstance(new, PersistentVolumeClaim) and uses_claim(pod, new):
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP

    def after_attachment_deleted(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE for pods that name claims, and for those with a volume of the same driver.

        Raises:
            CannotTranslate: a volume may be of any driver; the pod is tried, as with upstream.
        """
        if not isinstance(old, VolumeAttachment):
            return fwk.QueueingHint.SKIP
        for volume in pod.spec.volumes:
            if volume.persistent_volume_claim is not None:
                return fwk.QueueingHint.QUEUE
            found = migration.of_pod(volume, pod.namespace)
            if found is not None and found.driver == old.spec.attacher:
                return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP


def _concerns(pod: Pod) -> bool:
    """True for pods with a claim, or a volume whose plugin counts as migrated."""
    return has_claims(pod) or any(
        plugin is not None and plugin.is_migrated
        for plugin in map(migration.plugin_of, pod.spec.volumes)
    )


def _has_volumes(pod: Pod) -> bool:
    """True for pods with a claim, or a volume that once was built in."""
    return has_claims(pod) or any(
        migration.plugin_of(volume) is not None for volume in pod.spec.volumes
    )


def _limits(csi_node: CSINode | None) -> dict[str, int]:
    drivers = () if csi_node is None else csi_node.spec.drivers
    return {driver.name: driver.limit for driver in drivers if driver.limit is not None}


def _not_installed(driver: str) -> str:
    return f"{driver} CSI driver is not installed on the node"


def _rows(names: Iterable[str], nodes: fwk.NodeTable) -> BoolArray:
    """(N,) bool: the nodes of these names."""
    found = np.zeros(len(nodes), dtype=np.bool_)
    for name in names:
        row = nodes.row_of(name)
        if row is not None:
            found[row] = True
    return found
