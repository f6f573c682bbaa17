"""Functions and operators of expressions, called with values; the evaluator does the rest.

Strict functions only: what looks at its arguments one by one (`&&`, `||`, `? :`) is the
evaluator's. Functions find out for themselves whether they take the values they are given.

The string library and regular expressions are left to the CEL library, so that they take the time
that RE2 promises: see ``selectors``. The types that Kubernetes adds have ``kubernetes_functions``.

Source: cel-go's standard library; `k8s.io/apiserver/pkg/cel/library/lists.go`, 1.37. Knowing
difference: URLs, IP addresses, formats, durations, timestamps, `type`, `find`, `findAll` and
cel-go's list library are missing; who uses them is told so. Some calls that upstream's type checker
refuses work here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cmp_to_key
from itertools import pairwise

from pyscheduler.api.quantity import INT64_MAX
from pyscheduler.intree.dynamic_resources.cel.kubernetes_functions import KUBERNETES_FUNCTIONS
from pyscheduler.intree.dynamic_resources.cel.values import (
    CelError,
    Optional,
    UInt,
    Value,
    compare,
    equal,
    no_overload,
)

Function = Callable[..., Value]

_INT64_MIN = -(2**63)
_UINT64_MAX = 2**64 - 1


# --- arithmetic -----------------------------------------------------------------------------------


def _int_result(value: int, like: Value) -> Value:
    if isinstance(like, UInt):
        if not 0 <= value <= _UINT64_MAX:
            raise CelError("unsigned integer overflow")
        return UInt(value)
    if not _INT64_MIN <= value <= INT64_MAX:
        raise CelError("integer overflow")
    return value


def _ints(left: Value, right: Value) -> tuple[int, int]:
    """Returns both if they are ints, or both uints."""
    if type(left) is int and type(right) is int:
        return left, right
    if isinstance(left, UInt) and isinstance(right, UInt):
        return left, right
    raise no_overload()


def _add(left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, bytes) and isinstance(right, bytes):
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    if isinstance(left, float) and isinstance(right, float):
        return left + right
    a, b = _ints(left, right)
    return _int_result(a + b, left)


def _subtract(left: Value, right: Value) -> Value:
    if isinstance(left, float) and isinstance(right, float):
        return left - right
    a, b = _ints(left, right)
    return _int_result(a - b, left)


def _multiply(left: Value, right: Value) -> Value:
    if isinstance(left, float) and isinstance(right, float):
        return left * right
    a, b = _ints(left, right)
    return _int_result(a * b, left)


def _divide(left: Value, right: Value) -> Value:
    if isinstance(left, float) and isinstance(right, float):
        if right == 0.0:
            return math.nan if left == 0.0 or math.isnan(left) else math.copysign(math.inf, left)
        return left / right
    a, b = _ints(left, right)
    if b == 0:
        raise CelError("division by zero")
    quotient = abs(a) // abs(b)
    return _int_result(quotient if (a < 0) == (b < 0) else -quotient, left)


def _modulo(left: Value, right: Value) -> Value:
    a, b = _ints(left, right)
    if b == 0:
        raise CelError("modulus by zero")
    remainder = abs(a) % abs(b)
    return _int_result(-remainder if a < 0 else remainder, left)


def _negate(value: Value) -> Value:
    if isinstance(value, float):
        return -value
    if type(value) is int:
        return _int_result(-value, value)
    raise no_overload()


def _not(value: Value) -> Value:
    if isinstance(value, bool):
        return not value
    raise no_overload()


# --- conversions ----------------------------------------------------------------------------------


def _to_int(value: Value) -> Value:
    if isinstance(value, bool):
        raise no_overload()
    try:
        if isinstance(value, (int, float)):
            return _int_result(int(value), None)
        if isinstance(value, str) and value.strip() == value and "_" not in value:
            return _int_result(int(value), None)
    except (ValueError, OverflowError) as error:
        raise CelError(f"cannot convert {value!r} to an int") from error
    raise no_overload()


def _to_uint(value: Value) -> Value:
    if isinstance(value, bool):
        raise no_overload()
    try:
        if isinstance(value, (int, float)):
            return _int_result(int(value), UInt())
        if isinstance(value, str) and value.isdecimal():
            return _int_result(int(value), UInt())
    except (ValueError, OverflowError) as error:
        raise CelError(f"cannot convert {value!r} to a uint") from error
    raise no_overload()


def _to_double(value: Value) -> Value:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise no_overload()
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise CelError(f"cannot convert {value!r} to a double") from error


def _to_string(value: Value) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    raise no_overload()


def _to_bytes(value: Value) -> Value:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    raise no_overload()


def _to_bool(value: Value) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if isinstance(value, str) and value in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise no_overload()


# --- containers -----------------------------------------------------------------------------------


def index(container: Value, key: Value) -> Value:
    """Returns the element of a list or a map.

    Raises:
        CelError: there is none.
    """
    found = find(container, key)
    if found.is_present:
        return found.value
    if isinstance(container, list):
        raise CelError(f"index out of bounds: {key}")
    raise CelError(f"no such key: {key}")


def find(container: Value, key: Value) -> Optional:
    """Returns the element of a list or a map, if it is there.

    Raises:
        CelError: it is neither, or the key is of no use.
    """
    if isinstance(container, Optional):
        return find(container.value, key) if container.is_present else container
    if isinstance(container, dict) and isinstance(key, (str, int, float)):
        # Maps whose keys are never missing give a value for every key.
        try:
            return Optional(container[key], is_present=True)
        except KeyError:
            return Optional()
    if isinstance(container, list) and isinstance(key, (int, float)):
        if isinstance(key, bool) or key != int(key):
            raise no_overload()
        position = int(key)
        if 0 <= position < len(container):
            return Optional(container[position], is_present=True)
        return Optional()
    raise no_overload()


def _in(value: Value, container: Value) -> Value:
    if isinstance(container, dict):
        return isinstance(value, (str, int, float)) and value in container
    if isinstance(container, list):
        return _includes(container, value)
    raise no_overload()


def _includes(container: Value, value: Value) -> bool:
    if not isinstance(container, list):
        # An attribute may be one value or a list of them.
        return equal(container, value)
    return any(equal(item, value) for item in container)


def _position(step: int) -> Function:
    """Returns a search in a list, from its begin (1) or its end (-1)."""

    def search(container: Value, wanted: Value) -> Value:
        items = _list(container)
        positions = range(len(items))[::step]
        return next((position for position in positions if equal(items[position], wanted)), -1)

    return search


def _size(value: Value) -> Value:
    if isinstance(value, (str, bytes, list, dict)):
        return len(value)
    raise no_overload()


def _list(value: Value) -> list[Value]:
    if isinstance(value, list):
        return value
    raise no_overload()


def _is_sorted(value: Value) -> Value:
    items = _list(value)
    return all(compare(a, b) <= 0 for a, b in pairwise(items))


def _sum(value: Value) -> Value:
    items = _list(value)
    total: Value = items[0] if items else 0
    for item in items[1:]:
        total = _add(total, item)
    if isinstance(total, (str, list)):
        raise no_overload()
    return total


def _extreme(name: str, pick: Callable[..., Value]) -> Function:
    def choose(value: Value) -> Value:
        items = _list(value)
        if not items:
            raise CelError(f"{name} called on empty list")
        return pick(items, key=cmp_to_key(compare))

    return choose


def _contains_all(container: Value, wanted: Value) -> bool:
    items = _list(container)
    return all(any(equal(item, one) for item in items) for one in _list(wanted))


# --- strings --------------------------------------------------------------------------------------


def _of_strings(test: Callable[[str, str], bool]) -> Function:
    def apply(text: Value, part: Value) -> Value:
        if isinstance(text, str) and isinstance(part, str):
            return test(text, part)
        raise no_overload()

    return apply


# --- optional values ------------------------------------------------------------------------------


def _optional(value: Value) -> Optional:
    if isinstance(value, Optional):
        return value
    raise no_overload()


def _value(value: Value) -> Value:
    found = _optional(value)
    if not found.is_present:
        raise CelError("optional.none() dereference")
    return found.value


def _is_zero(value: Value) -> bool:
    if isinstance(value, (str, bytes, list, dict, bool, int, float)):
        return not value
    return value is None


#: Function -> how to compute it.
FUNCTIONS: dict[str, Function] = {
    "_+_": _add,
    "_-_": _subtract,
    "_*_": _multiply,
    "_/_": _divide,
    "_%_": _modulo,
    "-_": _negate,
    "!_": _not,
    "_==_": equal,
    "_!=_": lambda left, right: not equal(left, right),
    "_<_": lambda left, right: compare(left, right) < 0,
    "_<=_": lambda left, right: compare(left, right) <= 0,
    "_>_": lambda left, right: compare(left, right) > 0,
    "_>=_": lambda left, right: compare(left, right) >= 0,
    "_[_]": index,
    "@in": _in,
    "size": _size,
    "int": _to_int,
    "uint": _to_uint,
    "double": _to_double,
    "string": _to_string,
    "bool": _to_bool,
    "bytes": _to_bytes,
    "dyn": lambda value: value,
    "contains": _of_strings(lambda text, part: part in text),
    "startsWith": _of_strings(str.startswith),
    "endsWith": _of_strings(str.endswith),
    "isSorted": _is_sorted,
    "sum": _sum,
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "indexOf": _position(1),
    "lastIndexOf": _position(-1),
    "includes": _includes,
    "sets.contains": _contains_all,
    "sets.equivalent": lambda a, b: _contains_all(a, b) and _contains_all(b, a),
    "sets.intersects": lambda a, b: any(_includes(a, item) for item in _list(b)),
    **KUBERNETES_FUNCTIONS,
    "_?._": find,
    "_[?_]": find,
    "optional.of": lambda value: Optional(value, is_present=True),
    "optional.none": Optional,
    "optional.ofNonZeroValue": lambda value: (
        Optional() if _is_zero(value) else Optional(value, is_present=True)
    ),
    "hasValue": lambda value: _optional(value).is_present,
    "value": _value,
}

#: Functions of the string library, which the CEL library computes; those that lists have as well
#: are also above.
LIBRARY_FUNCTIONS: frozenset[str] = frozenset(
    (
        "matches",
        "charAt",
        "indexOf",
        "lastIndexOf",
        "join",
        "lowerAscii",
        "upperAscii",
        "replace",
        "split",
        "substring",
        "trim",
        "format",
        "strings.quote",
    )
)


def cost(args: Sequence[Value]) -> int:
    """Returns what a call costs: 1, and more for long texts and lists."""
    total = 1
    for arg in args:
        if isinstance(arg, (str, bytes)):
            total += len(arg) // 10
        elif isinstance(arg, list):
            total += len(arg)
    return total
