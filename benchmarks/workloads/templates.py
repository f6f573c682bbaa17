"""Templates of objects: YAML with ``{{ }}`` in it, as much of Go's text/template as upstream uses.

    source text --> pieces (text, actions) --> blocks (if, range) --> text for given values --> YAML

Actions: a value to print, ``$name := value``, ``if``/``else``/``end``, ``range [$name :=] value``.
Values: ``.Name``, ``.``, ``$name``, strings, whole numbers, ``nil``, functions and pipes in
parentheses. What else Go has is refused when the template is read. A template without actions is
read once, however many objects are made of it.

Called by: who makes objects in ``workloads``.

Source: getTemplateFuncs in test/integration/scheduler_perf/operations.go of Kubernetes 1.37.1.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from tests.controlplane.api_client import Manifest

#: What is printed for a value that is not set, as Go does.
_NO_VALUE = "<no value>"

_ACTION = re.compile(r"\{\{(-)?\s*(.*?)\s*(-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+)|(?P<field>\.[A-Za-z_]\w*)"""
    r"""|(?P<name>\$?[A-Za-z_]\w*)|(?P<mark>:=|[.()|]))"""
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TemplateError(Exception):
    """A template says something that is not understood, or asks for what cannot be done."""


class Template:
    """An object's manifest with places to fill in."""

    def __init__(self, text: str, *, name: str = "template") -> None:
        """A template that was read.

        Args:
            text: of the file.
            name: for messages.

        Raises:
            TemplateError: the text is not understood.
        """
        self._name = name
        try:
            self._blocks = _read(_pieces(text))
        except TemplateError as error:
            raise TemplateError(f"{name}: {error}") from error
        self._constant = self._parse(text) if "{{" not in text else None

    def render(self, values: Mapping[str, object]) -> Manifest:
        """Returns the object for these values.

        Raises:
            TemplateError: a function got what it cannot take, or the outcome is no object.
        """
        if self._constant is not None:
            return copy.deepcopy(self._constant)
        try:
            text = "".join(_printed(self._blocks, _Scope(values)))
        except TemplateError as error:
            raise TemplateError(f"{self._name}: {error}") from error
        return self._parse(text)

    def _parse(self, text: str) -> Manifest:
        try:
            manifest = yaml.load(text, Loader=_LOADER)
        except yaml.YAMLError as error:
            raise TemplateError(f"{self._name}: {' '.join(str(error).split())}") from error
        if not isinstance(manifest, dict):
            raise TemplateError(f"{self._name}: no object but {manifest!r}")
        return manifest


@cache
def template_at(path: Path) -> Template:
    """Returns the template in a file, read once."""
    return Template(path.read_text(), name=str(path))


# -- reading ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names stand for."""

    dot: object
    variables: Mapping[str, object] = field(default_factory=dict)


#: A value that depends on what names stand for.
_Value = Callable[[_Scope], object]


@dataclass(frozen=True, slots=True)
class _Print:
    value: _Value


@dataclass(frozen=True, slots=True)
class _Assign:
    name: str
    value: _Value


@dataclass(frozen=True, slots=True)
class _If:
    condition: _Value
    then: Sequence[_Block]
    otherwise: Sequence[_Block]


@dataclass(frozen=True, slots=True)
class _Range:
    variable: str
    over: _Value
    body: Sequence[_Block]


_Block = str | _Print | _Assign | _If | _Range


@dataclass(frozen=True, slots=True)
class _Action:
    source: str
    tokens: tuple[str, ...]


def _pieces(text: str) -> Iterator[str | _Action]:
    position = 0
    trim = False
    for match in _ACTION.finditer(text):
        before = text[position : match.start()]
        before = before.lstrip() if trim else before
        yield before.rstrip() if match[1] else before
        yield _Action(match[2], tuple(_tokens(match[2])))
        position, trim = match.end(), match[3] is not None
    rest = text[position:]
    yield rest.lstrip() if trim else rest


def _tokens(source: str) -> Iterator[str]:
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise TemplateError(f"cannot read {source[position:]!r} in {source!r}")
        yield match[0].strip()
        position = match.end()


def _read(pieces: Iterator[str | _Action]) -> Sequence[_Block]:
    blocks, end = _block(pieces)
    if end is not None:
        raise TemplateError(f"{end!r} ends nothing")
    return blocks


def _block(pieces: Iterator[str | _Action]) -> tuple[Sequence[_Block], str | None]:
    """Returns what comes before the next ``else`` or ``end`` of this level, and which it is."""
    blocks: list[_Block] = []
    for piece in pieces:
        if isinstance(piece, str):
            blocks.append(piece)
            continue
        match piece.tokens:
            case ("end",) | ("else",):
                return blocks, piece.tokens[0]
            case ("if", *condition):
                blocks.append(_read_if(_pipe(condition, piece), pieces))
            case ("range", variable, ":=", *over):
                blocks.append(_Range(variable, _pipe(over, piece), _body(pieces)))
            case ("range", *over):
                blocks.append(_Range("", _pipe(over, piece), _body(pieces)))
            case (variable, ":=", *value) if variable.startswith("$"):
                blocks.append(_Assign(variable, _pipe(value, piece)))
            case tokens:
                blocks.append(_Print(_pipe(tokens, piece)))
    return blocks, None


def _read_if(condition: _Value, pieces: Iterator[str | _Action]) -> _If:
    then, end = _block(pieces)
    otherwise: Sequence[_Block] = ()
    if end == "else":
        otherwise, end = _block(pieces)
    if end != "end":
        raise TemplateError("an if has no end")
    return _If(condition, then, otherwise)


