"""A whole cluster in a test: embedded API server and kubelets, a scheduler on it, virtual time.

    async def story():
        async with embedded_cluster(NodeHeat, nodes=[hot, cool]) as cluster:
            cluster.create(make_pod("p").obj())
            await cluster.until_bound("p")
            assert cluster.node_of("p") == "cool"

Time moves only in `LiveCluster.run_for` and the ``until`` methods, and then it jumps: an hour takes
milliseconds, and two runs with one seed are alike to the last decision. Nothing of the scheduler is
simulated: it is assembled as ``pyscheduler run`` assembles it, and reads and writes the embedded
API server as it would a real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import msgspec

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.app.assembly import Assembly, assemble
from pyscheduler.config.feature_gates import with_gates
from pyscheduler.config.load import default_config, parse_config
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.functions import FunctionPlugin
from pyscheduler.framework.interface import Plugin
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.served_kinds import CORE_EVENTS, PODS
from pyscheduler.sim.virtual_clock import NeverHappened, VirtualClock
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics
from pyscheduler.testing.profiles import registry_with

#: What the containers of pods run that say nothing about it.
_IMAGE = "registry.k8s.io/pause:3.10"
_SCHEDULER_NAME = "pyscheduler"
#: Virtual seconds that the ``until`` methods wait unless told otherwise.
_PATIENCE_S = 600.0


class LiveCluster:
    """A cluster with a scheduler at work; made by `embedded_cluster`.

    Objects are named as ``p`` or ``namespace/p``; without one the namespace is ``default``.
    """

    def __init__(self, cluster: EmbeddedCluster, clock: VirtualClock, assembly: Assembly) -> None:
        self.cluster = cluster
        self.clock = clock
        self._assembly = assembly
        self._tasks: list[asyncio.Task[None]] = []
        self._priority_classes: set[str] = set()

    # --- what is done to it ---

    def create(self, *objects: Pod | Node | PodDisruptionBudget | JsonObject) -> None:
        """The objects exist: of builders, or as a manifest has them.

        A pod of a builder gets what it lacks: a container, an image, a PriorityClass for its
        priority; and one without a scheduler's name is ours.

        Raises:
            PySchedulerError: the API server refused one; its message.
        """
        for created in objects:
            body = created if isinstance(created, dict) else _manifest(created)
            if isinstance(created, Pod):
                self._give_priority_class(body["spec"])
            self.cluster.create(body)

    def patch(self, path: str, patch: JsonObject) -> JsonObject:
        """The object is changed by a JSON merge patch; returns it.

        Args:
            path: ``pods/p``, ``nodes/n/status``, or a whole path such as ``/apis/example.com/...``.
            patch: what changes; None takes a field away.

        Raises:
            PySchedulerError: the API server refused; its message.
        """
        body = msgspec.json.encode(patch)
        return self._send(
            Request("PATCH", _path(path), body=body, content_type="application/merge-patch+json")
        )

    def delete(self, path: str) -> None:
        """The object is being deleted; a pod goes when its kubelet lets it.

        Raises:
            PySchedulerError: the API server refused; its message.
        """
        self._send(Request("DELETE", _path(path), body=b"{}"))

    # --- time ---

    async def run_for(self, seconds: float) -> None:
        """So much has passed, in virtual time."""
        await self.clock.run_for(seconds)
        self._check()

    async def until(
        self, happened: Callable[[], bool], *, what: str = "the state", limit_s: float = _PATIENCE_S
    ) -> float:
        """It has happened; returns the virtual seconds that took.

        Raises:
            PySchedulerError: it did not within ``limit_s`` virtual seconds.
        """

        def happened_or_broken() -> bool:
            self._check()
            return happened()

        return await self.clock.run_until(happened_or_broken, what=what, limit_s=limit_s)

    async def until_bound(self, *names: str, limit_s: float = _PATIENCE_S) -> float:
        """These pods, or all there are, have nodes; returns the virtual seconds that took.

        Raises:
            PySchedulerError: not within ``limit_s``; what is said of the pods that wait.
        """

        def waiting() -> list[str]:
            return [name for name in names or self.pod_names() if not self.node_of(name)]

        try:
            return await self.until(lambda: not waiting(), limit_s=limit_s)
        except NeverHappened as error:
            said = "; ".join(f"{name}: {self.message(name) or 'no message'}" for name in waiting())
            raise NeverHappened(f"not bound within {limit_s:g} s: {said}") from error

    async def until_rejected(self, name: str, *, limit_s: float = _PATIENCE_S) -> str:
        """The pod was tried in vain; returns what its condition says.

        Raises:
            PySchedulerError: not within ``limit_s``.
        """
        await self.until(
            lambda: bool(self.message(name)), what=f"a verdict on {name}", limit_s=limit_s
        )
        return self.message(name)

    # --- what is seen ---

    def pod_names(self) -> list[str]:
        """All pods as ``namespace/name``."""
        return list(self.cluster.store.collection(PODS.collection).objects)

    def pod(self, name: str) -> JsonObject:
        """The pod as the API server has it; not to be written into.

        Raises:
            KeyError: there is none.
        """
        stored = self.cluster.store.get(PODS.collection, _key(name))
        if stored is None:
            raise KeyError(name)
        return stored.data

    def node_of(self, name: str) -> str:
        """The node that the pod is bound to; empty while it is not."""
        node: str = self.pod(name)["spec"].get("nodeName", "")
        return node

    def message(self, name: str) -> str:
        """Why the pod waits, as its PodScheduled condition says; empty without one."""
        conditions = self.pod(name)["status"].get("conditions") or ()
        said: list[str] = [
            condition.get("message", "")
            for condition in conditions
            if condition["type"] == "PodScheduled" and condition["status"] == "False"
        ]
        return said[0] if said else ""

    def attempts(self, name: str) -> int:
        """How often the scheduler has tried a pod that waits.

        Raises:
            KeyError: it does not wait.
        """
        entity = self._assembly.queue.get(self.pod(name)["metadata"]["uid"])
        if entity is None:
            raise KeyError(name)
        return entity.attempts

    def events(self, name: str) -> list[tuple[str, str]]:
        """Reason and note of the events about the pod, in the order in which they were made."""
        stored = self.cluster.store.collection(CORE_EVENTS.collection).objects.values()
        about = [
            event.data
            for event in sorted(stored, key=lambda event: event.created)
            if _regarding(event.data) == _key(name)
        ]
        return [(data["reason"], data.get("note") or data.get("message", "")) for data in about]

    # --- inside ---

    async def start(self) -> None:
        """The scheduler has seen everything there is, and schedules."""
        self._tasks.append(asyncio.create_task(self._assembly.follow()))
        await self.until(lambda: self._assembly.is_synced, what="the first look at the cluster")
        self._tasks.append(asyncio.create_task(self._assembly.schedule()))

    def _check(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    def _give_priority_class(self, spec: JsonObject) -> None:
        """The API server takes no bare numbers: there is a class for the pod's priority."""
        if "priority" not in spec or "priorityClassName" in spec:
            return
        value, policy = spec.pop("priority"), spec.get("preemptionPolicy", "PreemptLowerPriority")
        name = f"priority-{'minus-' if value < 0 else ''}{abs(value)}-{policy.lower()}"
        spec["priorityClassName"] = name
        if name not in self._priority_classes:
            self._priority_classes.add(name)
            self.cluster.create(
                {
                    "apiVersion": "scheduling.k8s.io/v1",
                    "kind": "PriorityClass",
                    "metadata": {"name": name},
                    "value": value,
                    "preemptionPolicy": policy,
                }
            )

    def _send(self, request: Request) -> JsonObject:
        answer = self.cluster.server.handle(request)
        assert isinstance(answer, Response), f"{request.method} {request.path} is no write"
        body: JsonObject = msgspec.json.decode(answer.body)
        if answer.status >= 400:  # HTTP
            raise PySchedulerError(body.get("message", f"refused with {answer.status}"))
        return body


