"""Upstream's own files, where its sources are: all are read, and what cannot run is listed here."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from benchmarks.workloads import UPSTREAM, Workload, gates_of_ours, load, unsupported
from benchmarks.workloads.operations import (
    CreateAny,
    CreateNodes,
    CreatePods,
    CreateResourceClaims,
    UpdateAny,
)
from benchmarks.workloads.templates import template_at
from pyscheduler.config.feature_gates import with_gates

pytestmark = pytest.mark.skipif(
    not UPSTREAM.is_dir(), reason=f"no sources of Kubernetes: {UPSTREAM}"
)

_POD_GROUPS = "pod groups are not here"


def _alpha(gate: str) -> str:
    return f"alpha cannot set feature gate {gate} to true: the feature is not here yet"


#: (folder, case, why) -> how many workloads
SKIPPED = {
    ("default_preemption", "PreemptionPodGroupDisruptionMode", _POD_GROUPS): 6,
    # upstream's runner fails at them, too
    (
        "dra",
        "SchedulingWithResourceClaimTemplate",
        "the file is at fault: workloadTemplate[7].countParam: parameter measurePods is not set",
    ): 2,
    ("dra/compatibilitygroups", "CompatibilityGroups", _alpha("DRADeviceCompatibilityGroups")): 9,
    (
        "dra/listattributes",
        "SchedulingWithResourceClaimTemplateListAttributes",
        _alpha("DRAListTypeAttributes"),
    ): 2,
    ("dra/workloadresourceclaims", "SharedPodGroupResourceClaim", _POD_GROUPS): 3,
    ("dra/workloadresourceclaims", "SharedPodGroupResourceClaimTemplate", _POD_GROUPS): 3,
    ("podgroup/basicscheduling", "BasicScheduling", _POD_GROUPS): 8,
    ("podgroup/gangscheduling", "GangScheduling", _POD_GROUPS): 8,
    ("podgroup/tas", "TopologyAwareScheduling", _POD_GROUPS): 8,
    ("starvation", "StarvationPodGroup", _POD_GROUPS): 2,
    ("workload_preemption", "GangPreemptionAffinity", _POD_GROUPS): 3,
    ("workload_preemption", "GangPreemptionBasic", _POD_GROUPS): 3,
    ("workload_preemption", "GangPreemptionPodGroups", _POD_GROUPS): 3,
}


@cache
def workloads() -> tuple[tuple[str, Workload], ...]:
    return tuple(
        (str(path.parent.relative_to(UPSTREAM)), workload)
        for path in sorted(UPSTREAM.rglob("performance-config.yaml"))
        for case in load(path)
        for workload in case.workloads
    )


def test_every_workload_runs_except_these() -> None:
    skipped = Counter(
        (folder, workload.case, reason)
        for folder, workload in workloads()
        if (reason := unsupported(workload)) is not None
    )
    assert dict(skipped) == SKIPPED


def test_the_gates_of_those_that_run_can_be_set() -> None:
    for _, workload in workloads():
        if unsupported(workload) is None:
            with_gates(gates_of_ours(workload))


def test_their_templates_are_understood() -> None:
    for _, workload in workloads():
        for operation in workload.operations:
            path: Path | None = None
            match operation:
                case CreateNodes():
                    path = operation.node_template_path
                case CreatePods():
                    path = operation.pod_template_path
                case CreateAny() | UpdateAny() | CreateResourceClaims():
                    path = operation.template_path
            if path is not None:
                given = getattr(operation, "template_params", {})
                assert template_at(path).render({**given, "Index": 3, "Count": 7})["kind"]
