"""Checks of single fields, in kube-apiserver's words.

`Problems` gathers what is wrong with one object; the checks add to it. Every text is behind the
field's path in the message, see `api_errors.invalid`.

Source: k8s.io/apimachinery 1.37 pkg/util/validation; k8s.io/kubernetes pkg/apis/core/validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from pyscheduler.sim.api_errors import FieldProblem

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used"
    " for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and"
    " must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex"
    " used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end"
    " with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for"
    " validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',"
    "  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def quote(value: Any) -> str:
    """A value as it stands in an error text."""
    return msgspec.json.encode(value).decode()


class Problems:
    """Everything wrong with one object, in the order found."""

    def __init__(self) -> None:
        self.found: list[FieldProblem] = []

    def required(self, field: str, text: str = "") -> None:
        """The field must be there."""
        message = f"Required value: {text}" if text else "Required value"
        self.found.append(FieldProblem(field, "FieldValueRequired", message))

    def invalid(self, field: str, value: Any, text: str) -> None:
        """The field's value cannot be."""
        message = f"Invalid value: {quote(value)}: {text}"
        self.found.append(FieldProblem(field, "FieldValueInvalid", message))

    def wrong_type(self, field: str, value: Any, text: str) -> None:
        """The field's value is of another JSON type."""
        message = f"Invalid value: {quote(value)}: {text}"
        self.found.append(FieldProblem(field, "FieldValueTypeInvalid", message))

    def too_long(self, field: str, limit: int) -> None:
        """The field's text is longer than the limit in bytes."""
        message = f"Too long: may not be more than {limit} bytes"
        self.found.append(FieldProblem(field, "FieldValueTooLong", message))

    def too_many(self, field: str, count: int, limit: int) -> None:
        """The field has more items than the limit."""
        message = f"Too many: {count}: must have at most {limit} items"
        self.found.append(FieldProblem(field, "FieldValueTooMany", message))

    def forbidden(self, field: str, text: str) -> None:
        """The field must not be there, or not change."""
        self.found.append(FieldProblem(field, "FieldValueForbidden", f"Forbidden: {text}"))

    def unsupported(self, field: str, value: Any, supported: Iterable[str]) -> None:
        """The field's value is none of the words allowed."""
        words = ", ".join(quote(word) for word in supported)
        message = f"Unsupported value: {quote(value)}: supported values: {words}"
        self.found.append(FieldProblem(field, "FieldValueNotSupported", message))

    def duplicate(self, field: str, value: Any) -> None:
        """The value is there twice."""
        message = f"Duplicate value: {quote(value)}"
        self.found.append(FieldProblem(field, "FieldValueDuplicate", message))


def check_subdomain(problems: Problems, field: str, value: str) -> None:
    """The value is a DNS-1123 subdomain: names of most objects."""
    if not _SUBDOMAIN.fullmatch(value):
        problems.invalid(field, value, _SUBDOMAIN_TEXT)
    elif len(value) > 253:
        problems.invalid(field, value, "must be no more than 253 characters")


def check_dns_label(problems: Problems, field: str, value: str) -> None:
    """The value is a DNS-1123 label: names of namespaces and containers."""
    if not _LABEL.fullmatch(value):
        problems.invalid(field, value, _LABEL_TEXT)
    elif len(value) > 63:
        problems.invalid(field, value, "must be no more than 63 characters")


def check_qualified_name(problems: Problems, field: str, value: str) -> None:
    """The value is a label key: an optional DNS prefix and a name."""
    prefix, slash, name = value.rpartition("/")
    if slash and not _SUBDOMAIN.fullmatch(prefix):
        problems.invalid(field, value, f"prefix part {_SUBDOMAIN_TEXT}")
    if not _QUALIFIED_PART.fullmatch(name):
        problems.invalid(field, value, _QUALIFIED_TEXT)
    elif len(name) > 63:
        problems.invalid(field, value, "name part must be no more than 63 characters")


def check_labels(problems: Problems, field: str, labels: dict[str, str]) -> None:
    """Every key and value is a valid label."""
    for key, value in labels.items():
        check_qualified_name(problems, field, key)
        if value and not _QUALIFIED_PART.fullmatch(value):
            problems.invalid(field, value, _LABEL_VALUE_TEXT)
        elif len(value) > 63:
            problems.invalid(field, value, "must be no more than 63 characters")
