"""What an extender receives, and what its answers become, over real HTTP and HTTPS on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from pyscheduler.api.codec import NODES, PODS, Interner, decoder
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.extender_v1 import HostPriority, MetaPod, MetaVictims
from pyscheduler.client.errors import ServerUnreachable, TlsError
from pyscheduler.client.extender_client import (
    ExtenderAnswerError,
    ExtenderClient,
    connect_extenders,
    keeps_raw_node,
    keeps_raw_pod,
    tls_material,
)
from pyscheduler.config.models import Extender as ExtenderConfig
from pyscheduler.errors import CredentialsError
from pyscheduler.preemption.candidates import Victims
from pyscheduler.testing import make_pod

CERTIFICATES = Path(__file__).parents[2] / "certificates"
AUTHORITY, OTHER = CERTIFICATES / "authority.pem", CERTIFICATES / "other-authority.pem"


@dataclass
class Server:
    """Answers every verb with `answer` and remembers the requests."""

    url: str = ""
    answer: bytes = b"{}"
    status: int = 200
    hold: asyncio.Event | None = None
    #: path and body
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    peers: set[object] = field(default_factory=set)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append((f"{request.method} {request.path}", await request.read()))
        self.headers = dict(request.headers)
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        if self.hold is not None:
            await self.hold.wait()
        return web.Response(status=self.status, body=self.answer)

    @property
    def body(self) -> Any:
        """What was sent last."""
        return msgspec.json.decode(self.seen[-1][1])


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    made = Server()
    runner = web.ServerRunner(web.Server(made.handle, access_log=None), shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    made.url = f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        if made.hold is not None:
            made.hold.set()
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


@asynccontextmanager
async def connected(url: str, **fields: object) -> AsyncIterator[ExtenderClient]:
    verbs = {f"{verb}Verb": verb for verb in ("filter", "prioritize", "preempt", "bind")}
    config = ExtenderConfig.model_validate({"urlPrefix": url, "weight": 1, **verbs, **fields})
    (client,) = connect_extenders([config])
    try:
        yield client
    finally:
        await client.close()


def delivered_pod(name: str = "p", **extra: object) -> tuple[Pod, dict[str, Any]]:
    """A pod as an informer delivers it with its bytes kept, and what those say."""
    body = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}"},
        "spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": "ü"}]}]},
        **extra,
    }
    pods = decoder(PODS, Interner(), keeps_raw=lambda _: True)
    return pods.object(msgspec.json.encode(body)), body


def delivered_node(name: str) -> tuple[Node, dict[str, Any]]:
    body = {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "managedFields": [{"manager": "m"}]},
        "status": {"nodeInfo": {"kernelVersion": "6"}},
    }
    nodes = decoder(NODES, Interner(), keeps_raw=lambda _: True)
    return nodes.object(msgspec.json.encode(body)), body


POD, POD_BODY = delivered_pod()
NODE, NODE_BODY = delivered_node("a")
OTHER_NODE, OTHER_NODE_BODY = delivered_node("b")


# --- what is sent -------------------------------------------------------------------------------


async def test_filter_sends_pod_and_nodes_as_the_server_wrote_them(server: Server) -> None:
    server.answer = b'{"Nodes":{"metadata":{},"items":[{"metadata":{"name":"b"}}]},"Error":""}'
    async with connected(f"{server.url}/scheduler/") as client:
        answer = await client.filter(POD, [NODE, OTHER_NODE])

    assert server.seen[0][0] == "POST /scheduler/filter"
    assert server.headers["Content-Type"] == "application/json"
    assert server.body == {
        "Pod": POD_BODY,
        "Nodes": {"metadata": {}, "items": [NODE_BODY, OTHER_NODE_BODY]},
        "NodeNames": None,
    }
    assert POD.raw in server.seen[0][1]
    assert answer.nodes is not None
    assert [node.metadata.name for node in answer.nodes.items] == ["b"]


async def test_an_extender_that_keeps_nodes_is_sent_their_names(server: Server) -> None:
    server.answer = b'{"NodeNames":["b"],"FailedNodes":{"a":"full"}}'
    async with connected(server.url, nodeCacheCapable=True) as client:
        answer = await client.filter(POD, [NODE, OTHER_NODE])

    assert server.body == {"Pod": POD_BODY, "Nodes": None, "NodeNames": ["a", "b"]}
    assert answer.node_names == ("b",)
    assert answer.failed_nodes == {"a": "full"}


async def test_prioritize_sends_what_filter_sends_and_takes_scores(server: Server) -> None:
    server.answer = b'[{"Host":"a","Score":7}]'
    async with connected(server.url) as client:
        assert await client.prioritize(POD, [NODE]) == (HostPriority("a", 7),)

    assert server.seen[0][0] == "POST /prioritize"
    assert server.body["Nodes"]["items"] == [NODE_BODY]


async def test_preempt_sends_victims_as_the_server_wrote_them(server: Server) -> None:
    server.answer = (
        b'{"NodeNameToMetaVictims":{"a":{"Pods":[{"UID":"uid-v"}],"NumPDBViolations":1}}}'
    )
    victim, victim_body = delivered_pod("v")
    async with connected(server.url) as client:
        answer = await client.preempt(POD, {"a": Victims((victim,), 1)})

    assert server.body == {
        "Pod": POD_BODY,
        "NodeNameToVictims": {"a": {"Pods": [victim_body], "NumPDBViolations": 1}},
        "NodeNameToMetaVictims": None,
    }
    assert answer == {"a": MetaVictims((MetaPod("uid-v"),), 1)}


async def test_an_extender_that_keeps_nodes_is_sent_the_uids_of_victims(server: Server) -> None:
    victims = {
        "a": Victims((make_pod("v").uid("1").obj(), make_pod("w").uid("2").obj())),
        "b": Victims((make_pod("x").uid("3").obj(),), 1),
    }
    async with connected(server.url, nodeCacheCapable=True) as client:
        assert await client.preempt(POD, victims) == {}

    assert server.body["NodeNameToVictims"] is None
    assert server.body["NodeNameToMetaVictims"] == {
        "a": {"Pods": [{"UID": "1"}, {"UID": "2"}], "NumPDBViolations": 0},
        "b": {"Pods": [{"UID": "3"}], "NumPDBViolations": 1},
    }


async def test_bind_names_the_pod_and_the_node(server: Server) -> None:
    async with connected(server.url) as client:
        await client.bind(POD, "a")

    assert server.seen[0][0] == "POST /bind"
    assert server.body == {
        "PodName": "p",
        "PodNamespace": "shop",
        "PodUID": "uid-p",
        "Node": "a",
    }


async def test_connections_are_kept(server: Server) -> None:
    async with connected(server.url) as client:
        for _ in range(3):
            await client.bind(POD, "a")

    assert len(server.peers) == 1


async def test_what_no_informer_delivered_cannot_be_sent(server: Server) -> None:
    async with connected(server.url) as client:
        with pytest.raises(ExtenderAnswerError, match="were not kept"):
            await client.filter(make_pod("p").obj(), [])

    assert server.seen == []


# --- what is answered ---------------------------------------------------------------------------


async def test_fields_are_known_whatever_their_case(server: Server) -> None:
    server.answer = (
        b'{"nodes":{"Items":[{"Metadata":{"Name":"a"},"Spec":{}}]},"nodenames":null,'
        b'"failedNodes":{"b":"full"},"extra":1,"FailedAndUnresolvableNodes":null}'
    )
    async with connected(server.url) as client:
        answer = await client.filter(POD, [NODE])
        server.answer = b'[{"host":"a","score":3},{"HOST":"b"}]'
        scores = await client.prioritize(POD, [NODE])

    assert answer.nodes is not None
    assert [node.metadata.name for node in answer.nodes.items] == ["a"]
    assert answer.node_names is None
    assert answer.failed_nodes == {"b": "full"}
    assert scores == (HostPriority("a", 3), HostPriority("b", 0))


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        pytest.param(200, b'{"Error":"out of licences"}', "out of licences", id="error"),
        pytest.param(500, b"<h1>no\nway</h1>", "500: <h1>no way</h1>", id="status"),
        pytest.param(204, b"", "204: ", id="no content"),
        pytest.param(200, b"oops", "no valid answer: JSON is malformed", id="no JSON"),
        pytest.param(200, b'{"FailedNodes":[]}', "no valid answer: Expected `object`", id="shape"),
        pytest.param(200, b'{"Error":"\xff"}', "no valid answer", id="no UTF-8"),
    ],
)
async def test_bad_answers_are_errors_that_name_the_verb(
    server: Server, status: int, answer: bytes, reason: str
) -> None:
    server.status, server.answer = status, answer
    async with connected(server.url) as client:
        with pytest.raises(ExtenderAnswerError) as raised:
            await client.filter(POD, [NODE])

    assert str(raised.value).startswith(f"{server.url}/filter: {reason}")


async def test_an_error_of_bind_is_raised(server: Server) -> None:
    server.answer = b'{"Error":"pod is gone"}'
    async with connected(server.url) as client:
        with pytest.raises(ExtenderAnswerError, match="/bind: pod is gone"):
            await client.bind(POD, "a")


async def test_null_is_an_empty_answer(server: Server) -> None:
    server.answer = b"null"
    async with connected(server.url) as client:
        assert await client.prioritize(POD, [NODE]) == ()
        await client.bind(POD, "a")


async def test_silence_ends_with_the_time_limit(server: Server) -> None:
    server.hold = asyncio.Event()
    async with connected(server.url, httpTimeout="1ms") as client:
        with pytest.raises(ServerUnreachable, match=f"{server.url}: no answer in 0.001 s"):
            await client.bind(POD, "a")


async def test_nobody_there() -> None:
    async with serving() as gone:
        url = gone.url
    async with connected(url) as client:
        with pytest.raises(ServerUnreachable, match="Connection refused"):
            await client.bind(POD, "a")


# --- TLS ----------------------------------------------------------------------------------------


def server_context(*, asks_clients: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    if asks_clients:
        context.load_verify_locations(AUTHORITY)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


NAMED = {"serverName": "extender.test"}
CLIENT = {
    "certFile": str(CERTIFICATES / "client.pem"),
    "keyFile": str(CERTIFICATES / "client.key"),
}


@pytest.mark.parametrize(
    ("fields", "is_accepted"),
    [
        pytest.param({"enableHTTPS": True}, True, id="anybody, when no authority is named"),
        pytest.param({}, False, id="the system's authorities, when HTTPS is not enabled"),
        pytest.param({"tlsConfig": {"insecure": True}}, True, id="insecure"),
        pytest.param(
            {"enableHTTPS": True, "tlsConfig": {"caFile": str(AUTHORITY), **NAMED}},
            True,
            id="its authority",
        ),
        pytest.param(
            {"enableHTTPS": True, "tlsConfig": {"caFile": str(OTHER), **NAMED}},
            False,
            id="another authority",
        ),
        pytest.param(
            {"enableHTTPS": True, "tlsConfig": {"caFile": str(AUTHORITY)}},
            False,
            id="another name",
        ),
    ],
)
async def test_whom_we_trust(fields: dict[str, object], is_accepted: bool) -> None:
    async with serving(server_context()) as server, connected(server.url, **fields) as client:
        if is_accepted:
            await client.bind(POD, "a")
            assert len(server.seen) == 1
        else:
            with pytest.raises(TlsError, match=r"TLS failed, check the CA of extenders\[0\]"):
                await client.bind(POD, "a")


async def test_who_we_are() -> None:
    context = server_context(asks_clients=True)
    async with serving(context) as server:
        tls = {"caFile": str(AUTHORITY), **NAMED}
        async with connected(server.url, tlsConfig={**tls, **CLIENT}) as client:
            await client.bind(POD, "a")
        async with connected(server.url, tlsConfig=tls) as client:
            with pytest.raises((ServerUnreachable, TlsError)):
                await client.bind(POD, "a")

    assert len(server.seen) == 1


def test_data_go_before_files() -> None:
    config = ExtenderConfig.model_validate(
        {
            "urlPrefix": "https://extender",
            "tlsConfig": {"caFile": str(OTHER), "caData": "Y2E=", "certData": "Yw==", **CLIENT},
        }
    )
    material = tls_material(config, "extenders[0]")

    assert material is not None
    assert material.ca_pem == b"ca"
    assert material.cert_pem == b"c"
    assert material.key_pem == (CERTIFICATES / "client.key").read_bytes()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        pytest.param(
            {"tlsConfig": {"caFile": "/nowhere/ca.pem"}},
            "extenders[0].tlsConfig.caFile: cannot read /nowhere/ca.pem: No such file",
            id="no such file",
        ),
        pytest.param(
            {"tlsConfig": {"caData": "bm9uc2Vuc2U="}},
            "extenders[0]: certificate-authority holds no valid PEM certificate",
            id="no certificate",
        ),
    ],
)
async def test_certificates_are_read_at_the_start(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(CredentialsError) as raised:
        async with connected("https://extender", **fields):
            pass

    assert str(raised.value).startswith(problem)


async def test_a_url_without_a_scheme_is_refused_at_the_start() -> None:
    with pytest.raises(CredentialsError, match="must begin with https:// or http://"):
        async with connected("extender:8888"):
            pass


# --- whose bytes are kept -----------------------------------------------------------------------


def asking(*verbs: str, cached: bool = False) -> ExtenderConfig:
    named = {f"{verb}Verb": verb for verb in verbs}
    return ExtenderConfig.model_validate(
        {"urlPrefix": "http://x", "weight": 1, "nodeCacheCapable": cached, **named}
    )


@pytest.mark.parametrize(
    ("extenders", "nodes", "pending_pods", "pods_on_nodes"),
    [
        pytest.param([], False, False, False, id="no extender"),
        pytest.param([asking("bind")], False, False, False, id="one that only binds"),
        pytest.param([asking("filter")], True, True, False, id="filter"),
        pytest.param([asking("prioritize")], True, True, False, id="prioritize"),
        pytest.param([asking("filter", cached=True)], False, True, False, id="by names"),
        pytest.param([asking("preempt")], False, True, True, id="preempt"),
        pytest.param([asking("preempt", cached=True)], False, True, False, id="preempt by uids"),
        pytest.param(
            [asking("filter", cached=True), asking("preempt")], False, True, True, id="several"
        ),
    ],
)
def test_no_more_bytes_are_kept_than_extenders_are_sent(
    extenders: list[ExtenderConfig], nodes: bool, pending_pods: bool, pods_on_nodes: bool
) -> None:
    keeps_node, keeps_pod = keeps_raw_node(extenders), keeps_raw_pod(extenders)

    assert (keeps_node is not None and keeps_node(NODE)) is nodes
    assert (keeps_pod is not None and keeps_pod(POD)) is pending_pods
    running = make_pod("r").node("a").obj()
    assert (keeps_pod is not None and keeps_pod(running)) is pods_on_nodes
