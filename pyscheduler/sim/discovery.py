"""Discovery: what the server is and serves, in the detail clients and kubectl ask for.

The OpenAPI documents name just enough for kubectl to see that the server validates fields
itself, so that it does not ask for schemas.
"""

from __future__ import annotations

from itertools import groupby

from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.served_kinds import ALL_KINDS, ServedKind

#: The release whose behaviour this server follows.
GIT_VERSION = "v1.37.1"

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_STATUS_VERBS = ["get", "patch", "update"]


def discovery_documents(address: str) -> dict[str, JsonObject]:
    """Every discovery document by its path.

    Args:
        address: ``host:port`` the server is reached at.
    """
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
            "groups": [_group(kind) for kind in ALL_KINDS if kind.group],
        },
        "/openapi/v3": {"paths": {}},
    }
    for (group, version), kinds in groupby(
        sorted(ALL_KINDS, key=lambda kind: kind.group), key=lambda kind: (kind.group, kind.version)
    ):
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        served = list(kinds)
        documents[path] = _resources(served)
        if group:
            documents[f"/apis/{group}"] = {**_group(served[0]), "kind": "APIGroup"}
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


def _group(kind: ServedKind) -> JsonObject:
    version = {"groupVersion": kind.api_version, "version": kind.version}
    return {
        "name": kind.group,
        "versions": [version],
        "preferredVersion": version,
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
