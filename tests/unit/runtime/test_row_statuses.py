"""Statuses by row are a mapping, whatever arrays they are in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyscheduler.framework.status import Status, unschedulable
from pyscheduler.runtime.row_statuses import RowStatuses, rows_of

ROWS = 6


@given(
    steps=st.lists(
        st.tuples(st.integers(0, ROWS - 1), st.sampled_from(["", "full", "tainted", "other"]))
    )
)
def test_they_are_what_a_dict_would_be(steps: list[tuple[int, str]]) -> None:
    plain: dict[int, Status] = {}
    statuses = RowStatuses(ROWS)
    for row, reason in steps:
        if reason:
            plain[row] = statuses[row] = unschedulable(reason)
        else:
            assert statuses.pop(row, None) == plain.pop(row, None)

    assert dict(statuses) == plain
    assert len(statuses) == len(plain)
    assert bool(statuses) == bool(plain)
    assert [row in statuses for row in range(-1, ROWS)] == [row in plain for row in range(-1, ROWS)]
    assert rows_of(statuses).tolist() == sorted(rows_of(plain).tolist())


def test_a_copy_may_be_changed() -> None:
    statuses = RowStatuses(ROWS, {1: unschedulable("full"), 2: unschedulable("full")})
    copy = statuses.copy()
    copy[1] = unschedulable("tainted")
    del copy[2]
    statuses[3] = unschedulable("other")

    assert dict(statuses) == {
        1: unschedulable("full"),
        2: unschedulable("full"),
        3: unschedulable("other"),
    }
    assert dict(copy) == {1: unschedulable("tainted")}


def test_statuses_that_no_row_has_any_more_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyscheduler.runtime.row_statuses._MAX_STATUSES", 3)
    statuses = RowStatuses(ROWS, {0: unschedulable("stays")})
    for number in range(10):
        statuses[1] = unschedulable(f"{number} too few")

    assert dict(statuses) == {0: unschedulable("stays"), 1: unschedulable("9 too few")}
    assert len(statuses.distinct) <= 3
