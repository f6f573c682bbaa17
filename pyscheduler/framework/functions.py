"""A plugin of plain functions: ``plugin("AvoidSpot")`` with ``@filter``, ``@score``, ``@hint``.

For the common case in which a plugin is one question about one node. `FunctionPlugin.build`
turns the functions into an ordinary plugin class, so that the runtime knows one kind only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.args import NoArgs
from pyscheduler.framework.cluster_events import ClusterEvent, ClusterEventWithHint, HintFn
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.interface import (
    EnqueueExtensions,
    FilterPlugin,
    Plugin,
    PluginDefinitionError,
    ScorePlugin,
)
from pyscheduler.framework.nodes import NodeInfo
from pyscheduler.framework.status import Status, unschedulable

FilterFn = Callable[[Pod, NodeInfo], str | Status | None]
ScoreFn = Callable[[Pod, NodeInfo], int]
HintT = TypeVar("HintT", bound=HintFn)


class FunctionPlugin:
    """Collects the functions of one plugin."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._filter: FilterFn | None = None
        self._score: ScoreFn | None = None
        self._events: tuple[ClusterEvent, ...] = ()
        self._hint: HintFn | None = None

    def filter(self, *, events: Sequence[ClusterEvent]) -> Callable[[FilterFn], FilterFn]:
        """Registers ``fn(pod, node)``: None if it fits, else the reason (or a Status).

        Args:
            events: what may lift a rejection; the hint, if there is one, is asked for these.
        """

        def register(function: FilterFn) -> FilterFn:
            if self._filter is not None:
                raise PluginDefinitionError(f"plugin {self.name} has two @filter functions")
            self._filter, self._events = function, tuple(events)
            return function

        return register

    def score(self, function: ScoreFn) -> ScoreFn:
        """Registers ``fn(pod, node)``: 0 (worst) to 100 (best)."""
        if self._score is not None:
            raise PluginDefinitionError(f"plugin {self.name} has two @score functions")
        self._score = function
        return function

    def hint(self, function: HintT) -> HintT:
        """Registers ``fn(pod, old, new)``, asked before an event wakes a pod."""
        if self._hint is not None:
            raise PluginDefinitionError(f"plugin {self.name} has two @hint functions")
        self._hint = function
        return function

    def build(self) -> type[Plugin[NoArgs]]:
        """The plugin class made of the functions.

        Raises:
            PluginDefinitionError: neither @filter nor @score was used.
        """
        roles: list[type] = []
        members: dict[str, object] = {
            "name": self.name,
            "__module__": self._module(),
            "__doc__": (self._filter or self._score).__doc__,
        }
        if self._filter is not None:
            roles += [FilterPlugin, EnqueueExtensions]
            members["filter"] = _filter_hook(self._filter)
            registrations = [ClusterEventWithHint(event, self._hint) for event in self._events]
            members["events_to_register"] = lambda _self: registrations
        if self._score is not None:
            roles.append(ScorePlugin)
            members["score"] = _score_hook(self._score)
        if not roles:
            raise PluginDefinitionError(f"plugin {self.name} has neither @filter nor @score")
        return type(self.name, (*roles, Plugin), members)

    def _module(self) -> str:
        function = self._filter or self._score
        return function.__module__ if function else __name__


def plugin(name: str) -> FunctionPlugin:
    """Starts a plugin of plain functions."""
    return FunctionPlugin(name)


def _filter_hook(
    function: FilterFn,
) -> Callable[[object, CycleState, Pod, NodeInfo], Status | None]:
    def hook(_self: object, _state: CycleState, pod: Pod, node: NodeInfo) -> Status | None:
        answer = function(pod, node)
        return unschedulable(answer) if isinstance(answer, str) else answer

    return hook


def _score_hook(function: ScoreFn) -> Callable[[object, CycleState, Pod, NodeInfo], int]:
    def hook(_self: object, _state: CycleState, pod: Pod, node: NodeInfo) -> int:
        return function(pod, node)

    return hook
