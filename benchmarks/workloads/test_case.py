"""A file's cases and their workloads, with every parameter and path put in.

Called by: all of ``workloads``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workloads.operations import Operation


@dataclass(frozen=True, slots=True)
class Workload:
    """One size of a case: operations that are ready to run, in order."""

    #: "Case/Workload"
    name: str
    case: str
    #: of the case, with this workload's values; most are numbers
    parameters: Mapping[str, object]
    labels: frozenset[str]
    #: with the values of `parameters` in them, and one createPods for each of a createPodSets
    operations: tuple[Operation, ...]
    #: a KubeSchedulerConfiguration; None for the default one
    scheduler_config: Path | None
    #: those of the case and of the workload, as the file says; see `gates_of_ours`
    feature_gates: Mapping[str, bool]
    #: pods per second that upstream demands on average; None for no demand
    threshold: float | None
    #: a parameter that it does not set though an operation asks for it; then it has no operations,
    #: and its siblings can still run. Upstream's files have a few of these.
    missing: str = ""


@dataclass(frozen=True, slots=True)
class TestCase:
    """Workloads that differ in their parameters, labels and feature gates alone."""

    __test__ = False  # its name is upstream's; pytest shall not take it for tests

    name: str
    workloads: tuple[Workload, ...]
    path: Path
