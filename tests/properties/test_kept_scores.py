"""Scores that are kept in as few bytes as will do are the scores that were given."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pyscheduler.runtime.class_cache import ScoreAnswer

_CAPACITY = 8
_SCORES = st.one_of(
    st.integers(-3, 103), st.sampled_from([-129, -128, 127, 128, -(2**63), 2**63 - 1])
)


@given(
    st.lists(st.lists(_SCORES, min_size=_CAPACITY, max_size=_CAPACITY), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, _CAPACITY - 1), _SCORES), max_size=10),
)
def test_kept_scores_are_those_that_were_given(
    everywhere: list[list[int]], single: list[tuple[int, int]]
) -> None:
    answer = ScoreAnswer(_CAPACITY)
    for scores in everywhere:
        answer.put_all(np.array(scores, dtype=np.int64))
        plain = list(scores)
        for row, score in single:
            answer.put(row, score)
            plain[row] = score
        assert answer.raw.tolist() == answer.final.tolist() == plain
