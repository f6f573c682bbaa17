"""The best rows that are kept equal those that a look at all totals finds."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pyscheduler.runtime.ranking import NO_TOTAL, Ranking

_CAPACITY = 12
_TOTALS = st.lists(st.integers(NO_TOTAL, 3), min_size=1, max_size=_CAPACITY)
_ROW, _TOTAL = st.integers(0, _CAPACITY - 1), st.integers(NO_TOTAL, 4)
_STEPS = st.lists(
    st.one_of(
        _TOTALS,
        st.tuples(_ROW, _TOTAL),
        st.dictionaries(_ROW, _TOTAL, min_size=1),
        st.frozensets(_ROW),
    ),
    max_size=40,
)


@given(_TOTALS, _STEPS, st.sampled_from((np.int16, np.int64)))
def test_kept_best_rows_equal_those_that_are_searched_for(
    first: list[int],
    steps: list[list[int] | tuple[int, int] | dict[int, int] | frozenset[int]],
    dtype: type[np.signedinteger[Any]],
) -> None:
    ranking, plain = Ranking(_CAPACITY), np.full(_CAPACITY, NO_TOTAL)
    for step in (first, *steps):
        if isinstance(step, tuple):
            row, total = step
            ranking.put(row, total)
            plain[row] = total
        elif isinstance(step, dict):
            rows, totals = np.array(list(step)), np.array(list(step.values()), dtype=dtype)
            ranking.put_some(rows, totals)
            ranking.add(rows[1:], totals[1:].astype(np.int64))
            plain[rows] = totals
            plain[rows[1:]] += totals[1:]
        elif isinstance(step, frozenset):
            ranking.take_out(np.isin(np.arange(_CAPACITY), list(step)))
            plain[list(step)] = NO_TOTAL
        else:
            ranking.put_all(np.array(step, dtype=dtype))
            plain[: len(step)], plain[len(step) :] = step, NO_TOTAL
        assert ranking.totals.tolist() == plain.tolist()
        assert list(ranking.best()) == np.flatnonzero(plain == plain.max()).tolist()
