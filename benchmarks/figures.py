"""What becomes of measured numbers: medians with their spread, ratios, tables, result files."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Where result files go, below the current folder; not committed.
RESULTS_FOLDER = Path("bench-results")


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure of several runs."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Returns median, smallest and largest of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0) -> str:
        """Returns `median (low-high)`; one run has no spread."""
        median = f"{self.median:.{digits}f}"
        if self.low == self.high:
            return median
        return f"{median} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def paired_ratio(left: Sequence[float], right: Sequence[float]) -> Spread:
    """Returns left/right of each round: neighbours in time met the same machine."""
    return Spread.of([a / b for a, b in zip(left, right, strict=True)])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns text columns, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def quantile(counts: Mapping[float, float], q: float) -> float:
    """Returns the upper bound of the histogram bucket that holds the quantile, 0 when empty.

    Args:
        counts: cumulative counts by upper bound, as /metrics has them.
        q: 0 to 1.
    """
    bounds = sorted(counts)
    if not bounds or not counts[bounds[-1]]:
        return 0.0
    wanted = q * counts[bounds[-1]]
    return next(bound for bound in bounds if counts[bound] >= wanted)


def percentile(values: Sequence[float], q: float) -> float:
    """Returns the value below or at which a share `q` (0 to 1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def save(name: str, results: Mapping[str, object]) -> Path:
    """The results are in a JSON file of their own; returns its path."""
    RESULTS_FOLDER.mkdir(exist_ok=True)
    path = RESULTS_FOLDER / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    machine = {"python": platform.python_version(), "machine": platform.platform()}
    path.write_text(json.dumps({"benchmark": name, **machine, **results}, indent=1) + "\n")
    return path
