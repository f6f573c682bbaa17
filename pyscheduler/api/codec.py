"""Bytes of the API <-> structs; the place where foreign data becomes ours.

The flow: `decoder(PODS, interner)` once per kind, then `.list_page` and `.watch_event` for what
the reflector reads, `.object` for a single answer, `encode` for what is sent. Unknown fields are
dropped, equal sub-objects shared (`wire`, `interner`). A null counts as absent, as in Go: decoding
is tried again without nulls before an object is called malformed. A malformed object raises
`MalformedObject`, or stands in `ListPage.malformed`: it affects itself alone.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from pyscheduler.api.apps_v1 import ReplicaSet, StatefulSet
from pyscheduler.api.coordination_v1 import Lease
from pyscheduler.api.core_v1 import (
    Binding,
    Namespace,
    Node,
    Pod,
    ReplicationController,
    Service,
)
from pyscheduler.api.events_v1 import Event
from pyscheduler.api.interner import Interner
from pyscheduler.api.meta import KubeStruct, ListMeta, ObjectMeta, Status
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.api.resource_types import ResourceType
from pyscheduler.api.resource_v1 import DeviceClass, DeviceTaintRule, ResourceClaim, ResourceSlice
from pyscheduler.api.storage_v1 import (
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    StorageClass,
    VolumeAttachment,
)
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.api.wire import WIRES, dec_hook
from pyscheduler.errors import PySchedulerError

__all__ = [
    "BUILT_IN",
    "CSI_DRIVERS",
    "CSI_NODES",
    "CSI_STORAGE_CAPACITIES",
    "DEVICE_CLASSES",
    "DEVICE_TAINT_RULES",
    "DISRUPTION_BUDGETS",
    "EVENTS",
    "LEASES",
    "NAMESPACES",
    "NODES",
    "PERSISTENT_VOLUMES",
    "PERSISTENT_VOLUME_CLAIMS",
    "PODS",
    "REPLICATION_CONTROLLERS",
    "REPLICA_SETS",
    "RESOURCE_CLAIMS",
    "RESOURCE_SLICES",
    "SERVICES",
    "STATEFUL_SETS",
    "STORAGE_CLASSES",
    "VOLUME_ATTACHMENTS",
    "Bookmark",
    "Decoder",
    "Interner",
    "ListPage",
    "MalformedObject",
    "ResourceType",
    "WatchEvent",
    "decode_status",
    "decoder",
    "encode",
    "encode_binding",
    "from_builtins",
]

T = TypeVar("T")

PODS: ResourceType[Pod] = ResourceType("", "v1", "pods", "Pod", True, Pod)
NODES: ResourceType[Node] = ResourceType("", "v1", "nodes", "Node", False, Node)
NAMESPACES: ResourceType[Namespace] = ResourceType(
    "", "v1", "namespaces", "Namespace", False, Namespace
)
LEASES: ResourceType[Lease] = ResourceType(
    "coordination.k8s.io", "v1", "leases", "Lease", True, Lease
)
EVENTS: ResourceType[Event] = ResourceType("events.k8s.io", "v1", "events", "Event", True, Event)
DISRUPTION_BUDGETS: ResourceType[PodDisruptionBudget] = ResourceType(
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, PodDisruptionBudget
)
SERVICES: ResourceType[Service] = ResourceType("", "v1", "services", "Service", True, Service)
REPLICATION_CONTROLLERS: ResourceType[ReplicationController] = ResourceType(
    "", "v1", "replicationcontrollers", "ReplicationController", True, ReplicationController
)
REPLICA_SETS: ResourceType[ReplicaSet] = ResourceType(
    "apps", "v1", "replicasets", "ReplicaSet", True, ReplicaSet
)
STATEFUL_SETS: ResourceType[StatefulSet] = ResourceType(
    "apps", "v1", "statefulsets", "StatefulSet", True, StatefulSet
)
PERSISTENT_VOLUMES: ResourceType[PersistentVolume] = ResourceType(
    "", "v1", "persistentvolumes", "PersistentVolume", False, PersistentVolume
)
PERSISTENT_VOLUME_CLAIMS: ResourceType[PersistentVolumeClaim] = ResourceType(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, PersistentVolumeClaim
)
STORAGE_CLASSES: ResourceType[StorageClass] = ResourceType(
    "storage.k8s.io", "v1", "storageclasses", "StorageClass", False, StorageClass
)
CSI_NODES: ResourceType[CSINode] = ResourceType(
    "storage.k8s.io", "v1", "csinodes", "CSINode", False, CSINode
)
CSI_DRIVERS: ResourceType[CSIDriver] = ResourceType(
    "storage.k8s.io", "v1", "csidrivers", "CSIDriver", False, CSIDriver
)
CSI_STORAGE_CAPACITIES: ResourceType[CSIStorageCapacity] = ResourceType(
    "storage.k8s.io", "v1", "csistoragecapacities", "CSIStorageCapacity", True, CSIStorageCapacity
)
VOLUME_ATTACHMENTS: ResourceType[VolumeAttachment] = ResourceType(
    "storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", False, VolumeAttachment
)
RESOURCE_CLAIMS: ResourceType[ResourceClaim] = ResourceType(
    "resource.k8s.io", "v1", "resourceclaims", "ResourceClaim", True, ResourceClaim
)
RESOURCE_SLICES: ResourceType[ResourceSlice] = ResourceType(
    "resource.k8s.io", "v1", "resourceslices", "ResourceSlice", False, ResourceSlice
)
DEVICE_CLASSES: ResourceType[DeviceClass] = ResourceType(
    "resource.k8s.io", "v1", "deviceclasses", "DeviceClass", False, DeviceClass
)
DEVICE_TAINT_RULES: ResourceType[DeviceTaintRule] = ResourceType(
    "resource.k8s.io", "v1", "devicetaintrules", "DeviceTaintRule", False, DeviceTaintRule
)

#: The kinds that have a struct here, by `ResourceType.name`.
BUILT_IN: Mapping[str, ResourceType[Any]] = {
    resource.name: resource
    for resource in (
        PODS,
        NODES,
        NAMESPACES,
        LEASES,
        EVENTS,
        DISRUPTION_BUDGETS,
        SERVICES,
        REPLICATION_CONTROLLERS,
        REPLICA_SETS,
        STATEFUL_SETS,
        PERSISTENT_VOLUMES,
        PERSISTENT_VOLUME_CLAIMS,
        STORAGE_CLASSES,
        CSI_NODES,
        CSI_DRIVERS,
        CSI_STORAGE_CAPACITIES,
        VOLUME_ATTACHMENTS,
        RESOURCE_CLAIMS,
        RESOURCE_SLICES,
        DEVICE_CLASSES,
        DEVICE_TAINT_RULES,
    )
}

#: Marks the bookmark that ends the initial events of a WatchList.
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class MalformedObject(PySchedulerError):  # noqa: N818  # says what is wrong, not that it is an error
    """One object that could not be read; as much of its identity as could be."""

    def __init__(
        self,
        kind: str,
        *,
        namespace: str = "",
        name: str = "",
        uid: str = "",
        resource_version: str = "",
        reason: str,
        event_type: str = "",
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.resource_version = resource_version
        self.reason = reason
        #: ADDED, MODIFIED or DELETED when it came in a watch event.
        self.event_type = event_type
        super().__init__(f"malformed {kind} {self.key}: {reason}")

    @property
    def key(self) -> str:
        """`namespace/name`, or `name` for cluster-scoped kinds."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Bookmark(KubeStruct, frozen=True):
    """A BOOKMARK event: the stream has got as far as `resource_version`."""

    resource_version: str
    initial_events_end: bool = False