def _body(pieces: Iterator[str | _Action]) -> Sequence[_Block]:
    body, end = _block(pieces)
    if end != "end":
        raise TemplateError("a range has no end")
    return body


def _pipe(tokens: Iterable[str], action: _Action) -> _Value:
    """Returns the value of ``first | function | function``."""
    stages: list[list[_Value | str]] = [[]]
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        if token == "|":
            stages.append([])
        elif token == "(":
            stages[-1].append(_pipe(_parenthesised(rest, action), action))
        else:
            stages[-1].append(_term(token, action))
    value = _call(stages[0], None, action)
    for stage in stages[1:]:
        value = _call(stage, value, action)
    return value


def _parenthesised(rest: list[str], action: _Action) -> list[str]:
    inside: list[str] = []
    depth = 1
    while rest:
        token = rest.pop(0)
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0:
            return inside
        inside.append(token)
    raise TemplateError(f"a parenthesis has no end in {action.source!r}")


def _term(token: str, action: _Action) -> _Value | str:
    """Returns a value, or the name of a function."""
    if token == ".":
        return lambda scope: scope.dot
    if token.startswith("."):
        return lambda scope: _field(scope.dot, token[1:])
    if token.startswith("$"):
        return lambda scope: scope.variables.get(token)
    if token.startswith('"') or token.lstrip("-").isdigit():
        constant = json.loads(token)
        return lambda scope: constant
    if token == "nil":
        return lambda scope: None
    if token in _FUNCTIONS:
        return token
    raise TemplateError(f"no such function: {token} in {action.source!r}")


def _call(stage: Sequence[_Value | str], piped: _Value | None, action: _Action) -> _Value:
    """Returns the value of one function with its arguments, or of one term alone."""
    last = [piped] if piped is not None else []
    match stage:
        case [str(name), *given]:
            function = _FUNCTIONS[name]
            arguments = [one for one in (*given, *last) if not isinstance(one, str)]
            return lambda scope: function(*(argument(scope) for argument in arguments))
        case [value] if not isinstance(value, str) and not last:
            return value
        case _:
            raise TemplateError(f"not understood: {action.source!r}")


def _field(dot: object, name: str) -> object:
    return dot.get(name) if isinstance(dot, Mapping) else None


# -- writing ---------------------------------------------------------------------------------------


def _printed(blocks: Sequence[_Block], scope: _Scope) -> Iterator[str]:
    for block in blocks:
        match block:
            case str():
                yield block
            case _Print():
                yield _text(block.value(scope))
            case _Assign():
                scope = _with(scope, block.name, block.value(scope))
            case _If():
                chosen = block.then if block.condition(scope) else block.otherwise
                yield from _printed(chosen, scope)
            case _Range():
                for item in _items(block.over(scope)):
                    inside = _with(scope, block.variable, item)
                    if not block.variable:
                        inside = _Scope(item, scope.variables)
                    yield from _printed(block.body, inside)


def _with(scope: _Scope, name: str, value: object) -> _Scope:
    return _Scope(scope.dot, {**scope.variables, name: value})


def _items(over: object) -> Iterable[object]:
    if isinstance(over, int):
        return range(over)
    if isinstance(over, Sequence):
        return over
    raise TemplateError(f"cannot range over {over!r}")


def _text(value: object) -> str:
    if value is None:
        return _NO_VALUE
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # what it cannot take, it refuses
    except (TypeError, ValueError) as error:
        raise TemplateError(f"not a number: {value!r}") from error


def _whole(value: float) -> int:
    return math.trunc(value)


def _divided(one: object, other: object) -> float:
    divisor = _number(other)
    if divisor == 0:
        raise TemplateError("division by zero")
    return _number(one) / divisor


def _mod(one: object, other: object) -> int:
    divisor = _whole(_number(other))
    if divisor == 0:
        raise TemplateError("division by zero")
    return int(math.fmod(_whole(_number(one)), divisor))  # with Go's sign: the dividend's


def _sum(*values: object) -> float:
    return math.fsum(_number(value) for value in values)


def _difference(one: object, other: object) -> float:
    return _number(one) - _number(other)


def _product(*values: object) -> float:
    return math.prod(_number(value) for value in values)


def _or(*values: object) -> object:
    return next((value for value in values if value), values[-1])


def _and(*values: object) -> object:
    return next((value for value in values if not value), values[-1])


_FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "AddFloat": _sum,
    "AddInt": lambda *values: _whole(_sum(*values)),
    "DivideFloat": _divided,
    "DivideInt": lambda one, other: _whole(_divided(one, other)),
    "Int": lambda value: _whole(_number(value)),
    "JSON": lambda value: json.dumps(value, ensure_ascii=False),
    "Mod": _mod,
    "MultiplyFloat": _product,
    "MultiplyInt": lambda *values: _whole(_product(*values)),
    "SubtractFloat": _difference,
    "SubtractInt": lambda one, other: _whole(_difference(one, other)),
    "and": _and,
    "eq": lambda one, *others: one in others,
    "ge": lambda one, other: _number(one) >= _number(other),
    "gt": lambda one, other: _number(one) > _number(other),
    "le": lambda one, other: _number(one) <= _number(other),
    "lt": lambda one, other: _number(one) < _number(other),
    "ne": lambda one, other: one != other,
    "not": lambda value: not value,
    "or": _or,
}
