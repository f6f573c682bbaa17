"""What the server does to an object before it is stored, kind by kind.

`prepare_new` turns a decoded body into the object to store, `prepare_update` does so for a PUT
or PATCH against the present one. Both normalise the outer shape (kind and apiVersion first, as
`representations` relies on), fill defaults and refuse what is invalid.

Source: the strategies of k8s.io/kubernetes 1.37 pkg/registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyscheduler.sim import (
    custom_resources,
    field_checks,
    pod_defaults,
    pod_resizing,
    pod_validation,
)
from pyscheduler.sim.api_errors import invalid
from pyscheduler.sim.event_versions import from_core
from pyscheduler.sim.field_checks import Problems
from pyscheduler.sim.json_objects import JsonObject, JsonView
from pyscheduler.sim.quantities import with_texts
from pyscheduler.sim.served_kinds import (
    CORE_EVENTS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DISRUPTION_BUDGETS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    PRIORITY_CLASSES,
    CustomKind,
    ServedKind,
)

#: Metadata the server owns: a client's values in a new object are dropped.
_SERVER_METADATA = frozenset(
    {"deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields", "selfLink"}
)
#: Metadata an update can change; all else stays.
_MUTABLE_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
_SYSTEM_PRIORITY = 1_000_000_000
_PERCENTAGE = re.compile(r"[0-9]+%")
_PERCENTAGE_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or"
    " '93%', regex used for validation is '[0-9]+%')"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the server gives a new object."""

    namespace: str
    name: str
    uid: str
    creation_timestamp: str


def prepare_new(
    kind: ServedKind,
    body: JsonObject,
    identity: Identity,
    *,
    priority_classes: Callable[[], Iterable[JsonObject]],
) -> JsonObject:
    """The object to store for a POST.

    Raises:
        ApiError: 400, 403 or 422, the object is refused.
    """
    if kind is CORE_EVENTS:
        body = from_core(body)
    given = body.get("metadata") or {}
    metadata: JsonObject = {"name": identity.name}
    if identity.namespace:
        metadata["namespace"] = identity.namespace
    metadata |= {key: value for key, value in given.items() if key not in _SERVER_METADATA}
    metadata["uid"] = identity.uid
    metadata["creationTimestamp"] = identity.creation_timestamp
    data: JsonObject = {**_head(kind), "metadata": metadata}
    data |= {key: value for key, value in body.items() if key not in data}
    if "status" in kind.subresources and kind is not NODES:
        data.pop("status", None)
    problems = Problems()
    _check_metadata(problems, kind, metadata)
    if isinstance(kind, CustomKind):
        metadata["generation"] = 1
        data = custom_resources.complete(kind, data)
        custom_resources.check(problems, kind, data)
    elif kind is PODS:
        _prepare_new_pod(problems, data, priority_classes)
    else:
        _NEW_RULES.get(kind, _no_rule)(problems, data)
    _refuse_if(problems, kind, identity.name)
    return data


def prepare_update(
    kind: ServedKind, body: JsonObject, present: JsonObject, *, subresource: str
) -> JsonObject:
    """The object to store for a PUT or PATCH.

    Raises:
        ApiError: 422, the change is refused.
    """
    if subresource == "resize":
        return _resized(body, present)
    if kind is CORE_EVENTS:
        body = from_core(body)
    metadata = dict(present["metadata"])
    given = body.get("metadata") or {}
    for field in _MUTABLE_METADATA:
        if given.get(field):
            metadata[field] = given[field]
        else:
            metadata.pop(field, None)
    data: JsonObject = {**_head(kind), "metadata": metadata}
    if subresource == "status":
        # Status writes change neither the rest of the object nor what keeps it alive.
        for field in ("finalizers", "ownerReferences"):
            metadata.pop(field, None)
            if field in present["metadata"]:
                metadata[field] = present["metadata"][field]
        data |= {key: value for key, value in present.items() if key not in data}
        data["status"] = body.get("status") or {}
        return _checked_status(kind, data)
    data |= {key: value for key, value in body.items() if key not in data}
    if "status" in kind.subresources:
        data.pop("status", None)
        if "status" in present:
            data["status"] = present["status"]
    problems = Problems()
    _check_metadata(problems, kind, metadata)
    if isinstance(kind, CustomKind):
        data = custom_resources.complete(kind, data)
        custom_resources.check(problems, kind, data)
    else:
        _UPDATE_RULES.get(kind, _no_update_rule)(problems, data, present)
    _refuse_if(problems, kind, metadata["name"])
    if "generation" in metadata and _content(kind, data) != _content(kind, present):
        metadata["generation"] += 1
    return data


def _resized(body: JsonObject, present: JsonObject) -> JsonObject:
    """The pod with its containers' resources as sent, and nothing else."""
    problems = Problems()
    spec = pod_resizing.resized(problems, body.get("spec") or {}, present["spec"])
    metadata = dict(present["metadata"])
    _refuse_if(problems, PODS, metadata["name"])
    if spec != present["spec"]:
        metadata["generation"] += 1
    return {**present, "metadata": metadata, "spec": spec}


