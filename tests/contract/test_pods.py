"""Pods: defaults, admission, validation, scheduling gates, deletion with grace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api import Api, Json, condition

NOT_READY = {
    "key": "node.kubernetes.io/not-ready",
    "operator": "Exists",
    "effect": "NoExecute",
    "tolerationSeconds": 300,
}
UNREACHABLE = {**NOT_READY, "key": "node.kubernetes.io/unreachable"}


async def test_a_pod_gets_the_defaults(api: Api) -> None:
    (pod,) = await api.create_pods("a")

    spec = pod["spec"]
    assert pod["metadata"]["generation"] == 1
    assert spec["restartPolicy"] == "Always"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert spec["tolerations"] == [NOT_READY, UNREACHABLE]
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["qosClass"] == "BestEffort"
    (container,) = spec["containers"]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["resources"] == {}


async def test_a_pod_without_scheduler_goes_to_the_default_one(api: Api) -> None:
    body = api.new_pod("a")
    del body["spec"]["schedulerName"]

    created = await api.ok("POST", api.pods, body)

    assert created.body["spec"]["schedulerName"] == "default-scheduler"


async def test_own_tolerations_come_first_and_replace_the_default(api: Api) -> None:
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}

    (pod,) = await api.create_pods("a", tolerations=[own])

    assert pod["spec"]["tolerations"] == [own, UNREACHABLE]


def container(**resources: Json) -> list[Json]:
    return [{"name": "main", "image": "registry.example/app:1", "resources": resources}]


async def test_limits_are_requests_unless_those_are_given(api: Api) -> None:
    limits = {"cpu": "1", "memory": "1Gi"}

    (pod,) = await api.create_pods("a", containers=container(limits=limits))
    (some,) = await api.create_pods(
        "b", containers=container(limits=limits, requests={"cpu": "500m"})
    )

    assert pod["spec"]["containers"][0]["resources"]["requests"] == limits
    assert pod["status"]["qosClass"] == "Guaranteed"
    requests = some["spec"]["containers"][0]["resources"]["requests"]
    assert requests == {"cpu": "500m", "memory": "1Gi"}
    assert some["status"]["qosClass"] == "Burstable"


async def test_a_priority_class_sets_priority_and_policy(api: Api) -> None:
    name = f"{api.namespace}-high"
    await api.ok(
        "POST",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        {"metadata": {"name": name}, "value": 1000, "preemptionPolicy": "Never"},
    )

    (pod,) = await api.create_pods("a", priorityClassName=name)

    assert (pod["spec"]["priority"], pod["spec"]["preemptionPolicy"]) == (1000, "Never")


async def test_the_system_priority_classes_are_there(api: Api) -> None:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical"

    assert (await api.get(path))["value"] == 2000001000


async def test_an_unknown_priority_class_is_forbidden(api: Api) -> None:
    answer = await api.request("POST", api.pods, api.new_pod("a", priorityClassName="none"))

    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert answer.message == ('pods "a" is forbidden: no PriorityClass with name none was found')


async def test_a_priority_without_its_class_is_forbidden(api: Api) -> None:
    answer = await api.request("POST", api.pods, api.new_pod("a", priority=5))

    assert answer.status == 403
    assert answer.message == (
        'pods "a" is forbidden: the integer value of priority (5) must not be provided in pod'
        " spec; priority admission controller computed 0 from the given PriorityClass name"
    )


def affinity(**requirement: Any) -> Json:
    terms = [{"matchExpressions": [requirement]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"nodeAffinity": required}


TERM = (
    "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    ".nodeSelectorTerms[0].matchExpressions[0]"
)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param({"containers": []}, "spec.containers: Required value", id="no-containers"),
        pytest.param(
            {"containers": [{"name": "main"}]},
            "spec.containers[0].image: Required value",
            id="no-image",
        ),
        pytest.param(
            {"affinity": affinity(key="zone", operator="Near", values=["a"])},
            f'{TERM}.operator: Invalid value: "Near": not a valid selector operator',
            id="unknown-operator",
        ),
        pytest.param(
            {"affinity": affinity(key="zone", operator="In")},
            f"{TERM}.values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            id="in-without-values",
        ),
        pytest.param(
            {"affinity": affinity(key="zone", operator="Exists", values=["a"])},
            f"{TERM}.values: Forbidden: may not be specified when `operator` is 'Exists' or"
            " 'DoesNotExist'",
            id="exists-with-values",
        ),
        pytest.param(
            {"affinity": affinity(key="cores", operator="Gt", values=["1", "2"])},
            f"{TERM}.values: Required value: must be specified single value when `operator` is"
            " 'Lt' or 'Gt'",
            id="gt-with-two-values",
        ),
        pytest.param(
            {"containers": container(requests={"cpu": "2"}, limits={"cpu": "1"})},
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal'
            " to cpu limit of 1",
            id="request-over-limit",
        ),
        pytest.param(
            {"containers": container(requests={"cpu": "-1"})},
            'spec.containers[0].resources.requests[cpu]: Invalid value: "-1": must be greater than'
            " or equal to 0",
            id="negative-request",
        ),
        pytest.param(
            {"containers": container(requests={"example.com/gpu": "1"})},
            "spec.containers[0].resources.limits: Required value: Limit must be set for non"
            " overcommitable resources",
            id="extended-resource-without-limit",
        ),
        pytest.param(
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
            'spec.tolerations[0].operator: Invalid value: "b": value must be empty when'
            " `operator` is 'Exists'",
            id="exists-with-value",
        ),
        pytest.param(
            {"schedulingGates": [{"name": "x"}, {"name": "x"}]},
            'spec.schedulingGates[1]: Duplicate value: "x"',
            id="gate-twice",
        ),
        pytest.param(
            {"schedulingGates": [{"name": "x"}], "nodeName": "n"},
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
            id="gated-with-node",
        ),
        pytest.param(
            {
                "topologySpreadConstraints": [
                    {"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
                ]
            },
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than"
            " zero",
            id="no-skew",
        ),
        pytest.param(
            {"restartPolicy": "Sometimes"},
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always",'
            ' "OnFailure", "Never"',
            id="restart-policy",
        ),
    ],
)
async def test_an_invalid_pod_is_refused(api: Api, spec: Json, problem: str) -> None:
    answer = await api.request("POST", api.pods, api.new_pod("a", **spec))

    assert (answer.status, answer.body["reason"]) == (422, "Invalid"), answer
    assert answer.message.startswith(f'Pod "a" is invalid: {problem}')


async def test_every_problem_is_named_with_its_field(api: Api) -> None:
    bad = [{"name": "Main", "image": "x"}, {"name": "other"}]

    answer = await api.request("POST", api.pods, api.new_pod("a", containers=bad))

    fields = [cause["field"] for cause in answer.body["details"]["causes"]]
    assert fields == ["spec.containers[0].name", "spec.containers[1].image"]
    assert answer.message.startswith('Pod "a" is invalid: [spec.containers[0].name: ')


async def test_a_bad_quantity_cannot_be_decoded(api: Api) -> None:
    pod = api.new_pod("a", containers=container(requests={"cpu": "one"}))

    answer = await api.request("POST", api.pods, pod)

    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.message == (
        'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular'
        " expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )


async def test_a_quantity_may_be_a_number(api: Api) -> None:
    asked = {"requests": {"cpu": 2, "example.com/device": 1}, "limits": {"example.com/device": 1}}

    (pod,) = await api.create_pods("a", containers=container(**asked))

    assert pod["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "2", "example.com/device": "1"},
        "limits": {"example.com/device": "1"},
    }


async def test_a_gated_pod_says_so_in_its_status(api: Api) -> None:
    (pod,) = await api.create_pods("a", schedulingGates=[{"name": "example.com/wait"}])

    found = condition(pod, "PodScheduled")
    assert (found["status"], found["reason"]) == ("False", "SchedulingGated")
    assert found["message"] == "Scheduling is blocked due to non-empty scheduling gates"


async def test_gates_can_be_taken_away_but_not_added(api: Api) -> None:
    await api.create_pods("a", schedulingGates=[{"name": "one"}, {"name": "two"}])

    added = await api.patch(
        api.pod("a"), {"spec": {"schedulingGates": [{"name": "one"}, {"name": "three"}]}}, "merge"
    )
    fewer = await api.patch(api.pod("a"), {"spec": {"schedulingGates": [{"name": "two"}]}}, "merge")
    none = await api.patch(api.pod("a"), {"spec": {"schedulingGates": None}}, "merge")

    assert added.status == 422
    assert "only deletion is allowed, but found new scheduling gate 'three'" in added.message
    assert fewer.body["spec"]["schedulingGates"] == [{"name": "two"}]
    assert "schedulingGates" not in none.body["spec"]


async def test_a_gated_pods_node_selector_can_change(api: Api) -> None:
    await api.create_pods("a", schedulingGates=[{"name": "one"}])

    answer = await api.patch(api.pod("a"), {"spec": {"nodeSelector": {"disk": "ssd"}}}, "merge")

    assert answer.body["spec"]["nodeSelector"] == {"disk": "ssd"}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"nodeName": "n1"}, id="node"),
        pytest.param({"schedulerName": "other"}, id="scheduler"),
        pytest.param({"nodeSelector": {"a": "b"}}, id="selector"),
    ],
)
async def test_the_spec_of_a_pod_does_not_change(api: Api, change: Json) -> None:
    await api.create_pods("a")

    answer = await api.patch(api.pod("a"), {"spec": change}, "merge")

    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message.startswith(
        'Pod "a" is invalid: spec: Forbidden: pod updates may not change fields other than'
    )


async def test_an_image_can_change_and_counts_a_generation(api: Api) -> None:
    await api.create_pods("a")
    image = {"spec": {"containers": [{"name": "main", "image": "registry.example/app:2"}]}}

    answer = await api.patch(api.pod("a"), image, "strategic")

    assert answer.body["spec"]["containers"][0]["image"] == "registry.example/app:2"
    assert answer.body["metadata"]["generation"] == 2


async def test_a_pod_without_node_is_marked_and_gone_at_once(api: Api) -> None:
    (pod,) = await api.create_pods("a")
    version = pod["metadata"]["resourceVersion"]

    async with api.watch(api.pods, resourceVersion=version) as watch:
        answer = await api.ok("DELETE", api.pod("a"))
        events = await watch.take(2)

    assert answer.body["kind"] == "Pod"
    assert [event["type"] for event in events] == ["MODIFIED", "DELETED"]
    assert events[0]["object"]["metadata"]["deletionGracePeriodSeconds"] == 0
    assert (await api.request("GET", api.pod("a"))).status == 404


async def test_a_pod_on_a_node_gets_its_grace_period(api: Api) -> None:
    await api.create_pods("a", nodeName="n1", terminationGracePeriodSeconds=45)

    first = await api.ok("DELETE", api.pod("a"))
    longer = await api.ok("DELETE", api.pod("a"), {"gracePeriodSeconds": 60})
    shorter = await api.ok("DELETE", api.pod("a"), {"gracePeriodSeconds": 10})
    stays = await api.get(api.pod("a"))
    await api.ok("DELETE", api.pod("a"), {"gracePeriodSeconds": 0})

    assert first.body["metadata"]["deletionGracePeriodSeconds"] == 45
    assert longer.body["metadata"]["deletionGracePeriodSeconds"] == 45
    assert shorter.body["metadata"]["deletionGracePeriodSeconds"] == 10
    assert stays["metadata"]["deletionTimestamp"] < first.body["metadata"]["deletionTimestamp"]
    assert (await api.request("GET", api.pod("a"))).status == 404


async def test_a_victim_gets_its_condition_then_its_grace_period(api: Api) -> None:
    (pod,) = await api.create_pods("a", nodeName="n1", terminationGracePeriodSeconds=300)
    why = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "pyscheduler: preempting to accommodate a higher priority pod",
        "observedGeneration": 1,
    }
    marked = await api.patch(api.pod("a", "status"), {"status": {"conditions": [why]}}, "strategic")
    options = {"preconditions": {"uid": pod["metadata"]["uid"]}}
    leaving = await api.ok("DELETE", api.pod("a"), options)
    ready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    late = await api.patch(api.pod("a", "status"), ready, "strategic")

    found = condition(marked.body, "DisruptionTarget")
    assert {key: found[key] for key in why} == why
    assert leaving.body["metadata"]["deletionGracePeriodSeconds"] == 300
    assert leaving.body["metadata"]["generation"] == 2
    # Until its kubelet is done with it the pod is there, and its status goes on.
    assert late.status == 200
    assert condition(late.body, "DisruptionTarget")["reason"] == "PreemptionByScheduler"


async def test_a_recreated_pod_is_not_the_victim_that_was_meant(api: Api) -> None:
    (first,) = await api.create_pods("a", nodeName="n1")
    await api.ok("DELETE", api.pod("a"), {"gracePeriodSeconds": 0})
    (second,) = await api.create_pods("a", nodeName="n1")

    answer = await api.request(
        "DELETE", api.pod("a"), {"preconditions": {"uid": first["metadata"]["uid"]}}
    )

    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert "deletionTimestamp" not in (await api.get(api.pod("a")))["metadata"]
    assert second["metadata"]["uid"] != first["metadata"]["uid"]


async def test_a_grace_period_of_the_request_overrules_the_pods(api: Api) -> None:
    await api.create_pods("a", nodeName="n1", terminationGracePeriodSeconds=30)

    answer = await api.ok("DELETE", api.pod("a"), {"gracePeriodSeconds": 120})
    await api.ok("DELETE", api.pod("a"), {"gracePeriodSeconds": 0})

    metadata = answer.body["metadata"]
    assert metadata["deletionGracePeriodSeconds"] == 120
    assert metadata["deletionTimestamp"] > metadata["creationTimestamp"]


async def test_a_pod_that_has_ended_needs_no_grace(api: Api) -> None:
    await api.create_pods("a", nodeName="n1")
    await api.patch(api.pod("a", "status"), {"status": {"phase": "Succeeded"}}, "merge")

    await api.ok("DELETE", api.pod("a"))

    assert (await api.request("GET", api.pod("a"))).status == 404


async def test_a_finalizer_holds_a_pod_beyond_its_grace_period(api: Api) -> None:
    await api.create_pods("a", nodeName="n1")
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    await api.patch(api.pod("a"), held, "merge")

    await api.ok("DELETE", api.pod("a"), {"gracePeriodSeconds": 0})
    waiting = await api.get(api.pod("a"))
    await api.patch(api.pod("a"), {"metadata": {"finalizers": None}}, "merge")

    assert waiting["metadata"]["deletionGracePeriodSeconds"] == 0
    assert (await api.request("GET", api.pod("a"))).status == 404
