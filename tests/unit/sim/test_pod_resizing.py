"""Resources of a pod's containers change through its resize subresource, and nothing else does."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from pyscheduler.clock import FakeClock
from pyscheduler.sim.api_server import ApiServer
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.object_store import ObjectStore

POD = "/api/v1/namespaces/default/pods/a"


def container(name: str = "main", **resources: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "image": "i", "resources": resources}


@pytest.fixture
def server() -> ApiServer:
    server = ApiServer(ObjectStore(), clock=FakeClock(), rng=random.Random(0))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "labels": {"app": "web"}},
        "spec": {"containers": [container(requests={"cpu": "2", "memory": "1Gi"})]},
    }
    send(server, "POST", POD.rpartition("/")[0], pod)
    return server


def send(server: ApiServer, method: str, path: str, body: object = None) -> tuple[int, Any]:
    content = b"" if body is None else msgspec.json.encode(body)
    answer = server.handle(Request(method, path, body=content))
    assert isinstance(answer, Response)
    return answer.status, msgspec.json.decode(answer.body)


def resize(server: ApiServer, *containers: dict[str, Any], **metadata: Any) -> tuple[int, Any]:
    _, pod = send(server, "GET", POD)
    pod["metadata"] |= metadata
    pod["spec"] |= {"containers": list(containers), "nodeName": "n"}
    return send(server, "PUT", f"{POD}/resize", pod)


def test_resources_change_and_the_rest_stays(server: ApiServer) -> None:
    _, before = send(server, "GET", POD)
    status, pod = resize(
        server, container(requests={"cpu": "1", "memory": "1Gi"}), labels={"app": "db"}
    )
    assert status == 200
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert pod["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert pod["metadata"]["labels"] == {"app": "web"}
    assert "nodeName" not in pod["spec"]
    assert pod["status"] == before["status"]


def test_what_changes_nothing_is_no_new_version(server: ApiServer) -> None:
    _, before = send(server, "GET", POD)
    status, pod = resize(server, container(requests={"cpu": "2", "memory": "1Gi"}))
    assert (status, pod) == (200, before)


def test_resources_are_read_where_they_are_written(server: ApiServer) -> None:
    assert send(server, "GET", f"{POD}/resize") == send(server, "GET", POD)


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        pytest.param([], "spec.containers: Forbidden: containers may not be added", id="fewer"),
        pytest.param(
            [container("other", requests={"cpu": "2", "memory": "1Gi"})],
            "spec.containers[0].name: Forbidden: containers may not be renamed",
            id="another name",
        ),
        pytest.param(
            [container(requests={"cpu": "2"})],
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
            id="a request is gone",
        ),
        pytest.param(
            [container(requests={"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1Gi"})],
            "spec: Forbidden: only cpu and memory resources are mutable",
            id="another resource",
        ),
        pytest.param(
            [
                container(
                    requests={"cpu": "2", "memory": "1Gi"}, limits={"cpu": "2", "memory": "1Gi"}
                )
            ],
            'spec: Invalid value: "Burstable": Pod QOS Class may not change',
            id="another QoS class",
        ),
    ],
)
def test_what_a_resize_may_not_change(
    containers: list[dict[str, Any]], message: str, server: ApiServer
) -> None:
    status, answer = resize(server, *containers)
    assert status == 422
    assert message in answer["message"]
