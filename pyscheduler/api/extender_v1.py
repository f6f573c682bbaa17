"""`extender/v1`: what HTTP extenders answer, under Go's field names.

What they are asked is put together from bytes by ``client.extender_client``.

Source: kube-scheduler 1.37, ``extender/v1/types.go``.
"""

from typing import Annotated

import msgspec

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _GoStruct(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True, gc=False):
    """The base of these structs; unknown fields are refused so that other spellings are noticed."""


class NodeMeta(msgspec.Struct, frozen=True, gc=False):
    """`metadata` of a node in an answer: its name, which is all that counts."""

    name: str


class NamedNode(msgspec.Struct, frozen=True, gc=False):
    """A node in an answer."""

    metadata: NodeMeta


class NodeList(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, gc=False):
    """Nodes in an answer."""

    items: tuple[NamedNode, ...] = ()
    kind: str = ""
    api_version: str = ""
    metadata: msgspec.Raw = msgspec.Raw(b"")


class ExtenderFilterResult(_GoStruct, frozen=True):
    """What the filter verb answers: the nodes that are left, in one of two ways, and why not."""

    nodes: NodeList | None = None
    #: of extenders that are `nodeCacheCapable`
    node_names: tuple[str, ...] | None = None
    failed_nodes: dict[str, str] = {}
    failed_and_unresolvable_nodes: dict[str, str] = {}
    error: str = ""


class HostPriority(_GoStruct, frozen=True):
    """The score of one node."""

    host: str = ""
    #: 0..10
    score: _Int64 = 0


class MetaPod(_GoStruct, frozen=True):
    """A victim."""

    uid: str = msgspec.field(default="", name="UID")


class MetaVictims(_GoStruct, frozen=True):
    """The victims on one node."""

    pods: tuple[MetaPod, ...] = ()
    num_pdb_violations: _Int64 = msgspec.field(default=0, name="NumPDBViolations")


class ExtenderPreemptionResult(_GoStruct, frozen=True):
    """What the preempt verb answers: the nodes that are left as candidates."""

    node_name_to_meta_victims: dict[str, MetaVictims] = {}


class ExtenderBindingResult(_GoStruct, frozen=True):
    """What the bind verb answers; bound unless there is an error."""

    error: str = ""
