"""Scores that go by the value of one label: a figure per topology domain in place of one per node.

A pod that comes to a domain changes what all nodes there score. From these figures ``scoring`` sees
which domains are concerned, and leaves the nodes of the others alone.

Axes: N node rows of the snapshot, V values of the label, one more entry for the nodes without it; D
values that feasible nodes have, in the same order.

Called by: ``scoring``; part of `class_cache.ScoreAnswer`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyscheduler.framework.status import BoolArray, Int64Array

_NO_VALUES: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)


class LabelScores:
    """What one scorer gave for each value of a label, and what was made of it."""

    __slots__ = ("label", "normalized", "raw", "values", "version")

    def __init__(self, label: str, raw: Int64Array) -> None:
        self.label = label
        #: (V + 1,) raw scores by code
        self.raw = raw
        #: (D,) codes, the last for nodes without the label, and their normalised scores
        self.values = _NO_VALUES
        self.normalized: Int64Array = np.zeros(0, dtype=np.int64)
        #: `ClassEntry.feasible_version` that these are true for; -1: none
        self.version = -1

    def differing(self, label: str, raw: Int64Array) -> list[int] | None:
        """Whose raw score is another by now; None: nothing can be compared."""
        if label != self.label or len(raw) != len(self.raw):
            return None
        differing: list[int] = (self.raw != raw).nonzero()[0].tolist()
        return differing

    def put_normalized(
        self, codes: npt.NDArray[np.signedinteger], scores: Int64Array, *, version: int
    ) -> None:
        """The nodes with these ``codes`` (F,), all feasible ones, have these scores (F,)."""
        by_value = np.full(len(self.raw), -1, dtype=np.int64)
        by_value[codes] = scores
        self.values = np.flatnonzero(by_value >= 0)
        self.normalized = by_value[self.values]
        self.version = version

    def rows(self, value: int, codes: npt.NDArray[np.signedinteger]) -> BoolArray:
        """(N,) bool: the nodes with that value; ``codes`` (N,) are those of all nodes."""
        rows: BoolArray = codes == (-1 if value == len(self.raw) - 1 else value)
        return rows
