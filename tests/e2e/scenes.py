"""Small states of a cluster, many at once, each with one pod that fits nowhere: who makes room?

A `Scene` has nodes of its own, which its pods ask for by a label, so that dozens stand side by side
on one control plane and are played by one run of a scheduler. The state is there before the
scheduler starts. `Outcome` is what can be seen of its decision; two schedulers are compared by
playing the same scenes twice, with pods that differ in their `schedulerName` only.

Nodes are kwok's, whose pods run at once and are gone as soon as they are deleted; `Host.is_bare`
says nobody looks after one, so that deleted pods keep terminating on it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.e2e.providers.base import SCHEDULER_NAME, Provider, eventually

#: The pod that has to make room for itself.
PREEMPTOR = "preemptor"
#: Its priority unless a scene says otherwise; residents have less, mostly.
PRIORITY = 50

#: The label that keeps scenes apart, and the one by which a pod asks for one host.
_SCENE, _HOST, _BUDGET = "scene", "host", "budget"
#: Makes every pod that asks for it weigh a CPU more.
SANDBOX = "sandboxed"

#: Seconds of grace that nobody waits for.
_GRACE_S = 300
#: Bare nodes are found unreachable after a while; that is not what a scene is about.
_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists"}
    for key in ("not-ready", "unreachable")
]

#: Seconds for a scene's state to be made, and for the decisions.
_STATE_TIMEOUT_S = 60
_DECISION_TIMEOUT_S = 60
#: Seconds after the last decision in which a mistake would show.
_QUIET_S = 2


@dataclass(frozen=True, slots=True)
class Resident:
    """A pod that has a node.

    Attributes:
        started: time of a day long past, "09:00"; "" leaves the time at which kwok saw it.
        budget: the name of the scene's disruption budget that guards it.
        is_slow: once deleted it takes its time; on bare hosts.
        leaving: "" for no, "deleted" by a person, or "preempted" by a scheduler; then it is slow.
    """

    name: str
    priority: int
    cpu: int = 4
    started: str = ""
    budget: str = ""
    host_port: int | None = None
    is_sandboxed: bool = False
    is_slow: bool = False
    leaving: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """A node, full or not."""

    residents: Sequence[Resident] = ()
    cpu: int = 4
    max_pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict)
    is_tainted: bool = False
    is_bare: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pod without a node.

    Attributes:
        is_meek: its priority class preempts nobody.
        nominated: to which host it is nominated before the scheduler starts.
        host: the only one it may run on.
        spec: further fields of its spec.
    """

    name: str = PREEMPTOR
    priority: int = PRIORITY
    cpu: int = 4
    is_meek: bool = False
    is_gated: bool = False
    is_sandboxed: bool = False
    host_port: int | None = None
    nominated: str = ""
    host: str = ""
    spec: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """One state and what must come of it.

    Attributes:
        name: unique; the prefix of everything in it.
        budgets: how many pods of each must stay.
        victims: names of the residents that are to be evicted.
        node: the host that the preemptor is to get.
        is_bound: it gets it; else it goes on waiting.
        nominations: of the others that wait, at the end.
        our_last_words: how our message ends where that is known to differ; "" for not at all.
    """

    name: str
    hosts: Mapping[str, Host]
    preemptor: Waiting = field(default_factory=Waiting)
    others: Sequence[Waiting] = ()
    budgets: Mapping[str, int] = field(default_factory=dict)
    victims: frozenset[str] = frozenset()
    node: str = ""
    is_bound: bool = True
    nominations: Mapping[str, str] = field(default_factory=dict)
    our_last_words: str = ""

    @property
    def residents(self) -> list[Resident]:
        return [resident for host in self.hosts.values() for resident in host.residents]

    @property
    def waiting(self) -> list[Waiting]:
        return [self.preemptor, *self.others]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scheduler made of a scene, in the end; names are those of the scene.

    Attributes:
        victims: residents that were made to leave.
        announced: what their events say: by victim, the node on which the preemptor needs room.
        bound: the preemptor's host, "" while it waits.
        nominated: the host that it waits for, if any.
        message: why it waits.
        nominations: of the others that wait.
    """

    victims: frozenset[str]
    announced: Mapping[str, str]
    bound: str
    nominated: str
    message: str
    nominations: Mapping[str, str]


async def create_nodes(provider: Provider, scenes: Sequence[Scene]) -> None:
    """The nodes of all scenes are ready; they are the same for everyone who plays the scenes."""
    nodes = [_node(scene, name, host) for scene in scenes for name, host in scene.hosts.items()]
    await provider.api.create_all("/api/v1/nodes", nodes)

    async def ready() -> bool:
        new = "node.kubernetes.io/not-ready"
        return not any(
            taint["key"] == new
            for node in await provider.api.list("/api/v1/nodes")
            for taint in node["spec"].get("taints", [])
        )

    await eventually(ready, what="nodes to be ready", timeout_s=_STATE_TIMEOUT_S)


class Play:
    """The scenes as one scheduler meets them.

    No pod has a name that another play uses: kwok deletes by name, and might be late.
    """

    def __init__(self, provider: Provider, scenes: Sequence[Scene], *, is_ours: bool) -> None:
        self._provider = provider
        self._scenes = scenes
        self._is_ours = is_ours
        self._pods = f"/api/v1/namespaces/{provider.test_namespace}/pods"
        self._budgets = f"/apis/policy/v1/namespaces/{provider.test_namespace}/poddisruptionbudgets"

    async def outcomes(self) -> dict[str, Outcome]:
        """Returns what the scheduler made of each scene, by name; no pod is left."""
        provider = self._provider
        try:
            await self._build()
            if self._is_ours:
                await provider.deploy()
            else:
                await provider.start_kube_scheduler()
            with contextlib.suppress(TimeoutError):  # the outcomes tell who did not decide
                await eventually(self._is_decided, what="decisions", timeout_s=_DECISION_TIMEOUT_S)
            await asyncio.sleep(_QUIET_S)
            return await self._look()
        finally:
            await provider.undeploy()
            await provider.delete_workloads()
            await provider.api.delete_collection(self._budgets)

    def _pod_name(self, scene: Scene, name: str) -> str:
        return f"{'ours' if self._is_ours else 'theirs'}-{scene.name}-{name}"

    # --- the state ---

    async def _build(self) -> None:
        api = self._provider.api
        budgets = [
            _budget(scene, name, kept)
            for scene in self._scenes
            for name, kept in scene.budgets.items()
        ]
        residents = [
            _resident(scene, resident, self._pod_name(scene, resident.name), host_name, host)
            for scene in self._scenes
            for host_name, host in scene.hosts.items()
            for resident in host.residents
        ]
        waiting = [
            self._waiting(scene, waiting) for scene in self._scenes for waiting in scene.waiting
        ]
        await api.create_all(self._budgets, budgets)
        await api.create_all(self._pods, residents)
        await eventually(self._all_run, what="residents to run", timeout_s=_STATE_TIMEOUT_S)
        for scene in self._scenes:
            for resident in scene.residents:
                await self._date(scene, resident)
        await api.create_all(self._pods, waiting)
        for scene in self._scenes:
            for pod in scene.waiting:
                if pod.nominated:
                    status = {"nominatedNodeName": f"{scene.name}-{pod.nominated}"}
                    await self._patch_status(scene, pod.name, status)
        await eventually(self._budgets_settled, what="budgets", timeout_s=_STATE_TIMEOUT_S)

    def _waiting(self, scene: Scene, waiting: Waiting) -> Manifest:
        scheduler_name = SCHEDULER_NAME if self._is_ours else self._provider.kube_scheduler_name
        name = self._pod_name(scene, waiting.name)
        return _waiting(scene, waiting, name, scheduler_name=scheduler_name)

    async def _all_run(self) -> bool:
        bare = {
            f"{scene.name}-{name}"
            for scene in self._scenes
            for name, host in scene.hosts.items()
            if host.is_bare
        }
        return all(
            pod["status"]["phase"] == "Running" or pod["spec"]["nodeName"] in bare
            for pod in await self._provider.pods()
        )

    async def _date(self, scene: Scene, resident: Resident) -> None:
        """The resident started when the scene says, and is leaving if it does."""
        if resident.started:
            status: Manifest = {"startTime": f"2026-01-01T{resident.started}:00Z"}
            await self._patch_status(scene, resident.name, status)
        if resident.leaving == "preempted":
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                # of late, or a controller takes it back: nothing came of it, it would seem
                "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "reason": "PreemptionByScheduler",
                "message": "some scheduler: preempting to accommodate a higher priority pod",
            }
            await self._patch_status(scene, resident.name, {"conditions": [condition]})
        if resident.leaving:
            name = self._pod_name(scene, resident.name)
            await self._provider.api.delete(f"{self._pods}/{name}")

    async def _patch_status(self, scene: Scene, name: str, status: Manifest) -> None:
        path = f"{self._pods}/{self._pod_name(scene, name)}/status"
        await self._provider.api.patch(path, {"status": status})

    async def _budgets_settled(self) -> bool:
        """The controller has counted: each budget allows what the scene's numbers say."""
        found = {
            budget["metadata"]["name"]: budget.get("status", {}).get("disruptionsAllowed")
            for budget in await self._provider.api.list(self._budgets)
        }
        return found == {
            f"{scene.name}-{name}": sum(each.budget == name for each in scene.residents) - kept
            for scene in self._scenes
            for name, kept in scene.budgets.items()
        }

    # --- what came of it ---

    async def _is_decided(self) -> bool:
        outcomes = await self._look()
        return all(
            outcome.victims == outcome.announced.keys()
            and bool(outcome.bound if scene.is_bound else outcome.message)
            for scene, outcome in ((scene, outcomes[scene.name]) for scene in self._scenes)
        )

    async def _look(self) -> dict[str, Outcome]:
        provider = self._provider
        pods = {pod["metadata"]["name"]: pod for pod in await provider.pods()}
        path = f"/apis/events.k8s.io/v1/namespaces/{provider.test_namespace}/events"
        notes = {
            event["regarding"]["name"]: str(event["note"])
            for event in await provider.api.list(path)
            if event["reason"] == "Preempted"
        }
        return {scene.name: self._outcome(scene, pods, notes) for scene in self._scenes}

    def _outcome(
        self, scene: Scene, pods: Mapping[str, Manifest], notes: Mapping[str, str]
    ) -> Outcome:
        preemptor = pods[self._pod_name(scene, PREEMPTOR)]
        told = f"Preempted by pod {preemptor['metadata']['uid']} on node {scene.name}-"
        names = {
            resident.name: self._pod_name(scene, resident.name) for resident in scene.residents
        }
        return Outcome(
            victims=frozenset(
                resident.name
                for resident in scene.residents
                if not resident.leaving and _is_leaving(pods.get(names[resident.name]))
            ),
            announced={
                resident: notes[name].removeprefix(told)
                for resident, name in names.items()
                if name in notes
            },
            bound=str(preemptor["spec"].get("nodeName", "")).removeprefix(f"{scene.name}-"),
            nominated=_nominated(scene, preemptor),
            message=_message(preemptor),
            nominations={
                other.name: _nominated(scene, pods[self._pod_name(scene, other.name)])
                for other in scene.others
            },
        )


