"""Clusters with something odd in every field that default plugins read of pods and nodes.

Quantities lie anywhere in int64, and near its end, so that sums and products wrap around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.testing import NodeBuilder, PodBuilder, make_node, make_pod
from tests.properties.scenes.scene import Scene

GPU: Final = "example.com/gpu"
_CORDON: Final = "node.kubernetes.io/unschedulable"
_EFFECTS: Final = ("NoSchedule", "NoExecute", "PreferNoSchedule")
_END: Final = 2**63 - 1
#: of both signs as label values, as int64 sees them and as it does not
_NUMBERS: Final = ("-1", "0", "4", "+4", "007", "many", str(_END), str(-_END - 1), str(_END + 1))
_FEATURES: Final = ("UserNamespacesHostNetworkSupport", "VolumeBindMountOptions")
_MIB: Final = 1024**2


def scene(rng: Random, plugin: str) -> Scene:
    """A cluster of up to seven nodes, with arguments for ``plugin``."""
    nodes = [_node(rng, f"n{number}") for number in range(rng.randrange(8))]
    pods = [
        _bound(rng, f"{node.name}-{number}", node.name)
        for node in nodes
        for number in range(rng.randrange(4))
    ]
    return Scene(
        pod=_pod(rng),
        nodes=nodes,
        pods=pods,
        args=_ARGS[plugin](rng) if plugin in _ARGS else {},
        features={"TaintTolerationComparisonOperators": _maybe(rng)},
    )


def _maybe(rng: Random, probability: float = 0.5) -> bool:
    return rng.random() < probability


def _amount(rng: Random) -> int:
    kind = rng.randrange(4)
    if kind == 0:
        return rng.randrange(4)
    if kind == 1:
        return rng.randrange(1, 2**40)
    if kind == 2:
        return rng.choice([2**53 + 1, _END // 100, _END // 100 + 1, 2**62])
    return _END - rng.randrange(3)


def _amounts(rng: Random, probability: float) -> dict[str, str]:
    """Some resources; CPU in thousandths, so that it comes to the same end."""
    found = {
        name: str(_amount(rng))
        for name in ("cpu", "memory", "ephemeral-storage", GPU)
        if _maybe(rng, probability)
    }
    if "cpu" in found:
        found["cpu"] += "m"
    return found


def _node(rng: Random, name: str) -> Node:
    node = make_node(name).allocatable(
        {**_amounts(rng, 0.8), "pods": rng.choice(["0", "1", "3", "110", str(_END)])}
    )
    if _maybe(rng, 0.8):
        node = node.label("zone", rng.choice("abc"))
    if _maybe(rng, 0.8):
        node = node.label("rank", rng.choice(_NUMBERS))
    for key in "kl":
        if _maybe(rng, 0.3):
            node = node.taint(key, rng.choice(["", "x", *_NUMBERS]), rng.choice(_EFFECTS))
    if _maybe(rng, 0.2):
        node = node.unschedulable()
    if _maybe(rng):
        node = node.declared_feature(*rng.sample(_FEATURES, rng.randrange(3)))
    return _with_images(rng, node).obj()


def _with_images(rng: Random, node: NodeBuilder) -> NodeBuilder:
    for name in ("nginx:latest", "redis:7"):
        if _maybe(rng, 0.4):
            node = node.image(name, size_bytes=rng.choice([1, 23, 500, 2000]) * _MIB)
    return node


def _bound(rng: Random, name: str, node: str) -> Pod:
    pod = make_pod(name).req(_amounts(rng, 0.4)).node(node).label("app", rng.choice("xy"))
    if _maybe(rng):
        pod = _with_port(rng, pod)
    if _maybe(rng, 0.2):
        pod = pod.anti_affinity("zone", {"app": "x"})
    if _maybe(rng, 0.1):
        pod = pod.terminating()
    return pod.obj()


def _with_port(rng: Random, pod: PodBuilder) -> PodBuilder:
    ip = rng.choice(["", "0.0.0.0", "10.0.0.1", "10.0.0.2"])
    return pod.host_port(rng.choice([80, 81]), protocol=rng.choice(["TCP", "UDP"]), ip=ip)


def _pod(rng: Random) -> Pod:
    pod = make_pod("p").label("app", rng.choice("xy"))
    for add in _ASPECTS:
        if _maybe(rng, 0.35):
            pod = add(rng, pod)
    return pod.obj()


def _requesting(rng: Random, pod: PodBuilder) -> PodBuilder:
    pod = pod.req(_amounts(rng, 0.6)).req(_amounts(rng, 0.3), image="nginx")
    if _maybe(rng, 0.3):
        pod = pod.init_req(_amounts(rng, 0.5)).sidecar_req(_amounts(rng, 0.3))
    if _maybe(rng, 0.3):
        pod = pod.overhead({"cpu": "1", "memory": "1Mi"})
    if _maybe(rng, 0.3):
        pod = pod.pod_level({"memory": str(_amount(rng))})
    return pod


def _tolerating(rng: Random, pod: PodBuilder) -> PodBuilder:
    operator = rng.choice(["Equal", "Exists", "Gt", "Lt"])
    value = "" if operator == "Exists" else rng.choice(["x", *_NUMBERS])
    effect = rng.choice(["", *_EFFECTS])
    pod = pod.toleration(rng.choice("kl"), value, effect, operator=operator)
    return pod.toleration(_CORDON, operator="Exists") if _maybe(rng, 0.3) else pod


def _expression(rng: Random) -> tuple[str, str, list[str]]:
    key, operator = rng.choice(
        [
            (key, operator)
            for key in ("zone", "rank", "absent")
            for operator in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
        ]
    )
    if operator in ("Exists", "DoesNotExist"):
        return key, operator, []
    if operator in ("Gt", "Lt"):
        return key, operator, [rng.choice(_NUMBERS)]
    return key, operator, rng.sample(["a", "b", *_NUMBERS], rng.randrange(1, 4))


def _requiring(rng: Random, pod: PodBuilder) -> PodBuilder:
    for _ in range(rng.randrange(1, 3)):
        expressions = [_expression(rng) for _ in range(rng.randrange(3))]
        operator = rng.choice(["In", "NotIn"])
        fields = [("metadata.name", operator, [f"n{rng.randrange(8)}"])] if _maybe(rng, 0.3) else []
        pod = pod.required_affinity(*expressions, fields=fields)
    return pod


def _preferring(rng: Random, pod: PodBuilder) -> PodBuilder:
    for _ in range(rng.randrange(1, 4)):
        # a number that nobody understands makes PreScore fail, in either form
        key, operator, values = _expression(rng)
        if operator in ("Gt", "Lt"):
            values = [rng.choice(["0", "4", str(_END)])]
        pod = pod.preferred_affinity(rng.randrange(1, 101), (key, operator, values))
    return pod


def _relating(rng: Random, pod: PodBuilder) -> PodBuilder:
    labels = {"app": rng.choice("xy")}
    weight = rng.choice([None, rng.randrange(1, 101)])
    relate = pod.affinity if _maybe(rng) else pod.anti_affinity
    return relate(rng.choice(["zone", "kubernetes.io/hostname"]), labels, weight=weight)


_ASPECTS: Final[tuple[Callable[[Random, PodBuilder], PodBuilder], ...]] = (
    _requesting,
    _requesting,
    _tolerating,
    _tolerating,
    _requiring,
    _preferring,
    _relating,
    _relating,
    lambda rng, pod: pod.node_selector({"zone": rng.choice("abc")}),
    lambda rng, pod: pod.node(f"n{rng.randrange(8)}"),
    _with_port,
    lambda rng, pod: pod.image("redis:7").image_volume("nginx"),
    lambda rng, pod: pod.own_users_on_host_network(),
    lambda rng, pod: pod.spread("zone", max_skew=rng.randrange(1, 3)),
    lambda rng, pod: pod.spread(
        rng.choice(["zone", "kubernetes.io/hostname"]), when_unsatisfiable="ScheduleAnyway"
    ),
)


def _scoring(rng: Random) -> dict[str, Any]:
    resources = [
        {"name": name, "weight": rng.randrange(1, 101)}
        for name in ("cpu", "memory", "ephemeral-storage", GPU)
        if _maybe(rng, 0.7)
    ]
    kind = rng.choice(["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"])
    strategy: dict[str, Any] = {"type": kind, "resources": resources}
    if kind == "RequestedToCapacityRatio":
        at = sorted(rng.sample(range(101), rng.randrange(1, 5)))
        shape = [{"utilization": u, "score": rng.randrange(11)} for u in at]
        strategy["requestedToCapacityRatio"] = {"shape": shape}
    ignored = [GPU] if _maybe(rng, 0.3) else []
    return {"scoringStrategy": strategy, "ignoredResources": ignored}


def _balancing(rng: Random) -> dict[str, Any]:
    names = rng.sample(["cpu", "memory", "ephemeral-storage", GPU], rng.randrange(1, 5))
    return {"resources": [{"name": name, "weight": 1} for name in names]}


def _enforcing(rng: Random) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}
    preferred = {"weight": 7, "preference": {"matchFields": [_NAMED]}}
    added = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
        "preferredDuringSchedulingIgnoredDuringExecution": [preferred],
    }
    return {"addedAffinity": added} if _maybe(rng, 0.3) else {}


_NAMED: Final = {"key": "metadata.name", "operator": "In", "values": ["n1"]}

_ARGS: Final[Mapping[str, Callable[[Random], dict[str, Any]]]] = {
    "NodeResourcesFit": _scoring,
    "NodeResourcesBalancedAllocation": _balancing,
    "NodeAffinity": _enforcing,
}
