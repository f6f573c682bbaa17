"""The totals of a class of pods by row, and the rows that share the highest of them.

Apart from the other answers of a class because of one thing: after a bind one row's total changes,
and who is best now is known without a look at all the others. Only when the last of the best rows
is gone is the next highest total searched for.

Axes: N node rows of the snapshot.

Called by: ``scoring`` (writes), ``cycle.host_selection`` (reads).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Any

import numpy as np
import numpy.typing as npt

from pyscheduler.framework.status import BoolArray, Int64Array

#: of a row that is not feasible; every score is at least 0
NO_TOTAL = -1

#: int16 where all weights together are so small, as they are by default; else int64
Totals = npt.NDArray[np.signedinteger[Any]]


class Ranking:
    """Weighted sums by row, and the best rows."""

    __slots__ = ("_best", "_highest", "totals")

    def __init__(self, capacity: int) -> None:
        #: (capacity,); `NO_TOTAL` where not feasible. The methods below alone change it.
        self.totals: Totals = np.full(capacity, NO_TOTAL, dtype=np.int8)
        self._highest = NO_TOTAL
        #: rows whose total is the highest, ascending; empty when they are to be searched for
        self._best: array[int] = array("i")

    def put_all(self, totals: Totals) -> None:
        """These (N,) are the totals from now on; there are no rows beyond.

        To be called first: all later ones fit the type of these.
        """
        if self.totals.dtype != totals.dtype:
            self.totals = np.full(len(self.totals), NO_TOTAL, dtype=totals.dtype)
        self.totals[: len(totals)] = totals
        self.totals[len(totals) :] = NO_TOTAL
        del self._best[:]

    def put_some(self, rows: npt.NDArray[np.intp], totals: Totals) -> None:
        """The totals of these rows are others."""
        self.totals[rows] = totals
        del self._best[:]

    def take_out(self, rows: BoolArray) -> None:
        """These of all rows (capacity,) are not feasible."""
        np.putmask(self.totals, rows, NO_TOTAL)
        del self._best[:]

    def add(self, rows: slice | npt.NDArray[np.intp], differences: Int64Array) -> None:
        """The totals of these rows, each named once, are so much higher."""
        self.totals[rows] += differences
        del self._best[:]

    def add_where(self, rows: BoolArray, difference: int) -> None:
        """The totals of these of the first rows (N,) are so much higher."""
        totals = self.totals[: len(rows)]
        np.putmask(totals, rows, totals + difference)
        del self._best[:]

    def put(self, row: int, total: int) -> None:
        """The total of one row is another."""
        before = self.totals.item(row)
        self.totals[row] = total
        best = self._best
        if total == before or not best:
            return
        if total > self._highest:
            self._highest = total
            self._best = array("i", (row,))
        elif total == self._highest:
            best.insert(bisect_left(best, row), row)
        elif before == self._highest:
            del best[bisect_left(best, row)]

    def best(self) -> array[int]:
        """The rows with the highest total, ascending; not to be changed."""
        if not self._best:
            self._highest = int(self.totals.max())
            rows = np.flatnonzero(self.totals == self._highest)
            self._best = array("i", rows.astype(np.intc).tobytes())
        return self._best
