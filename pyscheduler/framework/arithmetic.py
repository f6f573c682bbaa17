"""Go's integer arithmetic, for scores that must equal kube-scheduler's.

Go's ``/`` truncates toward zero and ``math.Round`` rounds half away from zero; Python's ``//``
floors and ``round`` goes to even. Scoring code divides and rounds here and nowhere else.
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np

from pyscheduler.framework.status import Int64Array


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
        quotient = abs(dividend) // abs(divisor)
        return quotient if (dividend < 0) == (divisor < 0) else -quotient
    quotients = np.floor_divide(np.abs(dividend), np.abs(divisor))
    negative = np.less(dividend, 0) != np.less(divisor, 0)
    return np.where(negative, -quotients, quotients)


def round_half_away(value: float) -> int:
    """The nearest integer; halves go away from zero, as Go's ``math.Round``."""
    whole = math.floor(abs(value))
    if abs(value) - whole >= 0.5:
        whole += 1
    return whole if value >= 0 else -whole
