"""Servers of the contract suite: embedded over HTTP, embedded in process, and the real one."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from tests.contract.api import Api, Connection, HttpConnection, InProcessConnection
from tests.controlplane.build import ControlPlaneUnavailableError
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.identities import ADMIN

SERVERS = ("embedded-http", "embedded-in-process", "real")

_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "real_only(reason): the embedded API server deliberately does less"
    )
    config.addinivalue_line(
        "markers", "embedded_only(reason): the real server cannot be brought to show it here"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for the suite, so that connections to the real server are kept."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass(frozen=True)
class RealServer:
    connection: HttpConnection
    kubeconfig: Path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def real_server() -> AsyncIterator[RealServer]:
    """One kube-apiserver for the whole suite; without controllers, so nothing else writes."""
    try:
        async with ControlPlane.start(controller_manager=False, audit=False) as plane:
            # Its watch window then begins after version 1, as on any server that was restarted.
            await plane.restart_apiserver()
            token = plane.identities.tokens[ADMIN]
            async with _over_http(plane.server, token) as connection:
                yield RealServer(connection, plane.kubeconfig())
    except ControlPlaneUnavailableError as error:
        pytest.skip(str(error))


@dataclass(frozen=True)
class Server:
    """Which server a case runs on, and the real one where it is that."""

    kind: str
    real: RealServer | None = None


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    """Which server the case runs on; markers leave one out."""
    kind = str(request.param)
    left_out = "embedded_only" if kind == "real" else "real_only"
    if marker := request.node.get_closest_marker(left_out):
        pytest.skip(marker.args[0])
    # Not from the async fixture below: the real server lives on the session's loop.
    return Server(kind, request.getfixturevalue("real_server") if kind == "real" else None)


@pytest_asyncio.fixture(loop_scope="session")
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    """The embedded cluster of an embedded case; dead, as the real one has no controllers."""
    async with EmbeddedCluster(http=True, live=False) as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="session")
async def api(server: Server, cluster: EmbeddedCluster) -> AsyncIterator[Api]:
    """The server as a case sees it, with a namespace of its own."""
    async with _connection(server, cluster) as connection:
        namespace = f"contract-{next(_numbers)}"
        api = Api(connection, namespace=namespace, is_real=server.real is not None)
        await _prepare(api)
        yield api


@asynccontextmanager
async def _connection(server: Server, cluster: EmbeddedCluster) -> AsyncIterator[Connection]:
    if server.kind == "embedded-in-process":
        yield InProcessConnection(cluster.transport())
        return
    if server.real is not None:
        yield server.real.connection
        return
    async with _over_http(cluster.url, None) as connection:
        yield connection


@asynccontextmanager
async def _over_http(url: str, token: str | None) -> AsyncIterator[HttpConnection]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        yield HttpConnection(session, url)


async def _prepare(api: Api) -> None:
    """The case's namespace exists, with the ServiceAccount that admission asks for."""
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": api.namespace}})
    accounts = f"/api/v1/namespaces/{api.namespace}/serviceaccounts"
    await api.ok("POST", accounts, {"metadata": {"name": "default"}})
