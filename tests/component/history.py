"""One random life of a cluster, told by a seed: what happens, what goes wrong, what must hold.

A history does a few things at each of its steps (pods come and go, nodes are replaced, labels and
gates change, the network breaks), lets some virtual time pass and checks the scheduler against the
API server's own objects. At the end the weather clears and everything that can be bound must be.

Nothing here is drawn from anywhere but the seed, so a failure is replayed by its number:
``make histories SEED=17 COUNT=1``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from pyscheduler.client.errors import ServerUnreachable
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.object_store import Event
from pyscheduler.sim.served_kinds import DISRUPTION_BUDGETS, PODS, PRIORITY_CLASSES
from pyscheduler.sim.workload import PAUSE_IMAGE, ZONE_LABEL, make_node, make_pod
from tests.component import judge
from tests.component.test_custom_resources import PATH as LICENCES
from tests.component.test_custom_resources import ByStruct, definition, licence
from tests.component.test_permit import Pair, SlowVolume
from tests.component.world import (
    SchedulerUnderTest,
    World,
    is_binding,
    is_event,
    is_pod_read,
    is_status,
    refusal,
)

STEPS = 12
#: Pauses between two steps in virtual seconds: within a cycle's writes, within a backoff, beyond
#: it, and beyond the flush of the unschedulable pool.
_PAUSES_S = (0.0, 0.02, 0.3, 1.5, 8.0, 40.0, 330.0)
#: After which pods that wait are tried again whatever happens, at the latest.
_FLUSH_S = 330.0
#: Longest grace period, then the longest backoffs of queue, reflectors and writes, and some more.
_CALM_S = 150.0

_GPU = "example.com/gpu"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PRIORITIES = {"low": (-10, False), "high": (1000, False), "polite": (900, True)}
_ZONES = ("zone-a", "zone-b")
#: What the plugins of the suite look at.
_PLUGIN_LABELS: tuple[Mapping[str, str], ...] = (
    {},
    {"pair": "a"},
    {"volume": "slow"},
    {"licence": "solver"},
)
_TAINT: JsonObject = {"key": "dedicated", "value": "batch", "effect": "NoSchedule"}
_TOLERATION = {"key": "dedicated", "operator": "Exists"}
_GRACES_S = (0, 2, 60)


class Broken(AssertionError):  # noqa: N818  # what happened to the history
    """Something that must always hold did not; the message says how to see it again."""


class History:
    """A cluster, what happens to it, and what was observed."""

    def __init__(self, seed: int, *, steps: int = STEPS) -> None:
        """Nothing happens before `live`.

        Args:
            seed: everything follows from it.
            steps: after each of which everything is checked.
        """
        self.seed = seed
        self._steps = steps
        self._step = 0
        self._rng = Random(seed)
        self._world = World(
            seed=seed,
            watch_list=self._rng.random() < 0.7,
            stop_delay_s=self._rng.choice((0.1, 5.0, None)),
        )
        self._world.weather.log = []
        #: Some are lived with plugins that hold pods by a custom resource, at Permit, in PreBind.
        self._has_plugins = self._rng.random() < 0.3
        self._templates: list[Callable[[str], JsonObject]] = []
        self._made = 0
        #: Every pod that ever was: uid to priority.
        self._priorities: dict[str, int] = {}
        #: Pods marked by preemption, with the priority they had.
        self.victims: dict[str, int] = {}
        self._world.cluster.store.collection(PODS.collection).listen(self._observe)

    @property
    def log(self) -> list[bytes]:
        """Every write the scheduler sent, with its virtual time: what it decided."""
        return self._world.weather.log or []

    @property
    def bindings(self) -> int:
        """How many pods got a node."""
        return len(self._world.bindings)

    async def live(self) -> None:
        """The history has happened.

        Raises:
            Broken: something did not hold; the message names step and seed.
        """
        try:
            async with self._world:
                await self._begin()
                while self._step < self._steps:
                    self._step += 1
                    for _ in range(self._rng.randrange(1, 4)):
                        await self._happen()
                    await self._world.run_for(self._rng.choice(_PAUSES_S))
                    self._check()
                await self._end()
        except Exception as error:
            raise Broken(
                f"history {self.seed}, step {self._step} of {self._steps}, after"
                f" {self._world.clock.monotonic():.3f} s: {type(error).__name__}: {error}"
                f" (again with: make histories SEED={self.seed} COUNT=1)"
            ) from error

    # --- what happens

    async def _begin(self) -> None:
        world, rng = self._world, self._rng
        for name, (priority, polite) in _PRIORITIES.items():
            policy = "Never" if polite else "PreemptLowerPriority"
            body = {"metadata": {"name": name}, "value": priority, "preemptionPolicy": policy}
            world.cluster.create(body, kind=PRIORITY_CLASSES)
        world.cluster.create(definition())
        labels = _PLUGIN_LABELS if self._has_plugins else ({},)
        self._templates = [_template(rng, rng.choice(labels)) for _ in range(rng.randrange(3, 7))]
        for number in range(rng.randrange(3, 7)):
            self._create_node(f"node-{number}")
        if rng.random() < 0.5:
            self._create_pods()
        await self._scheduler_comes()

    async def _scheduler_comes(self) -> None:
        plugins = (Pair, SlowVolume, ByStruct) if self._has_plugins else ()
        await self._world.start_scheduler(
            registry=Registry(
                {**IN_TREE, **{plugin.name: plugin for plugin in plugins}},
                [*DEFAULT_PLUGINS, *((plugin.name, 0) for plugin in plugins)],
                installed=(),
            )
        )

    async def _happen(self) -> None:
        """One thing, chosen by its weight."""
        weighted = _HAPPENINGS
        (happening,) = self._rng.choices(list(weighted), weights=list(weighted.values()))
        await happening(self)

    async def _pods_come(self) -> None:
        self._create_pods()

    def _create_pods(self) -> None:
        for _ in range(self._rng.randrange(1, 8)):
            self._made += 1
            self._world.create(self._rng.choice(self._templates)(f"pod-{self._made}"))

    async def _pods_go(self) -> None:
        for name in self._some_pods(0.3):
            self._world.delete_pod(name, at_once=self._rng.random() < 0.3)

    async def _pod_is_made_again(self) -> None:
        """As a StatefulSet does: under the same name, at once."""
        for name in self._some_pods(0.1):
            self._world.delete_pod(name, at_once=True)
            self._world.create(self._rng.choice(self._templates)(name))

    async def _pods_end(self) -> None:
        for name in self._some_pods(0.15):
            if self._world.node_of(f"default/{name}"):
                status = {"status": {"phase": self._rng.choice(("Succeeded", "Failed"))}}
                self._world.patch_pod(f"{name}/status", status)

    async def _gates_go(self) -> None:
        for name in self._some_pods(0.5):
            gates = self._world.pod(name)["spec"].get("schedulingGates")
            if gates:
                self._world.patch_pod(name, {"spec": {"schedulingGates": gates[1:] or None}})

    async def _pods_are_relabelled(self) -> None:
        for name in self._some_pods(0.3):
            label = self._rng.choice(("web", "db", None))
            self._world.patch_pod(name, {"metadata": {"labels": {"app": label}}})

    async def _node_comes(self) -> None:
        names = {f"node-{number}" for number in range(8)} - set(self._nodes())
        if names:
            self._create_node(self._rng.choice(sorted(names)))

    def _create_node(self, name: str) -> None:
        # The same name has the same size each time: what the scheduler knew of it stays true.
        size = Random(f"{self.seed} {name}")
        rng = self._rng
        labels = {ZONE_LABEL: size.choice(_ZONES)}
        if rng.random() < 0.5:
            labels["disk"] = "ssd"
        node = make_node(
            name,
            cpu=size.choice(("1", "2", "4")),
            memory=size.choice(("2Gi", "8Gi")),
            pods=size.choice((3, 8, 20)),
            extended={_GPU: "2"} if size.random() < 0.4 else None,
            labels=labels,
            taints=[_TAINT] if rng.random() < 0.25 else (),
        )
        self._world.create(node)

    async def _node_goes(self) -> None:
        """Its pods stay until somebody collects them."""
        if nodes := self._nodes():
            self._world.send("DELETE", f"/api/v1/nodes/{self._rng.choice(nodes)}", {})

    async def _pods_without_node_are_collected(self) -> None:
        nodes = set(self._nodes())
        for key in self._world.pod_keys():
            node = self._world.node_of(key)
            if node and node not in nodes:
                self._world.delete_pod(key.partition("/")[2], at_once=True)

    async def _node_changes(self) -> None:
        for name in self._nodes():
            if self._rng.random() < 0.5:
                self._world.patch_node(name, self._rng.choice(_NODE_CHANGES))

    async def _node_fails_or_recovers(self) -> None:
        if nodes := self._nodes():
            kubelets, name = self._world.cluster.kubelets, self._rng.choice(nodes)
            (kubelets.fail_node if self._rng.random() < 0.3 else kubelets.recover_node)(name)

    async def _budget_comes_or_goes(self) -> None:
        present = self._world.cluster.store.get(DISRUPTION_BUDGETS.collection, "default/budget")
        if present is None:
            bound = self._rng.choice(({"minAvailable": 1}, {"maxUnavailable": 1}))
            selector = {"matchLabels": {"app": "web"}}
            body = {"metadata": {"name": "budget"}, "spec": {"selector": selector, **bound}}
            self._world.cluster.create(body, kind=DISRUPTION_BUDGETS)
        else:
            root = f"{DISRUPTION_BUDGETS.root}/namespaces/default"
            self._world.send("DELETE", f"{root}/poddisruptionbudgets/budget", {})

    async def _licence_changes(self) -> None:
        """A custom resource comes, changes and goes."""
        present = self._world.cluster.store.get("licences.example.com", "solver")
        seats = self._rng.randrange(2)
        if present is None:
            self._world.cluster.create(licence("solver", seats=seats))
        elif self._rng.random() < 0.7:
            self._world.send("PATCH", f"{LICENCES}/solver", {"spec": {"seats": seats}})
        else:
            self._world.send("DELETE", f"{LICENCES}/solver", {})

    async def _scheduler_dies(self) -> None:
        """And its successor starts from what the API server knows."""
        world = self._world
        self._check()
        await world.schedulers.pop().kill()
        world.calm()
        await self._scheduler_comes()

    # --- what goes wrong

    async def _requests_fail(self) -> None:
        matches = self._rng.choice((is_binding, is_status, is_event, _is_deletion, is_pod_read))
        answers = _ANSWERS_TO.get(matches, _ANSWERS)
        self._world.fail(matches, self._rng.choice(answers), times=self._rng.randrange(1, 8))

    async def _answers_are_lost(self) -> None:
        """Done, but nobody is told."""

        def done_but_lost(request: Request) -> Response:
            self._world.handle(request)
            raise ServerUnreachable("embedded API server: connection reset")

        self._world.fail(is_binding, done_but_lost, times=self._rng.randrange(1, 5))

    async def _requests_are_slow(self) -> None:
        matches = self._rng.choice((is_binding, is_status, _is_deletion))
        there_s, back_s = self._rng.choice(((0.4, 0.0), (0.0, 0.4), (3.0, 3.0)))
        self._world.weather.there_s = lambda request: there_s if matches(request) else 0.0
        self._world.weather.back_s = lambda request: back_s if matches(request) else 0.0

    async def _events_are_late(self) -> None:
        self._world.weather.event_delay_s = self._rng.choice((0.01, 0.5, 4.0))

    async def _events_come_twice(self) -> None:
        self._world.weather.repeats_events = True

    async def _watches_are_lost(self) -> None:
        self._world.cluster.server.disconnect_watches()

    async def _history_is_forgotten(self) -> None:
        self._world.forget_history()
        self._world.cluster.server.disconnect_watches()

    async def _server_is_gone(self) -> None:
        self._world.outage(self._rng.uniform(0.1, 20))

    async def _weather_clears(self) -> None:
        self._world.calm()

    # --- what must hold

    def _check(self) -> None:
        world = self._world
        world.check()
        world.assert_sound()
        for scheduler in world.schedulers:
            scheduler.assembly.cache.validate()
            scheduler.assembly.queue.validate()
            _check_tiers(scheduler)
        if self.victims:
            highest = max(self._priorities.values())
            assert max(self.victims.values()) < highest, "nobody had a higher priority"

    async def _end(self) -> None:
        """The weather clears; whatever can be bound is, and nothing else is left over."""
        world = self._world
        world.calm()
        await self._pods_without_node_are_collected()
        for pod in self._unbound():
            if "pair" in pod["metadata"].get("labels", {}):
                # It may wait for a partner that never comes, and hold room meanwhile.
                world.delete_pod(pod["metadata"]["name"])
        await world.run_for(_CALM_S)
        await world.until(self._is_still, what="the end of bindings under way", limit_s=_CALM_S)
        self._check()
        for name in self._waiting():
            self._check_waits_rightly(world.pod(name))
        await self._let_flushes_pass()
        for name in self._waiting():
            self._check_preempts_nobody(world.pod(name))
        for scheduler in world.schedulers:
            self._check_at_rest(scheduler)

    def _is_still(self) -> bool:
        return not any(each.assembly.scheduler.binding_count for each in self._world.schedulers)

    def _check_waits_rightly(self, pod: JsonObject) -> None:
        name = pod["metadata"]["name"]
        assert self._world.message(name), f"{name} does not say why it waits"
        on_node = self._pods_by_node()
        node = self._fitting(pod, {node: on_node[node] for node in self._nodes()})
        assert not node, f"{name} waits and fits on {node}"
        if not judge.heeds_pods(pod):
            self._check_preempts_nobody(pod)

    def _check_preempts_nobody(self, pod: JsonObject) -> None:
        node = self._preemptible(pod)
        assert not node, f"{pod['metadata']['name']} waits and may preempt {node}"

    async def _let_flushes_pass(self) -> None:
        """Preemption has had its chances that no event tells of, here as in kube-scheduler.

        A pod that lacks room, and that preemption would not help since it needs the company of
        those who would have to leave, is not woken when such company comes to another node.
        """
        bindings = -1
        while bindings < self.bindings and any(
            self._preemptible(self._world.pod(name)) for name in self._waiting()
        ):
            bindings = self.bindings
            await self._world.run_for(_FLUSH_S + _CALM_S)

    def _preemptible(self, pod: JsonObject) -> str:
        """A node where it would fit if all pods of lower priority went; "" for none."""
        if pod["spec"]["preemptionPolicy"] == "Never":
            return ""
        priority, on_node = pod["spec"]["priority"], self._pods_by_node()
        stay = {
            node: [other for other in on_node[node] if other["spec"]["priority"] >= priority]
            for node in self._nodes()
        }
        return self._fitting(pod, stay)

    def _fitting(self, pod: JsonObject, left: Mapping[str, list[JsonObject]]) -> str:
        """A node where it fits if these are all the pods there; "" for none."""
        if self._lacks_licence(pod):
            return ""
        on_node, nodes = self._pods_by_node(), self._world.cluster.nodes()
        for node in nodes:
            name: str = node["metadata"]["name"]
            placed = {**on_node, name: left[name]}
            if judge.fits(node, pod, left[name]) and judge.gets_along(
                node, pod, nodes=nodes, placed=placed
            ):
                return name
        return ""

    def _lacks_licence(self, pod: JsonObject) -> bool:
        if "licence" not in pod["metadata"].get("labels", {}) or not self._has_plugins:
            return False
        stored = self._world.cluster.store.get("licences.example.com", "solver")
        return stored is None or stored.data["spec"]["seats"] == 0

    def _check_at_rest(self, scheduler: SchedulerUnderTest) -> None:
        assembly = scheduler.assembly
        counts = assembly.queue.counts()
        waiting, gated = self._waiting(), self._gated()
        assert counts.pending == len(waiting) + len(gated), f"{counts}, not {waiting}, {gated}"
        assert counts.gated == len(gated), f"{counts}, gated are {gated}"
        assert not counts.in_flight, counts
        assert not counts.in_flight_events, counts
        assert not assembly.cache.assumed_count
        assert not assembly.scheduler.binding_count
        assert not any(assembly.dispatcher.pending().values()), assembly.dispatcher.pending()
        placed = {
            pod["metadata"]["uid"]: node
            for node, pods in self._pods_by_node().items()
            for pod in pods
        }
        known = {uid: assembly.cache.node_of(uid) for uid in placed}
        assert known == placed, "the cache is not what the cluster is"
        assert assembly.cache.pod_count == len(placed)
        assert assembly.cache.node_count == len(self._nodes())
        assert len(assembly.queue.nominator) <= len(waiting), "a nomination outlived its pod"

    # --- what is there

    def _observe(self, event: Event) -> None:
        pod = event.object.data
        uid, priority = pod["metadata"]["uid"], pod["spec"].get("priority", 0)
        self._priorities[uid] = priority
        for condition in pod["status"].get("conditions") or ():
            if condition.get("reason") == "PreemptionByScheduler":
                self.victims[uid] = priority

    def _nodes(self) -> list[str]:
        return [node["metadata"]["name"] for node in self._world.cluster.nodes()]

    def _some_pods(self, share: float) -> list[str]:
        names = [key.partition("/")[2] for key in self._world.pod_keys()]
        return [name for name in names if self._rng.random() < share]

    def _pods_by_node(self) -> dict[str, list[JsonObject]]:
        found: dict[str, list[JsonObject]] = defaultdict(list)
        for pod in self._world.cluster.pods():
            if pod["spec"].get("nodeName") and judge.is_live(pod):
                found[pod["spec"]["nodeName"]].append(pod)
        return found

    def _unbound(self) -> list[JsonObject]:
        pods = self._world.cluster.pods()
        return [pod for pod in pods if not pod["spec"].get("nodeName") and judge.is_live(pod)]

    def _waiting(self) -> list[str]:
        """Pods without node that nothing but the cluster's state keeps from having one."""
        return [
            pod["metadata"]["name"]
            for pod in self._unbound()
            if not pod["spec"].get("schedulingGates")
        ]

    def _gated(self) -> list[str]:
        return [
            pod["metadata"]["name"] for pod in self._unbound() if pod["spec"].get("schedulingGates")
        ]


