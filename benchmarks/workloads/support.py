"""Which workloads can run here, and why the others cannot.

Called by: ``benchmarks.run``.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.workloads.operations import CreatePodGroups
from benchmarks.workloads.test_case import Workload
from pyscheduler.config.feature_gates import GATES

#: Gates that choose how kube-scheduler goes about its work and not what becomes of a pod: where
#: pyscheduler has one way only, it runs the workload that way, whatever the value.
_WAYS_OF_WORKING = frozenset(
    {
        # runs of pods with one signature: classes are kept whatever happens
        "OpportunisticBatching",
        # status patches go out beside scheduling, always
        "SchedulerAsyncAPICalls",
        # so do the deletions of victims
        "SchedulerAsyncPreemption",
        # off only as the other side of a comparison; no pod of that workload asks for a feature
        "NodeDeclaredFeatures",
    }
)


def unsupported(workload: Workload) -> str | None:
    """Returns why the workload cannot run here; None if it can."""
    if workload.missing:
        return f"the file is at fault: {workload.missing}"
    if any(isinstance(operation, CreatePodGroups) for operation in workload.operations):
        return "pod groups are not here"
    for name, value in workload.feature_gates.items():
        gate = GATES.get(name)
        if gate is None:
            return f"unknown feature gate {name}"
        if name not in _WAYS_OF_WORKING and (reason := gate.why_not(value)):
            return f"{gate.stage} {reason}" if gate.stage != "GA" else reason
    return None


def gates_of_ours(workload: Workload) -> Mapping[str, bool]:
    """Returns the workload's feature gates as pyscheduler is to be given them.

    Gates that choose how kube-scheduler works, not what it decides, are left out where pyscheduler
    has one way only; kube-scheduler gets all of `Workload.feature_gates`.
    """
    return {
        name: value
        for name, value in workload.feature_gates.items()
        if name not in _WAYS_OF_WORKING or value in GATES[name].values
    }
