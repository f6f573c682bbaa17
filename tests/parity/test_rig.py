"""The rig's own parts that need no control plane: drawing, comparing, shrinking, reading logs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.parity import worlds
from tests.parity.campaign import Tally
from tests.parity.compare import Difference, deciders, differences
from tests.parity.explained import explanation_of
from tests.parity.live import Notes
from tests.parity.oracle import KubeScheduler
from tests.parity.shrink import shrink
from tests.parity.themes import ALL_THEMES, themes_named
from tests.parity.themes.base import draw_world
from tests.parity.verdicts import Verdict
from tests.parity.worlds import Case, Incoming, Manifest, World

BOUND = Verdict(
    node="a",
    scores={"a": {"P": 10, "Q": 5}, "b": {"P": 4, "Q": 11}},
    totals={"a": 15, "b": 15},
)


def test_a_seed_gives_the_same_world_again_and_another_seed_another() -> None:
    first = worlds.to_data(draw_world(3, 1, ALL_THEMES))

    assert first == worlds.to_data(draw_world(3, 1, ALL_THEMES))
    assert first != worlds.to_data(draw_world(4, 1, ALL_THEMES))


def test_a_world_survives_being_written_and_read() -> None:
    data = worlds.to_data(draw_world(3, 2, themes_named(["events", "VolumeBinding"], [])))

    assert worlds.to_data(worlds.from_data(data)) == data


def test_uids_are_filled_in_where_they_are_known() -> None:
    manifest = {"a": ["$uid(Pod/x/p)", "$uid(Pod/x/q)", "p"]}

    assert worlds.with_uids(manifest, {"Pod/x/p": "1"}) == {"a": ["1", "$uid(Pod/x/q)", "p"]}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({"node": "b"}, [], id="another-of-the-best"),
        pytest.param({"node": ""}, ["node"], id="no-node"),
        pytest.param(
            {"scores": {"a": {"P": 9, "Q": 6}, "b": {"P": 4, "Q": 11}}},
            ["score of P on a", "score of Q on a"],
            id="scores-that-add-up-to-the-same",
        ),
        pytest.param(
            {"totals": {"a": 15}, "scores": {"a": {"P": 10, "Q": 5}}},
            ["feasible nodes"],
            id="a-node-less",
        ),
        pytest.param({"message": "x"}, ["message"], id="words"),
        pytest.param({"woken": "NodeAdd"}, ["woken"], id="wakes"),
        pytest.param({"choices": {"PersistentVolume/v": "c"}}, ["choices"], id="claims"),
    ],
)
def test_differences(changes: dict[str, Any], found: list[str]) -> None:
    assert [one.what for one in differences(BOUND, replace(BOUND, **changes))] == found


def test_a_choice_that_is_not_the_best_is_a_difference() -> None:
    theirs = replace(BOUND, totals={"a": 16, "b": 15}, scores={})

    assert [one.what for one in differences(theirs, replace(theirs, node="b"))] == ["node"]


def test_a_plugin_decided_if_it_rejected_or_moved_the_choice() -> None:
    verdict = replace(BOUND, totals={"a": 16, "b": 15}, rejected={"c": "R"})

    # without P b would be best; without Q a still is
    assert deciders(verdict) == {"P", "R"}


async def test_shrinking_keeps_what_the_difference_needs_and_drops_the_rest() -> None:
    (case, *_) = draw_world(3, 1, ALL_THEMES).cases()
    (needed, *_) = [one for one in case.world.objects if one["kind"] == "Node"]
    name = needed["metadata"]["name"]

    async def still_differs(attempt: Case) -> bool:
        pod = attempt.incoming.pod
        names = [one["metadata"]["name"] for one in attempt.world.objects]
        return (
            name in names
            and "containers" in pod["spec"]
            and "app" in pod["metadata"].get("labels", {})
        )

    small = await shrink(case, still_differs)

    assert [one["metadata"]["name"] for one in small.world.objects] == [name]
    assert small.incoming.pod["metadata"]["labels"].keys() == {"app"}
    assert small.incoming.pod["spec"].keys() == {"containers"}


async def test_shrinking_drops_companions_and_the_event_where_they_do_not_matter() -> None:
    themes = themes_named(["storage events"], [])
    cases = [case for index in range(3) for case in draw_world(3, index, themes).cases()]
    case = next(case for case in cases if case.incoming.companions and case.incoming.event)

    async def differs_with_a_claim(attempt: Case) -> bool:
        return any("accessModes" in one["spec"] for one in attempt.incoming.companions)

    small = await shrink(case, differs_with_a_claim)

    (claim,) = small.incoming.companions
    assert claim["spec"].keys() == {"accessModes"}
    assert small.incoming.event is None


def test_a_campaign_says_which_plugin_decided_too_seldom() -> None:
    tally = Tally(1, cases=5000)
    tally.decided.update(NodePorts=100, ImageLocality=99)

    lines = {line.partition(" ")[0]: line for line in tally.table().splitlines()}

    assert "too few" not in lines["NodePorts"]
    assert lines["ImageLocality"].endswith("99 (too few)")
    assert lines["VolumeZone"].endswith("0 (too few)")


def test_the_oracles_log_is_understood() -> None:
    notes: dict[str, Notes] = {}
    lines = """\
