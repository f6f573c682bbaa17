"""``pods/resize``: the one way to change what a pod's containers ask for.

Of what is sent only the containers' resources and resize policies count; everything else of the pod
stays. Called by: `object_rules`.

Source: k8s.io/kubernetes 1.37 pkg/registry/core/pod/strategy.go (resize),
pkg/apis/core/validation. Knowing difference: resources of the pod as a whole stay as they are.
"""

from __future__ import annotations

from pyscheduler.sim import pod_defaults, pod_validation
from pyscheduler.sim.field_checks import Problems
from pyscheduler.sim.json_objects import JsonObject, JsonView

_CONTAINERS = ("containers", "initContainers")
_SCALABLE = frozenset({"cpu", "memory"})


def resized(problems: Problems, sent: JsonView, present: JsonView) -> JsonObject:
    """Returns the spec as it is to be; what speaks against it is added to the problems."""
    pod_validation.check_decodable(sent)
    spec: JsonObject = dict(present)
    for field in _CONTAINERS:
        _check_same_containers(problems, field, sent, present)
    if problems.found:
        return spec
    for field in _CONTAINERS:
        if field in present:
            spec[field] = [
                _with_resources(now, wanted)
                for now, wanted in zip(present[field], sent[field], strict=True)
            ]
    completed = pod_defaults.with_pod_defaults(spec)
    pod_validation.check_new_pod(problems, completed)
    if pod_defaults.qos_class(completed) != pod_defaults.qos_class(present):
        text = "Pod QOS Class may not change as a result of resizing"
        problems.invalid("spec", pod_defaults.qos_class(present), text)
    for field in _CONTAINERS:
        for index, container in enumerate(completed.get(field) or ()):
            _check_change(problems, f"spec.{field}[{index}]", container, present[field][index])
    return completed


def _check_same_containers(
    problems: Problems, field: str, sent: JsonView, present: JsonView
) -> None:
    wanted = [container.get("name") for container in sent.get(field) or ()]
    names = [container["name"] for container in present.get(field) or ()]
    if len(wanted) != len(names):
        problems.forbidden(f"spec.{field}", f"{field} may not be added or removed on resize")
        return
    for index, (new, old) in enumerate(zip(wanted, names, strict=True)):
        if new != old:
            text = f"{field} may not be renamed or reordered on resize"
            problems.forbidden(f"spec.{field}[{index}].name", text)


def _with_resources(present: JsonView, sent: JsonView) -> JsonObject:
    container = {key: value for key, value in present.items() if key != "resizePolicy"}
    if "resizePolicy" in sent:
        container["resizePolicy"] = sent["resizePolicy"]
    return {**container, "resources": sent.get("resources") or {}}


def _check_change(problems: Problems, path: str, new: JsonView, old: JsonView) -> None:
    for side in ("requests", "limits"):
        wanted, held = _amounts(new, side), _amounts(old, side)
        if held.keys() - wanted.keys():
            text = f"resource {side} cannot be removed"
            problems.forbidden(f"{path}.resources.{side}", text)
    changed = {
        name
        for side in ("requests", "limits")
        for name in {*_amounts(new, side), *_amounts(old, side)}
        if _amounts(new, side).get(name) != _amounts(old, side).get(name)
    }
    if changed - _SCALABLE:
        if path.startswith("spec.init"):
            text = "only cpu and memory resources for init or sidecar containers are mutable"
            problems.forbidden(path, text)
        else:
            problems.forbidden("spec", "only cpu and memory resources are mutable")


def _amounts(container: JsonView, side: str) -> JsonView:
    amounts: JsonView = (container.get("resources") or {}).get(side) or {}
    return amounts
