"""A checked expression: read from the bytes that the CEL library gives, as a tree of nodes.

The library parses, expands macros and checks types; what comes out is a `cel.expr.CheckedExpr` in
protobuf's wire format, of which only the tree is of interest. The few rules of that format are here
so that nothing needs protobuf's own library.

Source: `google/api/expr/v1alpha1/syntax.proto` and `checked.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pyscheduler.intree.dynamic_resources.cel.values import CelError, UInt, Value

_VARINT = 0

#: Other kinds of fields -> how long they are; None: they say so themselves.
_LENGTHS: dict[int, int | None] = {1: 8, 2: None, 5: 4}


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal."""

    value: Value


@dataclass(frozen=True, slots=True)
class Ident:
    """A variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`, or `has(operand.field)`."""

    operand: Node
    field: str
    is_test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator; the target of a member function is the first argument."""

    function: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """`[a, ?b]`."""

    elements: tuple[Node, ...]
    #: indices of those that are left out if absent
    optional: frozenset[int]


@dataclass(frozen=True, slots=True)
class MapLiteral:
    """`{key: value, ?key: value}`: (key, value, whether it is left out if absent)."""

    entries: tuple[tuple[Node, Node, bool], ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """What macros over lists and maps become, and `cel.bind`."""

    variable: str
    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


Node: TypeAlias = Constant | Ident | Select | Call | ListLiteral | MapLiteral | Loop


def read(serialized: bytes) -> Node:
    """Returns the tree of an expression as the library serializes it.

    Raises:
        CelError: it has a part that is not understood.
    """
    checked = _Message(_Message(serialized).part(2))
    return _expr(checked.part(4))


class _Message:
    """The fields of a message, by number: numbers apart from what has a length."""

    def __init__(self, data: bytes) -> None:
        self.numbers: list[tuple[int, int]] = []
        self.parts: list[tuple[int, bytes]] = []
        position = 0
        while position < len(data):
            tag, position = _varint(data, position)
            field, kind = tag >> 3, tag & 7
            if kind == _VARINT:
                value, position = _varint(data, position)
                self.numbers.append((field, value))
                continue
            if kind not in _LENGTHS:
                raise CelError("the CEL library's answer is not understood")
            length = _LENGTHS[kind]
            if length is None:
                length, position = _varint(data, position)
            self.parts.append((field, data[position : position + length]))
            position += length

    def part(self, wanted: int) -> bytes:
        """Returns the last one; empty if there is none."""
        return next((part for field, part in reversed(self.parts) if field == wanted), b"")

    def text(self, wanted: int) -> str:
        return self.part(wanted).decode()

    def number(self, wanted: int) -> int:
        return next((number for field, number in reversed(self.numbers) if field == wanted), 0)

    def expr(self, wanted: int) -> Node:
        return _expr(self.part(wanted))

    def exprs(self, wanted: int) -> tuple[Node, ...]:
        return tuple([_expr(part) for field, part in self.parts if field == wanted])


def _expr(data: bytes) -> Node:
    for field, part in _Message(data).parts:
        build = _KINDS.get(field)
        if build is not None:
            return build(_Message(part))
    raise CelError("an expression of an unknown kind")


def _constant(message: _Message) -> Constant:
    for field, number in message.numbers:
        match field:
            case 1:
                return Constant(None)
            case 2:
                return Constant(bool(number))
            case 3:
                return Constant(number - 2**64 if number >= 2**63 else number)
            case 4:
                return Constant(UInt(number))
    for field, part in message.parts:
        match field:
            case 5:
                return Constant(struct.unpack("<d", part)[0])
            case 6:
                return Constant(part.decode())
            case 7:
                return Constant(part)
    raise CelError("a literal of an unknown type")


def _ident(message: _Message) -> Ident:
    return Ident(message.text(1))


def _select(message: _Message) -> Select:
    return Select(message.expr(1), message.text(2), bool(message.number(3)))


def _call(message: _Message) -> Call:
    return Call(message.text(2), (*message.exprs(1), *message.exprs(3)))


def _list(message: _Message) -> ListLiteral:
    optional = {number for field, number in message.numbers if field == 2}
    packed, position = message.part(2), 0
    while position < len(packed):
        number, position = _varint(packed, position)
        optional.add(number)
    return ListLiteral(message.exprs(1), frozenset(optional))


def _map(message: _Message) -> MapLiteral:
    if message.text(1):
        raise CelError(f"messages are not supported, such as {message.text(1)}")
    entries = [_Message(part) for field, part in message.parts if field == 2]
    return MapLiteral(
        tuple([(entry.expr(3), entry.expr(4), bool(entry.number(5))) for entry in entries])
    )


def _loop(message: _Message) -> Loop:
    if message.text(8):
        raise CelError("macros with two variables are not supported")
    return Loop(
        message.text(1),
        message.expr(2),
        message.text(3),
        *[message.expr(field) for field in (4, 5, 6, 7)],
    )


#: Field of an expression -> what it is.
_KINDS: dict[int, Callable[[_Message], Node]] = {
    3: _constant,
    4: _ident,
    5: _select,
    6: _call,
    7: _list,
    8: _map,
    9: _loop,
}


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
