"""CustomResourceDefinitions: a kind comes, is served as others are, and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.contract.api import Answer, Api, Json, condition

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

SPEC = {
    "type": "object",
    "required": ["minMember"],
    "properties": {
        "minMember": {"type": "integer", "minimum": 1, "maximum": 100},
        "policy": {"type": "string", "enum": ["Strict", "Loose"], "default": "Strict"},
        "name": {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[a-z]+$"},
        "weights": {"type": "object", "additionalProperties": {"type": "integer"}},
        "steps": {
            "type": "array",
            "maxItems": 2,
            "items": {
                "type": "object",
                "properties": {"share": {"x-kubernetes-int-or-string": True}},
            },
        },
        "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
STATUS = {"type": "object", "properties": {"phase": {"type": "string"}}}


def definition(group: str, *, plural: str = "gangs", status: bool = True, **spec: Any) -> Json:
    version: Json = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}
        },
    }
    if status:
        version["subresources"] = {"status": {}}
    names = {"plural": plural, "singular": "gang", "kind": "Gang", "listKind": "GangList"}
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {**names, "shortNames": ["gg"]},
            "versions": [version],
            **spec,
        },
    }


class Gangs:
    """A custom kind of the case's own."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.group = f"{api.namespace}.example.com"
        self.all = f"/apis/{self.group}/v1alpha1/gangs"
        self.path = f"/apis/{self.group}/v1alpha1/namespaces/{api.namespace}/gangs"

    def body(self, name: str = "a", **spec: Any) -> Json:
        return {
            "kind": "Gang",
            "apiVersion": f"{self.group}/v1alpha1",
            "metadata": {"name": name, "namespace": self.api.namespace},
            "spec": {"minMember": 3, **spec},
        }

    async def create(self, name: str = "a", **spec: Any) -> Json:
        return (await self.api.ok("POST", self.path, self.body(name, **spec))).body

    async def define(self, **changes: Any) -> None:
        await self.api.ok("POST", DEFINITIONS, definition(self.group, **changes))
        await until_status(self.api, self.path, 200)

    async def undefine(self) -> None:
        await self.api.request("DELETE", f"{DEFINITIONS}/gangs.{self.group}")


async def until_status(api: Api, path: str, status: int) -> Answer:
    """The answer to a GET once it has the status; the real server takes a moment."""
    for _ in range(100):
        answer = await api.request("GET", path)
        if answer.status == status:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} never answered {status}: {answer}")


@pytest_asyncio.fixture(loop_scope="session")
async def undefined(api: Api) -> AsyncIterator[Gangs]:
    gangs = Gangs(api)
    yield gangs
    await gangs.undefine()


@pytest_asyncio.fixture(loop_scope="session")
async def gangs(undefined: Gangs) -> Gangs:
    await undefined.define()
    return undefined


async def test_a_kind_is_not_found_before_its_definition(undefined: Gangs) -> None:
    answer = await undefined.api.request("GET", undefined.path)
    group = await undefined.api.request("GET", f"/apis/{undefined.group}/v1alpha1")

    assert (answer.status, answer.body) == (404, {"text": "404 page not found\n"})
    assert group.status == 404


async def test_a_definition_is_established(gangs: Gangs) -> None:
    found = await gangs.api.get(f"{DEFINITIONS}/gangs.{gangs.group}")

    assert condition(found, "NamesAccepted")["status"] == "True"
    assert condition(found, "Established")["status"] == "True"
    assert found["status"]["acceptedNames"] == found["spec"]["names"]
    assert found["status"]["storedVersions"] == ["v1alpha1"]
    assert found["metadata"]["generation"] == 1


async def test_a_defined_kind_is_discovered(gangs: Gangs) -> None:
    await until_status(gangs.api, f"/apis/{gangs.group}", 200)
    groups = await gangs.api.get("/apis")
    listed = await gangs.api.get(f"/apis/{gangs.group}/v1alpha1")

    assert gangs.group in {found["name"] for found in groups["groups"]}
    found = {resource["name"]: resource for resource in listed["resources"]}
    assert (found["gangs"]["kind"], found["gangs"]["namespaced"]) == ("Gang", True)
    assert found["gangs"]["shortNames"] == ["gg"]
    assert "gangs/status" in found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            {"metadata": {"name": "other.example.com"}},
            'metadata.name: Invalid value: "other.example.com": must be'
            ' spec.names.plural+"."+spec.group',
            id="name",
        ),
        pytest.param(
            {"scope": "Universe"}, 'spec.scope: Unsupported value: "Universe"', id="scope"
        ),
        pytest.param(
            {"versions": []},
            "must have exactly one version marked as storage version",
            id="no version",
        ),
    ],
)
async def test_an_impossible_definition_is_refused(
    undefined: Gangs, change: Json, problem: str
) -> None:
    body = definition(undefined.group)
    body["metadata"] |= change.get("metadata", {})
    body["spec"] |= {field: value for field, value in change.items() if field != "metadata"}

    answer = await undefined.api.request("POST", DEFINITIONS, body)

    assert answer.status == 422
    assert problem in answer.message


