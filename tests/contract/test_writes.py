"""POST, PUT, PATCH and DELETE of any kind: names, optimistic concurrency, preconditions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api import Api, Json, condition

MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def config_map(name: str, **data: str) -> Json:
    return {"metadata": {"name": name}, "data": data}


async def test_a_new_object_gets_uid_version_and_time(api: Api) -> None:
    answer = await api.request("POST", api.config_maps, config_map("a", key="value"))

    metadata = answer.body["metadata"]
    assert answer.status == 201
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMap", "v1")
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["namespace"] == api.namespace
    assert (await api.get(f"{api.config_maps}/a")) == answer.body


async def test_what_the_server_owns_is_not_taken_from_a_new_object(api: Api) -> None:
    body = config_map("a")
    body["metadata"] |= {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z"}
    body["metadata"] |= {"deletionTimestamp": "2001-01-01T00:00:00Z"}

    answer = await api.ok("POST", api.config_maps, body)

    assert answer.body["metadata"]["uid"] != "mine"
    assert answer.body["metadata"]["creationTimestamp"] > "2002"
    assert "deletionTimestamp" not in answer.body["metadata"]


async def test_a_name_is_generated_from_its_base(api: Api) -> None:
    body = {"metadata": {"generateName": "web-"}}

    first = await api.ok("POST", api.config_maps, body)
    second = await api.ok("POST", api.config_maps, body)

    names = {answer.body["metadata"]["name"] for answer in (first, second)}
    assert len(names) == 2
    assert all(name.startswith("web-") and len(name) == len("web-") + 5 for name in names)
    assert first.body["metadata"]["generateName"] == "web-"


async def test_a_name_that_is_taken_is_refused(api: Api) -> None:
    await api.ok("POST", api.config_maps, config_map("a"))

    answer = await api.request("POST", api.config_maps, config_map("a"))

    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.message == 'configmaps "a" already exists'
    assert answer.body["details"] == {"name": "a", "kind": "configmaps"}


async def test_an_object_without_a_name_is_invalid(api: Api) -> None:
    answer = await api.request("POST", api.config_maps, {"metadata": {}})

    assert answer.status == 422
    assert answer.message == (
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )


async def test_an_invalid_name_is_refused_with_the_rule(api: Api) -> None:
    answer = await api.request("POST", api.config_maps, config_map("Not_A_Name"))

    assert answer.status == 422
    assert answer.message.startswith(
        'ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name": a lowercase'
        " RFC 1123 subdomain must consist of lower case alphanumeric characters"
    )


async def test_a_namespace_that_does_not_exist_is_not_found(api: Api) -> None:
    answer = await api.request("POST", "/api/v1/namespaces/nowhere/configmaps", config_map("a"))

    assert (answer.status, answer.message) == (404, 'namespaces "nowhere" not found')


async def test_the_body_cannot_name_another_namespace(api: Api) -> None:
    body = {"metadata": {"name": "a", "namespace": "default"}}

    answer = await api.request("POST", api.config_maps, body)

    assert answer.status == 400
    assert answer.message == (
        "the namespace of the provided object does not match the namespace sent on the request"
    )


async def test_a_body_of_another_kind_is_refused(api: Api) -> None:
    body = {"kind": "Pod", "apiVersion": "v1", **config_map("a")}

    assert (await api.request("POST", api.config_maps, body)).status == 400


async def test_a_missing_object_is_not_found(api: Api) -> None:
    answer = await api.request("GET", api.pod("nobody"))

    assert (answer.status, answer.body["reason"]) == (404, "NotFound")
    assert answer.message == 'pods "nobody" not found'
    assert answer.body["details"] == {"name": "nobody", "kind": "pods"}


async def test_put_replaces_and_drops_what_is_left_out(api: Api) -> None:
    created = (await api.ok("POST", api.config_maps, config_map("a", x="1", y="2"))).body

    created["data"] = {"y": "3"}
    answer = await api.ok("PUT", f"{api.config_maps}/a", created)

    assert answer.body["data"] == {"y": "3"}
    assert int(answer.rv) > int(created["metadata"]["resourceVersion"])


async def test_put_of_a_stale_version_is_a_conflict(api: Api) -> None:
    created = (await api.ok("POST", api.config_maps, config_map("a"))).body
    await api.ok("PUT", f"{api.config_maps}/a", {**created, "data": {"x": "1"}})

    answer = await api.request("PUT", f"{api.config_maps}/a", {**created, "data": {"x": "2"}})

    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == (f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}')


async def test_put_without_a_version_overwrites(api: Api) -> None:
    await api.ok("POST", api.config_maps, config_map("a"))

    answer = await api.ok("PUT", f"{api.config_maps}/a", config_map("a", x="1"))

    assert answer.body["data"] == {"x": "1"}


async def test_put_of_another_uid_is_a_conflict(api: Api) -> None:
    created = (await api.ok("POST", api.config_maps, config_map("a"))).body
    body = config_map("a")
    body["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"

    answer = await api.request("PUT", f"{api.config_maps}/a", body)

    assert answer.status == 409
    assert answer.message.endswith(
        "Precondition failed: UID in precondition: 00000000-0000-0000-0000-000000000000,"
        f" UID in object meta: {created['metadata']['uid']}"
    )


async def test_put_of_a_missing_name_is_not_found(api: Api) -> None:
    answer = await api.request("PUT", f"{api.config_maps}/a", config_map("a"))

    assert answer.status == 404


async def test_a_write_that_changes_nothing_makes_no_version(api: Api) -> None:
    created = (await api.ok("POST", api.config_maps, config_map("a", x="1"))).body

    put = await api.ok("PUT", f"{api.config_maps}/a", created)
    patched = await api.patch(f"{api.config_maps}/a", {"data": {"x": "1"}}, "merge")

    assert put.rv == patched.rv == created["metadata"]["resourceVersion"]


async def test_merge_patch_merges_maps_and_drops_nulls(api: Api) -> None:
    await api.ok("POST", api.config_maps, config_map("a", x="1", y="2"))

    answer = await api.patch(f"{api.config_maps}/a", {"data": {"x": None, "z": "3"}}, "merge")

    assert answer.body["data"] == {"y": "2", "z": "3"}


async def test_json_patch_tests_then_changes(api: Api) -> None:
    await api.ok("POST", api.config_maps, config_map("a", x="1"))
    change = [
        {"op": "test", "path": "/data/x", "value": "1"},
        {"op": "replace", "path": "/data/x", "value": "2"},
        {"op": "add", "path": "/metadata/labels", "value": {"k": "v"}},
    ]

    answer = await api.patch(f"{api.config_maps}/a", change, "json")
    again = await api.patch(f"{api.config_maps}/a", change, "json")

    assert answer.body["data"] == {"x": "2"}
    assert answer.body["metadata"]["labels"] == {"k": "v"}
    assert (again.status, again.body["reason"]) == (422, "Invalid")


async def test_a_patch_with_a_stale_version_is_a_conflict(api: Api) -> None:
    created = (await api.ok("POST", api.config_maps, config_map("a"))).body
    await api.patch(f"{api.config_maps}/a", {"data": {"x": "1"}}, "merge")
    stale = {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}}

    answer = await api.patch(f"{api.config_maps}/a", {**stale, "data": {"x": "2"}}, "merge")

    assert answer.status == 409
    assert answer.message.endswith(MODIFIED)


async def test_a_strategic_patch_merges_conditions_by_type(api: Api) -> None:
    await api.create_pods("a")
    unschedulable = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available",
    }
    other = {"type": "example.com/Other", "status": "True"}

    await api.patch(api.pod("a", "status"), {"status": {"conditions": [other]}}, "strategic")
    answer = await api.patch(
        api.pod("a", "status"), {"status": {"conditions": [unschedulable]}}, "strategic"
    )
    changed = await api.patch(
        api.pod("a", "status"),
        {"status": {"conditions": [{"type": "PodScheduled", "message": "0/2 nodes"}]}},
        "strategic",
    )

    assert {c["type"] for c in answer.body["status"]["conditions"]} == {
        "PodScheduled",
        "example.com/Other",
    }
    merged = condition(changed.body, "PodScheduled")
    assert (merged["reason"], merged["message"]) == ("Unschedulable", "0/2 nodes")


async def test_a_strategic_patch_can_delete_a_condition(api: Api) -> None:
    await api.create_pods("a")
    kinds = [{"type": kind, "status": "True"} for kind in ("A", "B")]
    await api.patch(api.pod("a", "status"), {"status": {"conditions": kinds}}, "strategic")

    answer = await api.patch(
        api.pod("a", "status"),
        {"status": {"conditions": [{"$patch": "delete", "type": "A"}]}},
        "strategic",
    )

    assert [c["type"] for c in answer.body["status"]["conditions"]] == ["B"]


async def test_status_writes_leave_the_spec_and_spec_writes_the_status(api: Api) -> None:
    await api.create_pods("a")

    by_status = await api.patch(
        api.pod("a", "status"),
        {"spec": {"schedulerName": "other"}, "status": {"nominatedNodeName": "n1"}},
        "merge",
    )
    by_spec = await api.patch(
        api.pod("a"), {"metadata": {"labels": {"x": "y"}}, "status": {"phase": "Running"}}, "merge"
    )

    assert by_status.body["spec"]["schedulerName"] == "nobody"
    assert by_status.body["status"]["nominatedNodeName"] == "n1"
    assert by_spec.body["status"]["phase"] == "Pending"
    assert by_spec.body["metadata"]["labels"] == {"x": "y"}


async def test_a_node_keeps_the_status_it_is_created_with(api: Api) -> None:
    name = f"{api.namespace}-node"
    capacity = {"cpu": "2", "memory": "4Gi", "pods": "10"}
    body = {"metadata": {"name": name}, "status": {"capacity": capacity}}

    created = (await api.ok("POST", "/api/v1/nodes", body)).body
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    answer = await api.patch(f"/api/v1/nodes/{name}/status", ready, "strategic")
    await api.ok("DELETE", f"/api/v1/nodes/{name}")

    assert created["status"]["allocatable"] == capacity
    assert answer.body["status"]["capacity"] == capacity
    assert condition(answer.body, "Ready")["status"] == "True"


def lease(name: str, holder: str, **metadata: Any) -> Json:
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T03:04:05.678901Z",
        "renewTime": "2026-01-02T03:04:05.678901Z",
        "leaseTransitions": 0,
    }
    return {"metadata": {"name": name, **metadata}, "spec": spec}


async def test_of_two_lease_updates_the_second_is_a_conflict(api: Api) -> None:
    created = (await api.ok("POST", api.leases, lease("leader", "a"))).body
    version = created["metadata"]["resourceVersion"]

    first = await api.request(
        "PUT", f"{api.leases}/leader", lease("leader", "b", resourceVersion=version)
    )
    second = await api.request(
        "PUT", f"{api.leases}/leader", lease("leader", "c", resourceVersion=version)
    )

    assert created["spec"] == lease("leader", "a")["spec"]
    assert first.status == 200
    assert (second.status, second.body["reason"]) == (409, "Conflict")
    assert second.message == (
        'Operation cannot be fulfilled on leases.coordination.k8s.io "leader": ' + MODIFIED
    )


async def test_a_lease_update_needs_a_version(api: Api) -> None:
    await api.ok("POST", api.leases, lease("leader", "a"))

    answer = await api.request("PUT", f"{api.leases}/leader", lease("leader", "b"))

    assert answer.status == 422
    assert "metadata.resourceVersion: Invalid value" in answer.message
    assert "must be specified for an update" in answer.message


async def test_put_of_a_missing_lease_creates_it(api: Api) -> None:
    answer = await api.request("PUT", f"{api.leases}/leader", lease("leader", "a"))

    assert answer.status == 201


async def test_a_lease_of_no_duration_is_invalid(api: Api) -> None:
    body = lease("leader", "a")
    body["spec"]["leaseDurationSeconds"] = 0

    answer = await api.request("POST", api.leases, body)

    assert answer.status == 422
    assert answer.message == (
        'Lease.coordination.k8s.io "leader" is invalid: spec.leaseDurationSeconds: Invalid value:'
        " 0: must be greater than 0"
    )


async def test_delete_answers_with_a_status_that_names_the_object(api: Api) -> None:
    created = (await api.ok("POST", api.leases, lease("leader", "a"))).body

    answer = await api.ok("DELETE", f"{api.leases}/leader")

    assert (answer.body["kind"], answer.body["status"]) == ("Status", "Success")
    assert answer.body["details"] == {
        "name": "leader",
        "group": "coordination.k8s.io",
        "kind": "leases",
        "uid": created["metadata"]["uid"],
    }
    assert (await api.request("GET", f"{api.leases}/leader")).status == 404
    assert (await api.request("DELETE", f"{api.leases}/leader")).status == 404


@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
async def test_delete_preconditions_are_checked(api: Api, field: str) -> None:
    (pod,) = await api.create_pods("a")

    wrong = await api.request("DELETE", api.pod("a"), {"preconditions": {field: "1"}})
    right = await api.request(
        "DELETE", api.pod("a"), {"preconditions": {field: pod["metadata"][field]}}
    )

    label = {"uid": "UID", "resourceVersion": "ResourceVersion"}[field]
    assert (wrong.status, wrong.body["reason"]) == (409, "Conflict")
    assert wrong.message.startswith(
        f'Operation cannot be fulfilled on Pod "a": the {label} in the precondition (1) does not'
        f" match the {label} in record ({pod['metadata'][field]})."
    )
    assert right.status == 200


async def test_a_finalizer_holds_a_deleted_object(api: Api) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await api.ok("POST", api.config_maps, body)

    held = await api.ok("DELETE", f"{api.config_maps}/a")
    waiting = await api.get(f"{api.config_maps}/a")
    released = await api.patch(f"{api.config_maps}/a", {"metadata": {"finalizers": None}}, "merge")

    assert "deletionTimestamp" in held.body["metadata"]
    assert waiting["metadata"]["deletionGracePeriodSeconds"] == 0
    assert released.status == 200
    assert (await api.request("GET", f"{api.config_maps}/a")).status == 404


async def test_a_collection_can_be_deleted_by_label(api: Api) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2"})):
        await api.ok("POST", api.config_maps, {"metadata": {"name": name, "labels": labels}})

    await api.ok("DELETE", api.config_maps, labelSelector="x=1")

    left = await api.get(api.config_maps)
    assert [item["metadata"]["name"] for item in left["items"]] == ["b"]


@pytest.mark.parametrize(
    ("version", "status", "text"),
    [
        pytest.param(
            {},
            422,
            'ConfigMap "a" is invalid: metadata.uid: Invalid value:'
            ' "00000000-0000-0000-0000-000000000000": field is immutable',
            id="whatever the version",
        ),
        pytest.param(
            {"resourceVersion": "1"},
            409,
            f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}',
            id="and another version",
        ),
    ],
)
async def test_patch_of_another_uid_is_refused(
    api: Api, version: Json, status: int, text: str
) -> None:
    await api.ok("POST", api.config_maps, config_map("a"))
    other = {"uid": "00000000-0000-0000-0000-000000000000", **version}

    answer = await api.request(
        "PATCH",
        f"{api.config_maps}/a",
        {"metadata": other, "data": {"x": "1"}},
        content_type="application/strategic-merge-patch+json",
    )

    assert (answer.status, answer.message) == (status, text)
