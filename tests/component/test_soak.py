"""An hour of a small cluster under churn; ``make soak`` is a day of a large one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from benchmarks.census import census
from benchmarks.soak import soak
from benchmarks.soak_outcome import Outcome, Plan, Reading
from pyscheduler.cache.column_store import ColumnStore
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.queueing.scheduling_queue import SchedulingQueue

HOUR = Plan.scaled(hours=1, scale=0.05)
#: Enough for a leak to show.
MINUTES = Plan(hours=0.3, nodes=20, pods=200, templates=80, namespaces=20)


@pytest.mark.timeout(180)
async def test_an_hour_leaves_nothing_behind() -> None:
    outcome = await soak(HOUR)

    assert outcome.problems == []
    assert outcome.bound > 150
    assert outcome.unschedulable > 10


def _keeps_key(queue: SchedulingQueue, key: str, uid: str) -> None:
    queue._uids.setdefault(f"{key}/{uid}", uid)


def _keeps_columns(store: ColumnStore) -> None:
    return None


def _keeps_images(store: ColumnStore, node: str, images: tuple[tuple[str, int], ...]) -> None:
    for name, _ in images:
        store._images.setdefault(name, set()).add(node)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("part", "method", "planted", "named"),
    [
        pytest.param(
            SchedulingQueue, "_forget_key", _keeps_key, "SchedulingQueue._uids", id="pods that left"
        ),
        pytest.param(
            ColumnStore,
            "_forget_old_values",
            _keeps_columns,
            "ColumnStore._allocatable",
            id="resources of nodes that left",
        ),
        pytest.param(
            ColumnStore,
            "_write_images",
            _keeps_images,
            "ColumnStore._images",
            id="images of nodes that left",
        ),
    ],
)
async def test_a_planted_leak_is_found(
    part: type,
    method: str,
    planted: Callable[..., None],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(part, method, planted)

    outcome = await soak(MINUTES)

    assert any(problem.startswith(named) for problem in outcome.problems), outcome.problems


def test_a_process_that_grows_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:

    empty = census([])
    readings = [Reading(hour, 100 + hour, empty, 0, 0) for hour in range(1, 25)]
    outcome = Outcome(Plan(), 0, 0, 0, 0, empty, empty, tuple(readings), 0.0)

    assert outcome.problems == ["the process has grown to 1.192 of what it was"]


def test_a_census_counts_what_hangs_on_attributes_slots_and_closures() -> None:
    nominator = Nominator()
    nominator._by_node["n"] = {}
    nominator._by_priority[1] = {"a": None, "b": None}
    held = deque([nominator])

    def look() -> int:
        return len(held)

    counts = census([look])
    assert counts["function.cell"] == 1
    assert counts["Nominator._by_node"] == 1
    assert counts["Nominator._by_priority[]"] == 2
