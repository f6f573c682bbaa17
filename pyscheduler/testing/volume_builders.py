"""Volumes, claims and what storage drivers say, in one line each.

``make_claim("data").storage_class("fast").request("10Gi").obj()``,
``make_volume("pv-1").csi("ebs.csi.aws.com", "vol-1").zone("a").bound_to("default/data").obj()``,
``make_csi_node("n").driver("ebs.csi.aws.com", limit=2).obj()``. Every method returns a new builder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from pyscheduler.api.core_v1 import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    ObjectReference,
    ResourceRequirements,
)
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, ObjectMeta, OwnerReference
from pyscheduler.api.storage_v1 import (
    IMMEDIATE,
    WAIT_FOR_FIRST_CONSUMER,
    CSIDriver,
    CSIDriverSpec,
    CSINode,
    CSINodeDriver,
    CSINodeSpec,
    CSIStorageCapacity,
    StorageClass,
    TopologySelectorLabelRequirement,
    TopologySelectorTerm,
    VolumeAttachment,
    VolumeAttachmentSource,
    VolumeAttachmentSpec,
    VolumeNodeResources,
)
from pyscheduler.api.volumes_v1 import (
    CSIPersistentVolumeSource,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    VolumeNodeAffinity,
)

#: Says that the claim's and the volume's side of a binding are both written.
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"


@dataclass(frozen=True, slots=True)
class ClaimBuilder:
    """Builds a `PersistentVolumeClaim`; ``obj()`` gives it."""

    _claim: PersistentVolumeClaim

    def obj(self) -> PersistentVolumeClaim:
        """The claim."""
        return self._claim

    def namespace(self, namespace: str) -> ClaimBuilder:
        """In another namespace than ``default``; the uid follows."""
        return self._meta(namespace=namespace, uid=f"uid-{namespace}-{self._claim.name}")

    def uid(self, uid: str) -> ClaimBuilder:
        """With that uid instead of one made from the names."""
        return self._meta(uid=uid)

    def resource_version(self, version: str) -> ClaimBuilder:
        """As it was at that version."""
        return self._meta(resource_version=version)

    def annotation(self, key: str, value: str) -> ClaimBuilder:
        """With one more annotation."""
        return self._meta(annotations=FrozenMap({**self._claim.annotations, key: value}))

    def controlled_by(self, kind: str, name: str, uid: str) -> ClaimBuilder:
        """Made for another object, as claims of ephemeral volumes are for their pod."""
        owner = OwnerReference(api_version="v1", kind=kind, name=name, uid=uid, controller=True)
        return self._meta(owner_references=(owner,))

    def terminating(self, since: str = "2026-01-01T00:00:00Z") -> ClaimBuilder:
        """Being deleted."""
        return self._meta(deletion_timestamp=since)

    def access_modes(self, *modes: str) -> ClaimBuilder:
        """With these access modes instead of ``ReadWriteOnce``."""
        return self._spec(access_modes=modes)

    def request(self, storage: str) -> ClaimBuilder:
        """For that much room instead of 1Gi."""
        return self._spec(resources=ResourceRequirements(requests=FrozenMap(storage=storage)))

    def storage_class(self, name: str | None) -> ClaimBuilder:
        """Of that class; ``""`` for volumes without one."""
        return self._spec(storage_class_name=name)

    def volume_mode(self, mode: str) -> ClaimBuilder:
        """``Filesystem`` or ``Block``."""
        return self._spec(volume_mode=mode)

    def selector(self, labels: Mapping[str, str]) -> ClaimBuilder:
        """For volumes with these labels."""
        return self._spec(selector=LabelSelector(match_labels=FrozenMap(labels)))

    def attributes_class(self, name: str) -> ClaimBuilder:
        """Of that class of volume attributes."""
        return self._spec(volume_attributes_class_name=name)

    def named_volume(self, volume: str) -> ClaimBuilder:
        """Of that volume, not bound to it yet."""
        return self._spec(volume_name=volume)

    def bound_to(self, volume: str) -> ClaimBuilder:
        """Bound to that volume, as the controller leaves it."""
        return self.named_volume(volume).annotation(BIND_COMPLETED, "yes").phase("Bound")

    def phase(self, phase: str) -> ClaimBuilder:
        """In that phase; ``Pending`` unless said."""
        return ClaimBuilder(replace(self._claim, status=replace(self._claim.status, phase=phase)))

    def _meta(self, **changes: Any) -> ClaimBuilder:
        metadata = replace(self._claim.metadata, **changes)
        return ClaimBuilder(replace(self._claim, metadata=metadata))

    def _spec(self, **changes: Any) -> ClaimBuilder:
        return ClaimBuilder(replace(self._claim, spec=replace(self._claim.spec, **changes)))


@dataclass(frozen=True, slots=True)
class VolumeBuilder:
    """Builds a `PersistentVolume`; ``obj()`` gives it."""

    _volume: PersistentVolume

    def obj(self) -> PersistentVolume:
        """The volume."""
        return self._volume

    def uid(self, uid: str) -> VolumeBuilder:
        """With that uid instead of one made from the name."""
        return self._meta(uid=uid)

    def resource_version(self, version: str) -> VolumeBuilder:
        """As it was at that version."""
        return self._meta(resource_version=version)

    def label(self, key: str, value: str) -> VolumeBuilder:
        """With one more label."""
        return self._meta(labels=FrozenMap({**self._volume.labels, key: value}))

    def zone(self, zone: str) -> VolumeBuilder:
        """In that zone; ``a__b`` for several."""
        return self.label("topology.kubernetes.io/zone", zone)

    def annotation(self, key: str, value: str) -> VolumeBuilder:
        """With one more annotation."""
        return self._meta(annotations=FrozenMap({**self._volume.annotations, key: value}))

    def terminating(self, since: str = "2026-01-01T00:00:00Z") -> VolumeBuilder:
        """Being deleted."""
        return self._meta(deletion_timestamp=since)

    def capacity(self, storage: str) -> VolumeBuilder:
        """With that much room instead of 1Gi."""
        return self.spec(capacity=FrozenMap(storage=storage))

    def access_modes(self, *modes: str) -> VolumeBuilder:
        """With these access modes instead of ``ReadWriteOnce``."""
        return self.spec(access_modes=modes)

    def storage_class(self, name: str) -> VolumeBuilder:
        """Of that class."""
        return self.spec(storage_class_name=name)

    def attributes_class(self, name: str) -> VolumeBuilder:
        """Of that class of volume attributes."""
        return self.spec(volume_attributes_class_name=name)

    def volume_mode(self, mode: str) -> VolumeBuilder:
        """``Filesystem`` or ``Block``."""
        return self.spec(volume_mode=mode)

    def csi(self, driver: str, handle: str) -> VolumeBuilder:
        """A driver's volume."""
        return self.spec(csi=CSIPersistentVolumeSource(driver=driver, volume_handle=handle))

    def spec(self, **changes: Any) -> VolumeBuilder:
        """With these fields of the spec, such as a source."""
        return VolumeBuilder(replace(self._volume, spec=replace(self._volume.spec, **changes)))

    def reachable_from(
        self, key: str, *values: str, operator: str = "In", in_field: bool = False
    ) -> VolumeBuilder:
        """From nodes whose label, or field, says so; asked again, from those of another term."""
        requirement = NodeSelectorRequirement(key=key, operator=operator, values=values)
        term = (
            NodeSelectorTerm(match_fields=(requirement,))
            if in_field
            else NodeSelectorTerm(match_expressions=(requirement,))
        )
        known = self._volume.spec.node_affinity
        terms = (
            () if known is None or known.required is None else known.required.node_selector_terms
        )
        required = NodeSelector(node_selector_terms=(*terms, term))
        return self.spec(node_affinity=VolumeNodeAffinity(required=required))

    def kept_for(self, claim_key: str) -> VolumeBuilder:
        """For that claim, ``namespace/name``, whichever it will be."""
        return self._for_claim(claim_key)

    def bound_to(self, claim_key: str, *, uid: str | None = None) -> VolumeBuilder:
        """Bound to that claim, ``namespace/name``, whose uid is made from it unless given."""
        uid = f"uid-{claim_key.replace('/', '-')}" if uid is None else uid
        return self._for_claim(claim_key, uid=uid).phase("Bound")

    def phase(self, phase: str) -> VolumeBuilder:
        """In that phase; ``Available`` unless said."""
        return VolumeBuilder(replace(self._volume, status=PersistentVolumeStatus(phase=phase)))

    def _for_claim(self, claim_key: str, *, uid: str = "") -> VolumeBuilder:
        namespace, _, name = claim_key.partition("/")
        reference = ObjectReference(
            kind="PersistentVolumeClaim",
            api_version="v1",
            namespace=namespace,
            name=name,
            uid=uid,
        )
        return self.spec(claim_ref=reference)

    def _meta(self, **changes: Any) -> VolumeBuilder:
        metadata = replace(self._volume.metadata, **changes)
        return VolumeBuilder(replace(self._volume, metadata=metadata))


