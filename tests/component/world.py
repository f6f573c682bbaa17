"""The embedded cluster, schedulers on it, and a witness of every binding."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

import msgspec

from pyscheduler.api.quantity import milli_value, value
from pyscheduler.app.assembly import Assembly, assemble, in_tree_registry
from pyscheduler.client.errors import ServerUnreachable
from pyscheduler.client.transport import Transport
from pyscheduler.config.feature_gates import DEFAULT_GATES
from pyscheduler.config.load import default_config, parse_config
from pyscheduler.runtime.registry import Registry
from pyscheduler.sim.api_server import Answer
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.exchange import Fault, Request, Response
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.object_store import Event
from pyscheduler.sim.served_kinds import CORE_EVENTS, PODS
from pyscheduler.sim.virtual_clock import VirtualClock
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics
from tests.component.faulty_transport import FaultyTransport, Weather

_FOREVER = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Binding:
    """A pod got its node."""

    pod: str
    uid: str
    node: str
    #: virtual seconds since the world began
    at_s: float


@dataclass
class SchedulerUnderTest:
    """One scheduler process, without the process."""

    assembly: Assembly
    metrics: SchedulerMetrics
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def kill(self) -> None:
        """Nothing of it goes on, and nothing was finished first."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for bind in tuple(self.assembly.scheduler._binding_tasks):
            bind.cancel()
        await asyncio.sleep(0)
        await self.assembly.dispatcher.close()

    def check(self) -> None:
        """Raises what ended it, if something did."""
        for task in self.tasks:
            if task.done() and not task.cancelled():
                task.result()


