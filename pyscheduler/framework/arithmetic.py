"""Go's integer arithmetic, for scores that must equal kube-scheduler's.

Go's ``/`` truncates toward zero and ``math.Round`` rounds half away from zero; Python's ``//``
floors and ``round`` goes to even. Scoring code divides and rounds here and nowhere else.
"""

from __future__ import annotations

import math
from typing import Final, overload

import numpy as np
import numpy.typing as npt

from pyscheduler.framework.status import Int64Array

Float64Array = npt.NDArray[np.float64]

_ALMOST_HALF: Final = math.nextafter(0.5, 0.0)
_INT64_BIT: Final = 1 << 63


def wrapped_int64(value: int) -> int:
    """What is left of ``value`` in an int64, as Go's arithmetic and numpy's leave it."""
    if -_INT64_BIT <= value < _INT64_BIT:
        return value
    return (value + _INT64_BIT) % (2 * _INT64_BIT) - _INT64_BIT


@overload
def truncated_quotient(dividend: int, divisor: int) -> int: ...
@overload
def truncated_quotient(dividend: Int64Array, divisor: Int64Array | int) -> Int64Array: ...


def truncated_quotient(dividend: Int64Array | int, divisor: Int64Array | int) -> Int64Array | int:
    """``dividend / divisor`` as Go divides int64: toward zero.

    Raises:
        ZeroDivisionError: a scalar divisor is 0; arrays must be masked by the caller.
    """
    if isinstance(dividend, int) and isinstance(divisor, int):
        if dividend >= 0 < divisor:
            return dividend // divisor
        quotient = abs(dividend) // abs(divisor)
        return quotient if (dividend < 0) == (divisor < 0) else -quotient
    lowest = divisor if isinstance(divisor, int) else divisor.min(initial=0)
    is_natural = lowest >= 0 and np.asarray(dividend).min(initial=0) >= 0
    if is_natural and isinstance(divisor, int) and divisor.bit_count() == 1:
        # which takes numpy a fourth of the time
        return np.right_shift(dividend, divisor.bit_length() - 1)
    quotients = np.floor_divide(dividend, divisor)
    if not is_natural:
        negative = np.less(dividend, 0) != np.less(divisor, 0)
        quotients += negative & (quotients * divisor != dividend)
    return quotients


@overload
def round_half_away(value: float) -> int: ...
@overload
def round_half_away(value: Float64Array) -> Int64Array: ...


def round_half_away(value: Float64Array | float) -> Int64Array | int:
    """The nearest integer; halves go away from zero, as Go's ``math.Round``."""
    if isinstance(value, np.ndarray):
        # the cast truncates; half itself would lift the number next below 0.5 to 1
        return (value + np.copysign(_ALMOST_HALF, value)).astype(np.int64)
    whole = math.floor(abs(value))
    if abs(value) - whole >= 0.5:
        whole += 1
    return whole if value >= 0 else -whole
