"""What a profile tells the queue: who gates, who wants to hear of what."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cluster_events import EVERYTHING
from pyscheduler.testing import fake_handle, make_node, make_pod, snapshot_of
from pyscheduler.testing.profiles import default_profile

FOOS = fwk.ClusterEvent("foos.v1.example.com", fwk.ActionType.ADD)
POD = make_pod("a").gate("g").obj()
ASKED: list[str] = []


class Late(fwk.PreEnqueuePlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """Gates everything; asked behind the in-tree gates."""

    def pre_enqueue(self, pod: Pod) -> fwk.Status | None:
        ASKED.append(self.name)
        return fwk.unschedulable("late")

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        return [fwk.ClusterEventWithHint(FOOS, pre_hint=lambda old, new: ["ns/a"])]


class Mute(fwk.PreEnqueuePlugin, fwk.Plugin[fwk.NoArgs]):
    """Gates nothing, and does not say what it wants to hear."""

    def pre_enqueue(self, pod: Pod) -> fwk.Status | None:
        ASKED.append(self.name)
        return None


class Ranks(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    """Rejects nobody."""

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 0


HANDLE = fake_handle(snapshot_of([make_node("n1").obj()]))
PROFILE = default_profile(HANDLE, Late, Mute, Ranks)


@pytest.mark.parametrize(
    ("first", "objects", "asked"),
    [
        pytest.param("", "SchedulingGates", [], id="in profile order"),
        pytest.param("Late", "Late", ["Late"], id="who gated it last time"),
        pytest.param("Mute", "SchedulingGates", ["Mute"], id="and then in profile order"),
        pytest.param("Unknown", "SchedulingGates", [], id="a plugin that is not there"),
    ],
)
def test_the_gate_that_was_shut_is_asked_first(first: str, objects: str, asked: list[str]) -> None:
    ASKED.clear()
    status = PROFILE.run_pre_enqueue(POD, first)
    assert status is not None
    assert status.plugin == objects
    assert asked == ASKED


def heard_by(plugin: str) -> set[str]:
    return {known.event.label for known in PROFILE.hint_registrations() if known.plugin == plugin}


def test_each_plugin_hears_of_what_it_asked_for() -> None:
    assert heard_by("Late") == {FOOS.label}


def test_who_does_not_ask_hears_of_everything_known_and_of_no_custom_resource() -> None:
    assert heard_by("Mute") == {known.event.label for known in EVERYTHING}


@pytest.mark.parametrize("plugin", ["Ranks", "ImageLocality", "PrioritySort", "DefaultBinder"])
def test_who_rejects_nobody_hears_of_nothing(plugin: str) -> None:
    assert heard_by(plugin) == set()


def test_pre_hints_come_along() -> None:
    (late,) = (known for known in PROFILE.hint_registrations() if known.plugin == "Late")
    assert late.pre_hint is not None
    assert late.pre_hint(None, None) == {"ns/a"}
