"""Structural schemas of custom resources: what they drop, fill in and refuse.

`completed` prunes unknown fields and sets defaults, `check_value` names what does not fit, in the
words of kube-apiserver. Knowing difference: ``allOf``, ``anyOf``, ``oneOf``, ``not``, formats and
rules in CEL (``x-kubernetes-validations``) are not looked at.

Source: k8s.io/apiextensions-apiserver 1.37 pkg/apiserver/schema and pkg/apiserver/validation.
"""

from __future__ import annotations

import re
from typing import Any

from pyscheduler.sim.field_checks import Problems
from pyscheduler.sim.json_objects import JsonView

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def completed(schema: JsonView, value: Any) -> Any:
    """The value without fields the schema does not know, and with its defaults."""
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [completed(items, item) for item in value]
    if not isinstance(value, dict):
        return value
    known: JsonView = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    filled = {}
    for name, inner in value.items():
        if name in known:
            if inner is not None or _admits_null(known[name]):
                filled[name] = completed(known[name], inner)
        elif isinstance(rest, dict):
            filled[name] = completed(rest, inner)
        elif rest or schema.get("x-kubernetes-preserve-unknown-fields"):
            filled[name] = inner
    for name, field in known.items():
        if name not in filled and "default" in field:
            filled[name] = completed(field, field["default"])
    return filled


def _admits_null(schema: JsonView) -> bool:
    """A null gives way to a default; without one it stays, and is refused by its type."""
    return bool(schema.get("nullable")) or "default" not in schema


def check_value(problems: Problems, schema: JsonView, value: Any, *, path: str) -> None:
    """Whatever the schema refuses in the value is among the problems."""
    if value is None and schema.get("nullable"):
        return
    if not _has_type(schema, value):
        wanted, found = schema.get("type") or "integer,string", type_name(value)
        text = f'{path} in body must be of type {wanted}: "{found}"'
        problems.wrong_type(path, found, text)
        return
    _check_enum(problems, schema, value, path)
    if isinstance(value, dict):
        _check_object(problems, schema, value, path)
    elif isinstance(value, list):
        _check_array(problems, schema, value, path)
    elif isinstance(value, str):
        _check_string(problems, schema, value, path)
    elif not isinstance(value, bool) and value is not None:
        _check_number(problems, schema, value, path)


def type_name(value: Any) -> str:
    """The JSON type of a value, as error messages name it."""
    for name, python_type in _TYPES.items():
        if isinstance(value, python_type) and (name == "boolean" or not isinstance(value, bool)):
            return name
    return "null"


def _has_type(schema: JsonView, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return type_name(value) in ("integer", "string")
    wanted = schema.get("type")
    if not wanted:
        return True
    found = type_name(value)
    return found == wanted or (wanted == "number" and found == "integer")


def _check_enum(problems: Problems, schema: JsonView, value: Any, path: str) -> None:
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        problems.unsupported(path, value, allowed)


def _check_object(problems: Problems, schema: JsonView, value: JsonView, path: str) -> None:
    prefix = f"{path}." if path else ""
    for name in schema.get("required") or ():
        if name not in value:
            problems.required(f"{prefix}{name}")
    known: JsonView = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    for name, inner in value.items():
        field = known.get(name, rest if isinstance(rest, dict) else None)
        if field is not None:
            check_value(problems, field, inner, path=f"{prefix}{name}")


def _check_array(problems: Problems, schema: JsonView, value: list[Any], path: str) -> None:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and len(value) < least:
        text = f"{path} in body should have at least {least} items"
        problems.invalid(path, len(value), text)
    if most is not None and len(value) > most:
        problems.too_many(path, len(value), most)
    items = schema.get("items")
    if items:
        for index, item in enumerate(value):
            check_value(problems, items, item, path=f"{path}[{index}]")


def _check_string(problems: Problems, schema: JsonView, value: str, path: str) -> None:
    least, most = schema.get("minLength"), schema.get("maxLength")
    if least is not None and len(value) < least:
        problems.invalid(path, value, f"{path} in body should be at least {least} chars long")
    if most is not None and len(value) > most:
        problems.too_long(path, most)
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, value):
        problems.invalid(path, value, f"{path} in body should match '{pattern}'")


def _check_number(problems: Problems, schema: JsonView, value: float, path: str) -> None:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and value < least:
        text = f"{path} in body should be greater than or equal to {least}"
        problems.invalid(path, value, text)
    if most is not None and value > most:
        problems.invalid(path, value, f"{path} in body should be less than or equal to {most}")
