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

from pyscheduler.cache.owned_array import OwnedArray
from pyscheduler.framework.pod_matching import sum_by_code
from pyscheduler.framework.status import Int64Array

V = TypeVar("V", bound=Hashable)

#: Codes beyond twice the rows are garbage by then; below this a rebuild is not worth it.
_SLACK = 64


class CodedColumn(Generic[V]):
    """One (rows,) int32 column of codes and the values behind them."""

    def __init__(self, capacity: int, *, first: V | None = None) -> None:
        self._rows = OwnedArray(np.full(capacity, -1, dtype=np.int32))
        #: grows whenever a row gets another code
        self.version = 0
        #: what `rows_by_code` gave last, for which version and how many rows
        self._rows_by_code: tuple[int, int, Int64Array] = (-1, 0, np.zeros(0, dtype=np.int64))
        self._codes_by_value: dict[V, int] = {}
        self._values: list[V] = []
        self._first = first
        if first is not None:
            self._code(first)

    @property
    def values(self) -> Sequence[V]:
        """The values by code."""
        return self._values

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """(capacity,) int32; -1: the row has no value. Read-only."""
        return self._rows.readable

    def set(self, row: int, value: V | None) -> None:
        """Gives ``row`` the code of ``value``; None: no value."""
        code = -1 if value is None else self._code(value)
        if code != self.codes.item(row):
            self._rows.values[row] = code
            self.version += 1

    def of_rows(self, rows: npt.NDArray[np.intp]) -> CodedColumn[V]:
        """A copy of these rows, with the same codes."""
        copy: CodedColumn[V] = CodedColumn(0)
        copy._rows, copy._values = OwnedArray(self.codes[rows]), self._values
        return copy

    def summed(self, per_row: Int64Array) -> Int64Array:
        """(V + 1,) int64: sums over the rows of each of V codes; last, those without a value."""
        return sum_by_code(per_row, self.codes, len(self._values))

    def rows_by_code(self, n: int) -> Int64Array:
        """(V + 1,) int64: how many of the first ``n`` rows have each code; last, none. Kept."""
        version, rows, kept = self._rows_by_code
        if version != self.version or rows != n:
            kept = sum_by_code(np.ones(n, dtype=np.int64), self.codes[:n], len(self._values))
            kept.setflags(write=False)
            self._rows_by_code = self.version, n, kept
        return kept.view()  # whose flag cannot be switched back

    def resize(self, capacity: int) -> None:
        """Makes room for more rows."""
        self._rows = self._rows.grown(capacity, fill=-1)

    def compact(self, n: int) -> None:
        """Forgets values that none of the first ``n`` rows has, if there are many of them."""
        if (self.codes[n:] >= 0).any():
            self._rows.values[n:] = -1
            self.version += 1
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
