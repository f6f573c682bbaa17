"""Refusals of the embedded API server, in the words of kube-apiserver.

Every refusal is an `ApiError` that carries the ``Status`` a client reads; the request handler
turns it into the response. Constructors are named after the reasons.

Source: the reasons and texts of k8s.io/apimachinery 1.37, package api/errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyscheduler.errors import PySchedulerError
from pyscheduler.sim.json_objects import JsonObject

MODIFIED_TEXT = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One invalid field: where, which kind of problem, and the text behind the path."""

    field: str
    reason: str
    message: str


class ApiError(PySchedulerError):
    """A request was refused; `status` is the body of the answer."""

    def __init__(
        self, code: int, reason: str, message: str, *, details: JsonObject | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        #: Extra ``metadata`` of the Status: an expired list offers a new continue token there.
        self.metadata: JsonObject = {}

    @property
    def status(self) -> JsonObject:
        """The ``Status`` object that says so."""
        body: JsonObject = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
        }
        if self.details:
            body["details"] = self.details
        body["code"] = self.code
        return body


def _details(resource: str, group: str, name: str) -> JsonObject:
    details: JsonObject = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    details["kind"] = resource
    return details


def _qualified(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def bad_request(message: str) -> ApiError:
    """400: the request cannot be read."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401: no or the wrong token."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: str, group: str, name: str, message: str) -> ApiError:
    """403: an admission step refuses the object."""
    text = f'{_qualified(resource, group)} "{name}" is forbidden: {message}'
    return ApiError(403, "Forbidden", text, details=_details(resource, group, name))


def not_found(resource: str, group: str, name: str) -> ApiError:
    """404: no object of that name."""
    text = f'{_qualified(resource, group)} "{name}" not found'
    return ApiError(404, "NotFound", text, details=_details(resource, group, name))


def already_exists(resource: str, group: str, name: str) -> ApiError:
    """409: the name is taken."""
    text = f'{_qualified(resource, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, details=_details(resource, group, name))


def conflict(resource: str, group: str, name: str, message: str = MODIFIED_TEXT) -> ApiError:
    """409: the object is not in the state the request supposes."""
    text = f'Operation cannot be fulfilled on {_qualified(resource, group)} "{name}": {message}'
    return ApiError(409, "Conflict", text, details=_details(resource, group, name))


def gone(message: str) -> ApiError:
    """410: the version asked for is no longer kept."""
    return ApiError(410, "Expired", message)


def invalid(kind: str, group: str, name: str, problems: Iterable[FieldProblem]) -> ApiError:
    """422: the object breaks rules of its kind; all of them are named."""
    causes = list(problems)
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = _details(kind, group, name)
    details["causes"] = [
        {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes
    ]
    qualified = _qualified(kind, group)
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {listed}', details=details)


def not_served(what: str) -> ApiError:
    """501: the real server can do it, the embedded one does not."""
    text = f"the embedded API server does not serve {what}"
    return ApiError(501, "NotImplemented", text)


def version_too_large(version: int, present: int) -> ApiError:
    """504: the version asked for does not exist yet."""
    details: JsonObject = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    text = f"Timeout: Too large resource version: {version}, current: {present}"
    return ApiError(504, "Timeout", text, details=details)
