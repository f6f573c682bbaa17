from __future__ import annotations

from benchmarks.audit_tail import Answered
from benchmarks.latency import Wait, wait_of


def bind(name: str, time_s: float) -> Answered:
    return Answered(name, received_s=time_s - 0.01, time_s=time_s, user_agent="")


def test_only_binds_between_seen_and_bound_overtake() -> None:
    binds = [bind("a", 1.0), bind("b", 2.0), bind("urgent", 3.0), bind("c", 4.0)]
    assert wait_of("urgent", binds, seen_s=1.5, created_s=0.5) == Wait(
        overtakers=1, since_creation=2, seconds=1.5
    )


def test_a_watch_that_tells_before_the_creation_is_answered_counts_from_the_watch() -> None:
    binds = [bind("a", 1.0), bind("urgent", 3.0)]
    assert wait_of("urgent", binds, seen_s=0.9, created_s=2.0).since_creation == 1
