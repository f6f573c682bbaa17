"""Workloads: what a scheduler is measured with, in the YAML of upstream's scheduler_perf.

A file lists cases; a case has one sequence of operations and several workloads, which are sizes of
it. `load` reads a file, `unsupported` says why a workload cannot run here, `run` runs one against
an API server. Upstream's own files are read unmodified.

Called by: ``benchmarks.places``, ``benchmarks.run``.
"""

from benchmarks.workloads.cluster import Cluster
from benchmarks.workloads.execution import Execution, measured_pods, run, split
from benchmarks.workloads.labels import selects
from benchmarks.workloads.loading import UPSTREAM, WorkloadError, load
from benchmarks.workloads.measurement import Measurement
from benchmarks.workloads.operations import Operation
from benchmarks.workloads.support import gates_of_ours, unsupported
from benchmarks.workloads.test_case import TestCase, Workload
from benchmarks.workloads.throughput import Throughput, ThroughputCollector

__all__ = [
    "UPSTREAM",
    "Cluster",
    "Execution",
    "Measurement",
    "Operation",
    "TestCase",
    "Throughput",
    "ThroughputCollector",
    "Workload",
    "WorkloadError",
    "gates_of_ours",
    "load",
    "measured_pods",
    "run",
    "selects",
    "split",
    "unsupported",
]
