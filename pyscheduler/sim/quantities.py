"""Quantities as the server stores them: texts, also where a client gave a number (``cpu: 4``).

Called by: ``pod_defaults`` and ``object_rules``. Source: apimachinery/pkg/api/resource/quantity.go,
1.37, ``UnmarshalJSON``. Knowing difference: texts stay as they were given; the server writes 1000m
as 1.
"""

from __future__ import annotations

from pyscheduler.sim.json_objects import JsonObject, JsonView


def as_texts(amounts: JsonView) -> JsonObject:
    """A resource list without numbers."""
    return {name: str(amount) for name, amount in amounts.items()}


def with_texts(holder: JsonView, *fields: str) -> JsonObject:
    """An object whose resource lists in ``fields``, as far as it has them, are without numbers."""
    lists = {field: as_texts(holder[field]) for field in fields if holder.get(field)}
    return {**holder, **lists}