async def test_an_object_is_created_read_and_watched(gangs: Gangs) -> None:
    api = gangs.api
    version = (await api.get(gangs.path))["metadata"]["resourceVersion"]
    async with api.watch(gangs.all, resourceVersion=version) as watch:
        created = await gangs.create(policy="Loose")
        await api.patch(f"{gangs.path}/a", {"spec": {"minMember": 5}}, "merge")
        await api.ok("DELETE", f"{gangs.path}/a")
        events = await watch.take(3)

    assert (created["kind"], created["apiVersion"]) == ("Gang", f"{gangs.group}/v1alpha1")
    assert created["metadata"]["generation"] == 1
    assert created["spec"] == {"minMember": 3, "policy": "Loose"}
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[1]["object"]["metadata"]["generation"] == 2


async def test_a_list_names_its_kind_and_items_by_name(gangs: Gangs) -> None:
    await gangs.create("b")
    await gangs.create("a")

    listed = await gangs.api.get(gangs.path)

    assert (listed["kind"], listed["apiVersion"]) == ("GangList", f"{gangs.group}/v1alpha1")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]


async def test_initial_events_of_a_defined_kind(gangs: Gangs) -> None:
    await gangs.create("a")
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}

    async with gangs.api.watch(gangs.path, allowWatchBookmarks="true", **query) as watch:
        events = await watch.take(2)

    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    annotations = events[1]["object"]["metadata"]["annotations"]
    assert annotations["k8s.io/initial-events-end"] == "true"


async def test_unknown_fields_are_dropped_and_defaults_set(gangs: Gangs) -> None:
    created = await gangs.create(unknown=1, policy=None, anything={"x": {"y": 1}}, weights={"z": 2})

    assert created["spec"] == {
        "minMember": 3,
        "policy": "Strict",
        "anything": {"x": {"y": 1}},
        "weights": {"z": 2},
    }


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param({"minMember": None}, "spec.minMember: Required value", id="required"),
        pytest.param(
            {"minMember": "many"},
            'spec.minMember: Invalid value: "string": spec.minMember in body must be of type'
            ' integer: "string"',
            id="type",
        ),
        pytest.param(
            {"minMember": 0},
            "spec.minMember: Invalid value: 0: spec.minMember in body should be greater than or"
            " equal to 1",
            id="minimum",
        ),
        pytest.param(
            {"minMember": 101},
            "spec.minMember: Invalid value: 101: spec.minMember in body should be less than or"
            " equal to 100",
            id="maximum",
        ),
        pytest.param(
            {"policy": "None"},
            'spec.policy: Unsupported value: "None": supported values: "Strict", "Loose"',
            id="enum",
        ),
        pytest.param(
            {"name": "a"},
            'spec.name: Invalid value: "a": spec.name in body should be at least 2 chars long',
            id="short",
        ),
        pytest.param({"name": "abcdef"}, "spec.name: Too long: may not be more than 5", id="long"),
        pytest.param(
            {"name": "UP"},
            "spec.name: Invalid value: \"UP\": spec.name in body should match '^[a-z]+$'",
            id="pattern",
        ),
        pytest.param(
            {"weights": {"a": "b"}},
            'spec.weights.a: Invalid value: "string": spec.weights.a in body must be of type'
            ' integer: "string"',
            id="map",
        ),
        pytest.param(
            {"steps": [{"share": True}]},
            'spec.steps[0].share: Invalid value: "boolean": spec.steps[0].share in body must be of'
            ' type integer,string: "boolean"',
            id="item",
        ),
        pytest.param(
            {"steps": [{}, {}, {}]},
            "spec.steps: Too many: 3: must have at most 2 items",
            id="items",
        ),
    ],
)
async def test_what_the_schema_refuses(gangs: Gangs, spec: Json, problem: str) -> None:
    body = gangs.body()
    body["spec"] |= spec
    if body["spec"]["minMember"] is None:
        del body["spec"]["minMember"]

    answer = await gangs.api.request("POST", gangs.path, body)

    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message.startswith(f'Gang.{gangs.group} "a" is invalid: ')
    assert problem in answer.message


