from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.workloads import WorkloadError, load, measured_pods, selects, split
from benchmarks.workloads.operations import CreateNodes, CreatePods, Sleep
from benchmarks.workloads.test_case import Workload


def case(*operations: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "name": "Case",
        "workloadTemplate": list(operations),
        "workloads": [{"name": "small", "params": {}}],
        **fields,
    }


def size(**params: object) -> list[dict[str, Any]]:
    return [{"name": "small", "params": params}]


def loaded(tmp_path: Path, *cases: dict[str, Any]) -> Workload:
    path = tmp_path / "workloads.yaml"
    path.write_text(yaml.safe_dump(list(cases)))
    return load(path)[0].workloads[0]


def pod_template(tmp_path: Path, text: str = "kind: Pod\napiVersion: v1\nspec: {}") -> str:
    (tmp_path / "pod.yaml").write_text(text)
    return "pod.yaml"


PODS = {"opcode": "createPods", "count": 2}


def test_parameters_become_values(tmp_path: Path) -> None:
    workload = loaded(
        tmp_path,
        case(
            {"opcode": "createNodes", "countParam": "$nodes"},
            {"opcode": "createPods", "countParam": "$a", "countMultiplierParam": "$b"},
            {"opcode": "createPods", "count": 1, "steadyStateParam": "$s", "durationParam": "$d"},
            workloads=size(nodes=3, a=2, b=5, s=True, d="1m30s"),
        ),
    )
    nodes, pods, steady = workload.operations
    assert isinstance(nodes, CreateNodes)
    assert isinstance(pods, CreatePods)
    assert isinstance(steady, CreatePods)
    assert (nodes.count, pods.count) == (3, 10)
    assert (steady.steady_state, steady.duration) == (True, 90.0)


def test_template_parameters_may_have_a_value_of_their_own(tmp_path: Path) -> None:
    params = {"a": "$a|10", "b": "$b|10", "c": "$c|", "d": "$d", "e": 1}
    pods = {"opcode": "createPods", "count": 1, "templateParams": params}
    workload = loaded(tmp_path, case(pods, workloads=size(a=3, d=[{"x": "y"}])))
    (operation,) = workload.operations
    assert isinstance(operation, CreatePods)
    given = operation.template_params
    assert given == {"a": 3, "b": 10, "c": None, "d": [{"x": "y"}], "e": 1}


def test_pod_sets_are_pods_in_several_namespaces(tmp_path: Path) -> None:
    sets = {
        "opcode": "createPodSets",
        "countParam": "$sets",
        "namespacePrefix": "ns",
        "createPodsOp": {"opcode": "createPods", "countParam": "$pods"},
    }
    sleep = {"opcode": "sleep", "duration": "1s"}
    workload = loaded(tmp_path, case(sets, sleep, workloads=size(sets=2, pods=3)))
    first, second, last = workload.operations
    assert isinstance(first, CreatePods)
    assert isinstance(second, CreatePods)
    assert [(pods.target, pods.count) for pods in (first, second)] == [("ns-0", 3), ("ns-1", 3)]
    assert isinstance(last, Sleep)
    assert last.position == 2


def test_pods_have_a_namespace_of_their_own_unless_given(tmp_path: Path) -> None:
    workload = loaded(tmp_path, case(PODS, PODS, {**PODS, "namespace": "mine"}))
    targets = [pods.target for pods in workload.operations if isinstance(pods, CreatePods)]
    assert targets == ["namespace-0", "namespace-1", "mine"]


def test_labels_gates_and_the_pod_template_of_a_case_hold_for_its_workloads(tmp_path: Path) -> None:
    name = pod_template(tmp_path)
    workload = loaded(
        tmp_path,
        case(
            PODS,
            labels=["all"],
            featureGates={"A": True, "B": True},
            defaultPodTemplatePath=name,
            workloads=[{"name": "s", "labels": ["short"], "featureGates": {"B": False}}],
        ),
    )
    (pods,) = workload.operations
    assert workload.name == "Case/s"
    assert workload.labels == {"all", "short"}
    assert workload.feature_gates == {"A": True, "B": False}
    assert isinstance(pods, CreatePods)
    assert pods.pod_template_path == (tmp_path / name).resolve()


@pytest.mark.parametrize(
    ("of_case", "of_size", "threshold"),
    [
        pytest.param(None, None, 570.0, id="not said: throughput"),
        pytest.param({"name": "SchedulingThroughput"}, None, 570.0, id="throughput"),
        pytest.param({"name": "m", "dataBucket": "Perc99"}, None, None, id="another of the case"),
        pytest.param(None, {"name": "m", "dataBucket": "Perc99"}, None, id="another"),
        pytest.param(
            {"name": "m"}, {"name": "SchedulingThroughput"}, 570.0, id="the workload's own counts"
        ),
        pytest.param(
            None, {"name": "SchedulingThroughput", "dataBucket": "Perc50"}, None, id="no average"
        ),
    ],
)
def test_a_threshold_of_another_figure_is_no_demand_of_throughput(
    of_case: dict[str, Any] | None,
    of_size: dict[str, Any] | None,
    threshold: float | None,
    tmp_path: Path,
) -> None:
    small: dict[str, Any] = {"name": "small", "params": {}, "threshold": 570}
    fields: dict[str, Any] = {"defaultThresholdMetricSelector": of_case} if of_case else {}
    if of_size:
        small["thresholdMetricSelector"] = of_size
    workload = loaded(
        tmp_path, case({"opcode": "createNodes", "count": 1}, workloads=[small], **fields)
    )
    assert workload.threshold == threshold


