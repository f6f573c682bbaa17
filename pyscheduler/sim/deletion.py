"""DELETE: at once, after a grace period, or once the last finalizer is gone.

A pod on a node first gets a deletionTimestamp; its kubelet deletes it again with grace 0 when
it has ended. Everything else goes at once unless a finalizer holds it.

Source: k8s.io/apiserver 1.37 pkg/registry/rest BeforeDelete; the pod strategy's
CheckGracefulDelete.
"""

from __future__ import annotations

from pyscheduler.sim.json_objects import JsonObject, JsonView, parse_timestamp, timestamp
from pyscheduler.sim.served_kinds import PODS, ServedKind


def marked_for_deletion(
    kind: ServedKind, data: JsonObject, options: JsonView, *, now_s: float
) -> JsonObject | None:
    """The object with its deletion written in, or None where it goes at once.

    Args:
        kind: of the object.
        data: the present object; returned itself where this changes nothing.
        options: the ``DeleteOptions``.
        now_s: wall time.
    """
    metadata = data["metadata"]
    grace_s = _grace_s(kind, data, options)
    held = bool(metadata.get("finalizers"))
    if "deletionTimestamp" in metadata:
        left_s = metadata.get("deletionGracePeriodSeconds", 0)
        if grace_s == 0 and not held:
            return None
        if grace_s >= left_s:
            return data
    elif grace_s == 0 and not held:
        return None
    first_s = now_s
    if "deletionTimestamp" in metadata:
        asked_s = parse_timestamp(metadata["deletionTimestamp"])
        first_s = asked_s - metadata.get("deletionGracePeriodSeconds", 0)
    marked = {
        **metadata,
        "deletionTimestamp": timestamp(first_s + grace_s),
        "deletionGracePeriodSeconds": grace_s,
    }
    if "generation" in metadata and "deletionTimestamp" not in metadata:
        marked["generation"] = metadata["generation"] + 1
    return {**data, "metadata": marked}


def _grace_s(kind: ServedKind, data: JsonView, options: JsonView) -> int:
    if kind is not PODS:
        return 0
    grace_s = options.get("gracePeriodSeconds")
    if grace_s is None:
        grace_s = data["spec"].get("terminationGracePeriodSeconds", 30)
    if not data["spec"].get("nodeName"):
        return 0
    if data.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return max(int(grace_s), 0)


def is_released(data: JsonView) -> bool:
    """Whether nothing keeps a deleted object any more: no finalizer, no grace left."""
    metadata = data["metadata"]
    return (
        "deletionTimestamp" in metadata
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
    )
