"""What makes a pod invalid: the essentials a scheduler's clients can get wrong.

`check_decodable` stands for the server's typed decoding (a bad quantity is 400 there),
`check_new_pod` and `check_pod_update` for validation (422).

Source: k8s.io/kubernetes 1.37 pkg/apis/core/validation/validation.go. Knowing difference: only
the fields a scheduler reads are checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyscheduler.api.quantity import InvalidQuantity, parse_quantity
from pyscheduler.sim.api_errors import bad_request
from pyscheduler.sim.field_checks import (
    Problems,
    check_dns_label,
    check_labels,
    check_qualified_name,
    check_subdomain,
)
from pyscheduler.sim.json_objects import JsonView

_QUANTITY_TEXT = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_NODE_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"})
_LABEL_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})
_TOLERATION_OPERATORS = ("Equal", "Exists")
_TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_PROTOCOLS = ("SCTP", "TCP", "UDP")

_UPDATE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only"
    " additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set"
    " to 1 if it was previously negative)"
)
#: Spec fields a PUT may change; the gated ones only while the pod has scheduling gates.
_MUTABLE = frozenset(
    {
        "activeDeadlineSeconds",
        "containers",
        "initContainers",
        "schedulingGates",
        "terminationGracePeriodSeconds",
        "tolerations",
    }
)
_MUTABLE_WHILE_GATED = frozenset({"affinity", "nodeSelector"})


def check_decodable(spec: JsonView) -> None:
    """Every quantity of the pod can be read.

    Raises:
        ApiError: 400, in the words of the typed decoder.
    """
    for _, amounts in _resource_lists(spec):
        for amount in amounts.values():
            try:
                parse_quantity(str(amount))
            except InvalidQuantity as error:
                message = f'Pod in version "v1" cannot be handled as a Pod: {_QUANTITY_TEXT}'
                raise bad_request(message) from error


def _resource_lists(spec: JsonView) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Field path and amounts of every resource list in the spec."""
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            for side, amounts in (container.get("resources") or {}).items():
                if side in ("requests", "limits"):
                    yield f"spec.{field}[{index}].resources.{side}", amounts or {}
    for side, amounts in (spec.get("resources") or {}).items():
        if side in ("requests", "limits"):
            yield f"spec.resources.{side}", amounts or {}
    if overhead := spec.get("overhead"):
        yield "spec.overhead", overhead


def check_new_pod(problems: Problems, spec: JsonView) -> None:
    """The spec of a new pod is valid."""
    containers = spec.get("containers") or []
    if not containers:
        problems.required("spec.containers")
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            _check_container(problems, container, f"spec.{field}[{index}]", names)
    if spec.get("restartPolicy") not in _RESTART_POLICIES:
        problems.unsupported("spec.restartPolicy", spec.get("restartPolicy"), _RESTART_POLICIES)
    if "nodeSelector" in spec:
        check_labels(problems, "spec.nodeSelector", spec["nodeSelector"] or {})
    _check_affinity(problems, spec.get("affinity") or {})
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        _check_toleration(problems, toleration, f"spec.tolerations[{index}]")
    for index, spread in enumerate(spec.get("topologySpreadConstraints") or ()):
        _check_spread(problems, spread, f"spec.topologySpreadConstraints[{index}]")
    if spec.get("nodeName"):
        check_subdomain(problems, "spec.nodeName", spec["nodeName"])
    _check_gates(problems, spec)


def _check_container(problems: Problems, container: JsonView, path: str, names: set[str]) -> None:
    name = container.get("name") or ""
    if not name:
        problems.required(f"{path}.name")
    else:
        check_dns_label(problems, f"{path}.name", name)
        if name in names:
            problems.duplicate(f"{path}.name", name)
        names.add(name)
    if not container.get("image"):
        problems.required(f"{path}.image")
    for index, port in enumerate(container.get("ports") or ()):
        _check_port(problems, port, f"{path}.ports[{index}]")
    _check_resources(problems, container.get("resources") or {}, f"{path}.resources")


def _check_port(problems: Problems, port: JsonView, path: str) -> None:
    for field in ("containerPort", "hostPort"):
        number = port.get(field)
        if number is None:
            if field == "containerPort":
                problems.required(f"{path}.{field}")
        elif number and not 0 < number < 65536:
            text = "must be between 1 and 65535, inclusive"
            problems.invalid(f"{path}.{field}", number, text)
    if port.get("protocol", "TCP") not in _PROTOCOLS:
        problems.unsupported(f"{path}.protocol", port["protocol"], _PROTOCOLS)


