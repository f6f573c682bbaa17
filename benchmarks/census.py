"""How much every part of a scheduler holds: the lengths of all its containers, by name.

Found by walking the object graph from the parts themselves, so that a container somebody adds
tomorrow is counted, too. API objects are counted where they are kept and not entered; arrays are
sized by nodes and grow in steps, so they are not counted.

    SchedulingQueue._uids: 120      ClassCache._entries: 14      Informer._objects: 2000
"""

from __future__ import annotations

import functools
import gc
import sys
import types
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from cachetools import Cache

#: Whose objects are entered. The embedded cluster is not what is measured.
_ENTERED = ("pyscheduler.", "plugins.")
_NOT_ENTERED = ("pyscheduler.sim.", "pyscheduler.clock", "pyscheduler.api.")
#: Of the API's modules, those that remember.
_REMEMBERING = ("pyscheduler.api.interner", "pyscheduler.api.codec", "pyscheduler.api.wire")
_CONTAINERS = (dict, list, set, frozenset, tuple, deque, Cache)


@functools.lru_cache
def _example() -> None:
    return None


#: The type of functions that remember.
_REMEMBERS = type(_example)


def census(roots: Iterable[object]) -> Counter[str]:
    """The summed lengths of containers by class and attribute, for all that hangs on the roots."""
    gc.collect()
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    #: Kept alive while their ids are compared.
    waiting: list[object] = list(roots)
    entered: list[object] = []
    while waiting:
        one = waiting.pop()
        if id(one) in seen or not _is_entered(one):
            continue
        seen.add(id(one))
        entered.append(one)
        for name, value in _parts(one):
            _count(counts, f"{_class_name(one)}.{name}", value, waiting)
    return counts


def remembered() -> Counter[str]:
    """What functions of ours remember, by function; unlike containers these hang on nothing."""
    counts: Counter[str] = Counter()
    for name, module in list(sys.modules.items()):
        if name.startswith(_ENTERED) and not name.startswith("pyscheduler.sim."):
            for attribute, value in vars(module).items():
                if isinstance(value, _REMEMBERS) and value.__module__ == name:
                    counts[f"{name}.{attribute}"] = value.cache_info().currsize
    return counts


def _count(counts: Counter[str], name: str, value: object, waiting: list[object]) -> None:
    if not isinstance(value, _CONTAINERS):
        waiting.append(value)
        return
    counts[name] += len(value)
    for inner in _elements(value):
        if isinstance(inner, _CONTAINERS):
            _count(counts, f"{name}[]", inner, waiting)
        else:
            waiting.append(inner)


def _elements(container: Any) -> list[object]:
    """What a container holds, plain values apart."""
    if isinstance(container, Cache):
        # Past the subclass: looking must not count as use.
        held = [Cache.__getitem__(container, key) for key in list(container)]
    elif isinstance(container, dict):
        held = list(container.values())
    else:
        held = list(container)
    return [one for one in held if not isinstance(one, str | int | float | bytes | None)]


def _is_entered(one: object) -> bool:
    if isinstance(one, types.MethodType | types.FunctionType | functools.partial):
        return True
    module = type(one).__module__
    if module in _REMEMBERING:
        return True
    return module.startswith(_ENTERED) and not module.startswith(_NOT_ENTERED)


def _class_name(one: object) -> str:
    return getattr(type(one), "__qualname__", "?")


def _parts(one: object) -> Iterator[tuple[str, Any]]:
    """What an object holds: its attributes, or what a callable is bound to."""
    if isinstance(one, types.MethodType):
        yield "self", one.__self__
        return
    if isinstance(one, functools.partial):
        yield from (("bound", value) for value in (one.func, *one.args, *one.keywords.values()))
        return
    if isinstance(one, types.FunctionType):
        for cell in one.__closure__ or ():
            # A cell may still be empty.
            if getattr(cell, "cell_contents", None) is not None:
                yield "cell", cell.cell_contents
        return
    if isinstance(one, msgspec.Struct):
        yield from ((name, getattr(one, name)) for name in one.__struct_fields__)
    yield from getattr(one, "__dict__", {}).items()
    for base in type(one).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            name = f"_{base.__name__.lstrip('_')}{slot}" if slot.startswith("__") else slot
            if hasattr(one, name):
                yield slot, getattr(one, name)
