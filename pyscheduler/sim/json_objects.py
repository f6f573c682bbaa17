"""JSON objects as the API server stores them, and the few accesses everything here shares.

An object is a plain ``dict``. A stored one is shared between the store, its history and every
reader, so nobody writes into it: a change builds new dicts along the changed path and shares
the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

#: Decoded JSON object of any kind; its fields are checked where they are read.
JsonObject: TypeAlias = dict[str, Any]

#: The same for whoever only reads.
JsonView: TypeAlias = Mapping[str, Any]


def timestamp(unix_s: float) -> str:
    """The API's ``metav1.Time``: RFC 3339 in UTC with whole seconds."""
    return _timestamp(int(unix_s))


@lru_cache(maxsize=64)
def _timestamp(unix_s: int) -> str:
    """Formatting costs more than storing an object, and one second sees many objects."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(unix_s: float) -> str:
    """The API's ``metav1.MicroTime``: RFC 3339 in UTC with six digits."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> float:
    """Unix seconds of an RFC 3339 time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def with_metadata(data: JsonObject, **changes: object) -> JsonObject:
    """A shallow copy of the object with these metadata fields set, or dropped where None."""
    metadata = {**data["metadata"], **changes}
    for name, value in changes.items():
        if value is None:
            del metadata[name]
    return {**data, "metadata": metadata}


def with_condition(status: JsonView, condition: JsonObject) -> JsonObject:
    """A copy of a status in which the condition replaces the one of its type."""
    others = [c for c in status.get("conditions") or () if c["type"] != condition["type"]]
    return {**status, "conditions": [*others, condition]}