def test_a_missing_parameter_concerns_its_workload_alone(tmp_path: Path) -> None:
    path = tmp_path / "workloads.yaml"
    sizes = [{"name": "broken", "params": {}}, {"name": "whole", "params": {"pods": 1}}]
    pods = {"opcode": "createPods", "countParam": "$pods"}
    path.write_text(yaml.safe_dump([case(pods, workloads=sizes)]))
    broken, whole = load(path)[0].workloads
    assert broken.missing == "workloadTemplate[0].countParam: parameter pods is not set"
    assert not broken.operations
    assert not whole.missing
    assert len(whole.operations) == 1


@pytest.mark.parametrize(
    ("written", "message"),
    [
        pytest.param(case(), "[0].workloadTemplate: tuple should have at least 1 item after"
                     " validation, not 0", id="no operations"),
        pytest.param(case(PODS, colour="red"), "[0].colour: no such field", id="field of a case"),
        pytest.param(case(PODS, defaultPodTemplatePath="x.yaml"),
                     "[0].defaultPodTemplatePath: no such file: x.yaml", id="template of a case"),
        pytest.param(case({"opcode": "fly"}), "Case/small: workloadTemplate[0].opcode: input tag"
                     " 'fly' found using 'opcode' does not match any of the expected tags:",
                     id="opcode"),
        pytest.param(case({"opcode": "createPods"}),
                     "Case/small: workloadTemplate[0].count: must be set", id="count"),
        pytest.param(case({**PODS, "count": "2"}),
                     "Case/small: workloadTemplate[0].count: input should be a valid integer",
                     id="a count that is none"),
        pytest.param(case({**PODS, "colour": 1}),
                     "Case/small: workloadTemplate[0].colour: no such field", id="field"),
        pytest.param(case({"opcode": "createPods", "countParam": "pods"}),
                     "Case/small: workloadTemplate[0].countParam: 'pods' is no parameter's name"
                     " such as $pods", id="not a name"),
        pytest.param(case(PODS, {"opcode": "sleep", "duration": "soon"}),
                     'Case/small: workloadTemplate[1].duration: "soon" is not a duration',
                     id="duration"),
        pytest.param(case({**PODS, "steadyState": True}),
                     "steadyState needs a duration above 0", id="steady state"),
        pytest.param(case({**PODS, "collectMetrics": True, "skipWaitToCompletion": True}),
                     "skipWaitToCompletion excludes collectMetrics", id="two that exclude"),
        pytest.param(case(PODS, workloads=size(pods=1)),
                     "Case/small: params: no operation asks for pods", id="unused parameter"),
        pytest.param(case(PODS, workloads=[{"name": "a"}, {"name": "a"}]),
                     "Case: two workloads are named a", id="two of one name"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line_with_file_and_field(
    tmp_path: Path, written: dict[str, Any], message: str
) -> None:
    with pytest.raises(WorkloadError) as refused:
        loaded(tmp_path, written)
    text = str(refused.value)
    assert text.startswith(f"{tmp_path / 'workloads.yaml'}: ")
    assert message in text
    assert "\n" not in text


def test_a_file_that_is_no_yaml_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    with pytest.raises(WorkloadError, match="No such file"):
        load(path)
    path.write_text("a: [")
    with pytest.raises(WorkloadError, match=r"w\.yaml: while parsing") as refused:
        load(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param("", True, id="all"),
        pytest.param("short", True, id="has"),
        pytest.param("+short", True, id="has, with a plus"),
        pytest.param("-short", False, id="must not have"),
        pytest.param("short,-performance", True, id="both"),
        pytest.param("short,performance", False, id="must have both"),
    ],
)
def test_filters_over_labels(filters: str, expected: bool) -> None:
    assert selects(filters, {"short", "figures"}) is expected


def test_a_workload_is_split_where_measuring_begins(tmp_path: Path) -> None:
    measured = {**PODS, "collectMetrics": True}
    workload = loaded(tmp_path, case(PODS, measured, {"opcode": "sleep", "duration": "1s"}))
    before, rest = split(workload)
    assert [operation.position for operation in before] == [0]
    assert [operation.position for operation in rest] == [1, 2]


def test_measured_pods_are_ready_to_be_created(tmp_path: Path) -> None:
    text = """
        kind: Pod
        apiVersion: v1
        metadata: {generateName: web-}
        spec: {priority: 10, containers: [{name: "c{{.Index}}-of-{{.Count}}"}]}
    """
    measured = {**PODS, "collectMetrics": True, "podTemplatePath": pod_template(tmp_path, text)}
    first, second = measured_pods(loaded(tmp_path, case(PODS, measured)))
    assert first == {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": "web-1-0",
            "namespace": "namespace-1",
            "labels": {"signature": "signature-label-0"},
        },
        "spec": {"priorityClassName": "priority-10", "containers": [{"name": "c0-of-2"}]},
    }
    assert second["metadata"]["name"] == "web-1-1"


def test_what_is_more_than_pods_has_no_measured_pods(tmp_path: Path) -> None:
    workload = loaded(tmp_path, case(PODS))
    with pytest.raises(ValueError, match="Case/small does not just measure pods: nothing"):
        measured_pods(workload)
