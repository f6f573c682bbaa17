"""Shares equal sub-objects between decoded objects, within a bound.

A thousand pods of one template carry the same containers, tolerations and labels; here they are
decoded once. A `Table` looks a sub-object up by its bytes; bytes not seen yet are decoded and the
value is looked up too, since bytes that differ only in dropped fields give equal values.

Each table keeps two generations: when the young one is full it becomes the old one and what was
the old one is forgotten; a hit in the old one is moved to the young one. So it stays bounded,
keeps what is in use, and needs no bookkeeping per hit. And when a table has doubled it forgets what
nobody else refers to, so that templates that came and went leave nothing behind. Forgetting costs
sharing, never truth.
"""

import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Entries of one generation of one table. A guess: hundreds of templates per thousand pods are
#: rare, and at 3 kB of key bytes each two generations stay around 24 MB.
DEFAULT_LIMIT = 4096

#: Entries of a table up to which nobody looks for unused ones.
_FEW = 256

#: References to a value that `Table.compact` itself makes: its loop, the call that counts.
_OWN_REFERENCES = 2

#: Longer bytes are not kept as keys (annotations may have 256 KiB); equal values are still shared.
MAX_KEY_BYTES = 16 * 1024


class Generations(Generic[K, V]):
    """A bounded dict that forgets what was not asked for in a while."""

    __slots__ = ("_limit", "_old", "_young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Returns what was put under the key, if it is still known."""
        found = self._young.get(key)
        if found is None and key in self._old:
            found = self._old[key]
            self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Remembers the value, at the cost of the oldest generation when full."""
        if len(self._young) >= self._limit:
            self._old = self._young
            self._young = {}
        self._young[key] = value

    def values(self) -> Iterator[V]:
        """What is remembered; in both generations, it comes twice."""
        yield from self._old.values()
        yield from self._young.values()

    def keep(self, is_kept: Callable[[V], bool]) -> None:
        """Forgets the values that are not kept."""
        self._old = {key: value for key, value in self._old.items() if is_kept(value)}
        self._young = {key: value for key, value in self._young.items() if is_kept(value)}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Table(Generic[V]):
    """The known sub-objects of one sort, by their bytes and by value."""

    __slots__ = ("_by_bytes", "_by_value", "_compact_at", "_decode")

    def __init__(self, decode: Callable[[bytes], V], limit: int) -> None:
        self._decode = decode
        self._by_bytes: Generations[bytes, V] = Generations(limit)
        self._by_value: Generations[V, V] = Generations(limit)
        #: looking for unused entries costs as much as there are, so it is done when they doubled
        self._compact_at = _FEW

    def get(self, raw: bytes) -> V:
        """Returns the shared object for these bytes.

        Raises:
            msgspec.ValidationError: the bytes are not such an object.
        """
        found = self._by_bytes.get(raw)
        if found is None:
            found = self.share(self._decode(raw))
            if len(raw) <= MAX_KEY_BYTES:
                self._by_bytes.put(raw, found)
        return found

    def compact(self) -> None:
        """Forgets what nobody outside this table refers to any more."""
        # By how often this table itself refers to each value: once by the bytes of each spelling,
        # twice (key and value) where it is known by value.
        ours = Counter(id(value) for value in self._by_bytes.values())
        for value in self._by_value.values():
            ours[id(value)] += 2
        used = set()
        for known in (self._by_bytes, self._by_value):
            for value in known.values():
                if sys.getrefcount(value) > ours[id(value)] + _OWN_REFERENCES:
                    used.add(id(value))
        self._by_bytes.keep(lambda value: id(value) in used)
        self._by_value.keep(lambda value: id(value) in used)

    def share(self, value: V) -> V:
        """Returns the first object that was equal to this one; this one if there was none."""
        known = self._by_value.get(value)
        if known is not None:
            return known
        self._by_value.put(value, value)
        if len(self) > self._compact_at:
            self.compact()
            self._compact_at = max(2 * len(self), _FEW)
        return value

    def __len__(self) -> int:
        return len(self._by_bytes) + len(self._by_value)


class Interner:
    """The tables of one process; decoders that share it share sub-objects."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._tables: dict[str, Table[object]] = {}

    def table(self, name: str, decode: Callable[[bytes], V]) -> Table[V]:
        """Returns the table of that name, made with `decode` on first use."""
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = Table(decode, self._limit)
        return table  # type: ignore[return-value]  # one name is always used with one type

    def __len__(self) -> int:
        """The entries of all tables."""
        return sum(len(table) for table in self._tables.values())
