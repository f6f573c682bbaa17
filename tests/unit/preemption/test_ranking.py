"""Which node costs the least, and who is spared before whom."""

from __future__ import annotations

import pytest

from pyscheduler.api.core_v1 import Pod
from pyscheduler.preemption import Candidate, Victims, best_candidate, default_score_functions
from pyscheduler.preemption.ranking import importance
from pyscheduler.testing import make_pod

NOW = 1_767_300_000.0  # 2026-01-01T20:40:00Z


def victim(priority: int, started: str | None = "2026-01-01T10:00:00Z") -> Pod:
    built = make_pod(f"p{priority}-{started}").priority(priority)
    return (built if started is None else built.started(started)).obj()


def candidate(name: str, *pods: Pod, violations: int = 0) -> Candidate:
    return Candidate(name, Victims(pods, violations))


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        pytest.param(
            candidate("worse", victim(0), violations=1),
            candidate("better", victim(9), victim(9), violations=0),
            id="fewest broken budgets first of all",
        ),
        pytest.param(
            candidate("worse", victim(5)),
            candidate("better", victim(4), victim(4), victim(4)),
            id="then the lowest highest priority",
        ),
        pytest.param(
            candidate("worse", victim(5), victim(4)),
            candidate("better", victim(5), victim(3)),
            id="then the lowest sum of priorities",
        ),
        pytest.param(
            candidate("worse", victim(-5), victim(-5), victim(-5)),
            candidate("better", victim(-5), victim(-5)),
            id="a negative priority makes no victim a gain",
        ),
        pytest.param(
            candidate("worse", victim(2**31 - 1), victim(-(2**31))),
            candidate("better", victim(2**31 - 1)),
            id="then the fewest victims",
        ),
        pytest.param(
            candidate("worse", victim(5, "2026-01-01T10:00:00Z"), victim(5, None)),
            candidate("better", victim(5, "2026-01-01T10:00:01Z"), victim(5, None)),
            id="then the latest of the earliest starts",
        ),
        pytest.param(
            candidate("worse", victim(5, "2026-01-01T10:00:00Z"), victim(4, None)),
            candidate(
                "better", victim(5, "2026-01-01T12:00:00Z"), victim(4, "2020-01-01T00:00:00Z")
            ),
            id="only the highest priority's starts count",
        ),
        pytest.param(
            candidate("worse", victim(5, "2026-01-01T20:00:00Z")),
            candidate("better", victim(5, None)),
            id="who has not started starts now",
        ),
    ],
)
def test_the_cheaper_node_is_chosen_wherever_it_stands(worse: Candidate, better: Candidate) -> None:
    functions = default_score_functions(NOW)

    assert best_candidate([worse, better], functions) is better
    assert best_candidate([better, worse], functions) is better


def test_the_first_of_equals_is_chosen() -> None:
    equals = [candidate(name, victim(1)) for name in ("n2", "n0", "n1")]

    assert best_candidate(equals, default_score_functions(NOW)).node_name == "n2"


def test_a_later_criterion_only_decides_between_those_that_tie() -> None:
    candidates = [
        candidate("a", victim(3), victim(1)),
        candidate("b", victim(3)),
        candidate("c", victim(2), victim(2), victim(2), victim(2)),
    ]

    assert best_candidate(candidates, default_score_functions(NOW)).node_name == "c"


def test_a_plugin_may_bring_its_own_criteria() -> None:
    candidates = [candidate("a", victim(3)), candidate("b", victim(3), victim(3))]

    assert best_candidate(candidates, [lambda c: len(c.victims.pods)]).node_name == "b"


def test_importance_is_priority_and_then_age() -> None:
    old = victim(1, "2026-01-01T10:00:00Z")
    young = victim(1, "2026-01-01T11:00:00Z")
    unstarted = victim(1, None)
    high = victim(2, None)
    pods = [unstarted, young, old, high]

    assert sorted(pods, key=lambda pod: importance(pod, now=NOW)) == [high, old, young, unstarted]
