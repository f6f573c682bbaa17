"""Values of CEL that Python has no type for, and what all values share: equality, order, names.

int, float, bool, str, bytes, None, list and dict stand for themselves; a bool is never an int here.

Source: `k8s.io/apiserver/pkg/cel`: ``quantity.go``, ``semver.go``, 1.37; cel-go's `common/types`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

from pyscheduler.errors import PySchedulerError
from pyscheduler.intree.dynamic_resources.quantities import Quantity

#: Any of those; functions find out which.
Value: TypeAlias = object


class CelError(PySchedulerError):
    """An expression has no value; ``&&``, ``||`` and loops may do without it."""


class NoOverload(CelError):  # noqa: N818  # says what is wrong
    """A function does not take values of these types."""


class CostExceeded(PySchedulerError):  # noqa: N818  # says what is wrong; nothing does without it
    """The evaluation takes too long."""


class UInt(int):
    """A value of type uint."""


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be absent."""

    value: Value = None
    is_present: bool = False


_SEMVER: Final = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_SLOPPY_SEMVER: Final = re.compile(r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?([-+].*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Semver:
    """A semantic version; the build does not count."""

    major: int
    minor: int
    patch: int
    #: numbers as such; none: a release
    prerelease: tuple[int | str, ...] = ()

    @classmethod
    def parse(cls, text: str, *, normalize: bool = False) -> Semver:
        """Returns the version.

        Args:
            text: the version.
            normalize: whether a leading v, missing parts and leading zeros are all right.

        Raises:
            CelError: it is none.
        """
        if normalize:
            text = _normalized(text)
        found = _SEMVER.fullmatch(text)
        parts = (found[4] or "").split(".") if found else []
        if found is None or any(len(p) > 1 and p.isdigit() and p[0] == "0" for p in parts):
            raise CelError(f"invalid semantic version {text!r}")
        prerelease = tuple([int(part) if part.isdigit() else part for part in parts if part])
        return cls(int(found[1]), int(found[2]), int(found[3]), prerelease)

    @property
    def rank(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int | str], ...]]:
        """Orders versions: a release after its prereleases, numbers before names."""
        parts = tuple([(isinstance(p, str), p) for p in self.prerelease])
        return self.major, self.minor, self.patch, not self.prerelease, parts


def _normalized(text: str) -> str:
    found = _SLOPPY_SEMVER.fullmatch(text)
    if found is None:
        return text
    core = ".".join(str(int(found[part] or 0)) for part in (1, 2, 3))
    return core + (found[4] or "")


_NAMES: Final[dict[type, str]] = {
    type(None): "null_type",
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    Quantity: "kubernetes.Quantity",
    Semver: "kubernetes.Semver",
    Optional: "optional_type",
}


def type_name(value: Value) -> str:
    """Returns the name of the value's type in CEL."""
    return _NAMES.get(type(value), "map")


def _is_number(value: Value) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(left: Value, right: Value) -> bool:
    """Whether two values are the same; numbers compare across types.

    Raises:
        CelError: one is a quantity or a version, the other is not.
    """
    if _is_number(left) and _is_number(right):
        return left == right
    if isinstance(left, (Quantity, Semver)) or isinstance(right, (Quantity, Semver)):
        return compare(left, right) == 0
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    if isinstance(left, Optional) and isinstance(right, Optional):
        return left.is_present == right.is_present and equal(left.value, right.value)
    return type(left) is type(right) and left == right


def compare(left: Value, right: Value) -> int:
    """Returns -1, 0 or 1.

    Raises:
        CelError: the values have no order.
    """
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return (left.nanos > right.nanos) - (left.nanos < right.nanos)
    if isinstance(left, Semver) and isinstance(right, Semver):
        return (left.rank > right.rank) - (left.rank < right.rank)
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if isinstance(left, bytes) and isinstance(right, bytes):
        return (left > right) - (left < right)
    if isinstance(left, bool) and isinstance(right, bool):
        return left - right
    if _is_number(left) and _is_number(right):
        return (left > right) - (left < right)
    raise no_overload()


def no_overload() -> NoOverload:
    """Returns the error for values of types that the function does not take."""
    return NoOverload("no such overload")
