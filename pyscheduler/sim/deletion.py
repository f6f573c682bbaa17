"""DELETE: at once, after a grace period, or once the last finalizer is gone.

A pod is first marked with a deletionTimestamp; one on a node stays so until its kubelet deletes
it again with grace 0. Everything else goes at once unless a finalizer holds it.

Source: k8s.io/apiserver 1.37 pkg/registry/rest BeforeDelete; the pod strategy's
CheckGracefulDelete.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyscheduler.sim.json_objects import JsonObject, JsonView, parse_timestamp, timestamp
from pyscheduler.sim.served_kinds import PODS, ServedKind


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a DELETE does to an object: perhaps a mark, perhaps the end."""

    #: The object with its deletion written in, or None where nothing is to be written.
    marked: JsonObject | None
    #: Whether the object goes now, after the mark.
    ends: bool


def plan_deletion(
    kind: ServedKind, data: JsonObject, options: JsonView, *, now_s: float
) -> Deletion:
    """What the DELETE does to an object of a kind, at a wall time."""
    metadata = data["metadata"]
    held = bool(metadata.get("finalizers"))
    is_marked = "deletionTimestamp" in metadata
    if kind is not PODS:
        return Deletion(_mark(data, 0, since_s=now_s) if held and not is_marked else None, not held)
    grace_s = options.get("gracePeriodSeconds")
    if not is_marked:
        grace_s = _grace_s(data, grace_s)
        return Deletion(_mark(data, grace_s, since_s=now_s), grace_s == 0 and not held)
    left_s = metadata.get("deletionGracePeriodSeconds", 0)
    if left_s == 0:
        return Deletion(None, not held)
    if grace_s is None or grace_s >= left_s:
        return Deletion(None, ends=False)
    since_s = parse_timestamp(metadata["deletionTimestamp"]) - left_s
    if since_s + grace_s < now_s:
        # The whole grace period has passed already; only the kubelet's own zero ends it.
        since_s, grace_s = now_s, min(grace_s, 1)
    return Deletion(_mark(data, grace_s, since_s=since_s), grace_s == 0 and not held)


def _mark(data: JsonObject, grace_s: int, *, since_s: float) -> JsonObject:
    metadata = data["metadata"]
    marked = {
        **metadata,
        "deletionTimestamp": timestamp(since_s + grace_s),
        "deletionGracePeriodSeconds": grace_s,
    }
    if "generation" in metadata and "deletionTimestamp" not in metadata:
        marked["generation"] = metadata["generation"] + 1
    return {**data, "metadata": marked}


def _grace_s(pod: JsonView, asked_s: int | None) -> int:
    """The grace period of a pod deleted for the first time; one that does not run needs none."""
    spec = pod["spec"]
    if not spec.get("nodeName") or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    grace_s = spec.get("terminationGracePeriodSeconds", 30) if asked_s is None else asked_s
    return int(grace_s) if grace_s >= 0 else 1


def is_released(data: JsonView) -> bool:
    """Whether nothing keeps a deleted object any more: no finalizer, no grace left."""
    metadata = data["metadata"]
    return (
        "deletionTimestamp" in metadata
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
    )
