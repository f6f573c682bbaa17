"""What plugins follow through their handle, on either server: our client against both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from pyscheduler.api.codec import Interner
from pyscheduler.app.resource_events import RESOURCES
from pyscheduler.client.credentials import load_credentials
from pyscheduler.client.informers import SharedInformers
from pyscheduler.client.lean_transport import open_transport
from pyscheduler.client.transport import Transport
from pyscheduler.clock import SystemClock
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from tests.contract.api import Api, Json
from tests.contract.conftest import Server

pytestmark = [
    # over HTTP the embedded server is the same
    pytest.mark.parametrize("server", ["embedded-in-process", "real"], indirect=True),
    # a definition takes a moment to be served, and we ask with growing pauses
    pytest.mark.timeout(40),
]


class Spec(msgspec.Struct, frozen=True):
    size: int


class Gang(msgspec.Struct, frozen=True):
    spec: Spec


class Told:
    """A handler that remembers the sizes it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def on_add(self, added: Gang, initial: bool) -> None:
        self.calls.append(("add", added.spec.size))

    def on_update(self, old: Gang, new: Gang) -> None:
        self.calls.append(("update", new.spec.size))

    def on_delete(self, deleted: Gang) -> None:
        self.calls.append(("delete", deleted.spec.size))


@asynccontextmanager
async def _transport(server: Server, cluster: EmbeddedCluster) -> AsyncIterator[Transport]:
    if server.real is None:
        yield cluster.transport()
        return
    transport = open_transport(await load_credentials(server.real.kubeconfig))
    yield transport
    await transport.close()


@pytest_asyncio.fixture(loop_scope="session")
async def informers(server: Server, cluster: EmbeddedCluster) -> AsyncIterator[SharedInformers]:
    """Nothing followed yet; `run` is for the case."""
    async with _transport(server, cluster) as transport:
        yield SharedInformers(transport, interner=Interner(), clock=SystemClock(), rng=Random(1))


@asynccontextmanager
async def running(informers: SharedInformers) -> AsyncIterator[None]:
    run = asyncio.ensure_future(informers.run())
    yield
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def eventually(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not happened():
            await asyncio.sleep(0.02)


def definition(group: str) -> Json:
    properties = {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": f"gangs.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "plural": "gangs",
                "singular": "gang",
                "kind": "Gang",
                "listKind": "GangList",
            },
            "versions": [version],
        },
    }


def gang(group: str, *, size: int) -> Json:
    return {
        "kind": "Gang",
        "apiVersion": f"{group}/v1",
        "metadata": {"name": "a"},
        "spec": {"size": size},
    }


async def test_custom_resource_is_followed_from_the_installation_of_its_definition_on(
    api: Api, informers: SharedInformers
) -> None:
    group = f"{api.namespace}.followed.com"
    path = f"/apis/{group}/v1/namespaces/{api.namespace}/gangs"
    gangs = informers.for_plugin("Gangs").of(f"gangs.v1.{group}", Gang)
    told = Told()
    gangs.add_handler(told)
    async with running(informers):
        await eventually(lambda: informers.missing()[0].endswith("not served by the cluster"))
        await api.ok(
            "POST",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            definition(group),
        )
        await eventually(lambda: not informers.missing())
        await api.ok("POST", path, gang(group, size=1))
        patch: dict[str, Any] = {"spec": {"size": 2}}
        await api.ok("PATCH", f"{path}/a", patch, content_type="application/merge-patch+json")
        await eventually(lambda: len(told.calls) == 2)
        assert gangs.get(f"{api.namespace}/a") == Gang(Spec(2))
        await api.ok("DELETE", f"{path}/a")
        await eventually(lambda: len(told.calls) == 3)

    assert told.calls == [("add", 1), ("update", 2), ("delete", 2)]


async def test_every_kind_that_events_speak_of_is_served(
    api: Api, informers: SharedInformers
) -> None:
    for name in RESOURCES.values():
        informers.follow(name, asked_by="everything")
    async with running(informers):
        await eventually(lambda: not informers.missing())