I1122 17:31:59.6 1 schedule_one.go:117] "Attempting to schedule pod" pod="x/p"
I1122 17:31:59.6 1 schedule_one.go:984] "Plugin scored node for pod" pod="x/p" plugin="P" node="a" score=300
I1122 17:31:59.6 1 schedule_one.go:1052] "Calculated node's final score for pod" pod="x/p" node="a" score=473
I1122 17:31:59.7 1 scheduling_queue.go:1137] "Pod moved to an internal scheduling queue" pod="x/q" queue="U" hint=0 unschedulable plugins={"B":{},"A":{}}
I1122 17:31:59.7 1 scheduling_queue.go:787] "Status after running PreEnqueue plugin" pod="x/g" plugin="SchedulingGates" status="waiting for scheduling gates: [a/b]"
I1122 17:31:59.8 1 backoff_queue.go:324] "Entity moved to an internal scheduling queue" type="pod" entity="x/q" event="NodeAdd" queue="Backoff"
"""  # noqa: E501  # as the program writes them
    judge = KubeScheduler.__new__(KubeScheduler)
    for line in lines.splitlines():
        judge.note(line, lambda key: notes.setdefault(key, Notes()))

    assert (notes["x/p"].scores, notes["x/p"].totals) == ({"a": {"P": 300}}, {"a": 473})
    assert (notes["x/q"].plugins, notes["x/q"].woken_by) == (("A", "B"), ["NodeAdd"])
    assert notes["x/g"].gate_message == "waiting for scheduling gates: [a/b]"


@pytest.mark.parametrize(
    ("theirs", "ours", "is_explained"),
    [
        pytest.param("{}: no model on {}-n0", "{}: no model on {}-n1", True, id="another-node"),
        pytest.param("{}: no model on {}-n0", "{}: no speed on {}-n0", False, id="another-error"),
    ],
)
def test_an_error_is_explained_only_as_the_same_one_for_another_node(
    theirs: str, ours: str, is_explained: bool
) -> None:
    (case, *_) = draw_world(3, 1, ALL_THEMES).cases()
    prefix, name = 'running "P" filter plugin', case.world.name
    found = Difference("message", theirs.format(prefix, name), ours.format(prefix, name))

    assert (explanation_of(case, found) is not None) is is_explained


def _resident(name: str, *, priority: str, start: str = "") -> Manifest:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "alpha"},
        "spec": {"nodeName": "n", "priorityClassName": priority, "containers": []},
        "status": {"startTime": start} if start else {},
    }


@pytest.mark.parametrize(
    ("theirs", "ours", "is_explained"),
    [
        pytest.param(("new-1",), ("new-2",), True, id="neither-has-started"),
        pytest.param(("new-1", "low-1"), ("new-2",), True, id="and-what-follows-from-it"),
        pytest.param(("old-1",), ("old-2",), False, id="few-that-started-together"),
        pytest.param(("new-1",), ("old-1",), False, id="one-has-started"),
        pytest.param(("new-1",), ("low-1",), False, id="another-priority"),
        pytest.param(("new-1", "new-2"), ("new-1",), False, id="one-more"),
    ],
)
def test_victims_are_explained_only_where_equals_come_first(
    theirs: tuple[str, ...], ours: tuple[str, ...], is_explained: bool
) -> None:
    start = "2026-01-01T00:00:00Z"
    residents = [
        *(_resident(f"new-{number}", priority="middle") for number in (1, 2)),
        *(_resident(f"old-{number}", priority="middle", start=start) for number in (1, 2)),
        _resident("low-1", priority="low", start=start),
    ]
    incoming = Incoming(_resident("p", priority="high"))
    case = Case("c", World("w", residents, (incoming,)), incoming)
    found = Difference(
        "victims",
        tuple(f"alpha/{name}" for name in theirs),
        tuple(f"alpha/{name}" for name in ours),
    )

    assert (explanation_of(case, found) is not None) is is_explained
