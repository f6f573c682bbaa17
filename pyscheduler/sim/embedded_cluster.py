"""The embedded cluster as a whole: API server, kubelets, a disruption controller, and ways in.

    async with EmbeddedCluster() as cluster:
        cluster.create_nodes(mixed_nodes(10))
        cluster.create_pods(mixed_pods(100))
        ... a scheduler on cluster.transport(), or on cluster.kubeconfig(path) ...

`make demo`, component tests and benchmarks start here.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pyscheduler.clock import Clock, SystemClock
from pyscheduler.errors import PySchedulerError
from pyscheduler.sim.api_server import ApiServer
from pyscheduler.sim.disruption import DisruptionController
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.http_server import HttpServer
from pyscheduler.sim.in_process import InProcessTransport
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.kubelet import Kubelets
from pyscheduler.sim.object_store import DEFAULT_WINDOW, ObjectStore
from pyscheduler.sim.served_kinds import NODES, PODS, ServedKind

_encode = msgspec.json.Encoder().encode

_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: embedded
clusters:
- name: embedded
  cluster:
    server: {url}
contexts:
- name: embedded
  context:
    cluster: embedded
    user: embedded
    namespace: default
users:
- name: embedded
  user: {user}
"""


class RequestRefused(PySchedulerError):  # noqa: N818  # what happened, as the server says it
    """The embedded API server refused what the facade was asked to create."""


def write_kubeconfig(path: Path, url: str, *, token: str | None = None) -> Path:
    """The file is a kubeconfig for a server at that address, readable by its owner only."""
    user = f"{{token: {token}}}" if token else "{}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(_KUBECONFIG.format(url=url, user=user))
    return path


class EmbeddedCluster:
    """An API server with live nodes and pods; use as an async context manager."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        http: bool = False,
        port: int = 0,
        token: str | None = None,
        live: bool = True,
        start_delay_s: float = 0.05,
        stop_delay_s: float | None = 0.05,
        heartbeat_s: float | None = None,
        watch_list: bool = True,
        window: int = DEFAULT_WINDOW,
    ) -> None:
        """A cluster not yet started.

        Args:
            clock: the system's unless given; a `VirtualClock` replays hours at once.
            seed: of uids and generated names.
            http: whether to listen on loopback, for kubectl and other processes.
            port: to listen on; 0 for any free one.
            token: bearer token that HTTP requests must carry; None lets everybody in. kubectl
                never sends one over plain HTTP, so a cluster for kubectl has none.
            live: whether nodes become Ready, pods Running and gone, and budgets are kept count of.
            start_delay_s: from binding to Running.
            stop_delay_s: from deletion to gone; None for the pod's whole grace period.
            heartbeat_s: how often node Leases are renewed; None for never.
            watch_list: whether watches may ask for their initial state.
            window: events kept per resource.
        """
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.store = ObjectStore(window=window)
        self.server = ApiServer(
            self.store, clock=self.clock, rng=random.Random(seed), watch_list=watch_list
        )
        self.kubelets = Kubelets(
            self.server,
            clock=self.clock,
            start_delay_s=start_delay_s,
            stop_delay_s=stop_delay_s,
            heartbeat_s=heartbeat_s,
        )
        self.disruption = DisruptionController(self.server, clock=self.clock)
        self._live = live
        self._token = token
        self._port = port
        self._http = HttpServer(self.server, token=token) if http else None

    async def __aenter__(self) -> Self:
        if self._live:
            self.kubelets.start()
            self.disruption.start()
        if self._http is not None:
            await self._http.start(self._port)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()
        self.server.disconnect_watches()
        await self.disruption.close()
        await self.kubelets.close()

    @property
    def url(self) -> str:
        """Where the API server listens.

        Raises:
            ValueError: the cluster was made without ``http=True``.
        """
        if self._http is None:
            raise ValueError("the embedded cluster does not listen: make it with http=True")
        return self._http.url

    def kubeconfig(self, path: Path) -> Path:
        """The file is a kubeconfig for this cluster, readable by its owner only."""
        return write_kubeconfig(path, self.url, token=self._token)

    def transport(self) -> InProcessTransport:
        """A client's transport that calls the server directly."""
        return InProcessTransport(self.server, clock=self.clock)

    def create(self, body: JsonObject, *, kind: ServedKind | None = None) -> JsonObject:
        """The object exists; returns it as stored.

        Args:
            body: as a client would POST it.
            kind: of the object; what its ``apiVersion`` and ``kind`` name unless given.

        Raises:
            RequestRefused: the server's message.
        """
        if kind is None:
            named = {"api_version": body.get("apiVersion", ""), "kind": body.get("kind", "")}
            kind = self.server.catalogue.find(**named)
            if kind is None:
                raise RequestRefused(f"no such kind is served: {named}")
        namespace = (body.get("metadata") or {}).get("namespace") or "default"
        scope = f"/namespaces/{namespace}" if kind.namespaced else ""
        answer = self.server.handle(
            Request("POST", f"{kind.root}{scope}/{kind.plural}", body=_encode(body))
        )
        stored: JsonObject = (
            msgspec.json.decode(answer.body) if isinstance(answer, Response) else {}
        )
        if not isinstance(answer, Response) or answer.status >= 400:
            raise RequestRefused(stored.get("message", "no answer"))
        return stored

    def create_node(self, node: JsonObject) -> JsonObject:
        """The node exists; see `workload.make_node`."""
        return self.create(node, kind=NODES)

    def create_nodes(self, nodes: Iterable[JsonObject]) -> None:
        """All the nodes exist."""
        for node in nodes:
            self.create(node, kind=NODES)

    def create_pods(self, pods: Iterable[JsonObject]) -> None:
        """All the pods exist; see `workload.make_pod`."""
        for pod in pods:
            self.create(pod, kind=PODS)

    def nodes(self) -> list[JsonObject]:
        """Every node as stored; not to be written into."""
        return self._objects(NODES)

    def pods(self) -> list[JsonObject]:
        """Every pod as stored; not to be written into."""
        return self._objects(PODS)

    def _objects(self, kind: ServedKind) -> list[JsonObject]:
        objects = self.store.collection(kind.collection).objects
        return [stored.data for stored in objects.values()]
