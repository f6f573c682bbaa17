"""Label values and taint sets as small integers, so that numpy can compare them.

Codes are only meaningful together with their vocabulary at the same moment: nobody keeps one
beyond a cycle. Vocabularies are rebuilt once most of their codes are out of use, so nodes that come
and go for weeks leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

V = TypeVar("V", bound=Hashable)

#: Codes beyond twice the rows are garbage by then; below this a rebuild is not worth it.
_SLACK = 64


class CodedColumn(Generic[V]):
    """One (rows,) int32 column of codes and the values behind them."""

    def __init__(self, capacity: int, *, first: V | None = None) -> None:
        #: (capacity,) int32; -1: the row has no value
        self.codes: npt.NDArray[np.int32] = np.full(capacity, -1, dtype=np.int32)
        self._codes_by_value: dict[V, int] = {}
        self._values: list[V] = []
        self._first = first
        if first is not None:
            self._code(first)

    @property
    def values(self) -> Sequence[V]:
        """The values by code."""
        return self._values

    def set(self, row: int, value: V | None) -> None:
        """Gives ``row`` the code of ``value``; None: no value."""
        self.codes[row] = -1 if value is None else self._code(value)

    def resize(self, capacity: int) -> None:
        """Makes room for more rows."""
        grown = np.full(capacity, -1, dtype=np.int32)
        grown[: len(self.codes)] = self.codes
        self.codes = grown

    def compact(self, n: int) -> None:
        """Forgets values that none of the first ``n`` rows has, if there are many of them."""
        self.codes[n:] = -1
        if len(self._values) <= 2 * n + _SLACK:
            return
        values = [None if code < 0 else self._values[code] for code in self.codes[:n].tolist()]
        self._codes_by_value.clear()
        self._values = []
        if self._first is not None:
            self._code(self._first)
        for row, value in enumerate(values):
            self.set(row, value)

    def _code(self, value: V) -> int:
        code = self._codes_by_value.get(value)
        if code is None:
            code = self._codes_by_value[value] = len(self._values)
            self._values.append(value)
        return code
