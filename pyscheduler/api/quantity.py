"""Quantities: "500m", "2Gi", "1e3" -> integers, rounded up, without floating point.

Accepted: an optional sign, decimal digits with an optional fraction, then one of the suffixes
n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or a decimal exponent (e3, E-2); nothing else, no blanks.

Source: `apimachinery/pkg/api/resource/quantity.go`, 1.37. Like there, what is finer than a
billionth is rounded away from zero to one, and so is what `value` and `milli_value` cut off.
Knowing differences: results that do not fit an int64 are given as the nearest int64 (upstream caps
binary suffixes that way and lets the others wrap), so that columns cannot wrap; a sign alone and
texts of more than 100 characters are refused.
"""

import re
from functools import lru_cache

from pyscheduler.errors import PySchedulerError

INT64_MAX = 2**63 - 1

#: Billionths in a unit; nothing is kept finer.
NANO = 10**9

_PATTERN = re.compile(
    r"([+-]?)([0-9]*)(?:\.([0-9]*))?([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?", re.ASCII
)

#: Suffix -> (numerator, denominator) of its factor.
_FACTORS: dict[str, tuple[int, int]] = {
    "": (1, 1),
    "n": (1, 10**9),
    "u": (1, 10**6),
    "m": (1, 10**3),
    **{suffix: (1000**power, 1) for power, suffix in enumerate("kMGTPE", 1)},
    **{suffix + "i": (1024**power, 1) for power, suffix in enumerate("KMGTPE", 1)},
}

#: No quantity that means something is longer.
_MAX_LENGTH = 100

#: With at most 100 digits, anything beyond rounds to a billionth or is beyond int64 anyway; keeps
#: a hostile "1e999999999" from being computed.
_MAX_EXPONENT = 200


class InvalidQuantity(PySchedulerError, ValueError):  # noqa: N818  # says what is wrong
    """A text that is no quantity; the message names it."""

    def __init__(self, text: str, *, about: str = "") -> None:
        self.text = text
        shown = text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 3] + "..."
        super().__init__(f"invalid quantity {shown!r}" + (f" for {about}" if about else ""))


def parse_quantity(text: str) -> tuple[int, int]:
    """Returns the exact value as (numerator, denominator), the denominator positive.

    Raises:
        InvalidQuantity: the text is no quantity.
    """
    match = _PATTERN.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise InvalidQuantity(text)
    sign, whole, fraction, suffix = match.groups(default="")
    digits = whole + fraction
    if not digits:
        raise InvalidQuantity(text)
    factor = _FACTORS.get(suffix)
    if factor is None:
        exponent = max(-_MAX_EXPONENT, min(int(suffix[1:]), _MAX_EXPONENT))
        factor = (10**exponent, 1) if exponent >= 0 else (1, 10**-exponent)
    numerator = int(digits) * factor[0]
    return (-numerator if sign == "-" else numerator), factor[1] * 10 ** len(fraction)


@lru_cache(maxsize=16_384)
def nano_value(text: str) -> int:
    """Returns the quantity in billionths, rounded away from zero, of any size.

    Raises:
        InvalidQuantity: the text is no quantity.
    """
    numerator, denominator = parse_quantity(text)
    nanos = -(-abs(numerator) * NANO // denominator)
    return nanos if numerator >= 0 else -nanos


def milli_value(text: str) -> int:
    """Returns the quantity in thousandths, rounded away from zero, within int64.

    Raises:
        InvalidQuantity: the text is no quantity.
    """
    return _scaled(nano_value(text), NANO // 1000)


def value(text: str) -> int:
    """Returns the quantity in whole units, rounded away from zero, within int64.

    Raises:
        InvalidQuantity: the text is no quantity.
    """
    return _scaled(nano_value(text), NANO)


def _scaled(nanos: int, unit: int) -> int:
    rounded = min(-(-abs(nanos) // unit), INT64_MAX)
    return rounded if nanos >= 0 else -rounded
