"""The plugin over an API server that keeps claims, conflicts and lost answers included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec

from pyscheduler import framework as fwk
from pyscheduler.api.codec import from_builtins
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.resource_v1 import DeviceClass, ResourceClaim, ResourceSlice
from pyscheduler.client.errors import Conflict, NotFound, ServerUnreachable
from pyscheduler.clock import FakeClock
from pyscheduler.framework.extended_resources import DEVICE_CLASSES
from pyscheduler.framework.handle import Handle
from pyscheduler.intree.dynamic_resources.claim_tracker import RESOURCE_CLAIMS, ClaimTracker
from pyscheduler.intree.dynamic_resources.cluster_devices import CLUSTER, RESOURCE_SLICES
from pyscheduler.intree.dynamic_resources.plugin import DynamicResources
from pyscheduler.testing import (
    FakeInformers,
    FakeRecorder,
    FakeWrites,
    fake_handle,
    make_node,
    make_plugin,
    snapshot_of,
)

#: Turns of the event loop in which everything that can go on has gone on.
_TURNS = 50


class ClaimServer(FakeWrites):
    """Keeps claims as an API server does; other writes are remembered alone."""

    def __init__(self, informers: FakeInformers) -> None:
        super().__init__()
        self._told = informers.of(RESOURCE_CLAIMS)
        self._claims: dict[str, dict[str, Any]] = {}
        self._version = 100
        #: False: the watch is late, and tells when `tell` is called
        self.tells = True
        #: raised in place of the next requests that match, by method, before anything happens
        self.refusals: dict[str, list[Exception]] = {}
        #: how many of the next patches are carried out without an answer
        self.lost_answers = 0
        #: patches wait for it while it is set
        self.gate: asyncio.Event | None = None

    def put(self, claim: ResourceClaim) -> None:
        """Somebody else makes or changes a claim."""
        kept = msgspec.to_builtins(claim)
        self._store(f"{claim.metadata.namespace}/{claim.metadata.name}", kept)

    def remove(self, key: str) -> None:
        """Somebody else deletes a claim."""
        del self._claims[key]
        self._told.remove(key)

    def claim(self, key: str) -> ResourceClaim:
        """The claim as it is stored."""
        return from_builtins(self._claims[key], ResourceClaim)

    @property
    def keys(self) -> list[str]:
        """All claims."""
        return sorted(self._claims)

    def tell(self) -> None:
        """The watch tells of everything."""
        for key in self._claims:
            self._told.put(self.claim(key))

    @property
    def sent(self) -> list[str]:
        """Method and what is left of the path, of all requests."""
        return [
            f"{method} {path.rpartition('/resourceclaims')[2]}" for method, path, _ in self.requests
        ]

    async def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Carries it out on claims."""
        self.requests.append((method, path, body))
        if self.refusals.get(method):
            raise self.refusals[method].pop(0)
        if "/resourceclaims" not in path:
            return {}
        namespace, name = path.split("/")[5], path.split("/")[7:8]
        sent: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(body))
        if method == "POST":
            return self._create(namespace, sent)
        if self.gate is not None and method == "PATCH":
            await self.gate.wait()
        key = f"{namespace}/{name[0]}"
        kept = self._claims.get(key)
        if kept is None:
            raise NotFound(404, "NotFound", f"{key} not found")
        if method == "GET":
            return kept
        if method == "DELETE":
            self.remove(key)
            return {}
        if sent["metadata"]["resourceVersion"] != kept["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", f"{key} has been modified")
        stored = self._store(key, _merged(kept, sent))
        if self.lost_answers:
            self.lost_answers -= 1
            raise ServerUnreachable("connection reset")
        return stored

    def _create(self, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        name = body["metadata"].pop("generateName") + "x"
        body["metadata"] |= {"name": name, "namespace": namespace, "uid": f"made/{name}"}
        return self._store(f"{namespace}/{name}", body)

    def _store(self, key: str, claim: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        metadata = {**claim["metadata"], "resourceVersion": str(self._version)}
        self._claims[key] = {**claim, "metadata": metadata}
        if self.tells:
            self._told.put(self.claim(key))
        return self._claims[key]


def _merged(kept: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(kept)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merged(merged.get(key, {}), value)
        else:
            merged[key] = value
    return merged


class RunningTasks:
    """Runs background tasks at once."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Future[None]] = []

    def start(self, function: Callable[[], Awaitable[None]], *, name: str) -> None:
        """Runs it."""
        self.tasks.append(asyncio.ensure_future(function()))


class Rig:
    """One plugin; ``nodes`` have no devices but those of slices among ``objects``."""

    def __init__(
        self,
        *objects: ResourceClaim | DeviceClass | ResourceSlice,
        nodes: Iterable[Node] = (),
        args: Mapping[str, Any] | None = None,
        features: Mapping[str, bool] | None = None,
    ) -> None:
        self.informers = FakeInformers()
        self.server = ClaimServer(self.informers)
        self.clock = FakeClock()
        self.recorder = FakeRecorder()
        self.tasks = RunningTasks()
        for known in objects:
            self.put(known)
        nodes = tuple(nodes) or (make_node("n").obj(),)
        self.handle: Handle = fake_handle(
            snapshot_of(nodes),
            writes=self.server,
            informers=self.informers,
            clock=self.clock,
            recorder=self.recorder,
            tasks=self.tasks,
            features=features,
        )
        self.plugin = make_plugin(DynamicResources, args, handle=self.handle)

    @property
    def tracker(self) -> ClaimTracker:
        """Of all profiles."""

        def must_be_there() -> Any:
            raise AssertionError("the plugin has made it")

        return self.handle.shared.of(CLUSTER, must_be_there).claims

    def put(self, known: ResourceClaim | DeviceClass | ResourceSlice) -> None:
        """It is there, or is like this now."""
        if isinstance(known, ResourceClaim):
            self.server.put(known)
        else:
            is_class = isinstance(known, DeviceClass)
            self.informers.of(DEVICE_CLASSES if is_class else RESOURCE_SLICES).put(known)

    def prepared(self, pod: Pod) -> fwk.CycleState:
        """What PreFilter leaves of a pod that it lets through."""
        state = fwk.CycleState()
        status = self.plugin.pre_filter(state, pod, self.handle.snapshot.nodes)
        assert status is None, status
        return state

    def pre_filter(self, pod: Pod) -> fwk.Status | None:
        """What PreFilter answers."""
        return self.plugin.pre_filter(fwk.CycleState(), pod, self.handle.snapshot.nodes)

    def judged(
        self, pod: Pod, state: fwk.CycleState | None = None
    ) -> tuple[fwk.CycleState, dict[str, str]]:
        """The state after Filter, and what it says of each node; empty for those that pass."""
        state = state or self.prepared(pod)
        nodes = self.handle.snapshot.nodes
        said = {}
        for row in range(len(nodes)):
            status = self.plugin.filter(state, pod, nodes.node(row))
            said[nodes.node(row).name] = "" if status is None else status.message
        return state, said

    def reserved(self, pod: Pod, node_name: str = "n") -> fwk.CycleState:
        """The state after a Reserve that went well."""
        state, said = self.judged(pod)
        assert said[node_name] == "", said
        assert self.plugin.reserve(state, pod, node_name) is None
        return state

    async def bound(self, pod: Pod, node_name: str = "n") -> fwk.CycleState:
        """The state after a PreBind that went well."""
        state = self.reserved(pod, node_name)
        assert await self.plugin.pre_bind(state, pod, node_name) is None
        return state

    async def settle(self) -> None:
        """Everything that can go on has gone on."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def devices_of(self, key: str) -> list[str]:
        """The devices that a stored claim has."""
        allocation = self.server.claim(key).status.allocation
        return [] if allocation is None else [r.device for r in allocation.devices.results]

    def consumers_of(self, key: str) -> list[str]:
        """The pods that may use a stored claim."""
        return [consumer.name for consumer in self.server.claim(key).status.reserved_for]