class World:
    """Use as an async context manager; nothing happens but in `run_for` and `until`."""

    def __init__(
        self,
        *,
        seed: int = 1,
        live: bool = True,
        watch_list: bool = True,
        stop_delay_s: float | None = 1.0,
    ) -> None:
        self.seed = seed
        self.clock = VirtualClock()
        self.cluster = EmbeddedCluster(
            clock=self.clock,
            seed=seed,
            live=live,
            start_delay_s=1.0,
            stop_delay_s=stop_delay_s,
            watch_list=watch_list,
        )
        self.bindings: list[Binding] = []
        self.schedulers: list[SchedulerUnderTest] = []
        self._faults: list[Fault] = []
        self.weather = Weather()
        self.cluster.store.collection(PODS.collection).listen(self._observe)

    async def __aenter__(self) -> Self:
        await self.cluster.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        for scheduler in self.schedulers:
            await scheduler.kill()
        await self.cluster.__aexit__(*error)

    def _observe(self, event: Event) -> None:
        node = event.object.data["spec"].get("nodeName")
        if node and event.previous and not event.previous.data["spec"].get("nodeName"):
            uid = event.object.data["metadata"]["uid"]
            self.bindings.append(Binding(event.object.key, uid, node, self.clock.monotonic()))

    # --- schedulers

    def transport(self) -> Transport:
        """A way to the server, through what `fail` and `outage` put in between."""
        return FaultyTransport(
            self.cluster.transport(), self._faults, weather=self.weather, clock=self.clock
        )

    async def start_scheduler(
        self,
        *,
        leads: bool = True,
        registry: Registry | None = None,
        configuration: str | None = None,
        feature_gates: Mapping[str, bool] = DEFAULT_GATES,
    ) -> SchedulerUnderTest:
        """A scheduler follows the cluster, in sync; and schedules if it leads.

        Without the text of a configuration it has the default one.
        """
        registry = registry or in_tree_registry()
        metrics = SchedulerMetrics()
        assembly = assemble(
            default_config(registry)
            if configuration is None
            else parse_config(configuration, registry, source="configuration of the test"),
            registry,
            transport=self.transport(),
            clock=self.clock,
            rng=Random(self.seed + len(self.schedulers)),
            metrics=metrics,
            work=CurrentWork(),
            instance=f"scheduler-{len(self.schedulers)}",
            feature_gates=feature_gates,
        )
        scheduler = SchedulerUnderTest(assembly, metrics)
        self.schedulers.append(scheduler)
        scheduler.tasks.append(asyncio.create_task(assembly.follow()))
        await self.until(lambda: assembly.is_synced, what="the initial sync")
        if leads:
            self.lead(scheduler)
        return scheduler

    def lead(self, scheduler: SchedulerUnderTest) -> None:
        """From now on it schedules."""
        scheduler.tasks.append(asyncio.create_task(scheduler.assembly.schedule()))

    # --- time

    async def run_for(self, seconds: float) -> None:
        """So much has passed; no scheduler has broken."""
        await self.clock.run_for(seconds)
        self.check()

    async def until(
        self, happened: Callable[[], bool], *, what: str = "the state", limit_s: float = 600
    ) -> float:
        """It has happened; returns the virtual seconds that took."""

        def happened_or_broken() -> bool:
            self.check()
            return happened()

        return await self.clock.run_until(happened_or_broken, what=what, limit_s=limit_s)

    async def until_bound(self, *keys: str, limit_s: float = 600) -> float:
        """The pods, or all there are, have nodes; returns the virtual seconds that took."""
        wanted = [key if "/" in key else f"default/{key}" for key in keys]
        return await self.until(
            lambda: all(self.node_of(key) for key in wanted or self.pod_keys()),
            what=f"binding of {', '.join(wanted) or 'all pods'}",
            limit_s=limit_s,
        )

    def check(self) -> None:
        for scheduler in self.schedulers:
            scheduler.check()

    # --- what is done

    def create(self, *objects: JsonObject) -> None:
        """The nodes, pods and whatever else exist."""
        for body in objects:
            if body["kind"] == "Node":
                self.cluster.create_node(body)
            elif body["kind"] == "Pod":
                self.cluster.create_pods([body])
            else:
                self.cluster.create(body)

    def send(
        self, method: str, path: str, body: JsonObject, *, content_type: str = ""
    ) -> JsonObject:
        """The server has done what was asked; returns its answer."""
        kinds = {"PATCH": "application/merge-patch+json"}
        answer = self.handle(
            Request(
                method,
                path,
                body=msgspec.json.encode(body),
                content_type=content_type or kinds.get(method, "application/json"),
            )
        )
        assert answer.status < 300, answer.body
        decoded: JsonObject = msgspec.json.decode(answer.body)
        return decoded

    def handle(self, request: Request) -> Response:
        """The server's own answer, whatever it is."""
        answer: Answer = self.cluster.server.handle(request)
        assert isinstance(answer, Response)
        return answer

    def patch_pod(self, name: str, body: JsonObject) -> None:
        self.send("PATCH", f"/api/v1/namespaces/default/pods/{name}", body)

    def patch_node(self, name: str, body: JsonObject, *, status: bool = False) -> None:
        self.send("PATCH", f"/api/v1/nodes/{name}{'/status' if status else ''}", body)

    def delete_pod(self, name: str, *, at_once: bool = False) -> None:
        options = {"gracePeriodSeconds": 0} if at_once else {}
        self.send("DELETE", f"/api/v1/namespaces/default/pods/{name}", options)

    def bind_elsewhere(self, name: str, node: str) -> None:
        """Another scheduler binds the pod."""
        body = {"metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
        self.send("POST", f"/api/v1/namespaces/default/pods/{name}/binding", body)

    # --- what goes wrong

    def fail(
        self,
        matches: Callable[[Request], bool],
        answer: Callable[[Request], Response],
        *,
        times: int = 1,
    ) -> None:
        """Such requests of schedulers are answered so, this often."""
        self._faults.append(Fault(matches, answer, times))

    def outage(self, seconds: float, *, matches: Callable[[Request], bool] | None = None) -> None:
        """Schedulers cannot reach the server for so long, and open watches end."""
        end_s = self.clock.monotonic() + seconds

        def concerns(request: Request) -> bool:
            return self.clock.monotonic() < end_s and (matches is None or matches(request))

        self.fail(concerns, _unreachable, times=_FOREVER)
        self.cluster.server.disconnect_watches()

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()
        self.weather.clear()

    def forget_history(self) -> None:
        """Watches from any version before now are answered 410."""
        store = self.cluster.store
        store.collection(PODS.collection).compact(store.version)

    # --- what is seen

    def pod(self, name: str) -> JsonObject:
        key = name if "/" in name else f"default/{name}"
        stored = self.cluster.store.get(PODS.collection, key)
        assert stored is not None, f"no pod {key}"
        return stored.data

    def pod_keys(self) -> list[str]:
        return list(self.cluster.store.collection(PODS.collection).objects)

    def node_of(self, key: str) -> str:
        node: str = self.pod(key)["spec"].get("nodeName", "")
        return node

    def message(self, name: str) -> str:
        """Of the pod's PodScheduled condition; empty without one."""
        conditions = self.pod(name)["status"].get("conditions") or ()
        texts = [
            entry["message"]
            for entry in conditions
            if entry["type"] == "PodScheduled" and entry["status"] == "False"
        ]
        return texts[0] if texts else ""

    def events(self, name: str) -> list[tuple[str, str]]:
        """Reason and note of the events about the pod, in the order they were made."""
        stored = self.cluster.store.collection(CORE_EVENTS.collection).objects.values()
        found = sorted(stored, key=lambda entry: entry.created)
        return [
            (event.data["reason"], event.data.get("note") or event.data.get("message", ""))
            for event in found
            if _regarding(event.data)["name"] == name
        ]

    def attempts(self, name: str) -> int:
        """How often the scheduler tried the pod, as its queue says."""
        uid = self.pod(name)["metadata"]["uid"]
        entity = self.schedulers[-1].assembly.queue.get(uid)
        assert entity is not None, f"{name} does not wait"
        return entity.attempts

    def bound_to(self, name: str) -> list[str]:
        """Every node that a pod of this name was ever bound to."""
        return [binding.node for binding in self.bindings if binding.pod == f"default/{name}"]

    # --- what must always hold

    def assert_sound(self) -> None:
        """No pod was bound twice, no node holds more than it has."""
        times = Counter(binding.uid for binding in self.bindings)
        twice = [uid for uid, count in times.items() if count > 1]
        assert not twice, f"bound twice: {twice}"
        for node, overload in self.overloads():
            raise AssertionError(f"node {node} is overcommitted: {overload}")

    def overloads(self) -> Iterable[tuple[str, str]]:
        """Nodes whose pods ask for more than there is, by the store alone."""
        used: dict[str, Counter[str]] = defaultdict(Counter)
        for pod in self.cluster.pods():
            node = pod["spec"].get("nodeName")
            if node and pod["status"].get("phase") not in ("Succeeded", "Failed"):
                used[node].update(_requests(pod))
        for node in self.cluster.nodes():
            has = _amounts(node["status"]["allocatable"])
            for resource, amount in used[node["metadata"]["name"]].items():
                if amount > has.get(resource, 0):
                    yield node["metadata"]["name"], f"{resource} {amount} of {has.get(resource, 0)}"


def is_binding(request: Request) -> bool:
    return request.path.endswith("/binding")


def is_status(request: Request) -> bool:
    return request.method == "PATCH" and request.path.endswith("/status")


def is_event(request: Request) -> bool:
    return request.method in ("POST", "PATCH") and "/events" in request.path


def is_pod_read(request: Request) -> bool:
    return request.method == "GET" and request.path.endswith("/pods")


def refusal(code: int, reason: str, message: str) -> Callable[[Request], Response]:
    """Answers with a Status."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return lambda _request: Response(code, msgspec.json.encode(body))


def _unreachable(_request: Request) -> Response:
    raise ServerUnreachable("embedded API server: out of order")


def _requests(pod: JsonObject) -> Counter[str]:
    total: Counter[str] = Counter(pods=1)
    for container in pod["spec"]["containers"]:
        total.update(_amounts(container.get("resources", {}).get("requests", {})))
    # what a claim gives the pod is not the node's
    devices = pod.get("status", {}).get("extendedResourceClaimStatus", {})
    for mapping in devices.get("requestMappings", ()):
        del total[mapping["resourceName"]]
    return total


def _amounts(quantities: JsonObject) -> dict[str, int]:
    return {
        name: milli_value(text) if name == "cpu" else value(text)
        for name, text in quantities.items()
    }


def _regarding(event: JsonObject) -> JsonObject:
    found: JsonObject = event.get("regarding") or event["involvedObject"]
    return found
