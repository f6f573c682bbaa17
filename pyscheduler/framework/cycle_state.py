"""What plugins remember between the hooks of one scheduling cycle, typed by its key.

A plugin declares ``FIT = StateKey[PodRequests]("NodeResourcesFit.pre_filter")`` and writes and
reads through it; mypy then knows the type. One `CycleState` lives from PreFilter to PostBind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

from pyscheduler.api.core_v1 import Pod

T = TypeVar("T")


class StateKey(Generic[T]):
    """Names one piece of cycle state and its type."""

    __slots__ = ("default", "name")

    def __init__(self, name: str, *, default: Callable[[], T] | None = None) -> None:
        """Makes a key.

        Args:
            name: by plugin and hook.
            default: makes what is read where nothing was written; None: reading fails.
        """
        self.name = name
        self.default = default

    def __repr__(self) -> str:
        return f"StateKey({self.name!r})"


class CycleState:
    """The state of one pod's cycle; never shared between pods."""

    __slots__ = ("_cloners", "_values", "passed_filters", "skipped_filters")

    def __init__(self) -> None:
        # the only writer of a key is `write`, which takes the key's own type
        self._values: dict[StateKey[Any], Any] = {}
        #: keys of the values that know how to clone themselves
        self._cloners: frozenset[StateKey[Any]] = frozenset()
        #: plugins whose PreFilter answered SKIP, or would have (`SignPlugin.skips_unsigned`): their
        #: Filter is not asked; set by the runtime
        self.skipped_filters: frozenset[str] = frozenset()
        #: plugins whose Filter lets every node pass; set by the runtime, for PostFilter alone
        self.passed_filters: frozenset[str] = frozenset()

    def write(self, key: StateKey[T], value: T) -> None:
        """Stores ``value`` under ``key``."""
        self._values[key] = value
        clones = callable(getattr(value, "clone", None))
        if clones is not (key in self._cloners):
            self._cloners ^= {key}

    def read(self, key: StateKey[T]) -> T:
        """The value under ``key``.

        Raises:
            KeyError: nothing was written, for example because PreFilter did not run, and the key
                has no default.
        """
        if key.default is not None and key not in self._values:
            self.write(key, key.default())
        value: T = self._values[key]
        return value

    def get(self, key: StateKey[T]) -> T | None:
        """The value under ``key``, or None."""
        value: T | None = self._values.get(key)
        return value

    def clone(self) -> CycleState:
        """A shallow copy: values that know how to ``clone()`` are cloned, others shared."""
        copy = CycleState()
        copy.skipped_filters = self.skipped_filters
        copy.passed_filters = self.passed_filters
        copy._values = self._values.copy()
        copy._cloners = self._cloners
        for key in self._cloners:
            copy._values[key] = self._values[key].clone()
        return copy


class PodsToActivate:
    """Waiting pods that a plugin wants tried at once, such as the rest of a gang."""

    __slots__ = ("_pods",)

    def __init__(self, pods: Iterable[Pod] = ()) -> None:
        self._pods = {pod.uid: pod for pod in pods}

    def add(self, pod: Pod) -> None:
        """``pod`` is among them."""
        self._pods[pod.uid] = pod

    def take(self) -> tuple[Pod, ...]:
        """All of them; none are left."""
        pods = tuple(self._pods.values())
        self._pods.clear()
        return pods

    def clone(self) -> PodsToActivate:
        """The same pods, for another cycle."""
        return PodsToActivate(self._pods.values())


#: From Reserve on plugins add pods, which are activated once the scheduling cycle has succeeded,
#: and those added after that once the pod is bound.
PODS_TO_ACTIVATE: Final = StateKey("kubernetes.io/pods-to-activate", default=PodsToActivate)
