"""Scores in and out of 0..100, of a few rows and of many, whatever integers they are."""

from __future__ import annotations

import numpy as np
import pytest

from pyscheduler.framework.status import Int64Array
from pyscheduler.runtime.adapters import are_in_range

_INT64 = np.iinfo(np.int64)


def _plainly(scores: Int64Array) -> bool:
    return all(0 <= score <= 100 for score in scores.tolist())


@pytest.mark.parametrize("rows", [1, 6, 7, 100])
@pytest.mark.parametrize("odd", [0, 100, -1, 101, _INT64.min, _INT64.max])
def test_one_score_decides_wherever_it_is(rows: int, odd: int) -> None:
    for row in (0, rows - 1):
        scores = np.full(rows, 50, dtype=np.int64)
        scores[row] = odd

        assert are_in_range(scores) == _plainly(scores) == (odd in (0, 100))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.uint64])
@pytest.mark.parametrize("odd", [100, 101, -1])
def test_any_integers_will_do(dtype: type[np.integer], odd: int) -> None:
    scores = np.array([odd, *range(10)]).astype(dtype)

    assert are_in_range(scores[::-1]) == (odd == 100)
