"""Builds pods and nodes out of their bytes, sharing what objects of one template have in common.

Apart from `codec`, its one caller, because only the two kinds there are many of need it. Each kind
has a wire struct that leaves shareable sub-objects as `msgspec.Raw`; the builder turns those into
shared structs through the interner's tables, by their bytes. Before that it removes what admission
makes unique: the name of the `kube-api-access-<random>` volume, which every container mounts.
Short strings that repeat (namespaces, node names, times) are shared through `sys.intern`.
"""

from collections.abc import Callable
from sys import intern
from typing import Any, Generic, TypeVar, get_args

import msgspec

from pyscheduler.api.core_v1 import (
    Affinity,
    Container,
    ContainerImage,
    ContainerStatus,
    Node,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    Pod,
    PodCondition,
    PodOS,
    PodResourceClaim,
    PodResourceClaimStatus,
    PodSchedulingGate,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Toleration,
    TopologySpreadConstraint,
    Volume,
)
from pyscheduler.api.frozen_map import EMPTY, FrozenMap, StringMap, frozen
from pyscheduler.api.interner import Interner, Table
from pyscheduler.api.meta import ObjectMeta, OwnerReference

T = TypeVar("T")
W = TypeVar("W")

NO_RAW = msgspec.Raw(b"")

#: How the service account admission plugin names its volume, up to the random part.
TOKEN_VOLUME = b'"kube-api-access-'

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def dec_hook(wanted: type, value: Any) -> Any:
    """Returns a `FrozenMap` where a struct declares one, its keys shared.

    Its items are strings, structs as declared, or what JSON gives where `object` is declared.
    """
    if getattr(wanted, "__origin__", wanted) is not FrozenMap:
        raise NotImplementedError(f"no decoding for {wanted}")
    if not isinstance(value, dict):
        raise TypeError(f"Expected `object`, got `{type(value).__name__}`")
    if not value:
        return EMPTY
    declared = get_args(wanted)[1:]
    if declared == (object,):
        return frozen(value)
    if declared and declared != (str,):
        return _map_of_structs(declared[0], value)
    for item in value.values():
        if type(item) is not str:
            raise TypeError(f"Expected `object` of `str`, got a `{type(item).__name__}` in it")
    return FrozenMap({intern(key): item for key, item in value.items()})


