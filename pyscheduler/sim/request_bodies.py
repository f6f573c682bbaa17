"""The body of a request, read and held against the path it was sent to."""

from __future__ import annotations

from typing import Any

import msgspec

from pyscheduler.sim.api_errors import bad_request, not_served
from pyscheduler.sim.exchange import JSON, Request
from pyscheduler.sim.json_objects import JsonObject, JsonView
from pyscheduler.sim.served_kinds import CustomKind, ServedKind

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def decode_json(request: Request) -> Any:
    """The body as JSON.

    Raises:
        ApiError: 400, it is none.
    """
    try:
        return _decode(request.body)
    except msgspec.DecodeError as error:
        raise bad_request(f"error decoding the body: {error}") from error


def decode_object(request: Request) -> JsonObject:
    """The body as one object.

    Raises:
        ApiError: 400, it is none; 501, it is of another content type than JSON.
    """
    if request.content_type != JSON:
        raise not_served(f"the content type {request.content_type}")
    body = decode_json(request)
    if not isinstance(body, dict):
        raise bad_request("the body is not an object")
    return body


def check_kind(kind: ServedKind, body: JsonView) -> None:
    """A body that says what it is must be what the path says; a custom object must say it."""
    if isinstance(kind, CustomKind) and not body.get("kind"):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): Object 'Kind' is"
            f" missing in '{_encode(body).decode()}'"
        )
    given = (body.get("apiVersion") or kind.api_version, body.get("kind") or kind.kind)
    if given != (kind.api_version, kind.kind):
        raise bad_request(
            f"the API version in the data ({given[0]}, Kind={given[1]}) does not match the"
            f" expected API version ({kind.api_version}, Kind={kind.kind})"
        )
