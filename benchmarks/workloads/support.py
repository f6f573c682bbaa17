"""Which workloads can run here, and why the others cannot.

Called by: ``benchmarks.run``.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.workloads.test_case import Workload


def unsupported(workload: Workload) -> str | None:
    """Returns why the workload cannot run here; None if it can."""
    raise NotImplementedError


def gates_of_ours(workload: Workload) -> Mapping[str, bool]:
    """Returns the workload's feature gates as pyscheduler is to be given them.

    Gates that choose how kube-scheduler works, not what it decides, are left out where pyscheduler
    has one way only; kube-scheduler gets all of `Workload.feature_gates`.
    """
    raise NotImplementedError
