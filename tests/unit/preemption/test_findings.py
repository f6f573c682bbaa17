"""What dry runs found is kept by row, and how far a search goes is seen from it alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyscheduler.framework.status import Code, Status, unschedulable
from pyscheduler.preemption import Candidate, Victims, best_candidate, default_score_functions
from pyscheduler.preemption.dry_run import CHUNK, _end_of_search
from pyscheduler.preemption.findings import CLEAN, UNKNOWN, VIOLATING, Findings
from pyscheduler.testing import make_pod

NO_ROOM, TOO_FEW = unschedulable("no room"), unschedulable("too few")
HELPLESS = VIOLATING + 1


def candidate(name: str, *priorities: int, violations: int = 0) -> Candidate:
    pods = tuple(make_pod(f"{name}-{p}").priority(p).obj() for p in priorities)
    return Candidate(name, Victims(pods, violations))


def rows(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.array(numbers, dtype=np.intp)


def chunk_by_chunk(kinds: list[int], wanted: int) -> int:
    """The rule in its plain form: after each chunk it is asked whether there are enough."""
    for end in range(CHUNK, len(kinds), CHUNK):
        tried = kinds[:end]
        clean = sum(kind in (UNKNOWN, CLEAN) for kind in tried)
        if clean and clean + tried.count(VIOLATING) >= wanted:
            return end
    return len(kinds)


@given(
    runs=st.lists(
        st.tuples(
            st.sampled_from([UNKNOWN, CLEAN, VIOLATING, HELPLESS, HELPLESS]), st.integers(1, 80)
        ),
        min_size=1,
        max_size=6,
    ),
    wanted=st.integers(0, 200),
)
def test_a_search_ends_where_chunk_by_chunk_it_would(
    runs: list[tuple[int, int]], wanted: int
) -> None:
    kinds = [kind for kind, length in runs for _ in range(length)]

    end = _end_of_search(np.array(kinds, dtype=np.int32), wanted)

    assert end == chunk_by_chunk(kinds, wanted)


@pytest.fixture
def findings() -> Findings:
    """Of five rows the last is unknown."""
    findings = Findings(5)
    findings.put(0, candidate("n0", 1, violations=1))
    findings.put(1, NO_ROOM)
    findings.put(2, candidate("n2", 2))
    findings.put(3, TOO_FEW)
    return findings


def test_candidates_that_break_no_budget_come_first(findings: Findings) -> None:
    found = findings.candidates(rows(3, 0, 1, 2))

    assert [one.node_name for one in found] == ["n2", "n0"]


def test_reasons_are_counted_in_the_order_of_the_search(findings: Findings) -> None:
    findings.put(4, unschedulable("no room"))

    assert findings.reasons(rows(0, 3, 4, 1)) == [(TOO_FEW, 1), (NO_ROOM, 2)]
    assert findings.statuses(rows(0, 1)) == {1: NO_ROOM}


def test_a_row_that_changed_is_unknown(findings: Findings) -> None:
    findings.forget([2, 3, 9], n=5)

    assert np.flatnonzero(findings.kinds == UNKNOWN).tolist() == [2, 3, 4]
    assert [one.node_name for one in findings.candidates(rows(0, 2))] == ["n0"]


@pytest.mark.parametrize("n", [pytest.param(2, id="fewer"), pytest.param(8, id="more")])
def test_what_is_known_of_other_rows_stays_when_their_number_changes(
    findings: Findings, n: int
) -> None:
    findings.forget([4], n=n)

    assert len(findings.kinds) == n
    assert findings.kinds[:2].all()
    assert not findings.kinds[5:].any()


def test_everything_may_be_forgotten(findings: Findings) -> None:
    findings.forget(None, n=3)

    assert findings.kinds.tolist() == [UNKNOWN] * 3


def test_what_failed_is_tried_again(findings: Findings) -> None:
    findings.put(4, Status(Code.ERROR, ("broke down",)))
    findings.forget_failed()

    assert np.flatnonzero(findings.kinds == UNKNOWN).tolist() == [4]


def test_only_the_first_candidate_of_each_cost_is_compared() -> None:
    findings = Findings(4)
    dear, cheap, as_cheap = candidate("a", 5), candidate("b", 1), candidate("c", 1)
    for row, found in enumerate((dear, cheap, as_cheap, candidate("d", 0, violations=1))):
        findings.put(row, found)

    left = findings.one_of_each_cost(rows(3, 2, 0, 1))

    assert [one.node_name for one in left] == ["c", "a", "d"]
    functions, all_of_them = default_score_functions(0.0), findings.candidates(rows(3, 2, 0, 1))
    assert best_candidate(left, functions) is best_candidate(all_of_them, functions)


def test_costs_are_told_apart_however_many_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyscheduler.preemption.findings._MAX_NUMBERS", 2)
    findings = Findings(2)
    for priority in range(5):
        findings.forget([0], n=2)
        findings.put(0, candidate("a", priority))
        findings.put(1, candidate("b", priority + 1))

        assert len(findings.one_of_each_cost(rows(0, 1))) == 2
