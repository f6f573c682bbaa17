"""Custom kinds on the embedded server alone; `tests/contract` has what the real one does too."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from pyscheduler.sim.api_server import ApiServer
from pyscheduler.sim.embedded_cluster import EmbeddedCluster, RequestRefused
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.object_store import ObjectStore
from pyscheduler.sim.schemas import completed
from pyscheduler.sim.served_kinds import CUSTOM_RESOURCE_DEFINITIONS
from pyscheduler.sim.virtual_clock import VirtualClock

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def definition(**version: Any) -> JsonObject:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "gangs.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"plural": "gangs", "kind": "Gang"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    **version,
                }
            ],
        },
    }


def server() -> ApiServer:
    return ApiServer(ObjectStore(), clock=VirtualClock(), rng=random.Random(1))


def post(server: ApiServer, path: str, body: JsonObject) -> Response:
    answer = server.handle(Request("POST", path, body=msgspec.json.encode(body)))
    assert isinstance(answer, Response)
    return answer


def test_a_definition_of_several_versions_names_itself() -> None:
    body = definition()
    versions = body["spec"]["versions"]
    versions.append({**versions[0], "name": "v2", "storage": False})

    answer = post(server(), f"{CUSTOM_RESOURCE_DEFINITIONS.root}/customresourcedefinitions", body)

    assert answer.status == 501
    assert b"several versions" in answer.body


def test_a_cluster_creates_objects_of_a_kind_it_was_just_taught() -> None:
    cluster = EmbeddedCluster(clock=VirtualClock())
    gang = {"kind": "Gang", "apiVersion": "example.com/v1", "metadata": {"name": "a"}, "spec": {}}
    with pytest.raises(RequestRefused, match="no such kind is served"):
        cluster.create(gang)

    cluster.create(definition())
    assert cluster.create(gang)["metadata"]["generation"] == 1


def test_columns_of_a_custom_kind() -> None:
    columns = [
        {"name": "Members", "type": "integer", "jsonPath": ".spec.minMember"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    api = server()
    definitions = f"{CUSTOM_RESOURCE_DEFINITIONS.root}/customresourcedefinitions"
    post(api, definitions, definition(additionalPrinterColumns=columns))
    body = {"kind": "Gang", "metadata": {"name": "a"}, "spec": {"minMember": 3}}
    post(api, "/apis/example.com/v1/gangs", body)

    answer = api.handle(Request("GET", "/apis/example.com/v1/gangs", accept=_TABLE))
    assert isinstance(answer, Response)
    (row,) = msgspec.json.decode(answer.body)["rows"]
    assert row["cells"] == ["a", 3, "0s"]


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        pytest.param({"properties": {"a": {}}}, {"a": 1, "b": 2}, {"a": 1}, id="pruned"),
        pytest.param(
            {"properties": {"a": {"default": {}, "properties": {"b": {"default": 1}}}}},
            {},
            {"a": {"b": 1}},
            id="a default has defaults",
        ),
        pytest.param(
            {"properties": {"a": {"default": 1}}}, {"a": None}, {"a": 1}, id="null gives way"
        ),
        pytest.param(
            {"properties": {"a": {"default": 1, "nullable": True}}},
            {"a": None},
            {"a": None},
            id="null is a value",
        ),
        pytest.param(
            {"items": {"properties": {"a": {}}}}, [{"a": 1, "b": 2}], [{"a": 1}], id="items"
        ),
        pytest.param(
            {"additionalProperties": {"properties": {"a": {}}}},
            {"x": {"a": 1, "b": 2}},
            {"x": {"a": 1}},
            id="a map's values",
        ),
        pytest.param({"additionalProperties": True}, {"x": {"b": 2}}, {"x": {"b": 2}}, id="any"),
        pytest.param(
            {
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {"a": {"properties": {}}},
            },
            {"a": {"b": 1}, "c": {"d": 1}},
            {"a": {}, "c": {"d": 1}},
            id="unknown kept, known pruned",
        ),
    ],
)
def test_completed(schema: JsonObject, value: Any, expected: Any) -> None:
    assert completed(schema, value) == expected
