"""Division and rounding are Go's."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.framework.arithmetic import wrapped_int64


@pytest.mark.parametrize(
    ("dividend", "divisor", "quotient"),
    [
        pytest.param(7, 2, 3, id="both-positive"),
        pytest.param(-7, 2, -3, id="negative-dividend"),
        pytest.param(7, -2, -3, id="negative-divisor"),
        pytest.param(-7, -2, 3, id="both-negative"),
        pytest.param(0, -5, 0, id="zero"),
        pytest.param(-1, 3, 0, id="small-negative-is-zero"),
        pytest.param(-(2**63), 3, -3074457345618258602, id="smallest"),
        pytest.param(2**63 - 1, -2, -(2**62) + 1, id="largest"),
    ],
)
def test_quotients_are_truncated_toward_zero(dividend: int, divisor: int, quotient: int) -> None:
    assert fwk.truncated_quotient(dividend, divisor) == quotient
    assert fwk.truncated_quotient(np.array([dividend]), divisor).tolist() == [quotient]
    assert fwk.truncated_quotient(np.array([dividend]), np.array([divisor])).tolist() == [quotient]


@pytest.mark.parametrize("largest", [2**7, 2**31, 2**53, 2**63 - 1], ids=["7", "31", "53", "63"])
@pytest.mark.parametrize("lowest", [0, -(2**63)], ids=["natural", "any"])
def test_quotients_of_arrays_are_those_of_their_numbers(largest: int, lowest: int) -> None:
    rng = Random(largest)
    divisors = [rng.randrange(1, largest) for _ in range(200)] + [1, 2, 3, largest - 1]
    # next to a multiple is where rounding would show
    dividends = [
        min(rng.randrange(largest // d + 1) * d + rng.choice([-1, 0, 1]), largest - 1)
        for d in divisors
    ]
    dividends = [max(dividend, lowest) for dividend in dividends]
    expected = [fwk.truncated_quotient(a, b) for a, b in zip(dividends, divisors, strict=True)]

    assert fwk.truncated_quotient(np.array(dividends), np.array(divisors)).tolist() == expected
    for divisor in (1, 2, 3, 64, largest - 1):
        by_one = [fwk.truncated_quotient(dividend, divisor) for dividend in dividends]
        assert fwk.truncated_quotient(np.array(dividends), divisor).tolist() == by_one


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, 2**63, -(2**63) - 1, 100 * (2**63 - 1)])
def test_what_does_not_fit_wraps_around(value: int) -> None:
    low = np.array([value & (2**64 - 1)], dtype=np.uint64).astype(np.int64)

    assert wrapped_int64(value) == low.item()


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        *((0.5, 1), (1.5, 2), (2.5, 3), (-0.5, -1), (-2.5, -3), (2.4, 2), (-2.4, -2), (0.0, 0)),
        (0.49999999999999994, 0),
        (2.0**52 + 1, 2**52 + 1),
    ],
    ids=str,
)
def test_halves_are_rounded_away_from_zero(value: float, rounded: int) -> None:
    assert fwk.round_half_away(value) == rounded
    assert fwk.round_half_away(np.array([value])).tolist() == [rounded]


@pytest.mark.parametrize(
    ("scores", "reverse", "expected"),
    [
        pytest.param([0, 5, 15], False, [0, 33, 100], id="highest-becomes-100"),
        pytest.param([0, 5, 15], True, [100, 67, 0], id="reversed"),
        pytest.param([0, 0], False, [0, 0], id="all-zero"),
        pytest.param([0, 0], True, [100, 100], id="all-zero-reversed"),
        pytest.param([], False, [], id="no-nodes"),
        pytest.param([], True, [], id="no-nodes-reversed"),
    ],
)
def test_default_normalisation(scores: list[int], reverse: bool, expected: list[int]) -> None:
    normalized = fwk.default_normalize(np.array(scores, dtype=np.int64), reverse=reverse)

    assert normalized.tolist() == expected
    assert normalized.dtype == np.int64