async def test_the_status_subresource_has_the_status_alone(gangs: Gangs) -> None:
    api, body = gangs.api, gangs.body()
    created = (await api.ok("POST", gangs.path, {**body, "status": {"phase": "Done"}})).body

    change = {"spec": {"minMember": 9}, "status": {"phase": "Running", "unknown": 1}}
    by_status = await api.patch(f"{gangs.path}/a/status", change, "merge")
    by_spec = await api.patch(f"{gangs.path}/a", {**change, "status": {"phase": "No"}}, "merge")

    assert "status" not in created
    assert by_status.body["status"] == {"phase": "Running"}
    assert by_status.body["spec"]["minMember"] == 3
    assert by_status.body["metadata"]["generation"] == 1
    assert by_spec.body["status"] == {"phase": "Running"}
    assert by_spec.body["spec"]["minMember"] == 9
    assert by_spec.body["metadata"]["generation"] == 2


async def test_without_the_subresource_the_status_is_a_field_like_others(undefined: Gangs) -> None:
    await undefined.define(status=False)
    api, body = undefined.api, undefined.body()
    created = (await api.ok("POST", undefined.path, {**body, "status": {"phase": "Done"}})).body

    changed = await api.patch(f"{undefined.path}/a", {"status": {"phase": "Gone"}}, "merge")

    assert created["status"] == {"phase": "Done"}
    assert changed.body["status"] == {"phase": "Gone"}
    assert changed.body["metadata"]["generation"] == 2


async def test_put_is_optimistic(gangs: Gangs) -> None:
    api, created = gangs.api, await gangs.create()

    blind = await api.request("PUT", f"{gangs.path}/a", gangs.body())
    created["spec"]["minMember"] = 4
    seen = await api.request("PUT", f"{gangs.path}/a", created)
    stale = await api.request("PUT", f"{gangs.path}/a", created | {"spec": {"minMember": 5}})

    assert blind.status == 422
    assert "metadata.resourceVersion: Invalid value" in blind.message
    assert (seen.status, seen.body["spec"]["minMember"]) == (200, 4)
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")


async def test_there_is_no_strategic_merge_of_custom_resources(gangs: Gangs) -> None:
    await gangs.create()

    answer = await gangs.api.patch(f"{gangs.path}/a", {"spec": {"minMember": 4}}, "strategic")

    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")
    assert "accepted media types include: application/json-patch+json" in answer.message


async def test_an_object_that_does_not_say_what_it_is_is_refused(gangs: Gangs) -> None:
    body = gangs.body()
    del body["kind"]

    answer = await gangs.api.request("POST", gangs.path, body)

    assert answer.status == 400
    assert answer.message.startswith(
        "the object provided is unrecognized (must be of type Gang): Object 'Kind' is missing in '"
    )


async def test_preconditions_and_finalizers_hold_for_custom_resources(gangs: Gangs) -> None:
    api, created = gangs.api, await gangs.create()
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    await api.patch(f"{gangs.path}/a", held, "merge")

    wrong = await api.request("DELETE", f"{gangs.path}/a", {"preconditions": {"uid": "1"}})
    uid = created["metadata"]["uid"]
    await api.ok("DELETE", f"{gangs.path}/a", {"preconditions": {"uid": uid}})
    waiting = await api.get(f"{gangs.path}/a")
    await api.patch(f"{gangs.path}/a", {"metadata": {"finalizers": None}}, "merge")

    assert wrong.status == 409
    assert "deletionTimestamp" in waiting["metadata"]
    assert (await api.request("GET", f"{gangs.path}/a")).status == 404


async def test_a_kind_that_is_changed_keeps_its_objects(gangs: Gangs) -> None:
    api = gangs.api
    await gangs.create()
    wider = definition(gangs.group)["spec"]["versions"]
    properties = wider[0]["schema"]["openAPIV3Schema"]["properties"]
    properties["spec"] = {**SPEC, "properties": {**SPEC["properties"], "extra": {"type": "string"}}}  # type: ignore[dict-item]  # of a JSON literal
    path = f"{DEFINITIONS}/gangs.{gangs.group}"
    answer = await api.patch(path, {"spec": {"versions": wider}}, "merge")
    assert answer.status == 200, answer

    for _ in range(100):
        changed = await api.patch(f"{gangs.path}/a", {"spec": {"extra": "x"}}, "merge")
        if "extra" in changed.body["spec"]:
            break
        await asyncio.sleep(0.1)
    assert changed.body["spec"] == {"minMember": 3, "policy": "Strict", "extra": "x"}


async def test_a_definition_that_goes_takes_its_objects_along(gangs: Gangs) -> None:
    api = gangs.api
    await gangs.create()
    version = (await api.get(gangs.path))["metadata"]["resourceVersion"]

    async with api.watch(gangs.path, resourceVersion=version) as watch:
        await gangs.undefine()
        deleted = [event for event in await watch.until_end() if event["type"] == "DELETED"]
    await until_status(api, gangs.path, 404)
    await gangs.define()

    assert [event["object"]["metadata"]["name"] for event in deleted] == ["a"]
    assert (await api.get(gangs.path))["items"] == []
