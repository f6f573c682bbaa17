"""The kinds the embedded API server serves, and how a request path names them.

A `ServedKind` is one resource of one API version. Events are served twice (``v1`` for kubectl,
``events.k8s.io/v1`` for schedulers) over one stored form, as in kube-apiserver.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyscheduler.sim.api_errors import not_served


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


PODS = ServedKind(
    "",
    "pods",
    "Pod",
    True,
    short_names=("po",),
    subresources=("binding", "status"),
    returns_deleted=True,
)
NODES = ServedKind("", "nodes", "Node", False, short_names=("no",), subresources=("status",))
NAMESPACES = ServedKind(
    "", "namespaces", "Namespace", False, short_names=("ns",), subresources=("status",)
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

ALL_KINDS = (
    PODS,
    NODES,
    NAMESPACES,
    CONFIG_MAPS,
    SERVICE_ACCOUNTS,
    CORE_EVENTS,
    EVENTS,
    LEASES,
    PRIORITY_CLASSES,
)

_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in ALL_KINDS}


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


def resolve(path: str) -> Target | None:
    """The resource a path names, or None where it names none (discovery, health).

    Raises:
        ApiError: 501, the path names a resource that is not served.
    """
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in NAMESPACES.subresources:
        namespace, rest = rest[1], rest[2:]
    kind = _BY_PATH.get((group, version, rest[0]))
    if kind is None or kind.namespaced < bool(namespace) or len(rest) > 3:
        raise not_served(path)
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and subresource not in kind.subresources:
        raise not_served(path)
    return Target(kind, namespace, name, subresource)
