"""Whether a pod fits on a node, told from stored objects alone.

An independent second opinion on the scheduler: plain Kubernetes rules over plain JSON, sharing no
code with what it judges. It knows what histories use: node name, cordons, taints, selectors and
affinity by label, host ports, amounts, and among pods the spread over zones and the (anti-)affinity
of required terms with ``matchLabels``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

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


def gets_along(
    node: JsonView,
    pod: JsonView,
    *,
    nodes: Sequence[JsonView],
    placed: Mapping[str, Sequence[JsonView]],
) -> bool:
    """Whether spread and (anti-)affinity among pods let the pod go there.

    Args:
        node: one of `nodes`.
        pod: the one that is to be placed.
        nodes: all there are.
        placed: pods by node name.
    """
    labels_of = {n["metadata"]["name"]: n["metadata"].get("labels") or {} for n in nodes}
    everybody = [
        (labels_of[name], other)
        for name, others in placed.items()
        if name in labels_of
        for other in others
    ]
    here = labels_of[node["metadata"]["name"]]
    return (
        all(
            _keeps_spread(constraint, here, pod, nodes=nodes, everybody=everybody)
            for constraint in _spread(pod)
        )
        and all(_has_company(term, here, pod, everybody) for term in _terms(pod, "podAffinity"))
        and not any(
            _meets(term, here, labels, other)
            for term in _terms(pod, "podAntiAffinity")
            for labels, other in everybody
        )
        and not any(
            _meets(term, labels, here, pod)
            for labels, other in everybody
            for term in _terms(other, "podAntiAffinity")
        )
    )


def heeds_pods(pod: JsonView) -> bool:
    """Whether other pods, elsewhere, say where it may go."""
    return any((_spread(pod), _terms(pod, "podAffinity"), _terms(pod, "podAntiAffinity")))


def _spread(pod: JsonView) -> Sequence[JsonView]:
    """The constraints that must be kept."""
    constraints = pod["spec"].get("topologySpreadConstraints") or ()
    return [each for each in constraints if each["whenUnsatisfiable"] == "DoNotSchedule"]


def _keeps_spread(
    constraint: JsonView,
    here: JsonView,
    pod: JsonView,
    *,
    nodes: Sequence[JsonView],
    everybody: Sequence[tuple[JsonView, JsonView]],
) -> bool:
    key = constraint["topologyKey"]
    if key not in here:
        return False
    counted = [
        labels
        for node in nodes
        if key in (labels := node["metadata"].get("labels") or {}) and _selected(labels, pod)
    ]
    counts = Counter({labels[key]: 0 for labels in counted})
    for labels, other in everybody:
        if labels in counted and not other["metadata"].get("deletionTimestamp"):
            counts[labels[key]] += _has_labels(other, constraint["labelSelector"])
    least = min(counts.values(), default=0)
    own = _has_labels(pod, constraint["labelSelector"])
    return bool(counts[here[key]] + own - least <= constraint["maxSkew"])


def _has_company(
    term: JsonView, here: JsonView, pod: JsonView, everybody: Sequence[tuple[JsonView, JsonView]]
) -> bool:
    if term["topologyKey"] not in here:
        return False
    company = [labels for labels, other in everybody if _has_labels(other, term["labelSelector"])]
    if not any(term["topologyKey"] in labels for labels in company):
        # the first of a group that wants to be together may be anywhere
        return bool(_has_labels(pod, term["labelSelector"]))
    return any(_shares(term["topologyKey"], here, labels) for labels in company)


def _meets(term: JsonView, one: JsonView, another: JsonView, other: JsonView) -> bool:
    """Whether a pod on the second node is one the term speaks of, seen from the first."""
    return _shares(term["topologyKey"], one, another) and _has_labels(other, term["labelSelector"])


def _shares(key: str, one: JsonView, another: JsonView) -> bool:
    return key in one and one[key] == another.get(key)


def _has_labels(pod: JsonView, selector: JsonView) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector["matchLabels"].items())


def _terms(pod: JsonView, kind: str) -> Sequence[JsonView]:
    affinity = (pod["spec"].get("affinity") or {}).get(kind) or {}
    terms: Sequence[JsonView] = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return terms


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
