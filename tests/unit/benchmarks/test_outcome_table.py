from __future__ import annotations

from benchmarks.outcome_table import outcome_table
from benchmarks.places.contestants import OURS, RAW_WITH_EVENTS, THEIRS
from tests.unit.benchmarks.outcomes import outcome


def test_the_table_compares_with_kube_scheduler_and_the_raw_limit() -> None:
    text = outcome_table(
        {
            OURS: [outcome(seconds=1.0)],
            THEIRS: [outcome(THEIRS, seconds=2.0)],
            RAW_WITH_EVENTS: [outcome(RAW_WITH_EVENTS, seconds=0.8)],
        }
    )
    assert "pyscheduler / kube-scheduler: pods/s 2.00" in text
    assert "share of the raw limit (binds with an event each): 0.80" in text


def test_alone_nothing_is_compared() -> None:
    text = outcome_table({OURS: [outcome(algorithm_p99_s=0.002)]})
    assert "kube-scheduler" not in text
    assert "scheduling algorithm p99 <= 2 ms" in text
