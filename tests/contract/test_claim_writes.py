"""What DynamicResources writes about claims is taken as it means it, by the real server, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from pyscheduler.api.codec import from_builtins
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.resource_v1 import (
    FINALIZER,
    ResourceClaim,
)
from pyscheduler.client.errors import error_from_response
from pyscheduler.intree.dynamic_resources.claim_tracker import ClaimTracker
from pyscheduler.intree.dynamic_resources.extended_resources import claim_in_memory, device_needs
from pyscheduler.intree.dynamic_resources.writing import ClaimChanged, ClaimWrites
from pyscheduler.testing import FakeInformers, FakeWrites, fake_handle
from pyscheduler.testing.device_builders import DRIVER, make_resource_claim
from tests.contract.api import Api

CLAIMS = "resourceclaims.v1.resource.k8s.io"


class ApiWrites(FakeWrites):
    """Sends requests to a server of the suite."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api

    async def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        sent = None if body is None else msgspec.json.decode(msgspec.json.encode(body))
        if method == "PATCH":
            answer = await self._api.patch(path, sent, "merge")
        else:
            answer = await self._api.request(method, path, sent)
        if answer.status >= 400:
            raise error_from_response(
                answer.status, msgspec.json.encode(answer.body), request=f"{method} {path}"
            )
        return answer.body


@dataclass(frozen=True)
class Claims:
    """Writes of the plugin, and the claims they are about."""

    api: Api
    writes: ClaimWrites
    path: str

    async def make(self, name: str) -> ResourceClaim:
        exactly = {"deviceClassName": DRIVER, "allocationMode": "ExactCount", "count": 1}
        body = {
            "metadata": {"name": name},
            "spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}},
        }
        return from_builtins((await self.api.ok("POST", self.path, body)).body, ResourceClaim)

    async def read(self, name: str) -> ResourceClaim:
        return from_builtins(await self.api.get(f"{self.path}/{name}"), ResourceClaim)

    async def pod(self, name: str, **spec: Any) -> Pod:
        body = self.api.new_pod(name, **spec)
        return from_builtins((await self.api.ok("POST", self.api.pods, body)).body, Pod)


@pytest.fixture
def claims(api: Api) -> Claims:
    handle = fake_handle(writes=ApiWrites(api))
    tracker = ClaimTracker(FakeInformers().of(CLAIMS))
    path = f"/apis/resource.k8s.io/v1/namespaces/{api.namespace}/resourceclaims"
    return Claims(api, ClaimWrites(handle, tracker, stamps=True), path)


ALLOCATION = make_resource_claim("x").allocated("gpu-0", node="n").obj().status.allocation


async def test_allocation_and_reservation_are_written(claims: Claims) -> None:
    made, pod, other = await claims.make("a"), await claims.pod("p"), await claims.pod("q")

    allocated = await claims.writes.reserve(made, pod, allocation=ALLOCATION)
    shared = await claims.writes.reserve(allocated, other, allocation=None)

    stored = await claims.read("a")
    assert stored.status == shared.status
    assert stored.status.allocation is not None
    assert ALLOCATION is not None
    assert stored.status.allocation.devices == ALLOCATION.devices
    assert stored.status.allocation.node_selector == ALLOCATION.node_selector
    assert stored.status.allocation.allocation_timestamp is not None
    assert {consumer.uid for consumer in stored.status.reserved_for} == {pod.uid, other.uid}
    assert FINALIZER in stored.metadata.finalizers


async def test_what_changed_meanwhile_is_read_and_written_again(claims: Claims) -> None:
    made, pod = await claims.make("a"), await claims.pod("p")
    await claims.api.patch(f"{claims.path}/a", {"metadata": {"labels": {"a": "b"}}}, "merge")

    written = await claims.writes.reserve(made, pod, allocation=ALLOCATION)

    assert written.metadata.labels == {"a": "b"}
    with pytest.raises(ClaimChanged, match="got allocated elsewhere in the meantime"):
        await claims.writes.reserve(made, await claims.pod("q"), allocation=ALLOCATION)


async def test_reservations_are_taken_back_and_then_the_devices(claims: Claims) -> None:
    made, pod, other = await claims.make("a"), await claims.pod("p"), await claims.pod("q")
    allocated = await claims.writes.reserve(made, pod, allocation=ALLOCATION)
    await claims.writes.reserve(allocated, other, allocation=None)

    await claims.writes.release(allocated, pod)
    stored = await claims.read("a")
    assert [consumer.uid for consumer in stored.status.reserved_for] == [other.uid]

    await claims.writes.release(stored, other)
    await claims.writes.deallocate(await claims.read("a"))
    stored = await claims.read("a")
    assert stored.status.allocation is None
    assert stored.status.reserved_for == ()


async def test_the_claim_for_extended_resources_is_made_and_deleted(claims: Claims) -> None:
    containers = [
        {
            "name": "main",
            "image": "pause",
            "resources": {
                "requests": {"cpu": "100m", "example.com/gpu": "1"},
                "limits": {"example.com/gpu": "1"},
            },
        }
    ]
    pod = await claims.pod("p", containers=containers)
    needs = device_needs(pod, {"example.com/gpu": DRIVER})
    in_memory = claim_in_memory(pod)

    made = await claims.writes.create(in_memory, needs.spec)
    written = await claims.writes.reserve(
        made,
        pod,
        allocation=make_resource_claim("x")
        .allocated("gpu-0", node="n", request="container-0-request-1")
        .obj()
        .status.allocation,
    )
    await claims.writes.tell_pod(pod, written, needs.mappings)

    assert made.metadata.name.startswith("p-extended-resources-")
    assert made.spec.devices.requests[0].name == "container-0-request-1"
    told = (await claims.api.get(claims.api.pod("p")))["status"]["extendedResourceClaimStatus"]
    assert told == {
        "resourceClaimName": made.metadata.name,
        "requestMappings": [
            {
                "containerName": "main",
                "resourceName": "example.com/gpu",
                "requestName": "container-0-request-1",
            }
        ],
    }

    await claims.writes.delete(written)
    await claims.writes.delete(written)
    answer = await claims.api.request("GET", f"{claims.path}/{made.metadata.name}")
    assert answer.status == 404
