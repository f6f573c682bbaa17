"""Label and field selectors of LIST and WATCH, compiled from the query string.

`compile_selectors` turns ``labelSelector`` and ``fieldSelector`` into one predicate over an
object. The fields one may select by are those of kube-apiserver, kind by kind.

Source: k8s.io/apimachinery 1.37, packages labels and fields; pkg/apis/*/v1/conversion.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pyscheduler.sim.api_errors import bad_request
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.object_store import Predicate
from pyscheduler.sim.served_kinds import (
    CORE_EVENTS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    ServedKind,
)

_SET_TERM = re.compile(r"^\s*(\S+)\s+(in|notin)\s*\(([^)]*)\)\s*$")
_EQUALITY = re.compile(r"^\s*([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)\s*$")
_INTEGER = re.compile(r"^\s*(\S+)\s*([<>])\s*(-?\d+)\s*$")
_LABEL_KEY = re.compile(
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
_LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")

_COMMON = ("metadata.name", "metadata.namespace")
_EVENT_REST = ("reason", "type", "reportingController")
_REGARDING = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

#: Selectable field -> path in the stored object, by kind.
_FIELDS: Mapping[ServedKind, Mapping[str, str]] = {
    PODS: {
        field: field
        for field in (
            *_COMMON,
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        )
    },
    NODES: {field: field for field in ("metadata.name", "spec.unschedulable")},
    NAMESPACES: {"metadata.name": "metadata.name", "name": "metadata.name"}
    | {"status.phase": "status.phase"},
    EVENTS: {field: field for field in (*_COMMON, *_EVENT_REST)}
    | {f"regarding.{field}": f"regarding.{field}" for field in _REGARDING},
    CORE_EVENTS: {field: field for field in (*_COMMON, "reason", "type")}
    | {f"involvedObject.{field}": f"regarding.{field}" for field in _REGARDING}
    | {
        "reportingComponent": "reportingController",
        "reportingController": "reportingController",
        "source": "deprecatedSource.component",
    },
}
_BOOLEANS = frozenset({"spec.unschedulable", "spec.hostNetwork"})


def compile_selectors(kind: ServedKind, query: Mapping[str, str]) -> Predicate | None:
    """The predicate a query asks for, or None where it selects everything.

    Raises:
        ApiError: 400, a selector cannot be parsed or names an unknown field.
    """
    tests = [
        *_label_tests(query.get("labelSelector", "")),
        *_field_tests(kind, query.get("fieldSelector", "")),
    ]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda data: all(test(data) for test in tests)


def _label_tests(text: str) -> list[Predicate]:
    return [_label_test(term, text) for term in _split_terms(text)]


def _split_terms(text: str) -> list[str]:
    """The comma-separated terms; commas inside parentheses do not separate."""
    terms, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            terms.append(text[start:position])
            start = position + 1
    terms.append(text[start:])
    return [term for term in terms if term.strip()]


def _label_test(term: str, whole: str) -> Predicate:
    if match := _SET_TERM.match(term):
        key, operator, values = match[1], match[2], {v.strip() for v in match[3].split(",")}
        _check_label(key, values, whole)
        if operator == "in":
            return lambda data: _labels(data).get(key) in values
        return lambda data: _labels(data).get(key) not in values
    if match := _EQUALITY.match(term):
        key, operator, value = match[1], match[2], match[3]
        _check_label(key, {value}, whole)
        if operator == "!=":
            return lambda data: _labels(data).get(key) != value
        return lambda data: _labels(data).get(key) == value
    if match := _INTEGER.match(term):
        return _integer_test(match[1], match[2], int(match[3]))
    key = term.strip()
    absent = key.startswith("!")
    key = key.lstrip("!").strip()
    _check_label(key, (), whole)
    return lambda data: (key in _labels(data)) is not absent


def _integer_test(key: str, operator: str, bound: int) -> Predicate:
    def test(data: JsonObject) -> bool:
        try:
            value = int(_labels(data).get(key, ""))
        except ValueError:
            return False
        return value > bound if operator == ">" else value < bound

    return test


def _check_label(key: str, values: set[str] | tuple[str, ...], whole: str) -> None:
    if not _LABEL_KEY.match(key):
        raise bad_request(f"unable to parse requirement: <nil>: Invalid value: {key!r} in {whole}")
    for value in values:
        if not _LABEL_VALUE.match(value):
            raise bad_request(
                f"unable to parse requirement: values[0][{key}]: Invalid value: {value!r}"
            )


def _labels(data: JsonObject) -> Mapping[str, str]:
    return data["metadata"].get("labels") or {}


def _field_tests(kind: ServedKind, text: str) -> list[Predicate]:
    served = _FIELDS.get(kind, {field: field for field in _COMMON})
    tests = []
    for term in text.split(","):
        if not term.strip():
            continue
        match = re.match(r"^([^=!]+)(==|=|!=)(.*)$", term)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = match[1], match[2], match[3]
        if field not in served:
            raise bad_request(f"field label not supported: {field}")
        tests.append(_field_test(served[field], value, equal=operator != "!="))
    return tests


def _field_test(path: str, value: str, *, equal: bool) -> Predicate:
    read = _reader(path)
    if equal:
        return lambda data: read(data) == value
    return lambda data: read(data) != value


def _reader(path: str) -> Callable[[JsonObject], str]:
    if path in _BOOLEANS:
        outer, inner = path.split(".")
        return lambda data: "true" if (data.get(outer) or {}).get(inner) else "false"
    if "." in path:
        outer, inner = path.split(".")
        return lambda data: (data.get(outer) or {}).get(inner) or ""
    return lambda data: data.get(path) or ""
