"""What dry runs found out about nodes, kept by row for the pods of one class.

Thousands of preemptors of one class look at the same thousands of nodes, of which a few changed in
between. So what is known of a node is a number, and which nodes are still to be tried, how many
candidates there are and how often which reason was given is seen at all numbers at once.

Axes: R some rows of the cycle's snapshot, in the order in which they are tried.

Called by: ``dry_run``; ``evaluator`` has them kept from pod to pod (`framework.what_if.WhatIfs`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyscheduler.framework.status import Code, Status
from pyscheduler.preemption.candidates import Candidate

#: What is known of a row: nothing; that preemption helps, without or with a broken budget; or, from
#: `_HELPLESS` on, why it does not.
UNKNOWN, CLEAN, VIOLATING, _HELPLESS = range(4)

#: Distinct statuses, costs or likenesses after which all is found out anew: they may carry figures
#: and times.
_MAX_NUMBERS = 10_000

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a dry run came to on one node, in terms that hold for all that are alike."""

    #: the places, in the order in which pods are put back, of those that have to leave
    gone: tuple[int, ...]
    #: why preemption does not help
    status: Status | None = None

    @property
    def is_fault(self) -> bool:
        """True for what may be otherwise the next time."""
        return not self.gone if self.status is None else self.status.code is Code.ERROR


class Findings:
    """What is known of each row."""

    __slots__ = (
        "_candidates",
        "_cost_of",
        "_costs",
        "_failed",
        "_numbers",
        "_statuses",
        "kinds",
        "outcomes",
    )

    def __init__(self, n: int = 0) -> None:
        #: (N,) int32: `UNKNOWN`, `CLEAN`, `VIOLATING`, or the number of a status
        self.kinds: npt.NDArray[np.int32] = np.zeros(n, dtype=np.int32)
        #: by likeness (`framework.what_if.WhatIfs`); they stay true whatever changes
        self.outcomes: dict[Hashable, Outcome] = {}
        self._candidates: dict[int, Candidate] = {}
        #: (N,) int32: number of the candidate's cost
        self._costs: npt.NDArray[np.int32] = np.zeros(n, dtype=np.int32)
        self._cost_of: dict[tuple[float, ...], int] = {}
        self._statuses: list[Status] = []
        self._numbers: dict[Status, int] = {}
        #: rows for which a plugin failed: it may do better next time
        self._failed: list[int] = []

    def forget(self, rows: Iterable[int] | None, *, n: int) -> None:
        """These rows changed, all of them when None; there are ``n`` now."""
        kept = max(len(self._statuses), len(self._cost_of), len(self.outcomes))
        if rows is None or kept > _MAX_NUMBERS:
            self.__init__(n)  # type: ignore[misc]  # as good as new
            return
        if n != len(self.kinds):
            self.kinds, self._costs = _resized(self.kinds, n), _resized(self._costs, n)
        for row in rows:
            if row < n:
                self.kinds[row] = UNKNOWN
            self._candidates.pop(row, None)

    def pods_changed(self, rows: Iterable[int]) -> None:
        """What else the pods there are may change who leaves first, or what budgets protect.

        Not whether the preemptor fits once those of lower priority have left: who they are and what
        they take is the same, for a pod's priority never changes.
        """
        self.forget([row for row in rows if row in self._candidates], n=len(self.kinds))

    def forget_failed(self) -> None:
        """What failed is to be tried again."""
        if self._failed:
            self.kinds[self._failed] = UNKNOWN
            self._failed.clear()

    def put(self, row: int, found: Candidate | Status) -> None:
        """That is what a dry run came to for ``row``."""
        if isinstance(found, Candidate):
            self._candidates[row] = found
            self.kinds[row] = VIOLATING if found.victims.pdb_violations else CLEAN
            self._costs[row] = self._cost_of.setdefault(found.victims.cost, len(self._cost_of))
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
        return [self._candidates[row] for row in self._helpful(rows).tolist()]

    def one_of_each_cost(self, rows: Rows) -> list[Candidate]:
        """Of the same the first of each cost: by the usual criteria the others are as good."""
        helpful = self._helpful(rows)
        # backwards, so that of each cost the first is what stays
        first = np.full(len(self._cost_of), -1, dtype=np.intp)
        first[self._costs.take(helpful)[::-1]] = np.arange(len(helpful))[::-1]
        return [self._candidates[row] for row in helpful[np.sort(first[first >= 0])].tolist()]

    def _helpful(self, rows: Rows) -> Rows:
        kinds = self.kinds.take(rows)
        return np.concatenate((rows[kinds == CLEAN], rows[kinds == VIOLATING]))

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


def _resized(numbers: npt.NDArray[np.int32], n: int) -> npt.NDArray[np.int32]:
    """The same for ``n`` rows; of new ones nothing is known."""
    resized = np.zeros(n, dtype=np.int32)
    kept = min(n, len(numbers))
    resized[:kept] = numbers[:kept]
    return resized
