"""Discovery: what the server is and serves, in the detail clients and kubectl ask for.

The OpenAPI documents name just enough for kubectl to see that the server validates fields
itself, so that it does not ask for schemas.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.served_kinds import ServedKind

#: The release whose behaviour this server follows.
GIT_VERSION = "v1.37.1"

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_STATUS_VERBS = ["get", "patch", "update"]


def discovery_documents(kinds: Iterable[ServedKind], *, address: str) -> dict[str, JsonObject]:
    """Every discovery document by its path.

    Args:
        kinds: what is served.
        address: ``host:port`` the server is reached at.
    """
    kinds = sorted(kinds, key=lambda kind: (kind.group, kind.version))
    groups = [
        _group(name, list(of_group))
        for name, of_group in groupby(kinds, key=lambda kind: kind.group)
        if name
    ]
    documents: dict[str, JsonObject] = {
        "/version": _version(),
        "/api": {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        },
        "/apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": groups,
        },
        "/openapi/v3": {"paths": {}},
    }
    for group in groups:
        documents[f"/apis/{group['name']}"] = {**group, "kind": "APIGroup"}
    for path, of_version in groupby(kinds, key=lambda kind: kind.root):
        served = list(of_version)
        documents[path] = _resources(served)
        documents[f"/openapi/v3{path}"] = _openapi(path, served)
        index = documents["/openapi/v3"]["paths"]
        index[path.lstrip("/")] = {"serverRelativeURL": f"/openapi/v3{path}?hash=embedded"}
    return documents


def _version() -> JsonObject:
    major, minor, _ = GIT_VERSION.lstrip("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "embedded",
    }


def _group(name: str, kinds: list[ServedKind]) -> JsonObject:
    versions = {
        kind.version: {"groupVersion": kind.api_version, "version": kind.version} for kind in kinds
    }
    return {
        "name": name,
        "versions": list(versions.values()),
        "preferredVersion": next(iter(versions.values())),
        "apiVersion": "v1",
    }


def _resources(kinds: list[ServedKind]) -> JsonObject:
    resources = []
    for kind in kinds:
        entry: JsonObject = {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": _VERBS,
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        resources.append(entry)
        for subresource in kind.subresources:
            is_binding = subresource == "binding"
            resources.append(
                {
                    "name": f"{kind.plural}/{subresource}",
                    "singularName": "",
                    "namespaced": kind.namespaced,
                    "kind": "Binding" if is_binding else kind.kind,
                    "verbs": ["create"] if is_binding else _STATUS_VERBS,
                }
            )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds[0].api_version,
        "resources": resources,
    }


def _openapi(path: str, kinds: list[ServedKind]) -> JsonObject:
    """An OpenAPI 3 document that says of each kind that PATCH and POST take ``fieldValidation``."""
    paths: JsonObject = {}
    for kind in kinds:
        scope = "/namespaces/{namespace}" if kind.namespaced else ""
        operation = {
            "parameters": [
                {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
            ],
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-group-version-kind": {
                "group": kind.group,
                "version": kind.version,
                "kind": kind.kind,
            },
        }
        paths[f"{path}{scope}/{kind.plural}"] = {"post": operation}
        paths[f"{path}{scope}/{kind.plural}/{{name}}"] = {"patch": operation}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": paths,
        "components": {},
    }