def _checked_status(kind: ServedKind, data: JsonObject) -> JsonObject:
    """The object with a status as its kind wants it."""
    problems = Problems()
    if isinstance(kind, CustomKind):
        data = custom_resources.complete(kind, data)
        custom_resources.check(problems, kind, data)
    elif kind is DISRUPTION_BUDGETS:
        for field in _BUDGET_COUNTS:
            _check_not_negative(problems, f"status.{field}", data["status"].setdefault(field, 0))
    _refuse_if(problems, kind, data["metadata"]["name"])
    return data


def _content(kind: ServedKind, data: JsonView) -> object:
    """What counts as a new generation when it changes."""
    if isinstance(kind, CustomKind):
        return custom_resources.content(kind, data)
    return data.get("spec")


def _head(kind: ServedKind) -> JsonObject:
    stored = EVENTS if kind is CORE_EVENTS else kind
    return {"kind": stored.kind, "apiVersion": stored.api_version}


def _refuse_if(problems: Problems, kind: ServedKind, name: str) -> None:
    if problems.found:
        # Events are validated in their internal form, which has no group.
        group = "" if kind is EVENTS else kind.group
        raise invalid(kind.kind, group, name, problems.found)


def _check_metadata(problems: Problems, kind: ServedKind, metadata: JsonView) -> None:
    name = metadata["name"]
    if kind is NAMESPACES:
        field_checks.check_dns_label(problems, "metadata.name", name)
    else:
        field_checks.check_subdomain(problems, "metadata.name", name)
    if labels := metadata.get("labels"):
        field_checks.check_labels(problems, "metadata.labels", labels)
    for key in metadata.get("annotations") or ():
        field_checks.check_qualified_name(problems, "metadata.annotations", key.lower())


def _prepare_new_pod(
    problems: Problems,
    data: JsonObject,
    priority_classes: Callable[[], Iterable[JsonObject]],
) -> None:
    spec = data.get("spec") or {}
    pod_validation.check_decodable(spec)
    metadata = data["metadata"]
    spec = pod_defaults.with_pod_defaults(spec)
    pod_defaults.merge_label_keys(spec, metadata.get("labels") or {})
    spec = pod_defaults.with_priority(spec, priority_classes(), metadata["name"])
    pod_validation.check_new_pod(problems, spec)
    metadata["generation"] = 1
    data["spec"] = spec
    if not problems.found:
        data["status"] = pod_defaults.new_pod_status(spec)


def _new_node(problems: Problems, data: JsonObject) -> None:
    spec = data.setdefault("spec", {})
    _check_taints(problems, spec)
    status = data["status"] = with_texts(data.get("status") or {}, "capacity", "allocatable")
    if "capacity" in status:
        status.setdefault("allocatable", status["capacity"])


def _check_taints(problems: Problems, spec: JsonView) -> None:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(spec.get("taints") or ()):
        path = f"metadata.taints[{index}]"
        key, effect = taint.get("key") or "", taint.get("effect") or ""
        field_checks.check_qualified_name(problems, f"{path}.key", key)
        if not effect:
            problems.required(f"{path}.effect")
        elif effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            supported = ("NoSchedule", "PreferNoSchedule", "NoExecute")
            problems.unsupported(f"{path}.effect", effect, supported)
        if (key, effect) in seen:
            problems.duplicate(path, dict(taint))
        seen.add((key, effect))


def _new_namespace(_problems: Problems, data: JsonObject) -> None:
    metadata = data["metadata"]
    labels = metadata.get("labels") or {}
    metadata["labels"] = {**labels, "kubernetes.io/metadata.name": metadata["name"]}
    data["spec"] = {"finalizers": ["kubernetes"]}
    data["status"] = {"phase": "Active"}


def _new_priority_class(problems: Problems, data: JsonObject) -> None:
    value = data.setdefault("value", 0)
    data.setdefault("preemptionPolicy", "PreemptLowerPriority")
    name = data["metadata"]["name"]
    if name.startswith("system-"):
        text = "priority class names with 'system-' prefix are reserved for system use only. error:"
        problems.forbidden("metadata.name", f"{text} {name} is not a known system priority class")
    elif value > _SYSTEM_PRIORITY:
        text = f"maximum allowed value of a user defined priority is {_SYSTEM_PRIORITY}"
        problems.forbidden("value", text)


def _check_lease(problems: Problems, data: JsonObject) -> None:
    spec = data.setdefault("spec", {})
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        problems.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    transitions = spec.get("leaseTransitions")
    if transitions is not None and transitions < 0:
        text = "must be greater than or equal to 0"
        problems.invalid("spec.leaseTransitions", transitions, text)


