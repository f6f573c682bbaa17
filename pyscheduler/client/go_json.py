"""JSON read as Go's ``encoding/json`` reads it, for answers of programs that rely on that.

A key matches a field whatever its case, the exact spelling first; unknown keys count for nothing
and a null leaves its field as it is. The structs read here forbid unknown fields, so that the
quick, exact way is left only by answers that need the other.

Called by: ``extender_client``. Source: package ``encoding/json`` of Go, Unmarshal.
"""

import types
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")


def decode(body: bytes, wanted: type[T]) -> T:
    """Returns the value.

    Raises:
        msgspec.DecodeError: it is no JSON, or not of that form.
    """
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError:
        found = msgspec.json.decode(body)
    if found is None:
        return wanted()
    return msgspec.json.decode(msgspec.json.encode(_respelt(found, wanted)), type=wanted)


def _respelt(value: Any, wanted: Any) -> Any:
    """The value with its keys as the struct spells them, without nulls and unknown keys."""
    if get_origin(wanted) in (Union, types.UnionType):
        if value is None:
            return None
        (wanted,) = (one for one in get_args(wanted) if one is not type(None))
    arguments = get_args(wanted)
    if isinstance(value, dict) and get_origin(wanted) is dict:
        return {k: _respelt(item, arguments[1]) for k, item in value.items() if item is not None}
    if isinstance(value, list) and arguments:
        return [_respelt(item, arguments[0]) for item in value if item is not None]
    if isinstance(value, dict) and isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _fields(value, wanted)
    return value


def _fields(value: dict[str, Any], wanted: type[msgspec.Struct]) -> dict[str, Any]:
    folded = {key.casefold(): item for key, item in value.items()}
    found = {}
    for field in msgspec.structs.fields(wanted):
        name = field.encode_name
        item = value[name] if name in value else folded.get(name.casefold())
        if item is not None:
            found[name] = _respelt(item, field.type)
    return found
