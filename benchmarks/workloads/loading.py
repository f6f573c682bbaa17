"""From a file to cases: strict, and with one line for what is wrong.

Called by: ``benchmarks.run``, and who wants one file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, NonNegativeFloat, NonNegativeInt, TypeAdapter, ValidationError

from benchmarks.workloads.operations import AnyOperation, Operation, TemplatePath, Written
from benchmarks.workloads.parameters import MissingParameter, Parameters
from benchmarks.workloads.test_case import TestCase, Workload

#: Where upstream's files are once Go has fetched what the control plane is built of.
UPSTREAM = (
    Path(os.environ.get("GOMODCACHE") or Path.home() / "go/pkg/mod")
    / "k8s.io/kubernetes@v1.37.1/test/integration/scheduler_perf"
)


class WorkloadError(Exception):
    """A workload file cannot be used; the message is one line and names file and field."""


class _Metric(Written):
    """A figure that upstream's runner collects."""

    name: str
    labels: Mapping[str, object] | None = None
    data_bucket: str = ""
    expect_lower: bool = False

    @property
    def is_average_throughput(self) -> bool:
        return self.name == "SchedulingThroughput" and self.data_bucket in ("", "Average")


class _Size(Written):
    """An entry of ``workloads``."""

    name: str
    params: Mapping[str, object] = Field(default_factory=dict)
    labels: tuple[str, ...] = ()
    feature_gates: Mapping[str, bool] = Field(default_factory=dict)
    #: or one for each way to run upstream's benchmarks, which are none of ours
    threshold: NonNegativeFloat | Mapping[str, NonNegativeFloat] | None = None
    #: what `threshold` is about; throughput if nothing is said
    threshold_metric_selector: _Metric | None = None


class _Case(Written):
    """An entry of the file."""

    name: str
    labels: tuple[str, ...] = ()
    feature_gates: Mapping[str, bool] = Field(default_factory=dict)
    default_pod_template_path: TemplatePath | None = None
    scheduler_config_path: TemplatePath | None = None
    workload_template: Annotated[tuple[Mapping[str, object], ...], Field(min_length=1)]
    workloads: Annotated[tuple[_Size, ...], Field(min_length=1)]
    #: read and ignored: which of kube-scheduler's metrics upstream's runner writes down
    metrics_collector_config: Mapping[str, object] | None = None
    default_threshold_metric_selector: _Metric | None = None


class _PodSets(Written):
    """``createPodSets``: a createPods in each of several namespaces."""

    opcode: str
    count: NonNegativeInt
    namespace_prefix: str
    create_pods_op: Mapping[str, object]


_CASES: TypeAdapter[tuple[_Case, ...]] = TypeAdapter(
    Annotated[tuple[_Case, ...], Field(min_length=1)]
)
_OPERATION: TypeAdapter[Operation] = TypeAdapter(AnyOperation)


def load(path: Path) -> tuple[TestCase, ...]:
    """Returns the cases of one file, in its order.

    Raises:
        WorkloadError: what is wrong, and where.
    """
    try:
        written = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise WorkloadError(f"{path}: {' '.join(str(error).split())}") from error
    try:
        cases = _CASES.validate_json(json.dumps(written), context=_context(path))
    except ValidationError as error:
        raise WorkloadError(f"{path}: {_first_fault(error)}") from error
    if twice := _twice([case.name for case in cases]):
        raise WorkloadError(f"{path}: two cases are named {twice}")
    return tuple(_test_case(case, path) for case in cases)


def _test_case(case: _Case, path: Path) -> TestCase:
    if twice := _twice([size.name for size in case.workloads]):
        raise WorkloadError(f"{path}: {case.name}: two workloads are named {twice}")
    return TestCase(case.name, tuple(_workload(case, size, path) for size in case.workloads), path)


def _workload(case: _Case, size: _Size, path: Path) -> Workload:
    name = f"{case.name}/{size.name}"
    parameters = Parameters(size.params)
    operations: list[Operation] = []
    missing = ""
    for index, written in enumerate(case.workload_template):
        try:
            for bound in _unrolled(written, parameters):
                operations.append(_operation(bound, case, path, position=len(operations)))
        except MissingParameter as error:
            missing = missing or f"workloadTemplate[{index}].{error}"
        except ValidationError as error:
            raise _fault(path, name, index, _first_fault(error, below=1)) from error
        except ValueError as error:
            raise _fault(path, name, index, str(error)) from error
    if parameters.unused and not missing:
        names = ", ".join(parameters.unused)
        raise WorkloadError(f"{path}: {name}: params: no operation asks for {names}")
    return Workload(
        name=name,
        case=case.name,
        parameters=size.params,
        labels=frozenset(case.labels) | frozenset(size.labels),
        operations=() if missing else tuple(operations),
        scheduler_config=case.scheduler_config_path,
        feature_gates={**case.feature_gates, **size.feature_gates},
        threshold=_threshold(case, size),
        missing=missing,
    )


def _threshold(case: _Case, size: _Size) -> float | None:
    """Returns the average throughput that the file demands; one of another figure is none."""
    metric = size.threshold_metric_selector or case.default_threshold_metric_selector
    if metric is not None and not metric.is_average_throughput:
        return None
    return size.threshold if isinstance(size.threshold, float) else None


def _fault(path: Path, name: str, index: int, what: str) -> WorkloadError:
    return WorkloadError(f"{path}: {name}: workloadTemplate[{index}].{what}")


def _unrolled(
    written: Mapping[str, object], parameters: Parameters
) -> Iterator[Mapping[str, object]]:
    bound = parameters.bind(written)
    if bound.get("opcode") != "createPodSets":
        yield bound
        return
    sets = _PodSets.model_validate_json(json.dumps(bound))
    pods = parameters.bind(sets.create_pods_op)
    for index in range(sets.count):
        yield {**pods, "namespace": f"{sets.namespace_prefix}-{index}"}


def _operation(bound: Mapping[str, object], case: _Case, path: Path, *, position: int) -> Operation:
    written = {**bound, "position": position}
    context = _context(path)
    if written.get("opcode") == "createPods" and case.default_pod_template_path is not None:
        written.setdefault("podTemplatePath", str(case.default_pod_template_path))
    return _OPERATION.validate_json(json.dumps(written), context=context)


def _context(path: Path) -> dict[str, Path]:
    return {"folder": path.parent}


def _twice(names: list[str]) -> str | None:
    return next((name for at, name in enumerate(names) if name in names[:at]), None)


def _first_fault(error: ValidationError, *, below: int = 0) -> str:
    """Returns where and what, in one line.

    Args:
        below: parts of the place to leave out: the tag of a union comes first.
    """
    fault = error.errors(include_url=False)[0]
    place = ""
    for part in fault["loc"][below:]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = "no such field"
    elif fault["type"] == "missing":
        message = "must be set"
    place = place.lstrip(".") or "opcode"
    return f"{place}: {message[0].lower()}{message[1:]}"
