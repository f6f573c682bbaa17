"""Quantities that are computed with and written back: exact values that remember their notation.

`pyscheduler.api.quantity` turns texts into numbers, which is all that most of scheduling asks for.
Device capacities are also written into claims and compared in selectors, so the notation of a
computed quantity matters: it is that of the quantity it comes from, in canonical form ("1024Mi" is
written "1Gi").

Source: `apimachinery/pkg/api/resource/quantity.go`, 1.37.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pyscheduler.api.quantity import INT64_MAX, NANO, nano_value

Notation = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

_DECIMAL_SUFFIXES: Final = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY_SUFFIXES: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact value; equal to another of the same value and notation."""

    #: billionths
    nanos: int
    notation: Notation = "DecimalSI"

    @classmethod
    def parse(cls, text: str) -> Quantity:
        """Returns the quantity; one with a binary suffix is at most what an int64 holds.

        Raises:
            InvalidQuantity: the text is none.
        """
        nanos, notation = nano_value(text), _notation(text)
        if notation == "BinarySI":
            nanos = min(nanos, INT64_MAX * NANO)
        return cls(nanos, notation)

    def __str__(self) -> str:
        if self.nanos == 0:
            return "0"
        is_whole = self.nanos % NANO == 0
        if self.notation == "BinarySI" and is_whole and abs(self.nanos) >= 1024 * NANO:
            return _binary(self.nanos // NANO)
        return _decimal(self.nanos, with_exponent=self.notation == "DecimalExponent")


def _notation(text: str) -> Notation:
    if text.endswith("i"):
        return "BinarySI"
    # An E that nothing follows is the suffix for 10^18.
    if "e" in text or "E" in text[:-1]:
        return "DecimalExponent"
    return "DecimalSI"


def _binary(units: int) -> str:
    power = 0
    while units % 1024 == 0 and power + 1 < len(_BINARY_SUFFIXES):
        units //= 1024
        power += 1
    return f"{units}{_BINARY_SUFFIXES[power]}"


def _decimal(nanos: int, *, with_exponent: bool) -> str:
    number, exponent = nanos, -9
    largest = 18
    while number % 1000 == 0 and exponent < largest:
        number //= 1000
        exponent += 3
    if with_exponent:
        return f"{number}e{exponent}" if exponent else str(number)
    return f"{number}{_DECIMAL_SUFFIXES[exponent // 3 + 3]}"