@dataclass(frozen=True, slots=True)
class StorageClassBuilder:
    """Builds a `StorageClass`; ``obj()`` gives it."""

    _class: StorageClass

    def obj(self) -> StorageClass:
        """The class."""
        return self._class

    def provisioner(self, name: str) -> StorageClassBuilder:
        """With volumes made by that driver."""
        return StorageClassBuilder(replace(self._class, provisioner=name))

    def waits(self) -> StorageClassBuilder:
        """With claims bound where their first pod goes, not at once."""
        return self.binding_mode(WAIT_FOR_FIRST_CONSUMER)

    def binding_mode(self, mode: str | None) -> StorageClassBuilder:
        """With claims bound in that way."""
        return StorageClassBuilder(replace(self._class, volume_binding_mode=mode))

    def parameter(self, key: str, value: str) -> StorageClassBuilder:
        """With one more parameter for the driver."""
        parameters = FrozenMap({**self._class.parameters, key: value})
        return StorageClassBuilder(replace(self._class, parameters=parameters))

    def allowed(self, key: str, *values: str) -> StorageClassBuilder:
        """With volumes made only where nodes have such a label; again: or such a one."""
        requirement = TopologySelectorLabelRequirement(key=key, values=values)
        term = TopologySelectorTerm(match_label_expressions=(requirement,))
        terms = (*self._class.allowed_topologies, term)
        return StorageClassBuilder(replace(self._class, allowed_topologies=terms))


