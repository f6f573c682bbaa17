"""The query of LIST and WATCH, read and checked as kube-apiserver does.

Source: k8s.io/apimachinery 1.37 pkg/apis/meta/internalversion/validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyscheduler.sim.api_errors import FieldProblem, bad_request, invalid

#: Everything else counts as true, a bare ``?watch`` and unreadable words included.
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a LIST or WATCH asks for, selectors apart."""

    watch: bool = False
    resource_version: str = ""
    match: str = ""
    limit: int = 0
    continue_token: str = ""
    bookmarks: bool = False
    #: None: not in the query, which is not the same as false.
    initial_events: bool | None = None
    timeout_s: float = 0.0

    @property
    def version(self) -> int:
        """The version asked for; 0 where none is."""
        return int(self.resource_version or 0)


def read_list_options(query: Mapping[str, str], *, watch_list: bool) -> ListOptions:
    """The options in a query.

    Args:
        query: the decoded query string.
        watch_list: whether the server streams lists (the gate WatchList).

    Raises:
        ApiError: 400 for an unreadable value, 422 for a forbidden combination.
    """
    initial = query.get("sendInitialEvents")
    options = ListOptions(
        watch=_boolean(query, "watch"),
        resource_version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
        limit=_integer(query, "limit"),
        continue_token=query.get("continue", ""),
        bookmarks=_boolean(query, "allowWatchBookmarks"),
        initial_events=None if initial is None else _boolean(query, "sendInitialEvents"),
        timeout_s=_integer(query, "timeoutSeconds"),
    )
    problems = _watch_problems(options, watch_list) if options.watch else _list_problems(options)
    if problems:
        raise invalid("ListOptions", "meta.k8s.io", "", problems)
    if not (options.resource_version or "0").isdigit():
        problem = FieldProblem(
            "resourceVersion",
            "FieldValueInvalid",
            f'Invalid value: "{options.resource_version}": strconv.ParseUint: parsing'
            f' "{options.resource_version}": invalid syntax',
        )
        raise bad_request(f"invalid resource version: {problem.field}: {problem.message}")
    return options


def _boolean(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "0") not in _FALSE


def _integer(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _forbidden(field: str, text: str) -> FieldProblem:
    return FieldProblem(field, "FieldValueForbidden", f"Forbidden: {text}")


def _unsupported(match: str, supported: str) -> FieldProblem:
    text = f'Unsupported value: "{match}": supported values: {supported}'
    return FieldProblem("resourceVersionMatch", "FieldValueNotSupported", text)


def _list_problems(options: ListOptions) -> list[FieldProblem]:
    problems = []
    field = "resourceVersionMatch"
    if options.match:
        if not options.resource_version:
            text = f"{field} is forbidden unless resourceVersion is provided"
            problems.append(_forbidden(field, text))
        if options.continue_token:
            text = f"{field} is forbidden when continue is provided"
            problems.append(_forbidden(field, text))
        if options.match not in ("Exact", "NotOlderThan"):
            problems.append(_unsupported(options.match, '"Exact", "NotOlderThan", ""'))
        if options.match == "Exact" and options.resource_version == "0":
            text = f'{field} "exact" is forbidden for resourceVersion "0"'
            problems.append(_forbidden(field, text))
    if options.initial_events is not None:
        field = "sendInitialEvents"
        problems.append(_forbidden(field, f"{field} is forbidden for list"))
    return problems


def _watch_problems(options: ListOptions, watch_list: bool) -> list[FieldProblem]:
    problems = []
    field = "resourceVersionMatch"
    if options.initial_events is not None:
        if options.match != "NotOlderThan":
            text = f"sendInitialEvents requires setting {field} to NotOlderThan"
            problems.append(_forbidden(field, text))
        if not watch_list:
            text = (
                "sendInitialEvents is forbidden for watch unless the WatchList feature gate"
                " is enabled"
            )
            problems.append(_forbidden("sendInitialEvents", text))
    if options.match:
        if options.initial_events is None:
            text = f"{field} is forbidden for watch unless sendInitialEvents is provided"
            problems.append(_forbidden(field, text))
        if options.match != "NotOlderThan":
            problems.append(_unsupported(options.match, '"NotOlderThan"'))
        if options.continue_token:
            text = f"{field} is forbidden when continue is provided"
            problems.append(_forbidden(field, text))
    return problems
