"""Whether a pod fits on a node, told from stored objects alone.

An independent second opinion on the scheduler: plain Kubernetes rules over plain JSON, sharing no
code with what it judges. It knows what histories use: node name, cordons, taints, selectors and
affinity by label, host ports, and amounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pyscheduler.api.quantity import milli_value, value
from pyscheduler.sim.json_objects import JsonObject, JsonView

_CORDON: JsonObject = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def amounts(quantities: JsonView) -> dict[str, int]:
    """Milli-CPU, bytes or counts."""
    return {
        name: milli_value(text) if name == "cpu" else value(text)
        for name, text in quantities.items()
    }


def requests(pod: JsonView) -> Counter[str]:
    """What a pod takes from its node, itself included."""
    total: Counter[str] = Counter(pods=1)
    for container in pod["spec"]["containers"]:
        total.update(amounts(container.get("resources", {}).get("requests", {})))
    return total


def is_live(pod: JsonView) -> bool:
    """Whether a pod takes room on its node."""
    return pod["status"].get("phase") not in ("Succeeded", "Failed")


def admits(node: JsonView, pod: JsonView) -> bool:
    """Whether the node takes the pod at all, were it empty otherwise."""
    has, wants = amounts(node["status"]["allocatable"]), requests(pod)
    return (
        all(amount <= has.get(resource, 0) for resource, amount in wants.items())
        and all(_tolerated(taint, pod) for taint in _taints(node))
        and _selected(node["metadata"].get("labels") or {}, pod)
    )


def fits(node: JsonView, pod: JsonView, others: Iterable[JsonView]) -> bool:
    """Whether the pod has room beside the other pods of the node."""
    if not admits(node, pod):
        return False
    left = Counter(amounts(node["status"]["allocatable"]))
    taken: set[tuple[str, int]] = set()
    for other in others:
        left.subtract(requests(other))
        taken |= _ports(other)
    has_room = all(amount <= left[resource] for resource, amount in requests(pod).items())
    return has_room and not taken & _ports(pod)


def _taints(node: JsonView) -> list[JsonObject]:
    cordon = [_CORDON] if node["spec"].get("unschedulable") else []
    return [*(node["spec"].get("taints") or ()), *cordon]


def _tolerated(taint: JsonView, pod: JsonView) -> bool:
    if taint["effect"] == "PreferNoSchedule":
        return True
    return any(_tolerates(each, taint) for each in pod["spec"].get("tolerations") or ())


def _tolerates(toleration: JsonView, taint: JsonView) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    key = toleration.get("key")
    if key and key != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(key) and toleration.get("value", "") == taint.get("value", "")


def _selected(labels: JsonView, pod: JsonView) -> bool:
    spec = pod["spec"]
    if any(labels.get(key) != wanted for key, wanted in (spec.get("nodeSelector") or {}).items()):
        return False
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(
        all(labels.get(rule["key"]) in rule["values"] for rule in term["matchExpressions"])
        for term in required["nodeSelectorTerms"]
    )


def _ports(pod: JsonView) -> set[tuple[str, int]]:
    return {
        (port.get("protocol", "TCP"), port["hostPort"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }
