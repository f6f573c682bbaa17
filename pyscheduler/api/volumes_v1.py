"""`core/v1`: persistent volumes and claims, as far as a scheduler decides by them.

Apart from `core_v1` because there are few of them beside pods, and only the volume plugins read
them. Declarations only; Kubernetes' field names in snake_case. Dropped on decode: reclaim policy,
mount options, what drivers alone read of a source, sources that decide nothing (hostPath, nfs,
local, ...), data sources, and of the status all but the phase.

A claim's and a volume's class may also stand in an annotation, which then has precedence:
`class_name` is the one to ask.

Source: `k8s.io/api/core/v1/types.go`, 1.37.
"""

from typing import Final

from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CinderVolumeSource,
    GCEPersistentDiskVolumeSource,
    NodeSelector,
    ObjectReference,
    PersistentVolumeClaimSpec,
    PortworxVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from pyscheduler.api.frozen_map import EMPTY, StringMap
from pyscheduler.api.meta import KubeStruct, ObjectMeta

#: Where a class stood before there was a field for it.
CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"


class CSIPersistentVolumeSource(KubeStruct, frozen=True):
    """A volume of a CSI driver, by the handle under which the driver knows it."""

    driver: str
    volume_handle: str
    read_only: bool = False


class VolumeNodeAffinity(KubeStruct, frozen=True):
    """From which nodes a volume can be reached."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(KubeStruct, frozen=True):
    """What a volume is; of the sources at most one is set."""

    #: quantities as written
    capacity: StringMap = EMPTY
    access_modes: tuple[str, ...] = ()
    #: the claim it is bound to, or kept for when that has no uid
    claim_ref: ObjectReference | None = None
    storage_class_name: str = ""
    volume_mode: str | None = None
    node_affinity: VolumeNodeAffinity | None = None
    volume_attributes_class_name: str | None = None
    csi: CSIPersistentVolumeSource | None = None
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    azure_file: AzureFileVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None


class PersistentVolumeStatus(KubeStruct, frozen=True):
    """Pending, Available, Bound, Released or Failed."""

    phase: str = ""


class PersistentVolume(KubeStruct, frozen=True):
    """A persistent volume."""

    metadata: ObjectMeta
    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()

    @property
    def name(self) -> str:
        """The name."""
        return self.metadata.name

    @property
    def labels(self) -> StringMap:
        """The labels."""
        return self.metadata.labels

    @property
    def annotations(self) -> StringMap:
        """The annotations."""
        return self.metadata.annotations

    @property
    def class_name(self) -> str:
        """The storage class, or ""."""
        annotated = self.metadata.annotations.get(CLASS_ANNOTATION)
        return self.spec.storage_class_name if annotated is None else annotated

    @property
    def is_terminating(self) -> bool:
        """Whether deletion was asked for."""
        return self.metadata.deletion_timestamp is not None


class PersistentVolumeClaimStatus(KubeStruct, frozen=True):
    """Pending, Bound or Lost."""

    phase: str = ""


class PersistentVolumeClaim(KubeStruct, frozen=True):
    """A claim to a volume."""

    metadata: ObjectMeta
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()

    @property
    def name(self) -> str:
        """The name within the namespace."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The namespace."""
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        """The identity; a claim made again under the same name has another."""
        return self.metadata.uid

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def annotations(self) -> StringMap:
        """The annotations."""
        return self.metadata.annotations

    @property
    def class_name(self) -> str:
        """The storage class, or "" for none, be it unset or set to nothing."""
        annotated = self.metadata.annotations.get(CLASS_ANNOTATION)
        return (self.spec.storage_class_name or "") if annotated is None else annotated

    @property
    def is_terminating(self) -> bool:
        """Whether deletion was asked for."""
        return self.metadata.deletion_timestamp is not None
