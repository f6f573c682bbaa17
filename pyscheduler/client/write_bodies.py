"""The bodies of the scheduler's writes, as bytes, and when a condition is worth a write at all."""

import msgspec

from pyscheduler.api.codec import encode_binding
from pyscheduler.api.core_v1 import Binding, ObjectReference, Pod
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.times import format_seconds


class StatusWrite(msgspec.Struct, frozen=True, gc=False):
    """A condition to be written: PodScheduled=False of `pod` as last seen."""

    pod: Pod
    reason: str
    message: str
    nominated_node_name: str | None


class _Preconditions(msgspec.Struct):
    uid: str


class _DeleteOptions(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    preconditions: _Preconditions


class _Condition(msgspec.Struct, rename="camel", omit_defaults=True):
    type: str
    status: str
    reason: str
    message: str
    observed_generation: int = 0
    last_transition_time: str | None = None


class _StatusBody(msgspec.Struct, rename="camel"):
    conditions: tuple[_Condition, ...]
    nominated_node_name: str | msgspec.UnsetType | None = msgspec.UNSET


class _Version(msgspec.Struct, rename="camel"):
    uid: str
    resource_version: str


class _StatusPatch(msgspec.Struct):
    metadata: _Version
    status: _StatusBody


_encode = msgspec.json.Encoder().encode


def binding(pod: Pod, node_name: str) -> bytes:
    """Return the body of a ``pods/binding`` POST; it holds for this very uid alone."""
    meta = pod.metadata
    return encode_binding(
        Binding(
            ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid),
            ObjectReference(kind="Node", api_version="v1", name=node_name),
        )
    )


def deletion(pod: Pod) -> bytes:
    """Return the body of a DELETE of this very pod."""
    return _encode(_DeleteOptions("v1", "DeleteOptions", _Preconditions(pod.uid)))


def changes_anything(write: StatusWrite) -> bool:
    """Whether the write would make the pod differ from what was last seen of it."""
    status = write.pod.status
    if write.nominated_node_name not in (None, status.nominated_node_name):
        return True
    return not any(
        known.type == "PodScheduled"
        and known.status == "False"
        and known.reason == write.reason
        and known.message == write.message
        and known.observed_generation == write.pod.metadata.generation
        for known in status.conditions
    )


def status_patch(write: StatusWrite, *, now_s: float) -> bytes:
    """Return the strategic merge patch for ``pods/status``.

    It holds for this very pod as it was last seen: one that got a node since then, by a bind whose
    answer was lost or by another scheduler, must not be told that it has none.
    """
    pod = write.pod
    is_false_already = any(
        known.type == "PodScheduled" and known.status == "False" for known in pod.status.conditions
    )
    condition = _Condition(
        type="PodScheduled",
        status="False",
        reason=write.reason,
        message=write.message,
        observed_generation=pod.metadata.generation,
        # Left out it stays as it is: this is the time of the last change of `status`.
        last_transition_time=None if is_false_already else format_seconds(now_s),
    )
    nominated: str | msgspec.UnsetType | None = msgspec.UNSET
    if write.nominated_node_name is not None:
        nominated = write.nominated_node_name or None  # null removes the field
    return _encode(
        _StatusPatch(
            _Version(pod.uid, pod.metadata.resource_version), _StatusBody((condition,), nominated)
        )
    )
