"""Constraints across the devices of a claim: an attribute is the same for all, or never the same.

A constraint is told of each device that is about to be taken and of each that is given back, last
one first. It never becomes satisfied by more devices, so the search stops as soon as one is not.

Source: `structured/internal/incubating/constraint.go` and ``allocator_incubating.go``, 1.37.
"""

from __future__ import annotations

from collections.abc import Callable

from pyscheduler.api.resource_v1 import DeviceConstraint
from pyscheduler.intree.dynamic_resources.allocation.pools import Candidate
from pyscheduler.intree.dynamic_resources.allocation.requests import Demand

#: (type, value); of different types, values are different.
AttributeValue = tuple[str, int | bool | str]

#: A value of a type that is not known here: it is like nothing else, and unlike nothing else.
_UNKNOWN: AttributeValue = ("", "")


class Constraint:
    """One constraint, and the attribute's values of the devices taken under it."""

    def __init__(self, wanted: DeviceConstraint) -> None:
        self._requests = frozenset(wanted.requests)
        self._attribute = wanted.match_attribute or wanted.distinct_attribute or ""
        self._admits: Callable[[AttributeValue], bool] = (
            self._is_same if wanted.match_attribute is not None else self._is_new
        )
        self._values: list[AttributeValue] = []

    def add(self, demand: Demand, candidate: Candidate) -> bool:
        """Whether the device can be taken for the demand; if so, it counts as taken."""
        if not self._is_about(demand):
            return True
        value = attribute_value(candidate, self._attribute)
        if value is None or not self._admits(value):
            return False
        self._values.append(value)
        return True

    def remove_last(self, demand: Demand) -> None:
        """Takes back the last `add` that returned True, which was for this demand."""
        if self._is_about(demand):
            self._values.pop()

    def _is_about(self, demand: Demand) -> bool:
        return not self._requests or not self._requests.isdisjoint(demand.names)

    def _is_same(self, value: AttributeValue) -> bool:
        return not self._values or (value == self._values[0] and value != _UNKNOWN)

    def _is_new(self, value: AttributeValue) -> bool:
        return not self._values or (value not in self._values and value != _UNKNOWN)


def attribute_value(candidate: Candidate, name: str) -> AttributeValue | None:
    """Returns the attribute's value; None if the device does not have the attribute.

    Args:
        candidate: the device.
        name: with its domain; that of the driver may be left out in the device.
    """
    attributes = candidate.device.attributes
    found = attributes.get(name)
    if found is None:
        domain, separator, identifier = name.partition("/")
        if not separator or domain != candidate.id.driver:
            return None
        found = attributes.get(identifier)
    if found is None:
        return None
    if found.string_value is not None:
        return "string", found.string_value
    if found.int_value is not None:
        return "int", found.int_value
    if found.bool_value is not None:
        return "bool", found.bool_value
    if found.version_value is not None:
        return "version", found.version_value
    return _UNKNOWN