@dataclass(frozen=True, slots=True)
class CSINodeBuilder:
    """Builds a `CSINode`; ``obj()`` gives it."""

    _node: CSINode

    def obj(self) -> CSINode:
        """What drivers say of the node."""
        return self._node

    def driver(self, name: str, *, limit: int | None = None) -> CSINodeBuilder:
        """With one more driver, that may attach so many volumes."""
        allocatable = None if limit is None else VolumeNodeResources(count=limit)
        driver = CSINodeDriver(name=name, node_id=self._node.name, allocatable=allocatable)
        drivers = (*self._node.spec.drivers, driver)
        return CSINodeBuilder(replace(self._node, spec=CSINodeSpec(drivers=drivers)))

    def annotation(self, key: str, value: str) -> CSINodeBuilder:
        """With one more annotation."""
        metadata = self._node.metadata
        annotations = FrozenMap({**metadata.annotations, key: value})
        return CSINodeBuilder(
            replace(self._node, metadata=replace(metadata, annotations=annotations))
        )


def make_claim(name: str) -> ClaimBuilder:
    """Starts a pending claim to 1Gi, ReadWriteOnce, without a class, in namespace ``default``."""
    metadata = ObjectMeta(name=name, namespace="default", uid=f"uid-default-{name}")
    claim = ClaimBuilder(PersistentVolumeClaim(metadata=metadata))
    return claim.access_modes("ReadWriteOnce").request("1Gi").phase("Pending")


def make_volume(name: str) -> VolumeBuilder:
    """Starts an available volume of 1Gi, ReadWriteOnce, without a class and without a source."""
    spec = PersistentVolumeSpec(
        capacity=FrozenMap(storage="1Gi"), access_modes=("ReadWriteOnce",), volume_mode="Filesystem"
    )
    metadata = ObjectMeta(name=name, uid=f"uid-{name}")
    return VolumeBuilder(PersistentVolume(metadata=metadata, spec=spec)).phase("Available")


def make_storage_class(name: str) -> StorageClassBuilder:
    """Starts a class without a driver whose claims are bound at once."""
    return StorageClassBuilder(
        StorageClass(
            metadata=ObjectMeta(name=name),
            provisioner="kubernetes.io/no-provisioner",
            volume_binding_mode=IMMEDIATE,
        )
    )


def make_csi_node(name: str) -> CSINodeBuilder:
    """Starts what drivers say of the node of that name: nothing yet."""
    return CSINodeBuilder(CSINode(metadata=ObjectMeta(name=name)))


def make_csi_driver(
    name: str, *, storage_capacity: bool | None = None, prevents_pods: bool | None = None
) -> CSIDriver:
    """A driver; the flags are ``storageCapacity`` and ``preventPodSchedulingIfMissing``."""
    spec = CSIDriverSpec(
        storage_capacity=storage_capacity, prevent_pod_scheduling_if_missing=prevents_pods
    )
    return CSIDriver(metadata=ObjectMeta(name=name), spec=spec)


def make_storage_capacity(
    name: str,
    storage_class: str,
    capacity: str | None = None,
    *,
    maximum_volume_size: str | None = None,
    node_labels: Mapping[str, str] | None = None,
) -> CSIStorageCapacity:
    """How much room there is for a class on the nodes with these labels; None: on no node."""
    topology = None if node_labels is None else LabelSelector(match_labels=FrozenMap(node_labels))
    return CSIStorageCapacity(
        metadata=ObjectMeta(name=name, namespace="default"),
        storage_class_name=storage_class,
        node_topology=topology,
        capacity=capacity,
        maximum_volume_size=maximum_volume_size,
    )


def make_attachment(name: str, *, driver: str, node: str, volume: str | None) -> VolumeAttachment:
    """The wish that the volume be attached to the node by the driver."""
    source = VolumeAttachmentSource(persistent_volume_name=volume)
    spec = VolumeAttachmentSpec(attacher=driver, node_name=node, source=source)
    return VolumeAttachment(metadata=ObjectMeta(name=name), spec=spec)
