"""What plugins keep in common: one thing for all profiles, made by the first who asks for it.

A plugin is made once per profile. What must be known across profiles (which devices are being given
away) is asked for here, by a key that plugins of the same kind share; the key carries the type.

Called by: plugins, as ``handle.shared``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from pyscheduler.framework.cycle_state import StateKey

T = TypeVar("T")


class SharedParts:
    """The common parts of one scheduler's plugins."""

    def __init__(self) -> None:
        self._parts: dict[StateKey[object], object] = {}

    def of(self, key: StateKey[T], make: Callable[[], T]) -> T:
        """The part of that key; made by ``make`` if nobody asked before."""
        known = cast("StateKey[object]", key)
        if known not in self._parts:
            self._parts[known] = make()
        # the only writer of a key is this method, which is given the key's own type
        return cast("T", self._parts[known])
