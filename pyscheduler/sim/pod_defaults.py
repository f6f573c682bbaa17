"""What kube-apiserver adds to a new pod: defaults, tolerations, quality of service, priority.

Source: k8s.io/kubernetes 1.37 pkg/apis/core/v1/defaults.go; plugin/pkg/admission/priority and
defaulttolerationseconds; pkg/apis/core/helper/qos. Knowing difference: no ServiceAccount
admission (no token volume, no ``serviceAccountName``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyscheduler.api.quantity import parse_quantity
from pyscheduler.sim.api_errors import forbidden
from pyscheduler.sim.json_objects import JsonObject, JsonView
from pyscheduler.sim.quantities import as_texts, with_texts

_SPEC_DEFAULTS: Mapping[str, Any] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}
_CONTAINER_DEFAULTS: Mapping[str, Any] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_EVICTING_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
#: Seconds a pod stays on a node that is not ready, unless it says otherwise.
_TOLERATION_SECONDS = 300
_QOS_RESOURCES = ("cpu", "memory")


def with_pod_defaults(spec: JsonObject) -> JsonObject:
    """The pod spec with every default filled in."""
    filled = {**_SPEC_DEFAULTS, **{key: value for key, value in spec.items() if value is not None}}
    for field in ("containers", "initContainers"):
        if containers := filled.get(field):
            filled[field] = [_with_container_defaults(container) for container in containers]
    if filled.get("overhead"):
        filled["overhead"] = as_texts(filled["overhead"])
    if filled.get("resources"):
        filled["resources"] = with_texts(filled["resources"], "requests", "limits")
    if filled.get("hostNetwork"):
        for field in ("containers", "initContainers"):
            for container in filled.get(field) or ():
                for port in container.get("ports") or ():
                    port.setdefault("hostPort", port["containerPort"])
    filled["tolerations"] = _with_default_tolerations(filled.get("tolerations") or [])
    return filled


def merge_label_keys(spec: JsonObject, labels: Mapping[str, str]) -> None:
    """Values of the pod's own labels are in the selectors that ask for them by key.

    Source: pkg/registry/core/pod/strategy.go, mutatePodAffinity, mutateTopologySpreadConstraints.
    """
    for term in _pod_terms(spec.get("affinity") or {}):
        _add_expressions(term, term.get("matchLabelKeys"), labels, operator="In")
        _add_expressions(term, term.get("mismatchLabelKeys"), labels, operator="NotIn")
    for constraint in spec.get("topologySpreadConstraints") or ():
        _add_expressions(constraint, constraint.get("matchLabelKeys"), labels, operator="In")


def _pod_terms(affinity: JsonView) -> Iterator[JsonObject]:
    for field in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(field) or {}
        yield from terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}


def _add_expressions(
    term: JsonObject, keys: Iterable[str] | None, labels: Mapping[str, str], *, operator: str
) -> None:
    selector = term.get("labelSelector")
    added = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for key in keys or ()
        if key in labels
    ]
    # no selector matches nothing, and still does
    if selector is not None and added:
        expressions = selector.get("matchExpressions") or []
        term["labelSelector"] = {**selector, "matchExpressions": [*expressions, *added]}


def _with_container_defaults(container: JsonObject) -> JsonObject:
    filled = {**container}
    for key, value in _CONTAINER_DEFAULTS.items():
        filled.setdefault(key, value)
    image = filled.get("image") or ""
    tag = image.rpartition("/")[2].partition(":")[2]
    filled.setdefault("imagePullPolicy", "IfNotPresent" if tag not in ("", "latest") else "Always")
    resources = with_texts(filled.get("resources") or {}, "requests", "limits")
    if limits := resources.get("limits"):
        resources = {**resources, "requests": {**limits, **(resources.get("requests") or {})}}
    filled["resources"] = resources
    if ports := filled.get("ports"):
        filled["ports"] = [{**port, "protocol": port.get("protocol", "TCP")} for port in ports]
    return filled


def _with_default_tolerations(tolerations: list[JsonObject]) -> list[JsonObject]:
    added = [
        {
            "key": taint,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _TOLERATION_SECONDS,
        }
        for taint in _EVICTING_TAINTS
        if not any(_covers(toleration, taint) for toleration in tolerations)
    ]
    return [*tolerations, *added]


def _covers(toleration: JsonView, taint: str) -> bool:
    return toleration.get("key", "") in ("", taint) and toleration.get("effect", "") in (
        "",
        "NoExecute",
    )


def with_priority(spec: JsonObject, classes: Iterable[JsonObject], pod_name: str) -> JsonObject:
    """The spec with the priority and preemption policy of its priority class.

    Raises:
        ApiError: 403, no such class, or a priority that is not the class's.
    """
    by_name = {item["metadata"]["name"]: item for item in classes}
    name = spec.get("priorityClassName") or ""
    if name:
        chosen = by_name.get(name)
        if chosen is None:
            raise forbidden("pods", "", pod_name, f"no PriorityClass with name {name} was found")
    else:
        defaults = [item for item in by_name.values() if item.get("globalDefault")]
        chosen = min(defaults, key=lambda item: item["value"]) if defaults else None
    priority = chosen["value"] if chosen else 0
    policy = (chosen or {}).get("preemptionPolicy", "PreemptLowerPriority")
    given = spec.get("priority")
    if given is not None and given != priority:
        text = (
            f"the integer value of priority ({given}) must not be provided in pod spec;"
            f" priority admission controller computed {priority} from the given PriorityClass name"
        )
        raise forbidden("pods", "", pod_name, text)
    given_policy = spec.get("preemptionPolicy")
    if given_policy is not None and given_policy != policy:
        text = (
            f"the string value of PreemptionPolicy ({given_policy}) must not be provided in pod"
            f" spec; priority admission controller computed {policy} from the given PriorityClass"
            " name"
        )
        raise forbidden("pods", "", pod_name, text)
    filled = {**spec, "priority": priority, "preemptionPolicy": policy}
    if chosen and not name:
        filled["priorityClassName"] = chosen["metadata"]["name"]
    return filled


def qos_class(spec: JsonView) -> str:
    """Guaranteed, Burstable or BestEffort, by the containers' cpu and memory."""
    containers = [*spec["containers"], *(spec.get("initContainers") or ())]
    requests = [_asked(container, "requests") for container in containers]
    limits = [_asked(container, "limits") for container in containers]
    if not any(requests) and not any(limits):
        return "BestEffort"
    guaranteed = all(
        set(limit) == set(_QOS_RESOURCES) and request == limit
        for request, limit in zip(requests, limits, strict=True)
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _asked(container: JsonView, side: str) -> dict[str, tuple[int, int]]:
    amounts = (container.get("resources") or {}).get(side) or {}
    parsed = {name: parse_quantity(amounts[name]) for name in _QOS_RESOURCES if name in amounts}
    return {name: amount for name, amount in parsed.items() if amount[0]}


def new_pod_status(spec: JsonView) -> JsonObject:
    """The status a pod is created with."""
    status: JsonObject = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": None,
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]
    return status