def _check_tiers(scheduler: SchedulerUnderTest) -> None:
    """Every pod that has no node is in exactly one place, as far as the scheduler knows it."""
    assembly = scheduler.assembly
    queue, cache = assembly.queue, assembly.cache
    unbound = {}
    for pod in assembly.pods:
        if not pod.node_name:
            unbound[pod.uid] = pod
            places = queue.contains(pod.uid) + (
                queue.in_flight(pod.uid) or cache.is_assumed(pod.uid)
            )
            # One that is on its way out may be given up already.
            assert places == 1 or (pod.is_terminating and places == 0), (
                f"{pod.key} is in {places} places"
            )
    for tier, entity in queue.pending():
        assert entity.uid in unbound, f"{entity.pod.key} is {tier} and gone, or bound"


def _template(rng: Random, extra: Mapping[str, str]) -> Callable[[str], JsonObject]:
    """What pods of one workload are like."""
    requests = {
        "cpu": rng.choice(("100m", "400m", "900m", "1500m", "1900m")),
        "memory": rng.choice(("64Mi", "500Mi", "1500Mi")),
    }
    container: JsonObject = {"name": "main", "image": PAUSE_IMAGE}
    container["resources"] = {"requests": requests}
    if rng.random() < 0.2:
        container["resources"] = {"requests": {**requests, _GPU: "1"}, "limits": {_GPU: "1"}}
    if rng.random() < 0.15:
        container["ports"] = [{"containerPort": 80, "hostPort": rng.choice((80, 8080))}]
    spec: dict[str, Any] = {"containers": [container]}
    spec["terminationGracePeriodSeconds"] = rng.choice(_GRACES_S)
    if rng.random() < 0.6:
        spec["priorityClassName"] = rng.choice(list(_PRIORITIES))
    if rng.random() < 0.2:
        spec["nodeSelector"] = {"disk": "ssd"}
    if rng.random() < 0.15:
        spec["affinity"] = _zone_affinity(rng.choice(_ZONES))
    if rng.random() < 0.3:
        spec["tolerations"] = [_TOLERATION]
    if rng.random() < 0.2:
        spec["schedulingGates"] = [{"name": f"gate-{n}"} for n in range(rng.randrange(1, 3))]
    labels = {"app": rng.choice(("web", "db")), **extra}
    _among_pods(rng, spec, labels["app"])
    return lambda name: make_pod(name, labels=labels, **spec)


