from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.controllers.pod_group_status import Member, status_of

NOW, EARLIER = "2026-01-01T00:01:00Z", "2026-01-01T00:00:00Z"


def group(min_member: int = 2, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "gang", "generation": 3},
        "spec": {"minMember": min_member},
        "status": status,
    }


def members(*phases: str, priority: int = 0, scheduler: str = "pyscheduler") -> list[Member]:
    return [
        Member(phase or "Pending", bool(phase), scheduler_name=scheduler, priority=priority)
        for phase in phases
    ]


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        pytest.param((), "Pending", id="nobody"),
        pytest.param(("",), "Pending", id="too few"),
        pytest.param(("", ""), "Scheduling", id="enough, without nodes"),
        pytest.param(("Pending", ""), "Scheduling", id="one has a node"),
        pytest.param(("Pending", "Pending"), "Scheduled", id="enough have nodes"),
        pytest.param(("Running", "Pending"), "Scheduled", id="one runs"),
        pytest.param(("Running", "Running"), "Running", id="enough run"),
        pytest.param(("Running", "Succeeded"), "Running", id="one is done"),
        pytest.param(("Succeeded", "Succeeded"), "Finished", id="enough are done"),
        pytest.param(("Failed", "Running"), "Failed", id="one failed, the rest is too few"),
        pytest.param(("Failed", "Running", "Running"), "Running", id="one failed, enough run"),
        pytest.param(("Failed", "Failed", "", ""), "Scheduling", id="failed ones were replaced"),
    ],
)
def test_the_phase_follows_the_members(phases: tuple[str, ...], expected: str) -> None:
    assert status_of(group(), members(*phases), now=NOW)["phase"] == expected


def test_counts() -> None:
    status = status_of(group(), members("", "Pending", "Running", "Succeeded", "Failed"), now=NOW)

    counted = ("members", "scheduled", "running", "succeeded", "failed")
    assert [status[name] for name in counted] == [5, 3, 1, 1, 1]


def test_members_that_differ_make_the_group_invalid() -> None:
    mixed = [*members("", priority=1), *members("", priority=5, scheduler="other")]

    (condition,) = status_of(group(), mixed, now=NOW)["conditions"]

    assert condition == {
        "type": "Valid",
        "status": "False",
        "reason": "MembersDiffer",
        "message": "members differ in schedulerName: other, pyscheduler;"
        " members differ in priority: 1, 5",
        "observedGeneration": 3,
        "lastTransitionTime": NOW,
    }


def test_times_are_kept_while_they_hold() -> None:
    first = status_of(group(), members("", ""), now=EARLIER)

    second = status_of(group(**first), members("Pending", ""), now=NOW)
    third = status_of(group(**second), members("", "") + members("", priority=9), now=NOW)

    assert (first["scheduleStartTime"], second["scheduleStartTime"]) == (EARLIER, EARLIER)
    assert second["conditions"] == first["conditions"]
    assert third["conditions"][0]["lastTransitionTime"] == NOW


def test_an_unchanged_group_gets_the_same_status() -> None:
    first = status_of(group(), members("Running", "Running"), now=EARLIER)

    assert status_of(group(**first), members("Running", "Running"), now=NOW) == first