@asynccontextmanager
async def embedded_cluster(
    *plugins: type[Plugin[Any]] | FunctionPlugin,
    nodes: Iterable[Node | JsonObject] = (),
    config: str | None = None,
    feature_gates: Mapping[str, bool] | None = None,
    seed: int = 0,
) -> AsyncIterator[LiveCluster]:
    """A cluster, and a scheduler with ``plugins`` at work on it.

    Args:
        plugins: enabled behind the default ones with weight 1 and default arguments; with
            ``config`` they are there for it to name.
        nodes: that exist from the beginning.
        config: a KubeSchedulerConfiguration as text, whose profiles then count.
        feature_gates: those that differ from their defaults.
        seed: of everything random.

    Pods run a second after they were bound, and take their whole grace period to go.

    Raises:
        ConfigError: the configuration is wrong; every problem with its path.
        ValueError: a feature gate is unknown, or cannot have that value.
    """
    classes = [p.build() if isinstance(p, FunctionPlugin) else p for p in plugins]
    registry = registry_with(*classes, enabled=config is None)
    configuration = (
        default_config(registry)
        if config is None
        else parse_config(config, registry, source="config")
    )
    clock = VirtualClock()
    before = asyncio.all_tasks()
    async with EmbeddedCluster(
        clock=clock, seed=seed, start_delay_s=1.0, stop_delay_s=None
    ) as cluster:
        assembly = assemble(
            configuration,
            registry,
            transport=cluster.transport(),
            clock=clock,
            rng=Random(seed),
            metrics=SchedulerMetrics(),
            work=CurrentWork(),
            instance="embedded",
            feature_gates=with_gates(feature_gates or {}),
        )
        live = LiveCluster(cluster, clock, assembly)
        live.create(*nodes)
        try:
            await live.start()
            yield live
        finally:
            started = asyncio.all_tasks() - before
            for task in started:
                task.cancel()
            await asyncio.gather(*started, return_exceptions=True)
            await assembly.dispatcher.close()


def _manifest(built: Pod | Node | PodDisruptionBudget) -> JsonObject:
    body: JsonObject = msgspec.to_builtins(built)
    body.pop("raw", None)
    is_core = isinstance(built, Pod | Node)
    body |= {"apiVersion": "v1" if is_core else "policy/v1", "kind": type(built).__name__}
    if isinstance(built, Pod):
        spec = body.setdefault("spec", {})
        spec.setdefault("schedulerName", _SCHEDULER_NAME)
        for container in spec.setdefault("containers", [{"name": "main"}]):
            container.setdefault("image", _IMAGE)
        for container in spec.get("initContainers", ()):
            container.setdefault("image", _IMAGE)
    return body


def _path(path: str) -> str:
    if path.startswith("/"):
        return path
    plural, _, rest = path.partition("/")
    return f"/api/v1/{path}" if plural == "nodes" else f"/api/v1/namespaces/default/{plural}/{rest}"


def _key(name: str) -> str:
    return name if "/" in name else f"default/{name}"


def _regarding(event: JsonObject) -> str:
    about = event.get("regarding") or event["involvedObject"]
    return f"{about.get('namespace', '')}/{about['name']}"
