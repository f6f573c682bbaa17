"""The binding subresource."""

from __future__ import annotations

import pytest

from tests.contract.api import Api, Json, condition


async def test_a_binding_gives_the_pod_its_node(api: Api) -> None:
    (pod,) = await api.create_pods("a")

    answer = await api.bind("a", "n1", uid=pod["metadata"]["uid"])
    bound = await api.get(api.pod("a"))

    assert answer.status == 201
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }
    assert bound["spec"]["nodeName"] == "n1"
    scheduled = condition(bound, "PodScheduled")
    assert scheduled["status"] == "True"
    assert "reason" not in scheduled
    assert scheduled["lastTransitionTime"].endswith("Z")


async def test_a_watch_sees_one_change_for_a_binding(api: Api) -> None:
    (pod,) = await api.create_pods("a")
    version = pod["metadata"]["resourceVersion"]

    async with api.watch(api.pods, resourceVersion=version) as watch:
        await api.bind("a", "n1")
        event = await watch.next()
        quiet = await watch.is_quiet()

    assert (event["type"], event["object"]["spec"]["nodeName"]) == ("MODIFIED", "n1")
    assert quiet


async def test_a_binding_clears_the_nomination_and_what_the_condition_said(api: Api) -> None:
    await api.create_pods("a")
    failed = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available",
    }
    status = {"status": {"nominatedNodeName": "n1", "conditions": [failed]}}
    await api.patch(api.pod("a", "status"), status, "strategic")

    await api.bind("a", "n2")
    bound = await api.get(api.pod("a"))

    assert "nominatedNodeName" not in bound["status"]
    scheduled = condition(bound, "PodScheduled")
    assert scheduled["status"] == "True"
    assert "reason" not in scheduled
    assert "message" not in scheduled


async def test_a_binding_adds_its_annotations(api: Api) -> None:
    body = api.new_pod("a")
    body["metadata"]["annotations"] = {"x": "1", "y": "2"}
    await api.ok("POST", api.pods, body)

    await api.bind("a", "n1", annotations={"y": "3", "z": "4"})

    bound = await api.get(api.pod("a"))
    assert bound["metadata"]["annotations"] == {"x": "1", "y": "3", "z": "4"}


async def test_a_binding_takes_over_the_nodes_topology(api: Api) -> None:
    node = f"{api.namespace}-node"
    topology = {"topology.kubernetes.io/zone": "z1", "topology.kubernetes.io/region": "r1"}
    labels = {**topology, "kubernetes.io/hostname": node}
    await api.ok("POST", "/api/v1/nodes", {"metadata": {"name": node, "labels": labels}})
    await api.create_pods("a", labels={"app": "web"})

    await api.bind("a", node)
    bound = await api.get(api.pod("a"))
    await api.ok("DELETE", f"/api/v1/nodes/{node}")

    assert bound["metadata"]["labels"] == {"app": "web", **topology}


async def test_a_second_binding_is_a_conflict(api: Api) -> None:
    await api.create_pods("a")
    await api.bind("a", "n1")

    answer = await api.bind("a", "n1")

    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == (
        'Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "n1"'
    )


async def test_a_pod_that_is_going_away_is_not_bound(api: Api) -> None:
    body = api.new_pod("a")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await api.ok("POST", api.pods, body)
    await api.ok("DELETE", api.pod("a"))

    answer = await api.bind("a", "n1")
    await api.patch(api.pod("a"), {"metadata": {"finalizers": None}}, "merge")

    assert answer.status == 409
    assert answer.message == (
        'Operation cannot be fulfilled on pods/binding "a": pod a is being deleted, cannot be'
        " assigned to a host"
    )


async def test_a_gated_pod_is_not_bound(api: Api) -> None:
    await api.create_pods("a", schedulingGates=[{"name": "wait"}])

    answer = await api.bind("a", "n1")

    assert answer.status == 409
    assert answer.message == (
        'Operation cannot be fulfilled on pods/binding "a": pod a has non-empty'
        " .spec.schedulingGates"
    )


@pytest.mark.parametrize(
    ("field", "label"), [("uid", "UID"), ("resourceVersion", "ResourceVersion")]
)
async def test_a_binding_for_another_pod_of_the_name_is_a_conflict(
    api: Api, field: str, label: str
) -> None:
    (pod,) = await api.create_pods("a")

    answer = await api.bind("a", "n1", **{field: "7"})

    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message.endswith(
        f"Precondition failed: {label} in precondition: 7, {label} in object meta:"
        f" {pod['metadata'][field]}"
    )
    assert "nodeName" not in (await api.get(api.pod("a")))["spec"]


async def test_a_missing_pod_is_not_found(api: Api) -> None:
    answer = await api.bind("nobody", "n1")

    assert (answer.status, answer.message) == (404, 'pods "nobody" not found')


def binding(pod_name: str, **target: str) -> Json:
    return {
        "kind": "Binding",
        "apiVersion": "v1",
        "metadata": {"name": pod_name},
        "target": target,
    }


async def test_a_binding_of_another_name_is_a_bad_request(api: Api) -> None:
    await api.create_pods("a")

    answer = await api.request("POST", api.pod("a", "binding"), binding("b", name="n1"))

    assert answer.status == 400
    assert answer.message == "name in URL does not match name in Binding object"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        pytest.param({"kind": "Node"}, "target.name: Required value", id="no-name"),
        pytest.param(
            {"kind": "Pod", "name": "n1"},
            'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
            id="not-a-node",
        ),
    ],
)
async def test_a_binding_to_no_node_is_refused(api: Api, target: Json, problem: str) -> None:
    await api.create_pods("a")

    answer = await api.request("POST", api.pod("a", "binding"), binding("a", **target))

    assert answer.status == 500
    assert problem in answer.message
