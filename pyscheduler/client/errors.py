"""What can go wrong between us and the API server, by what the caller can do about it.

``ServerUnreachable`` and ``TlsError`` mean that no answer came; ``ApiError`` and its children are
answers, made from the server's ``Status`` object by `error_from_response`. Callers catch the
narrowest class that changes what they do; every message is one line that a user can act on.
"""

# ruff: noqa: N818  # named as the API names its reasons: NotFound, Conflict, Forbidden

from collections.abc import Mapping

import msgspec

from pyscheduler.api.codec import decode_status
from pyscheduler.api.meta import Status
from pyscheduler.errors import PySchedulerError

#: Longest piece of a body that is not a Status and still is quoted in a message, in characters.
_QUOTE_LIMIT = 200

#: Seconds to wait after a 429 without ``Retry-After``: what client-go assumes.
_DEFAULT_RETRY_AFTER_S = 1.0


class ClientError(PySchedulerError):
    """The root of everything this package raises about a request."""


class ServerUnreachable(ClientError):
    """No answer came: refused, reset, timed out or not resolvable; trying again may help.

    Attributes:
        is_sent: whether the request may have reached the server, so that it may have been carried
            out although no answer came.
    """

    def __init__(self, message: str, *, is_sent: bool = True) -> None:
        super().__init__(message)
        self.is_sent = is_sent


class TlsError(ClientError):
    """The server's certificate, or ours, was not accepted; trying again does not help."""


class ResponseTooLarge(ClientError):
    """One line or body of the server was longer than any object can be."""


class ApiError(ClientError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status code.
        reason: the machine-readable reason of the Status (``Conflict``, ``Expired``, ...).
        details: the message of the Status alone, without the request it belongs to.
        causes: the reasons among the Status' causes, such as ``ResourceVersionTooLarge``.
        retry_after_s: seconds the server asked us to wait, or None.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        details: str = "",
        causes: tuple[str, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.details = details or message
        self.causes = causes
        self.retry_after_s = retry_after_s

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later without anybody changing anything."""
        return self.status == 429 or self.status >= 500


class NotFound(ApiError):
    """404: the object, or the kind, is not there."""


class Conflict(ApiError):
    """409: the object changed, exists already, or a precondition does not hold."""


class Invalid(ApiError):
    """422: the server understood the request and refuses its content."""


class Unauthorized(ApiError):
    """401: the credentials are unknown or have expired."""


class Forbidden(ApiError):
    """403: RBAC or admission refuses; the message names verb and resource."""


class Gone(ApiError):
    """410, or a 504 "too large resource version": that resourceVersion cannot be served."""


class TooManyRequests(ApiError):
    """429: the server asks for a pause of `retry_after_s` seconds."""


class InternalError(ApiError):
    """500 and above: the server, or something between, is in trouble."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def error_from_response(
    status: int,
    body: bytes,
    *,
    request: str,
    headers: Mapping[str, str] | None = None,
) -> ApiError:
    """Return the error that an answer with `status` of 400 or more stands for.

    Args:
        status: HTTP status code, or the ``code`` of a Status inside a watch stream.
        body: the body, normally a Status; anything else (a proxy's page) is quoted, cut.
        request: what was asked, as ``GET /api/v1/pods``, for the message.
        headers: response headers; ``Retry-After`` is read from them.
    """
    return error_from_status(
        _parse_status(body), status, request=request, retry_after_s=_retry_after(headers)
    )


def error_from_status(
    answer: Status, code: int, *, request: str, retry_after_s: float | None = None
) -> ApiError:
    """Return the error that a ``Status`` with that code stands for.

    Args:
        answer: the Status, of an answer or of an ERROR event in a watch.
        code: the HTTP status code; in a stream the Status' own.
        request: what was asked, for the message.
        retry_after_s: from the ``Retry-After`` header, which beats what the Status says.
    """
    text = answer.message or answer.reason or f"status {code}"
    causes: tuple[str, ...] = ()
    if answer.details is not None:
        causes = tuple(cause.reason for cause in answer.details.causes)
        if retry_after_s is None and answer.details.retry_after_seconds > 0:
            retry_after_s = float(answer.details.retry_after_seconds)
    kind = _BY_STATUS.get(code, InternalError if code >= 500 else ApiError)
    if is_too_large_resource_version(code, text, causes):
        kind = Gone
    if kind is TooManyRequests and retry_after_s is None:
        retry_after_s = _DEFAULT_RETRY_AFTER_S
    return kind(
        code,
        answer.reason,
        _sentence(kind, code, text, request),
        details=text,
        causes=causes,
        retry_after_s=retry_after_s,
    )


def is_too_large_resource_version(status: int, text: str, causes: tuple[str, ...]) -> bool:
    """Whether the server says that it does not know a resourceVersion so new yet.

    It does so with a 504; older servers only in words.
    """
    return status == 504 and (
        "ResourceVersionTooLarge" in causes or "Too large resource version" in text
    )


def _parse_status(body: bytes) -> Status:
    try:
        return decode_status(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = " ".join(body.decode("utf-8", "replace").split())
        return Status(message=text[:_QUOTE_LIMIT])


def _retry_after(headers: Mapping[str, str] | None) -> float | None:
    value = headers.get("Retry-After") if headers else None
    try:
        return float(value) if value else None
    except ValueError:  # an HTTP date, which kube-apiserver never sends
        return None


def _sentence(kind: type[ApiError], status: int, text: str, request: str) -> str:
    if kind is Unauthorized:
        return (
            f"{request}: not authenticated (401 {text}): the token or client certificate is "
            "unknown to the server or has expired"
        )
    if kind is Forbidden:
        return f"{request}: forbidden (403): {text}"
    return f"{request}: {status}: {text}"