def _nominated(scene: Scene, pod: Manifest) -> str:
    return str(pod["status"].get("nominatedNodeName", "")).removeprefix(f"{scene.name}-")


def _is_leaving(pod: Manifest | None) -> bool:
    return pod is None or "deletionTimestamp" in pod["metadata"]


def _message(pod: Manifest) -> str:
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    return ""


# --- manifests ---


def priority_class(priority: int, *, is_meek: bool = False) -> Manifest:
    """Returns the class that a scene's pods of that priority name."""
    return {
        "metadata": {"name": _class_name(priority, is_meek=is_meek)},
        "value": priority,
        "preemptionPolicy": "Never" if is_meek else "PreemptLowerPriority",
    }


def priority_classes(scenes: Sequence[Scene]) -> list[Manifest]:
    """Returns all classes that the scenes need."""
    wanted = {(pod.priority, False) for scene in scenes for pod in scene.residents}
    wanted |= {(pod.priority, pod.is_meek) for scene in scenes for pod in scene.waiting}
    return [priority_class(priority, is_meek=is_meek) for priority, is_meek in sorted(wanted)]


def sandbox_class() -> Manifest:
    """Returns the RuntimeClass that adds one CPU to a pod."""
    return {
        "metadata": {"name": SANDBOX},
        "handler": SANDBOX,
        "overhead": {"podFixed": {"cpu": "1"}},
    }