def _new_event(problems: Problems, data: JsonObject) -> None:
    """The strict rules of events.k8s.io; an event of the old API has no eventTime."""
    if data.get("eventTime") is None:
        if "deprecatedFirstTimestamp" not in data and "deprecatedLastTimestamp" not in data:
            problems.required("eventTime")
        return
    regarding = data.get("regarding") or {}
    namespace = data["metadata"].get("namespace", "")
    subject_namespace = regarding.get("namespace") or ""
    if not subject_namespace and namespace not in ("default", "kube-system"):
        text = "does not match event.namespace"
        problems.invalid("involvedObject.namespace", subject_namespace, text)
    for field in ("reportingController", "reportingInstance", "action", "reason"):
        if not data.get(field):
            problems.required(field)
    if controller := data.get("reportingController"):
        field_checks.check_qualified_name(problems, "reportingController", controller)
    for field, limit in (("reportingInstance", 128), ("action", 128), ("reason", 128)):
        if len(data.get(field) or "") > limit:
            problems.invalid(field, "", f"can have at most {limit} characters")
    if len(data.get("note") or "") > 1024:
        problems.invalid("message", "", "can have at most 1024 characters")
    if data.get("type") not in ("Normal", "Warning"):
        problems.invalid("type", "", f"has invalid value: {data.get('type') or ''}")


#: Of a budget's status; there from the start.
_BUDGET_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def _new_budget(problems: Problems, data: JsonObject) -> None:
    spec = data.setdefault("spec", {})
    _check_budget(problems, spec)
    data["metadata"]["generation"] = 1
    data["status"] = dict.fromkeys(_BUDGET_COUNTS, 0)


def _check_budget(problems: Problems, spec: JsonView) -> None:
    bounds = [field for field in ("minAvailable", "maxUnavailable") if spec.get(field) is not None]
    if len(bounds) > 1:
        text = "minAvailable and maxUnavailable cannot be both set"
        problems.invalid("spec", dict(spec), text)
    for field in bounds:
        bound = spec[field]
        if isinstance(bound, int):
            _check_not_negative(problems, f"spec.{field}", bound)
        elif not _PERCENTAGE.fullmatch(bound):
            problems.invalid(f"spec.{field}", bound, _PERCENTAGE_TEXT)
        elif int(bound[:-1]) > 100:
            problems.invalid(f"spec.{field}", bound, "must not be greater than 100%")


def _check_not_negative(problems: Problems, field: str, value: int) -> None:
    if value < 0:
        problems.invalid(field, value, "must be greater than or equal to 0")


def _new_volume(_problems: Problems, data: JsonObject) -> None:
    data["status"] = {"phase": "Pending"}


def _no_rule(_problems: Problems, _data: JsonObject) -> None:
    return None


def _no_update_rule(_problems: Problems, _data: JsonObject, _present: JsonObject) -> None:
    return None


def _update_pod(problems: Problems, data: JsonObject, present: JsonObject) -> None:
    pod_validation.check_decodable(data.get("spec") or {})
    pod_validation.check_pod_update(problems, data.get("spec") or {}, present["spec"])


def _update_node(problems: Problems, data: JsonObject, _present: JsonObject) -> None:
    _check_taints(problems, data.setdefault("spec", {}))


def _update_namespace(_problems: Problems, data: JsonObject, present: JsonObject) -> None:
    data["spec"] = present["spec"]


def _update_priority_class(problems: Problems, data: JsonObject, present: JsonObject) -> None:
    if data.get("value") != present["value"]:
        problems.forbidden("value", "may not be changed in an update.")
    if data.get("preemptionPolicy", "PreemptLowerPriority") != present["preemptionPolicy"]:
        text = "field is immutable"
        problems.invalid("preemptionPolicy", data.get("preemptionPolicy"), text)


def _update_lease(problems: Problems, data: JsonObject, _present: JsonObject) -> None:
    _check_lease(problems, data)


def _update_budget(problems: Problems, data: JsonObject, _present: JsonObject) -> None:
    _check_budget(problems, data.setdefault("spec", {}))


_NEW_RULES: dict[ServedKind, Callable[[Problems, JsonObject], None]] = {
    NODES: _new_node,
    NAMESPACES: _new_namespace,
    PRIORITY_CLASSES: _new_priority_class,
    LEASES: _check_lease,
    EVENTS: _new_event,
    DISRUPTION_BUDGETS: _new_budget,
    CUSTOM_RESOURCE_DEFINITIONS: custom_resources.prepare_new_definition,
    PERSISTENT_VOLUMES: _new_volume,
    PERSISTENT_VOLUME_CLAIMS: _new_volume,
}
_UPDATE_RULES: dict[ServedKind, Callable[[Problems, JsonObject, JsonObject], None]] = {
    PODS: _update_pod,
    NODES: _update_node,
    NAMESPACES: _update_namespace,
    PRIORITY_CLASSES: _update_priority_class,
    LEASES: _update_lease,
    DISRUPTION_BUDGETS: _update_budget,
    CUSTOM_RESOURCE_DEFINITIONS: custom_resources.check_definition_update,
}
