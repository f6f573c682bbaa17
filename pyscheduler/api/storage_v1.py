"""`storage.k8s.io/v1`: classes of storage, drivers and what they offer on nodes, attachments.

Declarations only, as far as a scheduler decides by them; Kubernetes' field names in snake_case.
Each is known by its name alone, except for capacities, which live in their driver's namespace.

Source: `k8s.io/api/storage/v1/types.go`, 1.37.
"""

from typing import Final

import msgspec

from pyscheduler.api.frozen_map import EMPTY, StringMap
from pyscheduler.api.meta import KubeStruct, LabelSelector, ObjectMeta

#: `StorageClass.volume_binding_mode`: a claim is bound as soon as it is there.
IMMEDIATE: Final = "Immediate"
#: `StorageClass.volume_binding_mode`: a claim is bound where its first pod goes.
WAIT_FOR_FIRST_CONSUMER: Final = "WaitForFirstConsumer"


class TopologySelectorLabelRequirement(KubeStruct, frozen=True):
    """A node's label must have one of the values."""

    key: str
    values: tuple[str, ...] = ()


class TopologySelectorTerm(KubeStruct, frozen=True):
    """All requirements must hold."""

    match_label_expressions: tuple[TopologySelectorLabelRequirement, ...] = ()


class StorageClass(KubeStruct, frozen=True):
    """How volumes are made for the claims of a class, and when."""

    metadata: ObjectMeta
    provisioner: str = ""
    parameters: StringMap = EMPTY
    #: `IMMEDIATE`, `WAIT_FOR_FIRST_CONSUMER`; the API sets it always
    volume_binding_mode: str | None = None
    #: where volumes may be made; one of the terms must match; none: anywhere
    allowed_topologies: tuple[TopologySelectorTerm, ...] = ()

    @property
    def name(self) -> str:
        """The name."""
        return self.metadata.name


class VolumeNodeResources(KubeStruct, frozen=True):
    """How many volumes of a driver can be attached to a node; None: not limited."""

    count: int | None = None


class CSINodeDriver(KubeStruct, frozen=True):
    """A driver that runs on a node."""

    name: str
    node_id: str = msgspec.field(default="", name="nodeID")
    topology_keys: tuple[str, ...] = ()
    allocatable: VolumeNodeResources | None = None

    @property
    def limit(self) -> int | None:
        """How many volumes can be attached; None: not limited."""
        return None if self.allocatable is None else self.allocatable.count


class CSINodeSpec(KubeStruct, frozen=True):
    """The drivers on a node."""

    drivers: tuple[CSINodeDriver, ...] = ()


class CSINode(KubeStruct, frozen=True):
    """What CSI drivers say of the node of the same name."""

    metadata: ObjectMeta
    spec: CSINodeSpec = CSINodeSpec()

    @property
    def name(self) -> str:
        """The name, which is the node's."""
        return self.metadata.name


class CSIDriverSpec(KubeStruct, frozen=True):
    """What a driver asks of Kubernetes."""

    #: whether `CSIStorageCapacity` objects say how much room there is
    storage_capacity: bool | None = None
    #: whether pods must not go where the driver does not run
    prevent_pod_scheduling_if_missing: bool | None = None


class CSIDriver(KubeStruct, frozen=True):
    """A CSI driver."""

    metadata: ObjectMeta
    spec: CSIDriverSpec = CSIDriverSpec()

    @property
    def name(self) -> str:
        """The name, by which classes and volumes refer to it."""
        return self.metadata.name


class CSIStorageCapacity(KubeStruct, frozen=True):
    """How much room there is for volumes of a class on the nodes of a topology."""

    metadata: ObjectMeta
    storage_class_name: str = ""
    #: None: no node
    node_topology: LabelSelector | None = None
    #: quantities as written
    capacity: str | None = None
    maximum_volume_size: str | None = None

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"


class VolumeAttachmentSource(KubeStruct, frozen=True):
    """What is attached; None: a volume that stands in a pod."""

    persistent_volume_name: str | None = None


class VolumeAttachmentSpec(KubeStruct, frozen=True):
    """What is to be attached where, and by which driver."""

    attacher: str = ""
    node_name: str = ""
    source: VolumeAttachmentSource = VolumeAttachmentSource()


class VolumeAttachment(KubeStruct, frozen=True):
    """The wish that a volume be attached to a node."""

    metadata: ObjectMeta
    spec: VolumeAttachmentSpec = VolumeAttachmentSpec()

    @property
    def name(self) -> str:
        """The name."""
        return self.metadata.name