def _class_name(priority: int, *, is_meek: bool = False) -> str:
    return f"scene-{priority}{'-never' if is_meek else ''}".replace("--", "-minus-")


def _node(scene: Scene, name: str, host: Host) -> Manifest:
    manifest = load.node_manifest(
        f"{scene.name}-{name}",
        allocatable={"cpu": str(host.cpu), "pods": str(host.max_pods)},
        labels={_SCENE: scene.name, _HOST: name, **host.labels},
        taints=[{"key": "dedicated", "effect": "NoSchedule"}] if host.is_tainted else [],
    )
    if host.is_bare:
        del manifest["metadata"]["annotations"][load.KWOK_ANNOTATION]
    return manifest


def _budget(scene: Scene, name: str, kept: int) -> Manifest:
    labels = {_BUDGET: f"{scene.name}-{name}"}
    return {
        "metadata": {"name": f"{scene.name}-{name}"},
        "spec": {"minAvailable": kept, "selector": {"matchLabels": labels}},
    }


def _resident(scene: Scene, resident: Resident, name: str, host_name: str, host: Host) -> Manifest:
    pod = _pod(resident, name, nodeName=f"{scene.name}-{host_name}")
    if resident.budget:
        pod["metadata"]["labels"][_BUDGET] = f"{scene.name}-{resident.budget}"
    if resident.is_slow or resident.leaving:
        assert host.is_bare, "it would be gone at once"
        pod["spec"]["terminationGracePeriodSeconds"] = _GRACE_S
    return pod


def _waiting(scene: Scene, waiting: Waiting, name: str, *, scheduler_name: str) -> Manifest:
    selector = {_SCENE: scene.name} | ({_HOST: waiting.host} if waiting.host else {})
    pod = _pod(waiting, name, schedulerName=scheduler_name, nodeSelector=selector, **waiting.spec)
    pod["spec"]["priorityClassName"] = _class_name(waiting.priority, is_meek=waiting.is_meek)
    if waiting.is_gated:
        pod["spec"]["schedulingGates"] = [{"name": "example.com/gate"}]
    return pod


def _pod(pod: Resident | Waiting, name: str, **spec: object) -> Manifest:
    manifest = load.pod_manifest(
        name,
        requests={"cpu": str(pod.cpu), "memory": "1Mi"},
        spec={
            "priorityClassName": _class_name(pod.priority),
            "tolerations": _TOLERATIONS,
            **spec,
        },
    )
    if pod.host_port is not None:
        port = {"containerPort": pod.host_port, "hostPort": pod.host_port}
        manifest["spec"]["containers"][0]["ports"] = [port]
    if pod.is_sandboxed:
        manifest["spec"]["runtimeClassName"] = SANDBOX
    return manifest
