"""The kinds the embedded API server serves from the start.

A `ServedKind` is one resource of one API version. Events are served twice (``v1`` for kubectl,
``events.k8s.io/v1`` for schedulers) over one stored form, as in kube-apiserver. A `CustomKind` is
one that a CustomResourceDefinition adds while the server runs; `catalogue` holds both.

Services, workloads, and kinds of storage and of dynamic resource allocation are kept as they are
sent: named, versioned and watched like the others, but neither defaulted nor validated beyond their
metadata, and without a controller.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pyscheduler.sim.json_objects import JsonView


@dataclass(frozen=True, slots=True, eq=False)
class ServedKind:
    """One resource of one API version."""

    group: str
    plural: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    version: str = "v1"
    #: PUT of a name that does not exist creates it.
    create_on_update: bool = False
    #: PUT without a resourceVersion overwrites whatever is there.
    unconditional_update: bool = True
    #: DELETE answers with the object instead of a Status.
    returns_deleted: bool = False
    #: Name of the stored collection where another version of the API owns it.
    stored_as: str = ""

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def collection(self) -> str:
        """Where the store keeps its objects."""
        return self.stored_as or self.plural

    @property
    def qualified(self) -> str:
        """The resource as error messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def root(self) -> str:
        """The path its group and version are served under."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"


@dataclass(frozen=True, slots=True, eq=False)
class CustomKind(ServedKind):
    """A kind that a CustomResourceDefinition adds."""

    #: ``openAPIV3Schema`` of its version.
    schema: JsonView = field(default_factory=dict)
    #: ``additionalPrinterColumns``; what ``kubectl get`` prints besides the name.
    columns: tuple[JsonView, ...] = ()


PODS = ServedKind(
    "",
    "pods",
    "Pod",
    True,
    short_names=("po",),
    subresources=("binding", "resize", "status"),
    returns_deleted=True,
)
NODES = ServedKind("", "nodes", "Node", False, short_names=("no",), subresources=("status",))
NAMESPACES = ServedKind(
    "", "namespaces", "Namespace", False, short_names=("ns",), subresources=("status",)
)
SERVICES = ServedKind(
    "",
    "services",
    "Service",
    True,
    short_names=("svc",),
    subresources=("status",),
    create_on_update=True,
    returns_deleted=True,
)
REPLICATION_CONTROLLERS = ServedKind(
    "",
    "replicationcontrollers",
    "ReplicationController",
    True,
    short_names=("rc",),
    subresources=("status",),
)
REPLICA_SETS = ServedKind(
    "apps", "replicasets", "ReplicaSet", True, short_names=("rs",), subresources=("status",)
)
STATEFUL_SETS = ServedKind(
    "apps", "statefulsets", "StatefulSet", True, short_names=("sts",), subresources=("status",)
)
CONFIG_MAPS = ServedKind("", "configmaps", "ConfigMap", True, short_names=("cm",))
SERVICE_ACCOUNTS = ServedKind(
    "", "serviceaccounts", "ServiceAccount", True, short_names=("sa",), returns_deleted=True
)
CORE_EVENTS = ServedKind("", "events", "Event", True, short_names=("ev",), create_on_update=True)
EVENTS = ServedKind(
    "events.k8s.io", "events", "Event", True, short_names=("ev",), create_on_update=True
)
LEASES = ServedKind(
    "coordination.k8s.io",
    "leases",
    "Lease",
    True,
    create_on_update=True,
    unconditional_update=False,
)
PRIORITY_CLASSES = ServedKind(
    "scheduling.k8s.io", "priorityclasses", "PriorityClass", False, short_names=("pc",)
)
DISRUPTION_BUDGETS = ServedKind(
    "policy",
    "poddisruptionbudgets",
    "PodDisruptionBudget",
    True,
    short_names=("pdb",),
    subresources=("status",),
    unconditional_update=False,
)
CUSTOM_RESOURCE_DEFINITIONS = ServedKind(
    "apiextensions.k8s.io",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    False,
    short_names=("crd", "crds"),
    subresources=("status",),
    unconditional_update=False,
)
PERSISTENT_VOLUMES = ServedKind(
    "",
    "persistentvolumes",
    "PersistentVolume",
    False,
    short_names=("pv",),
    subresources=("status",),
    returns_deleted=True,
)
PERSISTENT_VOLUME_CLAIMS = ServedKind(
    "",
    "persistentvolumeclaims",
    "PersistentVolumeClaim",
    True,
    short_names=("pvc",),
    subresources=("status",),
    returns_deleted=True,
)
_STORAGE = "storage.k8s.io"
STORAGE_CLASSES = ServedKind(
    _STORAGE, "storageclasses", "StorageClass", False, short_names=("sc",), returns_deleted=True
)
CSI_NODES = ServedKind(
    _STORAGE, "csinodes", "CSINode", False, unconditional_update=False, returns_deleted=True
)
CSI_DRIVERS = ServedKind(
    _STORAGE, "csidrivers", "CSIDriver", False, unconditional_update=False, returns_deleted=True
)
CSI_STORAGE_CAPACITIES = ServedKind(
    _STORAGE,
    "csistoragecapacities",
    "CSIStorageCapacity",
    True,
    unconditional_update=False,
)
VOLUME_ATTACHMENTS = ServedKind(
    _STORAGE,
    "volumeattachments",
    "VolumeAttachment",
    False,
    subresources=("status",),
    unconditional_update=False,
    returns_deleted=True,
)
_DEVICES = "resource.k8s.io"
RESOURCE_CLAIMS = ServedKind(
    _DEVICES,
    "resourceclaims",
    "ResourceClaim",
    True,
    subresources=("status",),
    returns_deleted=True,
)
RESOURCE_CLAIM_TEMPLATES = ServedKind(
    _DEVICES, "resourceclaimtemplates", "ResourceClaimTemplate", True, returns_deleted=True
)
RESOURCE_SLICES = ServedKind(
    _DEVICES, "resourceslices", "ResourceSlice", False, returns_deleted=True
)
DEVICE_CLASSES = ServedKind(_DEVICES, "deviceclasses", "DeviceClass", False, returns_deleted=True)
DEVICE_TAINT_RULES = ServedKind(
    _DEVICES, "devicetaintrules", "DeviceTaintRule", False, subresources=("status",)
)

BUILT_IN_KINDS = (
    PODS,
    NODES,
    NAMESPACES,
    CONFIG_MAPS,
    SERVICE_ACCOUNTS,
    SERVICES,
    REPLICATION_CONTROLLERS,
    REPLICA_SETS,
    STATEFUL_SETS,
    PERSISTENT_VOLUMES,
    PERSISTENT_VOLUME_CLAIMS,
    CORE_EVENTS,
    EVENTS,
    LEASES,
    PRIORITY_CLASSES,
    DISRUPTION_BUDGETS,
    CUSTOM_RESOURCE_DEFINITIONS,
    STORAGE_CLASSES,
    CSI_NODES,
    CSI_DRIVERS,
    CSI_STORAGE_CAPACITIES,
    VOLUME_ATTACHMENTS,
    RESOURCE_CLAIMS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_SLICES,
    DEVICE_CLASSES,
    DEVICE_TAINT_RULES,
)


def is_built_in_group(group: str) -> bool:
    """Whether kube-apiserver itself owns the group; others are for custom resources."""
    return "." not in group or group.endswith(".k8s.io")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request path points at."""

    kind: ServedKind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> str:
        """The object's key in the store."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name
