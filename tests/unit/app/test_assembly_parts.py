from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.app.plugin_parts import LateActivator, ProfileRecorders
from pyscheduler.testing import FakeActivator, FakeRecorder, make_pod


@pytest.mark.parametrize(
    ("regarding", "related", "expected"),
    [
        pytest.param("two", None, "two", id="one of ours"),
        pytest.param("other", "two", "two", id="a stranger on behalf of ours"),
        pytest.param("other", None, "one", id="a stranger"),
    ],
)
def test_events_are_recorded_in_the_name_of_a_profile_of_ours(
    regarding: str, related: str | None, expected: str
) -> None:
    recorders: Any = {"one": FakeRecorder(), "two": FakeRecorder()}

    ProfileRecorders(recorders).event(
        make_pod("victim").scheduler_name(regarding).obj(),
        "Normal",
        "Preempted",
        "Preempting",
        "Preempted by a pod",
        related=None if related is None else make_pod("p").scheduler_name(related).obj(),
    )

    assert [name for name, recorder in recorders.items() if recorder.events] == [expected]


def test_nothing_is_activated_before_there_is_a_queue() -> None:
    queue: Any = FakeActivator()
    activator = LateActivator()
    early, late = make_pod("early").obj(), make_pod("late").obj()

    activator.activate([early])
    activator.queue = queue
    activator.activate([late])

    assert queue.activated == [late]
