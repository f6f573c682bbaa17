"""`meta/v1`: what every API object carries, label selectors, and the `Status` answer.

`KubeStruct` is the base of every struct in this package: frozen, camelCase on the wire, unknown
fields dropped, defaults left out when encoding. Its instances are hashable as long as maps are
`FrozenMap` and lists are tuples, and hash once (`cache_hash`), so that signatures are cheap.
They hold no reference cycles, hence are not tracked by the garbage collector.
"""

from typing import Protocol

import msgspec

from pyscheduler.api.frozen_map import EMPTY, StringMap


class KubeStruct(
    msgspec.Struct,
    frozen=True,
    cache_hash=True,
    rename="camel",
    omit_defaults=True,
    gc=False,
):
    """The base of all API structs."""


class OwnerReference(KubeStruct, frozen=True):
    """Who owns an object."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(KubeStruct, frozen=True):
    """`metadata` without managedFields, selfLink and deletionGracePeriodSeconds."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: StringMap = EMPTY
    annotations: StringMap = EMPTY
    owner_references: tuple[OwnerReference, ...] = ()
    #: not read of pods and nodes, whose finalizers are nobody's business here
    finalizers: tuple[str, ...] = ()


class HasMetadata(Protocol):
    """Any API object."""

    @property
    def metadata(self) -> ObjectMeta:
        """Name, namespace, version and the like."""


class ListMeta(KubeStruct, frozen=True):
    """`metadata` of a list."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None


class LabelSelectorRequirement(KubeStruct, frozen=True):
    """One `matchExpressions` entry: In, NotIn, Exists, DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(KubeStruct, frozen=True):
    """All of `match_labels` and `match_expressions`; empty matches everything."""

    match_labels: StringMap = EMPTY
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class StatusCause(KubeStruct, frozen=True):
    """One cause of a refusal, with the field it is about."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(KubeStruct, frozen=True):
    """What a `Status` is about; `retry_after_seconds` is the server's wish."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[StatusCause, ...] = ()
    retry_after_seconds: int = 0


class Status(KubeStruct, frozen=True):
    """The API's answer when it does not return an object, and the object of an ERROR event."""

    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None
    metadata: ListMeta = ListMeta()
