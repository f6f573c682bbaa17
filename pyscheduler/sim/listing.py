"""LIST: the state at one version, in pages.

A continue token names the version and the key to go on after; every page is cut from the state
at that version, which the store rebuilds from its window. Once the window has passed it the
page is refused with 410 and a token that goes on from the present state.
"""

from __future__ import annotations

import base64

import msgspec

from pyscheduler.sim.api_errors import ApiError, bad_request, gone, version_too_large
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.list_options import ListOptions
from pyscheduler.sim.object_store import Compacted, ObjectStore, Predicate, Stored
from pyscheduler.sim.representations import Representation
from pyscheduler.sim.served_kinds import Target

_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can"
    " start a new list without the continue parameter, or use the continue token in this response"
    " to retrieve the remainder of the results. Continuing with the provided token results in an"
    " inconsistent list - objects that were created, modified, or deleted between the time the"
    " first chunk was returned and now may show up in the list."
)
#: A token of this version goes on from whatever the state is now.
_INCONSISTENT = -1


def list_objects(
    store: ObjectStore,
    target: Target,
    options: ListOptions,
    *,
    selects: Predicate | None,
    form: Representation,
) -> bytes:
    """The body of a LIST.

    Raises:
        ApiError: 400 for a bad token, 410 for a version no longer kept, 504 for a future one.
    """
    version, after = _start(store, options)
    items = _state(store, target, version, after)
    remaining = [stored for stored in items if selects is None or selects(stored.data)]
    metadata: JsonObject = {"resourceVersion": str(version)}
    page = remaining
    if options.limit and len(remaining) > options.limit:
        page = remaining[: options.limit]
        metadata["continue"] = _encode_token(version, page[-1].key)
        if selects is None:
            metadata["remainingItemCount"] = len(remaining) - len(page)
    return form.list(page, metadata)


def snapshot(store: ObjectStore, target: Target, version: int) -> list[Stored]:
    """The objects of a target's collection and namespace at a version, in key order."""
    objects = store.collection(target.kind.collection).at(version)
    keys = sorted(objects)
    if target.namespace:
        prefix = f"{target.namespace}/"
        keys = [key for key in keys if key.startswith(prefix)]
    if target.name:
        keys = [key for key in keys if key == target.key]
    return [objects[key] for key in keys]


def _start(store: ObjectStore, options: ListOptions) -> tuple[int, str]:
    """The version to read at and the key to read after."""
    if options.continue_token:
        if options.resource_version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        version, after = _decode_token(options.continue_token)
        return (store.version if version == _INCONSISTENT else version), after
    if options.version > store.version:
        raise version_too_large(options.version, store.version)
    exact = options.match == "Exact" or (
        options.limit > 0 and not options.match and options.version > 0
    )
    return (options.version if exact else store.version), ""


def _state(store: ObjectStore, target: Target, version: int, after: str) -> list[Stored]:
    try:
        items = snapshot(store, target, version)
    except Compacted as error:
        if not after:
            message = f"The resourceVersion for the provided list is too old. {error}"
            raise gone(message) from error
        refusal: ApiError = gone(_EXPIRED)
        refusal.metadata = {"continue": _encode_token(_INCONSISTENT, after)}
        raise refusal from error
    return [stored for stored in items if stored.key > after] if after else items


def _encode_token(version: int, after: str) -> str:
    token = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": version, "start": after})
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _decode_token(text: str) -> tuple[int, str]:
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(token["rv"]), str(token["start"])
    except (ValueError, TypeError, KeyError, msgspec.DecodeError):
        raise bad_request("continue key is not valid: illegal base64 or fields") from None