class WatchEvent(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR and what came with it."""

    type: str
    object: T | Bookmark | Status


class ListPage(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One page of a list; `continue_` is "" on the last one."""

    items: tuple[T, ...]
    resource_version: str
    continue_: str = ""
    malformed: tuple[MalformedObject, ...] = ()


class _RawEvent(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _RawList(msgspec.Struct):
    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] | None = None


class _TypeOnly(msgspec.Struct):
    kind: str = ""


class _BookmarkObject(msgspec.Struct):
    metadata: ObjectMeta


_encode = msgspec.json.Encoder().encode
_decode_raw_event = msgspec.json.Decoder(_RawEvent).decode
_decode_raw_list = msgspec.json.Decoder(_RawList).decode
_decode_type = msgspec.json.Decoder(_TypeOnly).decode
_decode_bookmark = msgspec.json.Decoder(_BookmarkObject, dec_hook=dec_hook).decode
_decode_status = msgspec.json.Decoder(Status, dec_hook=dec_hook).decode

_OBJECT_EVENTS = ("ADDED", "MODIFIED", "DELETED")
_OBJECT_LINES = tuple(b'{"type":"%b"' % name.encode() for name in _OBJECT_EVENTS)


class Decoder(Generic[T]):
    """Decodes one kind.

    Args:
        resource: the kind.
        interner: shares sub-objects.
        keeps_raw: says of which objects the bytes are kept, as ``raw``; None: of none.
        build: makes the object out of its bytes, in place of what is known of the kind; raises
            msgspec's errors.
    """

    def __init__(
        self,
        resource: ResourceType[T],
        interner: Interner,
        *,
        keeps_raw: Callable[[T], bool] | None = None,
        build: Callable[[msgspec.Raw], T] | None = None,
    ) -> None:
        self.resource = resource
        self._keeps_raw = keeps_raw
        wire: Any
        wire, builder = WIRES.get(resource.struct, (resource.struct, None))
        self._build: Callable[[Any], T] | None = builder(interner) if builder else None
        if build is not None:
            wire, self._build = msgspec.Raw, build
        self._decode = msgspec.json.Decoder(wire, dec_hook=dec_hook).decode
        event: Any = msgspec.defstruct("_Event", [("type", str), ("object", wire)], gc=False)
        self._decode_event = msgspec.json.Decoder(event, dec_hook=dec_hook).decode

    def object(self, data: bytes | msgspec.Raw) -> T:
        """Returns the object.

        Raises:
            MalformedObject: it is not one of this kind.
        """
        try:
            found = self._finish(self._decode(data))
        except msgspec.MsgspecError:
            found = self._again_without_nulls(data)
        if self._keeps_raw is None or not self._keeps_raw(found):
            return found
        kept: Any = found
        return msgspec.structs.replace(kept, raw=self._complete(data))  # type: ignore[no-any-return]  # of the kind given

    def watch_event(self, line: bytes) -> WatchEvent[T]:
        """Returns the event on one line of a watch.

        Raises:
            MalformedObject: its object cannot be read; the stream itself is fine.
            msgspec.DecodeError: the line is no watch event, so the stream is not to be trusted.
        """
        # The API server writes the type first; then the line needs to be read only once.
        if self._keeps_raw is None and line.startswith(_OBJECT_LINES):
            try:
                event = self._decode_event(line)
                return WatchEvent(event.type, self._finish(event.object))
            except msgspec.MsgspecError:
                pass
        raw = _decode_raw_event(line)
        if raw.type in _OBJECT_EVENTS:
            try:
                return WatchEvent(raw.type, self.object(raw.object))
            except MalformedObject as error:
                error.event_type = raw.type
                raise
        if raw.type == "BOOKMARK":
            meta = _decode_bookmark(raw.object).metadata
            ended = meta.annotations.get(INITIAL_EVENTS_END) == "true"
            return WatchEvent(raw.type, Bookmark(meta.resource_version, ended))
        if raw.type == "ERROR":
            return WatchEvent(raw.type, decode_status(raw.object))
        raise msgspec.ValidationError(f"unknown watch event type {raw.type!r}")

    def list_page(self, data: bytes) -> ListPage[T]:
        """Returns the page; objects that cannot be read stand apart in it.

        Raises:
            msgspec.DecodeError: the body is no list.
        """
        page = _decode_raw_list(data)
        items: list[T] = []
        malformed: list[MalformedObject] = []
        for raw in page.items or ():
            try:
                items.append(self.object(raw))
            except MalformedObject as error:
                malformed.append(error)
        meta = page.metadata
        return ListPage(tuple(items), meta.resource_version, meta.continue_, tuple(malformed))

    def _finish(self, decoded: Any) -> T:
        build = self._build
        return decoded if build is None else build(decoded)

    def _complete(self, data: bytes | msgspec.Raw) -> bytes:
        """Returns the bytes with kind and apiVersion, which the items of a list lack."""
        raw = bytes(data)
        if _decode_type(raw).kind:
            return raw
        return _with_type(self.resource.api_version, self.resource.kind, raw)

    def _again_without_nulls(self, data: bytes | msgspec.Raw) -> T:
        found: Any = None
        try:
            found = _without_nulls(msgspec.json.decode(data))
            return self._finish(self._decode(msgspec.json.encode(found)))
        except msgspec.MsgspecError as error:
            raise self._malformed(found, self._explain(found, error)) from error

    def _explain(self, found: Any, error: msgspec.MsgspecError) -> str:
        """Returns the error with the path from the object's root, which sub-objects do not know."""
        try:
            msgspec.convert(found, self.resource.struct, dec_hook=dec_hook)
        except msgspec.ValidationError as better:
            return str(better)
        return str(error)

    def _malformed(self, found: Any, reason: str) -> MalformedObject:
        meta = found.get("metadata") if isinstance(found, dict) else None
        meta = meta if isinstance(meta, dict) else {}

        def text(field: str) -> str:
            value = meta.get(field)
            return value if isinstance(value, str) else ""

        return MalformedObject(
            self.resource.kind,
            namespace=text("namespace"),
            name=text("name"),
            uid=text("uid"),
            resource_version=text("resourceVersion"),
            reason=reason,
        )


def decoder(
    resource: ResourceType[T],
    interner: Interner,
    *,
    keeps_raw: Callable[[T], bool] | None = None,
) -> Decoder[T]:
    """Returns a decoder of that kind, see `Decoder`."""
    return Decoder(resource, interner, keeps_raw=keeps_raw)


def decode_status(data: bytes | msgspec.Raw) -> Status:
    """Returns the `Status` in an answer or an ERROR event; lacking parts are empty.

    Raises:
        msgspec.DecodeError: it is no JSON object of that form.
    """
    try:
        return _decode_status(data)
    except msgspec.ValidationError:
        return _decode_status(msgspec.json.encode(_without_nulls(msgspec.json.decode(data))))


def encode(resource: ResourceType[T], value: T) -> bytes:
    """Returns the object as JSON, with apiVersion and kind."""
    return _encode_as(resource.api_version, resource.kind, value)


def encode_binding(binding: Binding) -> bytes:
    """Returns the body of a `pods/binding` POST."""
    return _encode_as("v1", "Binding", binding)


def from_builtins(value: Any, wanted: type[T]) -> T:
    """Returns the struct for an object given as dicts and lists, e.g. out of YAML.

    Raises:
        msgspec.ValidationError: it is not such an object.
    """
    return msgspec.convert(_without_nulls(value), wanted, dec_hook=dec_hook)


def _encode_as(api_version: str, kind: str, value: object) -> bytes:
    return _with_type(api_version, kind, _encode(value))


def _with_type(api_version: str, kind: str, body: bytes) -> bytes:
    head = f'{{"apiVersion":"{api_version}","kind":"{kind}"'.encode()
    return head + (b"," if len(body) > 2 else b"") + body[1:]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value if v is not None]
    return value
