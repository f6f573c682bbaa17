"""Paths and bodies of the scheduler's writes about pods; when a status is worth a write at all."""

import msgspec

from pyscheduler.api.codec import encode_binding
from pyscheduler.api.core_v1 import Binding, ObjectReference, Pod
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.times import format_seconds


class StatusWrite(msgspec.Struct, frozen=True, gc=False):
    """What is to be written into the status of `pod`, as last seen."""

    pod: Pod
    #: Why PodScheduled is False; "" leaves the condition as it is.
    reason: str = ""
    message: str = ""
    #: The node to nominate, "" for none; None leaves it as it is.
    nominated_node_name: str | None = None

    def over(self, older: "StatusWrite | None") -> "StatusWrite":
        """Return both writes in one; where both say something, this one counts."""
        if older is None:
            return self
        node = self.nominated_node_name
        said = self if self.reason else older
        return StatusWrite(
            self.pod,
            said.reason,
            said.message,
            older.nominated_node_name if node is None else node,
        )


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
    conditions: tuple[_Condition, ...] | msgspec.UnsetType = msgspec.UNSET
    nominated_node_name: str | msgspec.UnsetType | None = msgspec.UNSET


class _Version(msgspec.Struct, rename="camel"):
    uid: str
    resource_version: str | msgspec.UnsetType = msgspec.UNSET


class _StatusPatch(msgspec.Struct):
    metadata: _Version
    status: _StatusBody


_encode = msgspec.json.Encoder().encode


def pod_path(pod: Pod) -> str:
    """Return where the pod is served."""
    meta = pod.metadata
    return f"/api/v1/namespaces/{meta.namespace}/pods/{meta.name}"


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
    pod = write.pod
    if write.nominated_node_name not in (None, pod.status.nominated_node_name):
        return True
    return bool(write.reason) and not _has(
        pod, "PodScheduled", "False", reason=write.reason, message=write.message
    )


def status_patch(write: StatusWrite, *, now_s: float) -> bytes:
    """Return the strategic merge patch for ``pods/status``.

    It holds for this very pod as it was last seen: one that got a node since then, by a bind whose
    answer was lost or by another scheduler, must not be told that it has none.
    """
    pod = write.pod
    body = _StatusBody()
    if write.reason:
        body.conditions = (
            _condition(
                pod,
                "PodScheduled",
                "False",
                reason=write.reason,
                message=write.message,
                now_s=now_s,
            ),
        )
    if write.nominated_node_name is not None:
        body.nominated_node_name = write.nominated_node_name or None  # null removes the field
    return _encode(_StatusPatch(_Version(pod.uid, pod.metadata.resource_version), body))


def condition_patch(
    pod: Pod, condition_type: str, *, reason: str, message: str, now_s: float
) -> bytes | None:
    """Return the patch for ``pods/status`` that sets a condition to True; None when it is set.

    It holds for this very pod in whatever state it is by now.
    """
    if _has(pod, condition_type, "True", reason=reason, message=message):
        return None
    condition = _condition(pod, condition_type, "True", reason=reason, message=message, now_s=now_s)
    return _encode(_StatusPatch(_Version(pod.uid), _StatusBody((condition,))))


def _has(pod: Pod, condition_type: str, status: str, *, reason: str, message: str) -> bool:
    """Whether the pod was last seen with exactly that condition."""
    return any(
        known.type == condition_type
        and known.status == status
        and known.reason == reason
        and known.message == message
        and known.observed_generation == pod.metadata.generation
        for known in pod.status.conditions
    )


def _condition(
    pod: Pod, condition_type: str, status: str, *, reason: str, message: str, now_s: float
) -> _Condition:
    has_status_already = any(
        known.type == condition_type and known.status == status for known in pod.status.conditions
    )
    return _Condition(
        type=condition_type,
        status=status,
        reason=reason,
        message=message,
        observed_generation=pod.metadata.generation,
        # Left out it stays as it is: this is the time of the last change of `status`.
        last_transition_time=None if has_status_already else format_seconds(now_s),
    )
