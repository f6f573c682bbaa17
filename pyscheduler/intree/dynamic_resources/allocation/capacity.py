"""Consumable capacity: how much of a device's capacities a request takes, and whether that is left.

What a request takes of a capacity is, by the capacity's policy: the default if the request does not
name it (all of it without a default); the least valid value, or step of the range, that is enough.

Source: `structured/internal/incubating/consumable_capacity.go`, 1.37. Knowing difference: a
quantity equal to the policy's default is always admitted, however it is written (upstream: if it is
written alike; validation makes sure that defaults satisfy their policy, so that nothing follows).
"""

from __future__ import annotations

from collections.abc import Mapping

from pyscheduler.api.quantity import INT64_MAX, NANO, nano_value
from pyscheduler.api.resource_v1 import (
    CapacityRequestPolicy,
    CapacityRequestPolicyRange,
    CapacityRequirements,
    Device,
    DeviceCapacity,
)
from pyscheduler.errors import PySchedulerError
from pyscheduler.intree.dynamic_resources.quantities import Quantity

_MILLI = NANO // 1000

_NOT_REPRESENTABLE = "capacity request cannot be represented in the device's range arithmetic"


class InvalidCapacity(PySchedulerError, ValueError):  # noqa: N818  # says what is wrong with it
    """A request or a policy that cannot be computed with; no other device will do any better."""


def consumption(
    request: CapacityRequirements | None, device: Device, *, fractional: bool
) -> Mapping[str, Quantity] | None:
    """Returns what the request takes of each capacity; None if the device cannot serve it.

    Whether others took some of it does not matter here, see `fits`.

    Args:
        request: what is asked for.
        device: what has the capacities.
        fractional: whether ranges may have steps of less than one unit.

    Raises:
        InvalidCapacity: it cannot be computed.
    """
    asked = {} if request is None else request.requests
    if not asked.keys() <= device.capacity.keys():
        return None
    taken = {}
    for name, capacity in sorted(device.capacity.items()):
        text = asked.get(name)
        try:
            wanted = None if text is None else Quantity.parse(text)
            taken[name] = _consumed(wanted, capacity, fractional=fractional)
        except InvalidCapacity as error:
            raise InvalidCapacity(f'capacity "{name}": {error}') from error
        if taken[name].nanos < 0:
            raise InvalidCapacity(f'capacity "{name}": capacity value is negative')
    for name, quantity in taken.items():
        capacity = device.capacity[name]
        policy = capacity.request_policy
        if policy is not None and not _is_admitted(quantity, policy, fractional=fractional):
            return None
        if quantity.nanos > nano_value(capacity.value):
            return None
    return taken


def fits(
    consumed: Mapping[str, Quantity],
    device: Device,
    *taken: Mapping[str, int],
) -> bool:
    """Whether so much is left of every capacity of the device.

    Args:
        consumed: what is to be taken.
        device: what has the capacities.
        taken: billionths taken already.
    """
    for name, quantity in consumed.items():
        total = quantity.nanos + sum(others.get(name, 0) for others in taken)
        if total > nano_value(device.capacity[name].value):
            return False
    return True


def _consumed(wanted: Quantity | None, capacity: DeviceCapacity, *, fractional: bool) -> Quantity:
    policy = capacity.request_policy
    if wanted is None:
        default = None if policy is None else policy.default
        return Quantity.parse(capacity.value if default is None else default)
    if policy is None:
        return wanted
    if policy.valid_range is not None and policy.valid_range.min is not None:
        return _rounded_up(wanted, policy.valid_range, fractional=fractional)
    valid = [Quantity.parse(text) for text in policy.valid_values]
    return next((value for value in valid if wanted.nanos <= value.nanos), wanted)


def _rounded_up(
    wanted: Quantity, valid: CapacityRequestPolicyRange, *, fractional: bool
) -> Quantity:
    least = Quantity.parse(valid.min or "0")
    if wanted.nanos < least.nanos:
        return least
    if valid.step is None:
        return wanted
    step = Quantity.parse(valid.step)
    unit = _unit(valid, fractional=fractional)
    if unit == _MILLI and not _is_milli(wanted):
        raise InvalidCapacity(
            f"{_NOT_REPRESENTABLE}: request {wanted} is not a representable milli value"
        )
    if unit == NANO and wanted.nanos > INT64_MAX * NANO:
        raise InvalidCapacity(f"{_NOT_REPRESENTABLE}: request {wanted} exceeds MaxInt64")
    start, size = _in(unit, least), _in(unit, step)
    if size <= 0:
        raise InvalidCapacity(f"{_NOT_REPRESENTABLE}: step {step} is not positive")
    value = start + -(-(_in(unit, wanted) - start) // size) * size
    if value > INT64_MAX:
        limit = "the milli-value range" if unit == _MILLI else "MaxInt64"
        raise InvalidCapacity(
            f"{_NOT_REPRESENTABLE}: rounding request {wanted} up to the next step passes {limit}"
        )
    return Quantity(value * unit, step.notation)


def _is_admitted(quantity: Quantity, policy: CapacityRequestPolicy, *, fractional: bool) -> bool:
    if policy.default is not None and quantity.nanos == Quantity.parse(policy.default).nanos:
        return True
    if policy.valid_range is not None:
        return _is_in_range(quantity, policy.valid_range, fractional=fractional)
    if policy.valid_values:
        return any(quantity.nanos == Quantity.parse(text).nanos for text in policy.valid_values)
    return True


def _is_in_range(
    quantity: Quantity, valid: CapacityRequestPolicyRange, *, fractional: bool
) -> bool:
    if valid.max is not None and quantity.nanos > Quantity.parse(valid.max).nanos:
        return False
    if valid.step is None:
        return True
    unit = _unit(valid, fractional=fractional)
    if unit == _MILLI and not _is_milli(quantity):
        return False
    size = _in(unit, Quantity.parse(valid.step))
    start = _in(unit, Quantity.parse(valid.min or "0"))
    return size != 0 and (_in(unit, quantity) - start) % size == 0


def _unit(valid: CapacityRequestPolicyRange, *, fractional: bool) -> int:
    """Returns the billionths of the unit in which the range is computed with."""
    if not fractional:
        return NANO
    written = [Quantity.parse(text) for text in (valid.min, valid.max, valid.step) if text]
    if not all(_is_milli(quantity) for quantity in written):
        return NANO
    if valid.step is not None and Quantity.parse(valid.step).nanos < _MILLI:
        return NANO
    return _MILLI


def _is_milli(quantity: Quantity) -> bool:
    return quantity.nanos % _MILLI == 0 and abs(quantity.nanos) <= INT64_MAX * _MILLI


def _in(unit: int, quantity: Quantity) -> int:
    """Returns the quantity in the unit, rounded away from zero."""
    count = -(-abs(quantity.nanos) // unit)
    return count if quantity.nanos >= 0 else -count