def _check_resources(problems: Problems, resources: JsonView, path: str) -> None:
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    for side, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            check_qualified_name(problems, f"{path}.{side}", name)
            if parse_quantity(str(amount))[0] < 0:
                text = "must be greater than or equal to 0"
                problems.invalid(f"{path}.{side}[{name}]", str(amount), text)
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None:
            if _is_extended(name):
                problems.required(
                    f"{path}.limits", "Limit must be set for non overcommitable resources"
                )
        elif _less(limit, amount):
            text = f"must be less than or equal to {name} limit of {limit}"
            problems.invalid(f"{path}.requests", str(amount), text)
        elif _is_extended(name) and _less(amount, limit):
            text = f"must be equal to {name} limit of {limit}"
            problems.invalid(f"{path}.requests", str(amount), text)


def _is_extended(resource: str) -> bool:
    return resource.startswith("hugepages-") or (
        "/" in resource and not resource.startswith("kubernetes.io/")
    )


def _less(left: object, right: object) -> bool:
    left_numerator, left_denominator = parse_quantity(str(left))
    right_numerator, right_denominator = parse_quantity(str(right))
    return left_numerator * right_denominator < right_numerator * left_denominator


def _check_affinity(problems: Problems, affinity: JsonView) -> None:
    node = affinity.get("nodeAffinity") or {}
    path = "spec.affinity.nodeAffinity"
    required = node.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None:
        terms_path = f"{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
        terms = required.get("nodeSelectorTerms") or []
        if not terms:
            text = "must have at least one node selector term"
            problems.required(terms_path, text)
        for index, term in enumerate(terms):
            _check_node_term(problems, term, f"{terms_path}[{index}]")
    for index, preferred in enumerate(
        node.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    ):
        item = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
        _check_weight(problems, preferred, item)
        _check_node_term(problems, preferred.get("preference") or {}, f"{item}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        _check_pod_affinity(problems, affinity.get(kind) or {}, f"spec.affinity.{kind}")


def _check_weight(problems: Problems, item: JsonView, path: str) -> None:
    if not 1 <= item.get("weight", 0) <= 100:
        problems.invalid(f"{path}.weight", item.get("weight", 0), "must be in the range 1-100")


def _check_node_term(problems: Problems, term: JsonView, path: str) -> None:
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        item = f"{path}.matchExpressions[{index}]"
        _check_requirement(problems, requirement, item, operators=_NODE_OPERATORS)
        check_qualified_name(problems, f"{item}.key", requirement.get("key") or "")
    for index, requirement in enumerate(term.get("matchFields") or ()):
        item = f"{path}.matchFields[{index}]"
        if requirement.get("key") != "metadata.name":
            text = "not a valid field selector key"
            problems.invalid(f"{item}.key", requirement.get("key") or "", text)
        if requirement.get("operator") not in ("In", "NotIn"):
            text = "not a valid selector operator"
            problems.invalid(f"{item}.operator", requirement.get("operator") or "", text)


def _check_requirement(
    problems: Problems, requirement: JsonView, path: str, *, operators: frozenset[str]
) -> None:
    operator, values = requirement.get("operator") or "", requirement.get("values") or []
    if operator not in operators:
        problems.invalid(f"{path}.operator", operator, "not a valid selector operator")
    elif operator in ("In", "NotIn") and not values:
        text = "must be specified when `operator` is 'In' or 'NotIn'"
        problems.required(f"{path}.values", text)
    elif operator in ("Exists", "DoesNotExist") and values:
        text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        problems.forbidden(f"{path}.values", text)
    elif operator in ("Gt", "Lt") and len(values) != 1:
        text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
        problems.required(f"{path}.values", text)


def _check_pod_affinity(problems: Problems, affinity: JsonView, path: str) -> None:
    field = f"{path}.requiredDuringSchedulingIgnoredDuringExecution"
    for index, term in enumerate(
        affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    ):
        _check_pod_term(problems, term, f"{field}[{index}]")
    field = f"{path}.preferredDuringSchedulingIgnoredDuringExecution"
    for index, item in enumerate(
        affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    ):
        _check_weight(problems, item, f"{field}[{index}]")
        term = item.get("podAffinityTerm") or {}
        _check_pod_term(problems, term, f"{field}[{index}].podAffinityTerm")


def _check_pod_term(problems: Problems, term: JsonView, path: str) -> None:
    if not term.get("topologyKey"):
        problems.required(f"{path}.topologyKey", "can not be empty")
    else:
        check_qualified_name(problems, f"{path}.topologyKey", term["topologyKey"])
    _check_label_selector(problems, term.get("labelSelector") or {}, f"{path}.labelSelector")


def _check_label_selector(problems: Problems, selector: JsonView, path: str) -> None:
    for index, requirement in enumerate(selector.get("matchExpressions") or ()):
        item = f"{path}.matchExpressions[{index}]"
        _check_requirement(problems, requirement, item, operators=_LABEL_OPERATORS)


def _check_toleration(problems: Problems, toleration: JsonView, path: str) -> None:
    operator = toleration.get("operator") or "Equal"
    key, effect = toleration.get("key") or "", toleration.get("effect") or ""
    if key:
        check_qualified_name(problems, f"{path}.key", key)
    elif operator != "Exists":
        text = (
            "operator must be Exists when `key` is empty, which means"
            ' "match all values and all keys"'
        )
        problems.invalid(f"{path}.operator", toleration.get("operator") or "", text)
    if operator not in _TOLERATION_OPERATORS:
        problems.unsupported(f"{path}.operator", operator, _TOLERATION_OPERATORS)
    elif operator == "Exists" and toleration.get("value"):
        text = "value must be empty when `operator` is 'Exists'"
        problems.invalid(f"{path}.operator", toleration["value"], text)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        problems.invalid(f"{path}.effect", effect, text)
    if effect and effect not in _TAINT_EFFECTS:
        problems.unsupported(f"{path}.effect", effect, _TAINT_EFFECTS)


def _check_spread(problems: Problems, spread: JsonView, path: str) -> None:
    if spread.get("maxSkew", 0) <= 0:
        problems.invalid(f"{path}.maxSkew", spread.get("maxSkew", 0), "must be greater than zero")
    if not spread.get("topologyKey"):
        problems.required(f"{path}.topologyKey", "can not be empty")
    if spread.get("whenUnsatisfiable") not in _UNSATISFIABLE:
        given = spread.get("whenUnsatisfiable") or ""
        problems.unsupported(f"{path}.whenUnsatisfiable", given, _UNSATISFIABLE)
    _check_label_selector(problems, spread.get("labelSelector") or {}, f"{path}.labelSelector")


def _check_gates(problems: Problems, spec: JsonView) -> None:
    gates = spec.get("schedulingGates") or ()
    names: set[str] = set()
    for index, gate in enumerate(gates):
        path = f"spec.schedulingGates[{index}]"
        check_qualified_name(problems, path, gate.get("name") or "")
        if gate.get("name") in names:
            problems.duplicate(path, gate["name"])
        names.add(gate.get("name") or "")
    if gates and spec.get("nodeName"):
        text = "cannot be set until all schedulingGates have been cleared"
        problems.forbidden("spec.nodeName", text)


def check_pod_update(problems: Problems, new: JsonView, old: JsonView) -> None:
    """The change from one spec to the other is one a PUT or PATCH may make."""
    gated = bool(old.get("schedulingGates"))
    mutable = _MUTABLE | _MUTABLE_WHILE_GATED if gated else _MUTABLE
    changed = {key for key in {*new, *old} if new.get(key) != old.get(key)}
    if changed - mutable or not _only_images_changed(new, old):
        problems.forbidden("spec", _UPDATE_TEXT)
    held = {gate["name"] for gate in old.get("schedulingGates") or ()}
    for gate in new.get("schedulingGates") or ():
        if gate["name"] not in held:
            text = f"only deletion is allowed, but found new scheduling gate '{gate['name']}'"
            problems.forbidden("spec.schedulingGates", text)
    if any(toleration not in (new.get("tolerations") or ()) for toleration in old["tolerations"]):
        text = "existing toleration can not be modified except its tolerationSeconds"
        problems.forbidden("spec.tolerations", text)


def _only_images_changed(new: JsonView, old: JsonView) -> bool:
    for field in ("containers", "initContainers"):
        before = [{**item, "image": ""} for item in old.get(field) or ()]
        if [{**item, "image": ""} for item in new.get(field) or ()] != before:
            return False
    return True
