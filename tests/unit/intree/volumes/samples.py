"""A cluster with volumes of all sorts, for what must hold of every volume plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    EphemeralVolumeSource,
    GCEPersistentDiskVolumeSource,
    RBDVolumeSource,
    Volume,
)
from pyscheduler.framework import EventResource
from pyscheduler.testing import (
    make_attachment,
    make_claim,
    make_csi_driver,
    make_csi_node,
    make_node,
    make_pod,
    make_storage_capacity,
    make_storage_class,
    make_volume,
)

EBS: Final = "ebs.csi.aws.com"
ZONE: Final = "topology.kubernetes.io/zone"

_DISK: Final = Volume("disk", gce_persistent_disk=GCEPersistentDiskVolumeSource("disk"))
_READ: Final = Volume("disk", gce_persistent_disk=GCEPersistentDiskVolumeSource("disk", True))
_RBD: Final = Volume("rbd", rbd=RBDVolumeSource(("m1", "m2"), "image"))
_EBS: Final = Volume("ebs", aws_elastic_block_store=AWSElasticBlockStoreVolumeSource("vol-b"))
_EPHEMERAL: Final = Volume("data", ephemeral=EphemeralVolumeSource())

_CLAIMS: Final = [
    make_claim("a").bound_to("pv-a").obj(),
    make_claim("b").bound_to("pv-b").obj(),
    make_claim("old").bound_to("pv-old").obj(),
    make_claim("waits").storage_class("ebs").obj(),
    make_claim("alone").access_modes("ReadWriteOncePod").bound_to("pv-alone").obj(),
    make_claim("ephemeral-data")
    .bound_to("pv-c")
    .controlled_by("Pod", "ephemeral", "uid-default-ephemeral")
    .obj(),
]
_VOLUMES: Final = [
    make_volume("pv-a").csi(EBS, "vol-a").zone("a").bound_to("default/a").obj(),
    make_volume("pv-b").csi(EBS, "vol-b").zone("a__b").bound_to("default/b").obj(),
    make_volume("pv-c").csi(EBS, "vol-c").bound_to("default/ephemeral-data").obj(),
    make_volume("pv-alone").csi("other", "x").bound_to("default/alone").obj(),
    make_volume("pv-old")
    .spec(aws_elastic_block_store=AWSElasticBlockStoreVolumeSource("aws://b/vol-old"))
    .zone("b")
    .bound_to("default/old")
    .obj(),
]
_CLASSES: Final = [make_storage_class("ebs").provisioner(EBS).waits().obj()]
_CSI_NODES: Final = [
    make_csi_node("roomy").driver(EBS, limit=5).obj(),
    make_csi_node("one").driver(EBS, limit=1).obj(),
    make_csi_node("two").driver(EBS, limit=2).driver("other").obj(),
    make_csi_node("other").driver("other", limit=0).obj(),
]
_DRIVERS: Final = [make_csi_driver(EBS, prevents_pods=True, storage_capacity=True)]
_ATTACHMENTS: Final = [make_attachment("at", driver=EBS, node="two", volume="pv-c")]
_CAPACITIES: Final = [make_storage_capacity("room", "ebs", "10Gi", node_labels={ZONE: "a"})]

NODES: Final = [
    make_node("roomy").label(ZONE, "a").obj(),
    make_node("one").label(ZONE, "b").obj(),
    make_node("two").label(ZONE, "a").obj(),
    make_node("other").label("failure-domain.beta.kubernetes.io/zone", "b").obj(),
    make_node("bare").obj(),
]
EXISTING: Final = [
    make_pod("with-a").claim("a").node("one").obj(),
    make_pod("also-with-a").claim("a").node("one").obj(),
    make_pod("with-disks").volume(_DISK).volume(_RBD).volume(_EBS).node("two").obj(),
    make_pod("reads").volume(_READ).node("roomy").obj(),
    make_pod("waited").claim("waits").node("roomy").obj(),
]
PODS: Final = [
    make_pod("plain").obj(),
    make_pod("a").claim("a").obj(),
    make_pod("b").claim("b").obj(),
    make_pod("both").claim("a").claim("b").obj(),
    make_pod("old").claim("old").obj(),
    make_pod("waits").claim("waits").obj(),
    make_pod("alone").claim("alone").obj(),
    make_pod("lost").claim("gone").obj(),
    make_pod("ephemeral").volume(_EPHEMERAL).obj(),
    make_pod("disk").volume(_DISK).obj(),
    make_pod("reader").volume(_READ).obj(),
    make_pod("image").volume(_RBD).obj(),
    make_pod("built-in").volume(_EBS).claim("a").obj(),
]

#: What listers know, by resource, and what hints are tried with, by event.
OBJECTS: Final[Mapping[EventResource | str, Sequence[object]]] = {
    "persistentvolumeclaims.v1": _CLAIMS,
    "persistentvolumes.v1": _VOLUMES,
    "storageclasses.v1.storage.k8s.io": _CLASSES,
    "csinodes.v1.storage.k8s.io": _CSI_NODES,
    "csidrivers.v1.storage.k8s.io": _DRIVERS,
    "volumeattachments.v1.storage.k8s.io": _ATTACHMENTS,
    "csistoragecapacities.v1.storage.k8s.io": _CAPACITIES,
    EventResource.PERSISTENT_VOLUME_CLAIM: _CLAIMS,
    EventResource.PERSISTENT_VOLUME: _VOLUMES,
    EventResource.STORAGE_CLASS: _CLASSES,
    EventResource.CSI_NODE: _CSI_NODES,
    EventResource.CSI_DRIVER: _DRIVERS,
    EventResource.VOLUME_ATTACHMENT: _ATTACHMENTS,
    EventResource.CSI_STORAGE_CAPACITY: _CAPACITIES,
}
