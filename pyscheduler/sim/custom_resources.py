"""CustomResourceDefinitions, and the objects of the kinds they define.

A definition is accepted and established at once (the real server takes a moment and says so in
two conditions). It serves one version; more are refused, since nothing here converts. Its
objects are pruned, defaulted and checked by the version's schema.

Source: k8s.io/apiextensions-apiserver 1.37 pkg/apis/apiextensions/validation and
pkg/controller/establish.
"""

from __future__ import annotations

from pyscheduler.sim.api_errors import not_served
from pyscheduler.sim.field_checks import Problems
from pyscheduler.sim.json_objects import JsonObject, JsonView
from pyscheduler.sim.schemas import check_value, completed
from pyscheduler.sim.served_kinds import CustomKind

#: Fields every object has, whatever its schema says.
_ENVELOPE = ("kind", "apiVersion", "metadata")
_SCOPES = ("Cluster", "Namespaced")


def prepare_new_definition(problems: Problems, data: JsonObject) -> None:
    """The definition is as it is stored at first: not yet established.

    Raises:
        ApiError: 501, it serves several versions.
    """
    spec: JsonObject = dict(data.get("spec") or {})
    names = dict(spec.get("names") or {})
    versions = spec.get("versions") or []
    if sum(bool(version.get("served")) for version in versions) > 1:
        raise not_served("several versions of a custom resource")
    _check_definition(problems, data["metadata"]["name"], spec, names)
    names.setdefault("singular", (names.get("kind") or "").lower())
    names.setdefault("listKind", f"{names.get('kind') or ''}List")
    spec["names"] = names
    spec.setdefault("conversion", {"strategy": "None"})
    data["spec"] = spec
    data["metadata"]["generation"] = 1
    stored = [version["name"] for version in versions if version.get("storage")]
    data["status"] = {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored,
    }


def _check_definition(problems: Problems, name: str, spec: JsonView, names: JsonView) -> None:
    wanted = f"{names.get('plural') or ''}.{spec.get('group') or ''}"
    if name != wanted:
        text = 'must be spec.names.plural+"."+spec.group'
        problems.invalid("metadata.name", name, text)
    if not spec.get("group"):
        problems.required("spec.group")
    if spec.get("scope") not in _SCOPES:
        problems.unsupported("spec.scope", spec.get("scope") or "", _SCOPES)
    for field in ("plural", "kind"):
        if not names.get(field):
            problems.required(f"spec.names.{field}")
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        text = "must have exactly one version marked as storage version"
        problems.invalid("spec.versions", versions, text)
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            problems.required(path, "schemas are required")


def check_definition_update(problems: Problems, data: JsonObject, present: JsonView) -> None:
    """What is served under the definition's name stays what it was."""
    spec, held = data.get("spec") or {}, present["spec"]
    if spec.get("scope") != held["scope"]:
        problems.invalid("spec.scope", spec.get("scope"), "field is immutable")
    kind = (spec.get("names") or {}).get("kind")
    if kind != held["names"]["kind"]:
        problems.invalid("spec.names.kind", kind, "field is immutable")
    _check_definition(problems, data["metadata"]["name"], spec, spec.get("names") or {})


def established(definition: JsonObject, *, timestamp: str) -> JsonObject:
    """The definition once its names are accepted and its kind is served."""
    conditions = [
        {
            "type": kind,
            "status": "True",
            "lastTransitionTime": timestamp,
            "reason": reason,
            "message": message,
        }
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    names = definition["spec"]["names"]
    status = {**definition["status"], "conditions": conditions, "acceptedNames": names}
    return {**definition, "metadata": dict(definition["metadata"]), "status": status}


def defined_kind(definition: JsonView) -> CustomKind | None:
    """The kind that an established definition serves, if it serves any."""
    conditions = definition["status"].get("conditions") or ()
    if not any(condition["type"] == "Established" for condition in conditions):
        return None
    spec = definition["spec"]
    for version in spec["versions"]:
        if version.get("served"):
            names = spec["names"]
            return CustomKind(
                spec["group"],
                names["plural"],
                names["kind"],
                spec["scope"] == "Namespaced",
                short_names=tuple(names.get("shortNames") or ()),
                subresources=("status",) if "status" in (version.get("subresources") or {}) else (),
                version=version["name"],
                unconditional_update=False,
                stored_as=definition["metadata"]["name"],
                schema=version["schema"]["openAPIV3Schema"],
                columns=tuple(version.get("additionalPrinterColumns") or ()),
            )
    return None


def complete(kind: CustomKind, data: JsonObject) -> JsonObject:
    """The object, pruned and with defaults."""
    content = {name: value for name, value in data.items() if name not in _ENVELOPE}
    envelope = {name: data[name] for name in _ENVELOPE}
    filled = completed(kind.schema, content)
    return {**envelope, **{name: v for name, v in filled.items() if name not in _ENVELOPE}}


def check(problems: Problems, kind: CustomKind, data: JsonView) -> None:
    """What the kind's schema refuses is among the problems."""
    check_value(problems, kind.schema, data, path="")


def content(kind: CustomKind, data: JsonView) -> JsonObject:
    """What counts as a change of generation: all but metadata and a status of its own."""
    left_out = {"metadata", *kind.subresources}
    return {name: value for name, value in data.items() if name not in left_out}
