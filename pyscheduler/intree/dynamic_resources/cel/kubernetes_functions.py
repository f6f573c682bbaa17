"""Functions on the types that Kubernetes adds to CEL: quantities and semantic versions.

Source: `k8s.io/apiserver/pkg/cel/library`: ``quantity.go``, ``semverlib.go``, 1.37.
"""

from __future__ import annotations

from collections.abc import Callable

from pyscheduler.api.quantity import INT64_MAX, NANO, InvalidQuantity
from pyscheduler.intree.dynamic_resources.cel.values import (
    CelError,
    Semver,
    Value,
    compare,
    no_overload,
)
from pyscheduler.intree.dynamic_resources.quantities import Quantity

Function = Callable[..., Value]

_INT64_MIN = -(2**63)


def _quantity(text: Value) -> Value:
    if not isinstance(text, str):
        raise no_overload()
    try:
        return Quantity.parse(text)
    except InvalidQuantity as error:
        raise CelError(str(error)) from error


def _of_quantity(compute: Callable[[Quantity], Value]) -> Function:
    def apply(value: Value) -> Value:
        if isinstance(value, Quantity):
            return compute(value)
        raise no_overload()

    return apply


def _as_integer(quantity: Quantity) -> Value:
    if not _is_integer(quantity):
        raise CelError("cannot convert value to integer")
    return quantity.nanos // NANO


def _is_integer(quantity: Quantity) -> bool:
    return quantity.nanos % NANO == 0 and _INT64_MIN <= quantity.nanos // NANO <= INT64_MAX


def _quantity_sum(sign: int) -> Function:
    def apply(left: Value, right: Value) -> Value:
        if not isinstance(left, Quantity):
            raise no_overload()
        if type(right) is int:
            return Quantity(left.nanos + sign * right * NANO, left.notation)
        if isinstance(right, Quantity):
            return Quantity(left.nanos + sign * right.nanos, left.notation)
        raise no_overload()

    return apply


def _semver(text: Value, normalize: Value = False) -> Value:
    if not isinstance(text, str) or not isinstance(normalize, bool):
        raise no_overload()
    return Semver.parse(text, normalize=normalize)


def _succeeds(function: Function) -> Function:
    def test(*args: Value) -> Value:
        if not isinstance(args[0], str):
            raise no_overload()
        try:
            function(*args)
        except CelError:
            return False
        return True

    return test


def _of_semver(compute: Callable[[Semver], Value]) -> Function:
    def apply(value: Value) -> Value:
        if isinstance(value, Semver):
            return compute(value)
        raise no_overload()

    return apply


def _foreign_order(decide: Callable[[int], Value]) -> Function:
    """Returns a comparison of two quantities or two versions, but of nothing else."""

    def apply(left: Value, right: Value) -> Value:
        if not isinstance(left, (Quantity, Semver)):
            raise no_overload()
        return decide(compare(left, right))

    return apply


#: Function -> how to compute it.
KUBERNETES_FUNCTIONS: dict[str, Function] = {
    "quantity": _quantity,
    "isQuantity": _succeeds(_quantity),
    "sign": _of_quantity(lambda quantity: (quantity.nanos > 0) - (quantity.nanos < 0)),
    "isInteger": _of_quantity(_is_integer),
    "asInteger": _of_quantity(_as_integer),
    "asApproximateFloat": _of_quantity(lambda quantity: quantity.nanos / NANO),
    "add": _quantity_sum(1),
    "sub": _quantity_sum(-1),
    "semver": _semver,
    "isSemver": _succeeds(_semver),
    "major": _of_semver(lambda version: version.major),
    "minor": _of_semver(lambda version: version.minor),
    "patch": _of_semver(lambda version: version.patch),
    "isLessThan": _foreign_order(lambda order: order < 0),
    "isGreaterThan": _foreign_order(lambda order: order > 0),
    "compareTo": _foreign_order(lambda order: order),
}
