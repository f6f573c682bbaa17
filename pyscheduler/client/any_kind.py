"""Objects of kinds that `api` has no struct for: custom resources, and what else plugins ask for.

Reflector and informer know objects by their metadata; a plugin wants them as JSON or as a struct of
its own, which may well leave the metadata out. So the two travel together as a `Followed`, and
`informers` shows plugins its value alone.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from pyscheduler.api.codec import Decoder, Interner
from pyscheduler.api.frozen_map import frozen
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.resource_types import resource_named
from pyscheduler.api.wire import dec_hook

T = TypeVar("T")


class Followed(msgspec.Struct, Generic[T], frozen=True):
    """An object as somebody wants it, and its metadata."""

    metadata: ObjectMeta
    value: T


class _MetadataOnly(msgspec.Struct):
    metadata: ObjectMeta


_decode_metadata = msgspec.json.Decoder(_MetadataOnly, dec_hook=dec_hook).decode


def decoder_of(name: str, model: type[Any] | None, interner: Interner) -> Decoder[Any]:
    """Returns a decoder to `Followed` objects.

    Args:
        name: ``plural.version.group``.
        model: what their values become; None leaves them JSON, read-only all the way down.
        interner: for the decoder.

    Raises:
        ValueError: the name is not of that form, or the model is no frozen struct.
    """
    resource = resource_named(name, dict if model is None else model)
    decode = _decode_json if model is None else _decoder_into(model, name)

    def build(raw: msgspec.Raw) -> Any:
        return Followed(_decode_metadata(raw).metadata, decode(raw))

    return Decoder(resource, interner, build=build)


def _decode_json(raw: msgspec.Raw) -> Any:
    decoded = msgspec.json.decode(raw)
    decoded["metadata"].pop("managedFields", None)  # often half of the object, and never asked for
    return frozen(decoded)


def _decoder_into(model: type[T], name: str) -> Callable[[msgspec.Raw], T]:
    config = getattr(model, "__struct_config__", None)
    if config is None or not config.frozen:
        raise ValueError(
            f"{name} cannot be read into {model.__qualname__}: all plugins share the objects,"
            " so it must be a msgspec.Struct with frozen=True"
        )
    try:
        return msgspec.json.Decoder(model, dec_hook=dec_hook).decode
    except TypeError as error:
        raise ValueError(f"{name} cannot be read into {model.__qualname__}: {error}") from error