def _among_pods(rng: Random, spec: dict[str, Any], app: str) -> None:
    """Some keep apart from their like, are spread, or go where others are."""
    wish = rng.random()
    like = {"matchLabels": {"app": app}}
    if wish < 0.12:
        term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": like}
        spec.setdefault("affinity", {})["podAntiAffinity"] = {_REQUIRED: [term]}
    elif wish < 0.24:
        constraint = {"maxSkew": rng.randrange(1, 3), "topologyKey": ZONE_LABEL}
        constraint |= {"whenUnsatisfiable": "DoNotSchedule", "labelSelector": like}
        spec["topologySpreadConstraints"] = [constraint]
    elif wish < 0.36:
        other = {"matchLabels": {"app": "db" if app == "web" else "web"}}
        term = {"topologyKey": ZONE_LABEL, "labelSelector": other}
        spec.setdefault("affinity", {})["podAffinity"] = {_REQUIRED: [term]}
    elif wish < 0.5:
        soft = {"maxSkew": 1, "topologyKey": ZONE_LABEL, "whenUnsatisfiable": "ScheduleAnyway"}
        spec["topologySpreadConstraints"] = [soft | {"labelSelector": like}]


def _zone_affinity(zone: str) -> JsonObject:
    rule = {"key": ZONE_LABEL, "operator": "In", "values": [zone]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    return {"nodeAffinity": {_REQUIRED: terms}}


def _is_deletion(request: Request) -> bool:
    return request.method == "DELETE"


def _lost(_request: Request) -> Response:
    raise ServerUnreachable("embedded API server: connection reset")


def _overloaded(request: Request) -> Response:
    answer = refusal(429, "TooManyRequests", "too many requests")(request)
    return Response(answer.status, answer.body, headers={"Retry-After": "2"})


_ANSWERS: tuple[Callable[[Request], Response], ...] = (
    _overloaded,
    _lost,
    refusal(500, "InternalError", "etcdserver: leader changed"),
    refusal(503, "ServiceUnavailable", "apiserver is shutting down"),
)
_CONFLICT = refusal(409, "Conflict", "Operation cannot be fulfilled: the object has been modified")
#: What is answered to these besides.
_ANSWERS_TO: Mapping[Callable[[Request], bool], tuple[Callable[[Request], Response], ...]] = {
    is_pod_read: (*_ANSWERS, refusal(410, "Expired", "too old resource version")),
    is_binding: (*_ANSWERS, _CONFLICT),
    _is_deletion: (*_ANSWERS, _CONFLICT),
}

_NODE_CHANGES: tuple[JsonObject, ...] = (
    {"spec": {"unschedulable": True}},
    {"spec": {"unschedulable": False}},
    {"spec": {"taints": [_TAINT]}},
    {"spec": {"taints": None}},
    {"metadata": {"labels": {"disk": "ssd"}}},
    {"metadata": {"labels": {"disk": None}}},
    {"metadata": {"annotations": {"example.com/seen": "yes"}}},
)

_HAPPENINGS: Mapping[Callable[[History], Any], int] = {
    History._pods_come: 14,
    History._pods_go: 6,
    History._pod_is_made_again: 3,
    History._pods_end: 3,
    History._gates_go: 4,
    History._pods_are_relabelled: 2,
    History._node_comes: 3,
    History._node_goes: 2,
    History._pods_without_node_are_collected: 3,
    History._node_changes: 5,
    History._node_fails_or_recovers: 2,
    History._budget_comes_or_goes: 2,
    History._licence_changes: 2,
    History._scheduler_dies: 1,
    History._requests_fail: 5,
    History._answers_are_lost: 2,
    History._requests_are_slow: 2,
    History._events_are_late: 2,
    History._events_come_twice: 1,
    History._watches_are_lost: 2,
    History._history_is_forgotten: 2,
    History._server_is_gone: 2,
    History._weather_clears: 3,
}
