"""What a PodGroup's status says of its members: counts, a phase, and whether the group can work.

    Pending ---> Scheduling ---> Scheduled ---> Running ---> Finished
    too few      not enough      enough have    enough       enough have
    members      have a node     a node         run          succeeded       Failed: too many have

Pure: objects in, a status out. Called by: ``pod_groups``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: the label by which a pod belongs to the PodGroup of that name in its namespace
POD_GROUP_LABEL = "scheduling.x-k8s.io/pod-group"

PENDING = "Pending"
SCHEDULING = "Scheduling"
SCHEDULED = "Scheduled"
RUNNING = "Running"
FINISHED = "Finished"
FAILED = "Failed"

VALID = "Valid"


@dataclass(frozen=True, slots=True)
class Member:
    """What counts of a pod."""

    phase: str
    is_assigned: bool
    scheduler_name: str
    priority: int

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> Member:
        """The pod, as JSON gives it."""
        spec, status = pod.get("spec", {}), pod.get("status", {})
        return cls(
            phase=status.get("phase", ""),
            is_assigned=bool(spec.get("nodeName")),
            scheduler_name=spec.get("schedulerName", ""),
            priority=spec.get("priority") or 0,
        )


def problems(members: Sequence[Member]) -> list[str]:
    """Why the members cannot be one gang; no schema can say that, they are objects of their own."""
    found = []
    for what, values in (
        ("schedulerName", {member.scheduler_name for member in members}),
        ("priority", {member.priority for member in members}),
    ):
        if len(values) > 1:
            listed = ", ".join(map(str, sorted(values, key=str)))
            found.append(f"members differ in {what}: {listed}")
    return found


def status_of(group: Mapping[str, Any], members: Sequence[Member], *, now: str) -> dict[str, Any]:
    """The status the group should have.

    Args:
        group: the PodGroup; times in its present status are kept while what they tell still holds.
        members: its pods.
        now: for times that begin now, RFC 3339.
    """
    needed = int(group.get("spec", {}).get("minMember", 1))
    before = group.get("status", {})
    phases = [member.phase for member in members]
    counts = {
        "members": len(members),
        # one that failed does not stand for the one that may replace it
        "scheduled": sum(m.is_assigned and m.phase != "Failed" for m in members),
        "running": phases.count("Running"),
        "succeeded": phases.count("Succeeded"),
        "failed": phases.count("Failed"),
    }
    phase = _phase(needed, counts)
    status: dict[str, Any] = {**counts, "phase": phase}
    started = before.get("scheduleStartTime")
    if started or phase != PENDING:
        status["scheduleStartTime"] = started or now
    generation = group.get("metadata", {}).get("generation", 0)
    status["conditions"] = [_valid(problems(members), before, now=now, generation=generation)]
    return status


def _phase(needed: int, counts: Mapping[str, int]) -> str:
    if counts["succeeded"] >= needed:
        return FINISHED
    if counts["failed"] and counts["members"] - counts["failed"] < needed:
        return FAILED
    if counts["members"] < needed:
        return PENDING
    if counts["running"] + counts["succeeded"] >= needed:
        return RUNNING
    return SCHEDULED if counts["scheduled"] >= needed else SCHEDULING


def _valid(
    found: Sequence[str], before: Mapping[str, Any], *, now: str, generation: int
) -> dict[str, Any]:
    state = "False" if found else "True"
    earlier: Mapping[str, Any] = next(
        (c for c in before.get("conditions", ()) if c.get("type") == VALID), {}
    )
    kept = earlier.get("lastTransitionTime") if earlier.get("status") == state else None
    return {
        "type": VALID,
        "status": state,
        "reason": "MembersDiffer" if found else "MembersAgree",
        "message": "; ".join(found),
        "observedGeneration": generation,
        "lastTransitionTime": kept or now,
    }
