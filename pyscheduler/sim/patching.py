"""The three patch formats of the API: JSON patch, merge patch, strategic merge patch.

Each takes the present object and a decoded patch and returns a new object that shares what it
did not change.

Source: RFC 6902, RFC 7386; k8s.io/apimachinery 1.37 pkg/util/strategicpatch. Merge keys of
lists are looked up by field name alone, which is enough for the kinds served here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyscheduler.sim.api_errors import ApiError, bad_request, not_served
from pyscheduler.sim.json_objects import JsonObject

#: Lists that strategic merge joins item by item, and the field that tells items apart.
_MERGE_KEYS = {
    "addresses": "type",
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "ports": "containerPort",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "secrets": "name",
    "taints": "key",
    "topologySpreadConstraints": "topologyKey",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
#: Lists of plain values that strategic merge unites.
_MERGE_PRIMITIVE = frozenset({"finalizers"})


def merge_patch(present: JsonObject, patch: Any) -> JsonObject:
    """The object after a JSON merge patch: maps merge, null drops, anything else replaces."""
    if not isinstance(patch, dict):
        raise bad_request("cannot patch: the patch is not an object")
    merged: JsonObject = _merge(present, patch)
    return merged


def _merge(present: Any, patch: JsonObject) -> JsonObject:
    merged = dict(present) if isinstance(present, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merge(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def strategic_merge_patch(present: JsonObject, patch: Any) -> JsonObject:
    """The object after a strategic merge patch: keyed lists merge item by item."""
    if not isinstance(patch, dict):
        raise bad_request("cannot patch: the patch is not an object")
    return _merge_map(present, patch)


def _merge_map(present: JsonObject, patch: JsonObject) -> JsonObject:
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    merged = dict(present)
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            merged[name] = [item for item in merged.get(name) or () if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            held = merged.get(key)
            merged[key] = _merge_map(held if isinstance(held, dict) else {}, value)
        elif isinstance(value, list):
            merged[key] = _merge_list(key, merged.get(key) or [], value)
        else:
            merged[key] = value
    return merged


def _merge_list(field: str, present: list[Any], patch: list[Any]) -> list[Any]:
    if field in _MERGE_PRIMITIVE:
        return [*present, *(item for item in patch if item not in present)]
    merge_key = _MERGE_KEYS.get(field)
    if merge_key is None or not all(isinstance(item, dict) for item in patch):
        return patch
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    merged = list(present)
    for item in patch:
        if merge_key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {merge_key}")
        position = next(
            (n for n, held in enumerate(merged) if held.get(merge_key) == item[merge_key]), None
        )
        if item.get("$patch") == "delete":
            if position is not None:
                del merged[position]
        elif position is None:
            merged.append(_merge_map({}, item))
        else:
            merged[position] = _merge_map(merged[position], item)
    return merged


def json_patch(present: JsonObject, patch: Any) -> JsonObject:
    """The object after an RFC 6902 patch.

    Raises:
        ApiError: 400 for an unreadable patch, 422 where an operation cannot be applied.
    """
    if not isinstance(patch, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    result: Any = present
    for operation in patch:
        result = _apply_operation(result, operation)
    if not isinstance(result, dict):
        raise _unprocessable("the patch leaves no object")
    return result


def _apply_operation(document: Any, operation: Mapping[str, Any]) -> Any:
    verb, path = operation.get("op"), _pointer(operation.get("path"))
    if verb == "add":
        return _edit(document, path, value=operation.get("value"), insert=True)
    if verb == "replace":
        _read(document, path)
        return _edit(document, path, value=operation.get("value"), insert=False)
    if verb == "remove":
        _read(document, path)
        return _remove(document, path)
    if verb == "test":
        if _read(document, path, missing_is_none=True) != operation.get("value"):
            raise _unprocessable(f"testing value {operation.get('path')} failed: test failed")
        return document
    if verb in ("move", "copy"):
        source = _pointer(operation.get("from"))
        value = _read(document, source)
        if verb == "move":
            document = _remove(document, source)
        return _edit(document, path, value=value, insert=True)
    raise bad_request(f"Unexpected kind: {verb}")


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise bad_request(f"unable to decode patch: bad path {text!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _unprocessable(message: str) -> ApiError:
    text = f"the server rejected our request due to an error in our request: {message}"
    return ApiError(422, "Invalid", text)


def _read(document: Any, path: list[str], *, missing_is_none: bool = False) -> Any:
    for part in path:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        elif missing_is_none:
            return None
        else:
            raise _unprocessable(f"doc is missing path: /{'/'.join(path)}")
    return document


def _edit(document: Any, path: list[str], *, value: Any, insert: bool) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(document, dict):
        if rest and head not in document:
            raise _unprocessable(f"doc is missing path: /{'/'.join(path)}")
        inner = document.get(head)
        return {**document, head: _edit(inner, rest, value=value, insert=insert)}
    if isinstance(document, list):
        position = _position(document, head, end_allowed=insert and not rest)
        if rest:
            edited = [_edit(document[position], rest, value=value, insert=insert)]
            return [*document[:position], *edited, *document[position + 1 :]]
        tail = document[position if insert else position + 1 :]
        return [*document[:position], value, *tail]
    raise _unprocessable(f"doc is missing path: /{'/'.join(path)}")


def _position(items: list[Any], text: str, *, end_allowed: bool) -> int:
    if text == "-" and end_allowed:
        return len(items)
    if text.isdigit() and int(text) < len(items) + end_allowed:
        return int(text)
    raise _unprocessable(f"invalid index referenced: {text}")


def _remove(document: Any, path: list[str]) -> Any:
    head, rest = path[0], path[1:]
    if isinstance(document, dict):
        if rest:
            return {**document, head: _remove(document[head], rest)}
        return {key: value for key, value in document.items() if key != head}
    position = int(head)
    if rest:
        inner = [_remove(document[position], rest)]
        return [*document[:position], *inner, *document[position + 1 :]]
    return [*document[:position], *document[position + 1 :]]


_STRATEGIC = "application/strategic-merge-patch+json"
#: What the real server takes besides.
_APPLY = ("application/apply-patch+yaml", "application/apply-patch+cbor")
_FORMATS: Mapping[str, Callable[[JsonObject, Any], JsonObject]] = {
    "application/json-patch+json": json_patch,
    "application/merge-patch+json": merge_patch,
    _STRATEGIC: strategic_merge_patch,
}


def patch_format(
    content_type: str, *, merge_keys: bool = True
) -> Callable[[JsonObject, Any], JsonObject]:
    """The patch function for a content type.

    Args:
        content_type: of the request.
        merge_keys: whether the kind has any; custom resources have none.

    Raises:
        ApiError: 415, a strategic merge without merge keys; 501, no such patch is served
            (server-side apply among them).
    """
    if content_type == _STRATEGIC and not merge_keys:
        accepted = ", ".join((*(name for name in _FORMATS if name != _STRATEGIC), *_APPLY))
        text = (
            "the body of the request was in an unknown format - accepted media types include:"
            f" {accepted}"
        )
        raise ApiError(415, "UnsupportedMediaType", text)
    found = _FORMATS.get(content_type)
    if found is None:
        raise not_served(f"patches of type {content_type}")
    return found
