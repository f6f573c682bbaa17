"""What expressions may refer to, as the CEL library is told: `device` and the functions.

The one place that imports the CEL library, when the first expression is compiled. Functions of the
library itself need no declaration: operators, `size`, `matches`, the string library, optional
values, `cel.bind`.

Methods that quantities and versions both have are declared for values of any type: the library
cannot tell two foreign types apart. Called on anything else they fail when they are evaluated.

Source: `k8s.io/dynamic-resource-allocation/cel/compile.go` and
`k8s.io/apiserver/pkg/cel/environment/base.go`, 1.37.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pyscheduler.errors import PySchedulerError

#: How to get the CEL library.
_INSTALL = "device selectors need the CEL library: install pyscheduler with the extra 'dra'"

#: Function -> its overloads: whether it is a member, the result, the parameters.
_FUNCTIONS: dict[str, tuple[tuple[bool, str, tuple[str, ...]], ...]] = {
    "quantity": ((False, "quantity", ("string",)),),
    "isQuantity": ((False, "bool", ("string",)),),
    "sign": ((False, "int", ("quantity",)),),
    "isInteger": ((True, "bool", ("quantity",)),),
    "asInteger": ((True, "int", ("quantity",)),),
    "asApproximateFloat": ((True, "double", ("quantity",)),),
    "add": ((True, "quantity", ("quantity", "dyn")),),
    "sub": ((True, "quantity", ("quantity", "dyn")),),
    "semver": ((False, "semver", ("string",)), (False, "semver", ("string", "bool"))),
    "isSemver": ((False, "bool", ("string",)), (False, "bool", ("string", "bool"))),
    "major": ((True, "int", ("semver",)),),
    "minor": ((True, "int", ("semver",)),),
    "patch": ((True, "int", ("semver",)),),
    "isLessThan": ((True, "bool", ("dyn", "dyn")),),
    "isGreaterThan": ((True, "bool", ("dyn", "dyn")),),
    "compareTo": ((True, "int", ("dyn", "dyn")),),
    "isSorted": ((True, "bool", ("list",)),),
    "sum": ((True, "dyn", ("list",)),),
    "min": ((True, "dyn", ("list",)),),
    "max": ((True, "dyn", ("list",)),),
    "indexOf": ((True, "int", ("list", "dyn")),),
    "lastIndexOf": ((True, "int", ("list", "dyn")),),
    "includes": ((True, "bool", ("dyn", "dyn")),),
    "sets.contains": ((False, "bool", ("list", "list")),),
    "sets.equivalent": ((False, "bool", ("list", "list")),),
    "sets.intersects": ((False, "bool", ("list", "list")),),
    **{
        operator: tuple(
            [
                (False, "bool", (left, right))
                for left in ("int", "uint", "double")
                for right in ("int", "uint", "double")
                if left != right
            ]
        )
        for operator in ("_<_", "_<=_", "_>_", "_>=_")
    },
}


class _Type(Protocol):
    def name(self) -> str: ...


class _Value(Protocol):
    def type(self) -> _Type: ...

    def plain_value(self) -> object: ...


class Compiled(Protocol):
    """An expression as the CEL library compiles it."""

    def return_type(self) -> _Type:
        """Returns what it evaluates to."""

    def serialize(self) -> bytes:
        """Returns its tree, see ``checked_expr``."""

    def eval(self, *, data: Mapping[str, object]) -> _Value:
        """Returns its value."""


class Environment(Protocol):
    """What compiles expressions."""

    def compile(self, expression: str) -> Compiled:
        """Returns the expression compiled; raises RuntimeError if that is not possible."""


class CelMissing(PySchedulerError):  # noqa: N818  # says what is wrong
    """The CEL library is not installed."""


def string_environment() -> Environment:
    """Returns an environment to compute functions of the string library in, on a variable `args`.

    Raises:
        CelMissing: the library is not installed.
    """
    try:
        from cel_expr_python import cel
        from cel_expr_python.ext.ext_strings import ExtStrings
    except ImportError as error:
        raise CelMissing(_INSTALL) from error
    environment: Environment = cel.NewEnv(
        variables={"args": cel.Type.DYN}, extensions=[ExtStrings(2)]
    )
    return environment


def new_environment() -> Environment:
    """Returns an environment to compile device selectors in.

    Raises:
        CelMissing: the library is not installed.
    """
    try:
        from cel_expr_python import cel
        from cel_expr_python.ext.ext_bindings import ExtBindings
        from cel_expr_python.ext.ext_optional import ExtOptional
        from cel_expr_python.ext.ext_strings import ExtStrings
    except ImportError as error:
        raise CelMissing(_INSTALL) from error
    kind = cel.Type
    quantity = kind.AbstractType("kubernetes.Quantity")
    types = {
        "bool": kind.BOOL,
        "int": kind.INT,
        "uint": kind.UINT,
        "double": kind.DOUBLE,
        "string": kind.STRING,
        "dyn": kind.DYN,
        "list": kind.List(kind.DYN),
        "quantity": quantity,
        "semver": kind.AbstractType("kubernetes.Semver"),
    }
    functions = [
        cel.FunctionDecl(
            name,
            [
                cel.Overload(
                    f"{name}({','.join(parameters)})->{result},{is_member}",
                    return_type=types[result],
                    parameters=[types[parameter] for parameter in parameters],
                    is_member=is_member,
                )
                for is_member, result, parameters in overloads
            ],
        )
        for name, overloads in _FUNCTIONS.items()
    ]

    variables = {
        "device": kind.DYN,
        "device.driver": kind.STRING,
        "device.allowMultipleAllocations": kind.BOOL,
        "device.attributes": kind.Map(kind.STRING, kind.Map(kind.STRING, kind.DYN)),
        "device.capacity": kind.Map(kind.STRING, kind.Map(kind.STRING, quantity)),
    }
    extensions = [
        ExtBindings(),
        ExtOptional(),
        ExtStrings(2),
        # The last, as it alone adds to functions that others declare.
        cel.CelExtension("kubernetes", functions),
    ]
    environment: Environment = cel.NewEnv(variables=variables, extensions=extensions)
    return environment
