"""Compiles device selectors, keeps them, and asks them about devices.

An expression sees one variable, `device`: its `driver`, whether it has `allowMultipleAllocations`,
its `attributes` and `capacity` by domain and name. A name without a domain has the driver's. A
domain that is not there is an empty map.

Called by: ``allocation.suitability``. Source: `k8s.io/dynamic-resource-allocation/cel/compile.go`
and ``errors.go``, 1.37.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cachetools import LRUCache

from pyscheduler.api.quantity import InvalidQuantity
from pyscheduler.api.resource_v1 import Device, DeviceAttribute
from pyscheduler.errors import PySchedulerError
from pyscheduler.intree.dynamic_resources.cel.checked_expr import read
from pyscheduler.intree.dynamic_resources.cel.declarations import (
    CelMissing,
    Environment,
    new_environment,
    string_environment,
)
from pyscheduler.intree.dynamic_resources.cel.evaluator import Closure, Run, build
from pyscheduler.intree.dynamic_resources.cel.functions import Function
from pyscheduler.intree.dynamic_resources.cel.values import (
    CelError,
    CostExceeded,
    Semver,
    Value,
    type_name,
)
from pyscheduler.intree.dynamic_resources.quantities import Quantity

#: What one evaluation may cost, and how long an expression may be: as the API server has it.
MAX_COST: Final = 1_000_000
MAX_LENGTH: Final = 10 * 1024

#: Compiled expressions kept. Upstream keeps 10; more classes than that are not rare.
_KEPT: Final = 256


class SelectorError(PySchedulerError):
    """An expression that cannot be compiled, or not be evaluated for a device."""


class _WithDefault(dict[str, Value]):
    """A map that has an empty map for every other key."""

    def __missing__(self, key: object) -> dict[str, Value]:
        return {}


class DeviceSelector:
    """One compiled expression."""

    def __init__(self, closure: Closure) -> None:
        self._closure = closure

    def matches(self, device: Device, *, driver: str) -> bool:
        """Whether the expression selects the device.

        Raises:
            SelectorError: it cannot be evaluated for this device.
        """
        try:
            run = Run(_variables(device, driver), budget=MAX_COST)
            found = self._closure(run)
        except CelError as error:
            raise SelectorError(_with_advice(str(error))) from error
        except CostExceeded as error:
            raise SelectorError(str(error)) from error
        if not isinstance(found, bool):
            raise SelectorError(
                f"CEL result of type {type_name(found)} could not be converted to bool"
            )
        return found


class DeviceSelectors:
    """Compiles device selectors and keeps them."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, DeviceSelector] = LRUCache(_KEPT)
        self._environment: Environment | None = None
        #: functions that the CEL library computes, by name and number of arguments
        self._library: dict[tuple[str, int], Function] = {}

    def compile(self, expression: str) -> DeviceSelector:
        """Returns the compiled expression.

        Raises:
            SelectorError: it cannot be compiled.
        """
        found = self._kept.get(expression)
        if found is None:
            found = self._kept[expression] = self._compile(expression)
        return found

    def _compile(self, expression: str) -> DeviceSelector:
        if len(expression.encode()) > MAX_LENGTH:
            raise SelectorError(f"expression: too long, may not be more than {MAX_LENGTH} bytes")
        try:
            compiled = self._checked().compile(expression)
        except CelMissing as error:
            raise SelectorError(str(error)) from error
        except RuntimeError as error:
            raise SelectorError(f"compilation failed: {_reason(str(error))}") from error
        result = compiled.return_type().name()
        if result not in ("BOOL", "DYN"):
            raise SelectorError(f"must evaluate to bool or the unknown type, not {result.lower()}")
        try:
            return DeviceSelector(build(read(compiled.serialize()), library=self._call))
        except CelError as error:
            raise SelectorError(f"compilation failed: {error}") from error

    def _checked(self) -> Environment:
        if self._environment is None:
            self._environment = new_environment()
        return self._environment

    def _call(self, name: str, arguments: int) -> Function:
        """Returns a function that the CEL library computes."""
        key = (name, arguments)
        if key not in self._library:
            self._library[key] = _library_function(name, arguments)
        return self._library[key]


def _library_function(name: str, arguments: int) -> Function:
    values = [f"args[{position}]" for position in range(arguments)]
    target, *rest = values
    call = f"{name}({target})" if "." in name else f"{target}.{name}({', '.join(rest)})"
    compiled = string_environment().compile(call)

    def compute(*args: Value) -> Value:
        try:
            result = compiled.eval(data={"args": list(args)})
        except (RuntimeError, TypeError, ValueError) as error:
            raise CelError(_reason(str(error))) from error
        found = result.plain_value()
        # Some failures are raised, others given as a value whose text is the failure's.
        if result.type().name() == "ERROR":
            raise CelError(_reason(str(found)))
        return found

    return compute


def _variables(device: Device, driver: str) -> Mapping[str, Value]:
    attributes = _WithDefault()
    for name, attribute in device.attributes.items():
        domain, identifier = _qualified(name, driver)
        _inner(attributes, domain)[identifier] = _attribute_value(name, attribute)
    capacity = _WithDefault()
    for name, amount in device.capacity.items():
        domain, identifier = _qualified(name, driver)
        try:
            _inner(capacity, domain)[identifier] = Quantity.parse(amount.value)
        except InvalidQuantity as error:
            raise CelError(f"capacity {name}: {error}") from error
    fields: dict[str, Value] = {
        "driver": driver,
        "allowMultipleAllocations": device.allow_multiple_allocations,
        "attributes": attributes,
        "capacity": capacity,
    }
    return {"device": fields, **{f"device.{name}": value for name, value in fields.items()}}


def _inner(outer: _WithDefault, domain: str) -> dict[str, Value]:
    inner = outer.setdefault(domain, {})
    assert isinstance(inner, dict)
    return inner


def _qualified(name: str, driver: str) -> tuple[str, str]:
    domain, separator, identifier = name.partition("/")
    return (domain, identifier) if separator else (driver, name)


def _attribute_value(name: str, attribute: DeviceAttribute) -> Value:
    for value in (attribute.int_value, attribute.bool_value, attribute.string_value):
        if value is not None:
            return value
    if attribute.version_value is None:
        raise CelError(f"attribute {name}: unsupported attribute value")
    try:
        return Semver.parse(attribute.version_value)
    except CelError as error:
        raise CelError(f"attribute {name}: parse semantic version: {error}") from error


def _with_advice(message: str) -> str:
    if "no such key:" not in message:
        return message
    return (
        f"{message}. consider using CEL optional chaining (.? followed by orValue()) or guarding"
        " the check with has() for optional fields"
    )


def _reason(text: str) -> str:
    """Returns the library's message without the status code around it."""
    head, separator, rest = text.partition(": ")
    if not separator or not head.isupper():
        return text
    return rest.removesuffix(f" [{head}]")
