"""An immutable mapping with a cached hash, for the label and quantity maps of API objects.

Apart from the structs because every kind uses it; objects of kinds without a struct consist of it
all the way down (`frozen`). It is a `dict` underneath, so `.get`, `in` and
iteration run at C speed; what would change it raises `TypeError`. The type checker refuses such
calls too as long as fields are annotated as `StringMap` and read as `Mapping`.
"""

from sys import intern
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenMap(dict[K, V]):
    """A mapping that never changes and can be a key; equal to a dict with the same items."""

    __slots__ = ("_cached_hash",)

    _cached_hash: int

    def __hash__(self) -> int:  # type: ignore[override]  # dict sets __hash__ to None
        try:
            return self._cached_hash
        except AttributeError:
            self._cached_hash = result = hash(frozenset(self.items()))
            return result

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("a FrozenMap does not change; make a new one")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> "FrozenMap[K, V]":
        return self

    def __deepcopy__(self, _memo: object) -> "FrozenMap[K, V]":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (FrozenMap, (dict(self),))

    def __repr__(self) -> str:
        return f"FrozenMap({dict.__repr__(self)})"


StringMap = FrozenMap[str, str]

#: The one empty map: decoding gives it for absent and empty maps, encoding leaves it out.
EMPTY: FrozenMap[str, Any] = FrozenMap()


def frozen(value: Any) -> Any:
    """Returns decoded JSON with its objects as `FrozenMap` and its lists as tuples, throughout."""
    if isinstance(value, dict):
        return FrozenMap({intern(key): frozen(item) for key, item in value.items()})
    if isinstance(value, list):
        return tuple([frozen(item) for item in value])
    return value
