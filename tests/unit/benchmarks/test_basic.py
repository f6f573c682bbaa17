from __future__ import annotations

from benchmarks.audit_tail import Pace
from benchmarks.basic import MEMORY, PACE, is_reached, ratios
from benchmarks.contest import Outcome, transport_of
from benchmarks.figures import Spread


def outcome(seconds: float, memory_bytes: int) -> Outcome:
    return Outcome(
        contestant="x",
        pace=Pace(bound=101, events=101, binding_s=seconds, recorded_s=seconds * 2),
        cpu_s=1.0,
        peak_memory_bytes=memory_bytes,
        server_cpu_s=1.0,
        refused=0,
        transport="aiohttp",
    )


def test_ratios_are_ours_over_theirs() -> None:
    found = ratios([outcome(1.0, 50)], [outcome(2.0, 100)])
    assert found[PACE] == Spread(2.0, 2.0, 2.0)
    assert found[MEMORY].median == 0.5


def test_as_fast_with_no_more_memory_is_what_is_wanted() -> None:
    assert is_reached(ratios([outcome(1.0, 100)], [outcome(1.0, 100)]))
    assert not is_reached(ratios([outcome(1.1, 100)], [outcome(1.0, 100)]))
    assert not is_reached(ratios([outcome(1.0, 101)], [outcome(1.0, 100)]))


def test_transport_is_read_from_the_start_of_the_log() -> None:
    log = 'noise\n{"msg":"starting","writes":"lean"}\n{"msg":"in sync"}\n'
    assert transport_of(log) == "lean"


def test_a_log_without_it_names_no_transport() -> None:
    assert transport_of("I1122 some other scheduler\n") == ""
