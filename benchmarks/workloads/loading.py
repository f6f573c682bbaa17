"""From a file to cases.

Called by: ``benchmarks.run``, and who wants one file.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.workloads.test_case import TestCase


class WorkloadError(Exception):
    """A workload file cannot be used; the message is one line and names file and field."""


def load(path: Path) -> tuple[TestCase, ...]:
    """Returns the cases of one file, in its order.

    Raises:
        WorkloadError: what is wrong, and where.
    """
    raise NotImplementedError
