"""Small states of a cluster, many at once, each with one pod that fits nowhere: who makes room?

A `Scene` has nodes of its own, which its pods ask for by a label, so that dozens stand side by side
on one control plane and are played by one run of a scheduler (`scene_play.py`).

Nodes are kwok's, whose pods run at once and are gone as soon as they are deleted; `Host.is_bare`
says nobody looks after one, so that deleted pods keep terminating on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.controlplane import load
from tests.controlplane.api_client import Manifest

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


def priority_classes(scenes: Sequence[Scene]) -> list[Manifest]:
    """Returns the PriorityClasses that pods of the scenes name."""
    wanted = {(pod.priority, False) for scene in scenes for pod in scene.residents}
    wanted |= {(pod.priority, pod.is_meek) for scene in scenes for pod in scene.waiting}
    return [
        {
            "metadata": {"name": _class_name(priority, is_meek=is_meek)},
            "value": priority,
            "preemptionPolicy": "Never" if is_meek else "PreemptLowerPriority",
        }
        for priority, is_meek in sorted(wanted)
    ]


def sandbox_class() -> Manifest:
    """Returns the RuntimeClass that adds one CPU to a pod."""
    return {
        "metadata": {"name": SANDBOX},
        "handler": SANDBOX,
        "overhead": {"podFixed": {"cpu": "1"}},
    }


def node_manifest(scene: Scene, name: str) -> Manifest:
    """Returns the Node of a host."""
    host = scene.hosts[name]
    manifest = load.node_manifest(
        f"{scene.name}-{name}",
        allocatable={"cpu": str(host.cpu), "pods": str(host.max_pods)},
        labels={_SCENE: scene.name, _HOST: name, **host.labels},
        taints=[{"key": "dedicated", "effect": "NoSchedule"}] if host.is_tainted else [],
    )
    if host.is_bare:
        del manifest["metadata"]["annotations"][load.KWOK_ANNOTATION]
    return manifest


def budget_manifest(scene: Scene, name: str) -> Manifest:
    """Returns the PodDisruptionBudget of that name."""
    labels = {_BUDGET: f"{scene.name}-{name}"}
    return {
        "metadata": {"name": f"{scene.name}-{name}"},
        "spec": {"minAvailable": scene.budgets[name], "selector": {"matchLabels": labels}},
    }


def resident_manifest(scene: Scene, resident: Resident, *, name: str, host: str) -> Manifest:
    """Returns the Pod of that name, on the host."""
    pod = _pod(resident, name, nodeName=f"{scene.name}-{host}")
    if resident.budget:
        pod["metadata"]["labels"][_BUDGET] = f"{scene.name}-{resident.budget}"
    if resident.is_slow or resident.leaving:
        assert scene.hosts[host].is_bare, "it would be gone at once"
        pod["spec"]["terminationGracePeriodSeconds"] = _GRACE_S
    return pod


def waiting_manifest(scene: Scene, waiting: Waiting, *, name: str, scheduler_name: str) -> Manifest:
    """Returns the Pod of that name, for that scheduler."""
    selector = {_SCENE: scene.name} | ({_HOST: waiting.host} if waiting.host else {})
    pod = _pod(waiting, name, schedulerName=scheduler_name, nodeSelector=selector, **waiting.spec)
    pod["spec"]["priorityClassName"] = _class_name(waiting.priority, is_meek=waiting.is_meek)
    if waiting.is_gated:
        pod["spec"]["schedulingGates"] = [{"name": "example.com/gate"}]
    return pod


def _class_name(priority: int, *, is_meek: bool = False) -> str:
    return f"scene-{priority}{'-never' if is_meek else ''}".replace("--", "-minus-")


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
