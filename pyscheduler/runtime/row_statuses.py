"""Why some rows are lost to a pod, in arrays: thousands of rows share a handful of statuses.

A mapping from row to status for those who look at single rows; who counts or copies all of them
takes the numbers.

Axes: N rows.

Called by: ``crowding`` and ``narrowing`` keep them; ``rejections`` counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

import numpy as np
import numpy.typing as npt

from pyscheduler.framework.status import Status

#: Distinct statuses from which on those that no row has any more are dropped: reasons may carry
#: figures.
_MAX_STATUSES = 10_000


class RowStatuses(MutableMapping[int, Status]):
    """Row -> status."""

    __slots__ = ("_number_of", "distinct", "numbers")

    def __init__(self, capacity: int, statuses: Mapping[int, Status] | None = None) -> None:
        #: (capacity,) int32: index into `distinct` plus 1; 0 for rows that are not in here
        self.numbers: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        #: statuses that are different
        self.distinct: list[Status] = []
        self._number_of: dict[Status, int] = {}
        if statuses:
            self.update(statuses)

    def copy(self) -> RowStatuses:
        """The same to be changed; numbers that are given out go on to mean the same in both."""
        copied = RowStatuses(0)
        copied.numbers = self.numbers.copy()
        copied.distinct, copied._number_of = self.distinct, self._number_of
        return copied

    @property
    def rows(self) -> npt.NDArray[np.intp]:
        """(R,) intp: the rows that are in here, in order."""
        return np.flatnonzero(self.numbers)

    def __getitem__(self, row: int) -> Status:
        number = self.numbers.item(row)
        if not number:
            raise KeyError(row)
        return self.distinct[number - 1]

    def __setitem__(self, row: int, status: Status) -> None:
        number = self._number_of.get(status)
        if number is None:
            if len(self.distinct) >= _MAX_STATUSES:
                self._begin_anew()
            self.distinct.append(status)
            number = self._number_of[status] = len(self.distinct)
        self.numbers[row] = number

    def __delitem__(self, row: int) -> None:
        if row not in self:
            raise KeyError(row)
        self.numbers[row] = 0

    def __contains__(self, row: object) -> bool:
        return isinstance(row, int) and row >= 0 and self.numbers.item(row) != 0

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows.tolist())

    def __len__(self) -> int:
        return int(np.count_nonzero(self.numbers))

    def __bool__(self) -> bool:
        return len(self) > 0

    def _begin_anew(self) -> None:
        """Numbers only the statuses that some row still has."""
        known = dict(self)
        self.numbers[:] = 0
        self.distinct, self._number_of = [], {}
        self.update(known)


def rows_of(statuses: Mapping[int, Status]) -> npt.NDArray[np.intp]:
    """(R,) intp: the rows that are in there."""
    if isinstance(statuses, RowStatuses):
        return statuses.rows
    return np.fromiter(statuses, dtype=np.intp, count=len(statuses))
