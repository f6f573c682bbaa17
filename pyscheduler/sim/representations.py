"""How stored objects leave the server: as they are, as the other event version, or as a Table.

A `Representation` turns a stored object into the bytes of an object, of a LIST body and of a
watch line. The plain one only joins bytes that the store encoded already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pyscheduler.sim.event_versions import to_core
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.object_store import Event, Stored, encode_line
from pyscheduler.sim.served_kinds import CORE_EVENTS, ServedKind
from pyscheduler.sim.tables import Table

_encode = msgspec.json.Encoder().encode


class Representation:
    """The form in which one kind is answered; this one is the stored form."""

    def __init__(self, kind: ServedKind) -> None:
        self._kind = kind
        head = _encode({"kind": kind.kind, "apiVersion": kind.api_version})
        # Objects begin with these two fields; inside a list they carry neither.
        self._head_length = len(head)

    def object(self, stored: Stored) -> bytes:
        """The body of a GET."""
        return stored.raw

    def list(self, items: Sequence[Stored], metadata: JsonObject) -> bytes:
        """The body of a LIST."""
        start = self._head_length
        encoded = b",".join([b"{" + stored.raw[start:] for stored in items])
        return self._wrap_list(encoded, metadata)

    def line(self, event: Event) -> bytes:
        """A watch line for an event of the store."""
        return event.line

    def encode_line(self, event_type: str, stored: Stored) -> bytes:
        """A watch line for an object whose event differs from the store's."""
        return encode_line(event_type, stored.raw)

    def bookmark(self, version: int, annotations: JsonObject | None) -> bytes:
        """A BOOKMARK line."""
        metadata: JsonObject = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        return encode_line("BOOKMARK", self._encode_bookmark(metadata))

    def _encode_bookmark(self, metadata: JsonObject) -> bytes:
        kind = self._kind
        return _encode({"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})

    def _wrap_list(self, encoded: bytes, metadata: JsonObject) -> bytes:
        kind = self._kind
        return b'{"kind":"%bList","apiVersion":"%b","metadata":%b,"items":[%b]}\n' % (
            kind.kind.encode(),
            kind.api_version.encode(),
            _encode(metadata),
            encoded,
        )


class ConvertedRepresentation(Representation):
    """Objects pass through a conversion and are encoded anew."""

    def __init__(self, kind: ServedKind, convert: Callable[[JsonObject], JsonObject]) -> None:
        super().__init__(kind)
        self._convert = convert

    def object(self, stored: Stored) -> bytes:
        """The body of a GET."""
        return _encode(self._convert(stored.data))

    def list(self, items: Sequence[Stored], metadata: JsonObject) -> bytes:
        """The body of a LIST."""
        return self._wrap_list(b",".join(map(self.object, items)), metadata)

    def line(self, event: Event) -> bytes:
        """A watch line for an event of the store."""
        return self.encode_line(event.type, event.object)

    def encode_line(self, event_type: str, stored: Stored) -> bytes:
        """A watch line for an object whose event differs from the store's."""
        return encode_line(event_type, self.object(stored))


class TableRepresentation(ConvertedRepresentation):
    """Objects become rows; what ``kubectl get`` prints.

    One per request: in a watch only the first Table carries the column definitions.
    """

    def __init__(self, kind: ServedKind, table: Table, *, include: str) -> None:
        super().__init__(kind, dict)
        self._table = table
        self._include = include
        self._columns_sent = False

    def object(self, stored: Stored) -> bytes:
        """A Table of one row."""
        metadata: JsonObject = {"resourceVersion": str(stored.version)}
        columns = not self._columns_sent
        return _encode(
            self._table.render([stored.data], metadata, include=self._include, columns=columns)
        )

    def list(self, items: Sequence[Stored], metadata: JsonObject) -> bytes:
        """A Table of all items."""
        rows = [stored.data for stored in items]
        return _encode(self._table.render(rows, metadata, include=self._include, columns=True))

    def encode_line(self, event_type: str, stored: Stored) -> bytes:
        """A watch line around a Table of one row."""
        line = encode_line(event_type, self.object(stored))
        self._columns_sent = True
        return line

    def _encode_bookmark(self, metadata: JsonObject) -> bytes:
        return _encode(self._table.render([], metadata, include=self._include, columns=False))


def representation(kind: ServedKind, *, table: Table | None, include: str) -> Representation:
    """The form a request is answered in; `table` where it accepts Tables."""
    if table is not None:
        return TableRepresentation(kind, table, include=include)
    if kind is CORE_EVENTS:
        return ConvertedRepresentation(kind, to_core)
    return Representation(kind)
