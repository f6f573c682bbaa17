"""Random histories with fixed seeds; ``make histories`` lives thousands of others.

What a history does and checks is told in ``history.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyscheduler.cache import SchedulerCache
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from tests.component.histories import live

COUNT = 200
#: Histories of one test; xdist spreads the tests over the cores.
BATCH = 10


@pytest.mark.timeout(120)
@pytest.mark.parametrize("first", range(1, COUNT + 1, BATCH))
def test_whatever_happens_all_holds(first: int) -> None:
    outcomes = [live(seed) for seed in range(first, first + BATCH)]

    assert [outcome.problem for outcome in outcomes if outcome.problem] == []
    # They are about something.
    assert sum(outcome.bindings for outcome in outcomes) > 2 * BATCH


@pytest.mark.timeout(120)
def test_histories_repeat_byte_for_byte_in_another_process(tmp_path: Path) -> None:
    def log(hash_seed: str) -> bytes:
        path = tmp_path / f"log-{hash_seed}"
        command = [sys.executable, "-m", "tests.component.histories", "--log", str(path)]
        subprocess.run(
            [*command, "--seed", "1000", "--count", "6", "--steps", "20"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        )
        return path.read_bytes()

    first = log("1")
    assert first.count(b"/binding ") > 20
    assert log("2") == first


def _forgets_nothing(_cache: SchedulerCache, _pod: object) -> bool:
    return False


def _hears_nothing(_queue: SchedulingQueue, *_event: object, **_options: object) -> None:
    return None


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("part", "method", "planted", "symptom"),
    [
        pytest.param(SchedulerCache, "forget", _forgets_nothing, "", id="room is never given back"),
        pytest.param(SchedulingQueue, "move", _hears_nothing, "waits and", id="no event is heard"),
        pytest.param(SchedulingQueue, "done", _hears_nothing, "in_flight", id="attempts never end"),
    ],
)
def test_a_planted_fault_is_found(
    part: type,
    method: str,
    planted: Callable[..., object],
    symptom: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(part, method, planted)

    problems = (live(seed).problem for seed in range(1, 40))
    found = next((problem for problem in problems if problem), "")
    assert "again with: make histories SEED=" in found
    assert symptom in found
