"""What dry runs found out about nodes, kept by row for the pods of one class.

Thousands of preemptors of one class look at the same thousands of nodes, of which a few changed in
between. So what is known of a node is a number, and which nodes are still to be tried, how many
candidates there are and how often which reason was given is seen at all numbers at once.

Axes: R some rows of the cycle's snapshot, in the order in which they are tried.

Called by: ``dry_run``; ``evaluator`` has them kept from pod to pod (`framework.what_if.WhatIfs`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pyscheduler.framework.status import Code, Status
from pyscheduler.preemption.candidates import Candidate

#: What is known of a row: nothing; that preemption helps, without or with a broken budget; or, from
#: `_HELPLESS` on, why it does not.
UNKNOWN, CLEAN, VIOLATING, _HELPLESS = range(4)

#: Distinct statuses after which all is found out anew: reasons may carry figures.
_MAX_STATUSES = 10_000

Rows = npt.NDArray[np.intp]


class Findings:
    """What is known of each row."""

    __slots__ = ("_candidates", "_failed", "_numbers", "_statuses", "kinds")

    def __init__(self, n: int = 0) -> None:
        #: (N,) int32: `UNKNOWN`, `CLEAN`, `VIOLATING`, or the number of a status
        self.kinds: npt.NDArray[np.int32] = np.zeros(n, dtype=np.int32)
        self._candidates: dict[int, Candidate] = {}
        self._statuses: list[Status] = []
        self._numbers: dict[Status, int] = {}
        #: rows for which a plugin failed: it may do better next time
        self._failed: list[int] = []

    def forget(self, rows: Iterable[int] | None, *, n: int) -> None:
        """These rows changed, all of them when None; there are ``n`` now."""
        if rows is None or len(self._statuses) > _MAX_STATUSES:
            self.__init__(n)  # type: ignore[misc]  # as good as new
            return
        if n != len(self.kinds):
            kinds, self.kinds = self.kinds, np.zeros(n, dtype=np.int32)
            kept = min(n, len(kinds))
            self.kinds[:kept] = kinds[:kept]
        for row in rows:
            if row < n:
                self.kinds[row] = UNKNOWN
            self._candidates.pop(row, None)

    def forget_failed(self) -> None:
        """What failed is to be tried again."""
        self.kinds[self._failed] = UNKNOWN
        self._failed.clear()

    def put(self, row: int, found: Candidate | Status) -> None:
        """That is what a dry run came to for ``row``."""
        if isinstance(found, Candidate):
            self._candidates[row] = found
            self.kinds[row] = VIOLATING if found.victims.pdb_violations else CLEAN
            return
        number = self._numbers.get(found)
        if number is None:
            number = self._numbers[found] = _HELPLESS + len(self._statuses)
            self._statuses.append(found)
        self.kinds[row] = number
        if found.code is Code.ERROR:
            self._failed.append(row)

    def candidates(self, rows: Rows) -> list[Candidate]:
        """Those of ``rows`` (R,) on which preemption helps; those that break no budget first."""
        kinds, of_row = self.kinds[rows], self._candidates
        return [of_row[row] for kind in (CLEAN, VIOLATING) for row in rows[kinds == kind].tolist()]

    def statuses(self, rows: Rows) -> dict[int, Status]:
        """Why preemption does not help on the others of ``rows`` (R,)."""
        kinds = self.kinds[rows].tolist()
        return {
            row: self._statuses[kind - _HELPLESS]
            for row, kind in zip(rows.tolist(), kinds, strict=True)
            if kind >= _HELPLESS
        }

    def reasons(self, rows: Rows) -> list[tuple[Status, int]]:
        """The same by status: the distinct ones in the order of ``rows``, and how many gave it."""
        kinds = self.kinds[rows]
        numbers, first, counts = np.unique(kinds, return_index=True, return_counts=True)
        return [
            (self._statuses[numbers[at] - _HELPLESS], int(counts[at]))
            for at in np.argsort(first).tolist()
            if numbers[at] >= _HELPLESS
        ]
