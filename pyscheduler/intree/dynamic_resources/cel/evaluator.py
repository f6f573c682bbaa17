"""Turns the tree of an expression into closures, and runs them within a budget.

Why not the CEL library's own evaluation: it knows no foreign types (quantities, versions), no maps
with a default, and no budget.

Errors are exceptions (`CelError`) that `&&`, `||` and loops may absorb, as CEL demands; in a loop
the accumulator may hold one. `CostExceeded` nothing absorbs.

Source: cel-go's interpreter. Knowing difference: costs are near to, not the same as, cel-go's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pyscheduler.intree.dynamic_resources.cel.checked_expr import (
    Call,
    Constant,
    Ident,
    ListLiteral,
    Loop,
    MapLiteral,
    Node,
    Select,
)
from pyscheduler.intree.dynamic_resources.cel.functions import (
    FUNCTIONS,
    LIBRARY_FUNCTIONS,
    Function,
    cost,
    find,
    index,
)
from pyscheduler.intree.dynamic_resources.cel.values import (
    CelError,
    CostExceeded,
    NoOverload,
    Optional,
    Value,
    no_overload,
    type_name,
)


class Run:
    """One evaluation: the variables, and what is left of the budget."""

    __slots__ = ("budget", "variables")

    def __init__(self, variables: Mapping[str, Value], *, budget: int) -> None:
        self.variables = dict(variables)
        self.budget = budget

    def spend(self, amount: int) -> None:
        """Pays for a piece of work.

        Raises:
            CostExceeded: there is not enough left.
        """
        self.budget -= amount
        if self.budget < 0:
            raise CostExceeded("operation cancelled: actual cost limit exceeded")


Closure = Callable[[Run], Value]

#: Computes a function of the CEL library: its name, how many arguments -> the function.
LibraryCall = Callable[[str, int], Function]


def build(node: Node, *, library: LibraryCall) -> Closure:
    """Returns the closure for the node.

    Raises:
        CelError: it uses a function that is not there.
    """
    match node:
        case Constant(value):
            return lambda run: value
        case Ident(name):
            return _ident(name)
        case Select():
            return _select(node, library)
        case Call():
            return _call(node, library)
        case ListLiteral():
            return _list(node, library)
        case MapLiteral():
            return _map(node, library)
        case Loop():
            return _loop(node, library)


def _ident(name: str) -> Closure:
    def evaluate(run: Run) -> Value:
        run.spend(1)
        try:
            found = run.variables[name]
        except KeyError:
            raise CelError(f"no such attribute: {name}") from None
        if isinstance(found, CelError):
            raise found
        return found

    return evaluate


def _select(node: Select, library: LibraryCall) -> Closure:
    operand = build(node.operand, library=library)
    field, is_test = node.field, node.is_test

    def evaluate(run: Run) -> Value:
        container = operand(run)
        run.spend(1)
        if isinstance(container, Optional):
            found = find(container, field)
            return found.is_present if is_test else found
        if not isinstance(container, dict):
            raise no_overload()
        return find(container, field).is_present if is_test else index(container, field)

    return evaluate


def _call(node: Call, library: LibraryCall) -> Closure:
    args = [build(arg, library=library) for arg in node.args]
    lazy = _LAZY.get((node.function, len(args)))
    if lazy is not None:
        return lazy(*args)
    function = _function(node.function, len(args), library)

    def evaluate(run: Run) -> Value:
        values = [arg(run) for arg in args]
        run.spend(cost(values))
        try:
            return function(*values)
        except NoOverload as error:
            # Operators do not say what they were given.
            if not node.function[0].isalpha():
                raise
            types = ", ".join(map(type_name, values))
            raise CelError(f"{error}: {node.function}({types})") from None

    return evaluate


def _function(name: str, arguments: int, library: LibraryCall) -> Function:
    own = FUNCTIONS.get(name)
    if name not in LIBRARY_FUNCTIONS:
        if own is None:
            raise CelError(f"function {name} is not supported")
        return own
    of_texts, of_lists = library(name, arguments), own
    if of_lists is None:
        return of_texts
    return lambda *args: (of_lists if isinstance(args[0], list) else of_texts)(*args)


def _list(node: ListLiteral, library: LibraryCall) -> Closure:
    elements = [build(element, library=library) for element in node.elements]
    optional = node.optional

    def evaluate(run: Run) -> Value:
        run.spend(10)
        found: list[Value] = []
        for position, element in enumerate(elements):
            value = element(run)
            if position not in optional:
                found.append(value)
            elif isinstance(value, Optional) and value.is_present:
                found.append(value.value)
        return found

    return evaluate


def _map(node: MapLiteral, library: LibraryCall) -> Closure:
    entries = [
        (build(key, library=library), build(value, library=library), is_optional)
        for key, value, is_optional in node.entries
    ]

    def evaluate(run: Run) -> Value:
        run.spend(30)
        found: dict[Value, Value] = {}
        for key_of, value_of, is_optional in entries:
            key, value = key_of(run), value_of(run)
            if is_optional:
                if not isinstance(value, Optional) or not value.is_present:
                    continue
                value = value.value
            if not isinstance(key, (str, int)):
                raise CelError("unsupported key type")
            found[key] = value
        return found

    return evaluate


def _loop(node: Loop, library: LibraryCall) -> Closure:
    range_, start, condition, step, result = [
        build(part, library=library)
        for part in (node.range, node.start, node.condition, node.step, node.result)
    ]
    variable, accumulator = node.variable, node.accumulator

    def evaluate(run: Run) -> Value:
        container = range_(run)
        if not isinstance(container, (list, dict)):
            raise no_overload()
        outer = {name: run.variables.get(name, _UNSET) for name in (variable, accumulator)}
        try:
            run.variables[accumulator] = _attempt(start, run)
            for item in _items(container):
                run.spend(1)
                run.variables[variable] = item
                if condition(run) is not True:
                    break
                run.variables[accumulator] = _attempt(step, run)
            if variable != accumulator:
                run.variables.pop(variable, None)
            return result(run)
        finally:
            for name, value in outer.items():
                if value is _UNSET:
                    run.variables.pop(name, None)
                else:
                    run.variables[name] = value

    return evaluate


_UNSET = object()


def _items(container: Iterable[Value]) -> list[Value]:
    return list(container)


def _attempt(closure: Closure, run: Run) -> Value:
    """Returns the value, or the error as one."""
    try:
        return closure(run)
    except CelError as error:
        return error


# --- what does not look at all its arguments ------------------------------------------------------


def _junction(decisive: bool) -> Callable[[Closure, Closure], Closure]:  # a value
    """Returns `||` (decided by True) or `&&` (by False); an error on one side may not matter."""

    def combine(left: Closure, right: Closure) -> Closure:
        def evaluate(run: Run) -> Value:
            first = _attempt(left, run)
            if first is decisive:
                return decisive
            second = _attempt(right, run)
            if second is decisive:
                return decisive
            for value in (first, second):
                if isinstance(value, CelError):
                    raise value
                if not isinstance(value, bool):
                    raise no_overload()
            return not decisive

        return evaluate

    return combine


def _conditional(condition: Closure, yes: Closure, no: Closure) -> Closure:
    def evaluate(run: Run) -> Value:
        chosen = condition(run)
        if not isinstance(chosen, bool):
            raise no_overload()
        return yes(run) if chosen else no(run)

    return evaluate


def _not_strictly_false(value: Closure) -> Closure:
    return lambda run: _attempt(value, run) is not False


def _or_else(*, unwraps: bool) -> Callable[[Closure, Closure], Closure]:
    def combine(optional: Closure, other: Closure) -> Closure:
        def evaluate(run: Run) -> Value:
            found = optional(run)
            if not isinstance(found, Optional):
                raise no_overload()
            if not found.is_present:
                return other(run)
            return found.value if unwraps else found

        return evaluate

    return combine


#: (function, number of arguments) -> how to make it of closures.
_LAZY: dict[tuple[str, int], Callable[..., Closure]] = {
    ("_||_", 2): _junction(True),
    ("_&&_", 2): _junction(False),
    ("_?_:_", 3): _conditional,
    ("@not_strictly_false", 1): _not_strictly_false,
    ("or", 2): _or_else(unwraps=False),
    ("orValue", 2): _or_else(unwraps=True),
}