def _map_of_structs(wanted: type, value: dict[str, Any]) -> FrozenMap[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        try:
            found[intern(key)] = msgspec.convert(item, wanted, dec_hook=dec_hook)
        except msgspec.ValidationError as error:
            raise TypeError(f"{error} in {key!r}") from error
    return FrozenMap(found)


class _Wire(msgspec.Struct, rename="camel", gc=False):
    """The base of the wire structs: short-lived, so neither frozen nor hashed."""


class MetaWire(_Wire):
    """`metadata` with its maps left as bytes."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: msgspec.Raw = NO_RAW
    annotations: msgspec.Raw = NO_RAW
    owner_references: msgspec.Raw = NO_RAW


class PodSpecWire(_Wire):
    """`spec` of a pod with its sub-objects left as bytes."""

    containers: msgspec.Raw = NO_RAW
    init_containers: msgspec.Raw = NO_RAW
    volumes: msgspec.Raw = NO_RAW
    node_name: str = ""
    scheduler_name: str = "default-scheduler"
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str | None = None
    node_selector: msgspec.Raw = NO_RAW
    affinity: msgspec.Raw = NO_RAW
    tolerations: msgspec.Raw = NO_RAW
    topology_spread_constraints: msgspec.Raw = NO_RAW
    scheduling_gates: tuple[PodSchedulingGate, ...] = ()
    resource_claims: tuple[PodResourceClaim, ...] = ()
    resources: msgspec.Raw = NO_RAW
    overhead: msgspec.Raw = NO_RAW
    host_network: bool = False
    host_users: bool | None = None
    hostname: str = ""
    subdomain: str = ""
    os: PodOS | None = None
    runtime_class_name: str | None = None
    service_account_name: str = ""
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None


class PodConditionWire(_Wire):
    """A pod's condition; its own struct because its texts repeat and are shared."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0


class ContainerStatusWire(_Wire):
    """A container's status with its resources left as bytes."""

    name: str
    resources: msgspec.Raw = NO_RAW
    allocated_resources: msgspec.Raw = NO_RAW


class PodStatusWire(_Wire):
    """`status` of a pod."""

    phase: str = ""
    nominated_node_name: str = ""
    conditions: tuple[PodConditionWire, ...] = ()
    container_statuses: tuple[ContainerStatusWire, ...] = ()
    init_container_statuses: tuple[ContainerStatusWire, ...] = ()
    resource_claim_statuses: tuple[PodResourceClaimStatus, ...] = ()
    resources: msgspec.Raw = NO_RAW
    allocated_resources: msgspec.Raw = NO_RAW
    start_time: str | None = None
    reason: str = ""
    observed_generation: int = 0


class PodWire(_Wire):
    """A pod as it comes."""

    metadata: MetaWire
    spec: PodSpecWire = msgspec.field(default_factory=PodSpecWire)
    status: PodStatusWire | None = None


class NodeStatusWire(_Wire):
    """`status` of a node with what nodes share left as bytes."""

    capacity: msgspec.Raw = NO_RAW
    allocatable: msgspec.Raw = NO_RAW
    conditions: tuple[NodeCondition, ...] = ()
    images: tuple[ContainerImage, ...] | None = ()
    declared_features: tuple[str, ...] = ()


class NodeWire(_Wire):
    """A node as it comes."""

    metadata: MetaWire
    spec: NodeSpec = NodeSpec()
    status: NodeStatusWire = msgspec.field(default_factory=NodeStatusWire)


class _Field(Generic[T]):
    """Raw bytes of one field -> the shared struct, or the default when the field is absent."""

    __slots__ = ("_default", "_table")

    def __init__(self, interner: Interner, name: str, wanted: Any, default: T) -> None:
        decode = msgspec.json.Decoder(wanted, dec_hook=dec_hook).decode
        self._default = default
        self._table: Table[T] = interner.table(name, decode)

    def __call__(self, raw: msgspec.Raw) -> T:
        return self._table.get(bytes(raw)) if len(raw) else self._default

    def share(self, value: T) -> T:
        return self._table.share(value)


def _opt(value: str | None) -> str | None:
    return value if value is None else intern(value)


class MetaBuilder:
    """Makes `ObjectMeta`."""

    def __init__(self, interner: Interner) -> None:
        self._labels = _Field(interner, "labels", StringMap, EMPTY)
        owners: tuple[OwnerReference, ...] = ()
        self._owners = _Field(interner, "owners", tuple[OwnerReference, ...], owners)
        decode = msgspec.json.Decoder(StringMap, dec_hook=dec_hook).decode

        def decode_annotations(raw: bytes) -> StringMap:
            annotations = decode(raw)
            if LAST_APPLIED not in annotations:
                return annotations
            return FrozenMap({k: v for k, v in annotations.items() if k != LAST_APPLIED}) or EMPTY

        self._annotations: Table[StringMap] = interner.table("annotations", decode_annotations)

    def build(self, wire: MetaWire) -> ObjectMeta:
        """Returns the metadata, labels, annotations and owners shared."""
        raw = wire.annotations
        return ObjectMeta(
            wire.name,
            intern(wire.generate_name),
            intern(wire.namespace),
            wire.uid,
            wire.resource_version,
            wire.generation,
            _opt(wire.creation_timestamp),
            _opt(wire.deletion_timestamp),
            self._labels(wire.labels),
            self._annotations.get(bytes(raw)) if len(raw) else EMPTY,
            self._owners(wire.owner_references),
        )


def _without_plain_mounts(container: Container) -> Container:
    if not container.volume_mounts:
        return container
    mounts = tuple(mount for mount in container.volume_mounts if mount.bind_mount_options)
    return msgspec.structs.replace(container, volume_mounts=mounts)


class PodBuilder:
    """Makes `Pod`."""

    def __init__(self, interner: Interner) -> None:
        self._meta = MetaBuilder(interner)
        containers = msgspec.json.Decoder(tuple[Container, ...], dec_hook=dec_hook).decode
        self._containers: Table[tuple[Container, ...]] = interner.table(
            "containers", lambda raw: tuple(map(_without_plain_mounts, containers(raw)))
        )
        volumes = msgspec.json.Decoder(tuple[Volume, ...], dec_hook=dec_hook).decode
        self._volumes: Table[tuple[Volume, ...]] = interner.table(
            "volumes", lambda raw: tuple(v for v in volumes(raw) if not v.decides_nothing)
        )
        self._map = _Field(interner, "maps", StringMap, EMPTY)
        affinity: Affinity | None = None
        self._affinity = _Field(interner, "affinity", Affinity | None, affinity)
        tolerations: tuple[Toleration, ...] = ()
        self._tolerations = _Field(interner, "tolerations", tuple[Toleration, ...], tolerations)
        spread: tuple[TopologySpreadConstraint, ...] = ()
        self._spread = _Field(interner, "spread", tuple[TopologySpreadConstraint, ...], spread)
        resources: ResourceRequirements | None = None
        self._resources = _Field(interner, "resources", ResourceRequirements | None, resources)
        statuses: tuple[ContainerStatus, ...] = ()
        self._statuses = _Field(interner, "statuses", tuple[ContainerStatus, ...], statuses)

    def build(self, wire: PodWire) -> Pod:
        """Returns the pod, its sub-objects shared."""
        status = wire.status
        return Pod(
            self._meta.build(wire.metadata),
            self._build_spec(wire.spec),
            PodStatus() if status is None else self._build_status(status),
        )

    def _build_spec(self, wire: PodSpecWire) -> PodSpec:
        volumes = bytes(wire.volumes)
        containers = bytes(wire.containers)
        init_containers = bytes(wire.init_containers)
        start = volumes.find(TOKEN_VOLUME)
        if start >= 0:
            token = volumes[start : volumes.index(b'"', start + 1) + 1]
            volumes = volumes.replace(token, TOKEN_VOLUME + b'"')
            containers = containers.replace(token, TOKEN_VOLUME + b'"')
            init_containers = init_containers.replace(token, TOKEN_VOLUME + b'"')
        return PodSpec(
            self._containers.get(containers) if containers else (),
            self._containers.get(init_containers) if init_containers else (),
            self._volumes.get(volumes) if volumes else (),
            intern(wire.node_name),
            intern(wire.scheduler_name),
            wire.priority,
            intern(wire.priority_class_name),
            _opt(wire.preemption_policy),
            self._map(wire.node_selector),
            self._affinity(wire.affinity),
            self._tolerations(wire.tolerations),
            self._spread(wire.topology_spread_constraints),
            wire.scheduling_gates,
            wire.resource_claims,
            self._resources(wire.resources),
            self._map(wire.overhead),
            wire.host_network,
            wire.host_users,
            wire.hostname,
            intern(wire.subdomain),
            wire.os,
            _opt(wire.runtime_class_name),
            intern(wire.service_account_name),
            intern(wire.restart_policy),
            wire.termination_grace_period_seconds,
            wire.active_deadline_seconds,
        )

    def _build_status(self, wire: PodStatusWire) -> PodStatus:
        return PodStatus(
            intern(wire.phase),
            intern(wire.nominated_node_name),
            tuple(
                [
                    PodCondition(
                        intern(c.type),
                        intern(c.status),
                        intern(c.reason),
                        c.message,
                        _opt(c.last_transition_time),
                        c.observed_generation,
                    )
                    for c in wire.conditions
                ]
            ),
            self._build_statuses(wire.container_statuses),
            self._build_statuses(wire.init_container_statuses),
            wire.resource_claim_statuses,
            self._resources(wire.resources),
            self._map(wire.allocated_resources),
            _opt(wire.start_time),
            wire.reason,
            wire.observed_generation,
        )

    def _build_statuses(
        self, wires: tuple[ContainerStatusWire, ...]
    ) -> tuple[ContainerStatus, ...]:
        if not wires:
            return ()
        statuses = tuple(
            [
                ContainerStatus(
                    intern(w.name), self._resources(w.resources), self._map(w.allocated_resources)
                )
                for w in wires
            ]
        )
        return self._statuses.share(statuses)


class NodeBuilder:
    """Makes `Node`."""

    def __init__(self, interner: Interner) -> None:
        self._meta = MetaBuilder(interner)
        self._map = _Field(interner, "maps", StringMap, EMPTY)
        image: ContainerImage | None = None
        self._image = _Field(interner, "images", ContainerImage, image)
        spec: NodeSpec | None = None
        self._spec = _Field(interner, "node specs", NodeSpec, spec)

    def build(self, wire: NodeWire) -> Node:
        """Returns the node; images and quantity maps are shared between nodes."""
        status = wire.status
        share = self._image.share
        return Node(
            self._meta.build(wire.metadata),
            wire.spec,
            NodeStatus(
                self._map(status.capacity),
                self._map(status.allocatable),
                status.conditions,
                tuple([share(i) for i in status.images or ()]),  # type: ignore[misc]  # as above
                status.declared_features,
            ),
        )


#: Kinds that are decoded through a wire struct: struct -> (wire struct, maker of the builder).
WIRES: dict[type, tuple[type, Callable[[Interner], Callable[[Any], Any]]]] = {
    Pod: (PodWire, lambda interner: PodBuilder(interner).build),
    Node: (NodeWire, lambda interner: NodeBuilder(interner).build),
}
