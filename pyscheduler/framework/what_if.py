"""Would the pod fit if ...? Some nodes with pods added or taken away, nothing else changed.

A `WhatIf` holds copied rows. Preemption removes victims on it and puts them back one by one; the
runtime adds nominated pods to it. What a plugin prepared in PreFilter is cloned per row, and its
``add_pod`` and ``remove_pod`` keep the clone in step.

Axes: N the rows of the what-if, numbered from 0, not the snapshot's.

Called by: ``preemption`` and plugins, through ``handle.what_ifs``; ``runtime`` implements it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol, TypeVar

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import Status


class WhatIf(Protocol):
    """Copied rows of the snapshot; gone with the cycle."""

    @property
    def nodes(self) -> NodeTable:
        """The N rows as they are now, with what was added and removed."""

    def add_pod(self, row: int, pod: Pod) -> Status | None:
        """Counts ``pod`` on ``row``; an objection of a plugin's ``add_pod`` is returned."""

    def remove_pod(self, row: int, pod: Pod) -> Status | None:
        """Takes ``pod`` off ``row``; an objection of a plugin's ``remove_pod`` is returned."""

    def judge(self, rows: Sequence[int] | None = None) -> list[Status | None]:
        """Whether the pod in question passes Filter on each of ``rows`` (all when None).

        Nominated pods of equal or higher priority count as being there, and must not be needed
        either: both passes of upstream's filtering with nominated pods. None where it passes, else
        the status of the first plugin that objects.

        Raises:
            PySchedulerError: a plugin failed; the cycle ends as an error.
        """


class RowAnswers(Protocol):
    """What was found out about the snapshot's rows, in whatever form."""

    def forget(self, rows: Iterable[int] | None, *, n: int) -> None:
        """These rows changed, all of them when None; there are ``n`` now."""

    def pods_changed(self, rows: Iterable[int]) -> None:
        """On these rows are the same pods, which take the same; something else of them changed.

        What Filter says is as before, with the pods as with any of them gone. Not told of where
        a plugin looks at more of the pods than what they take: then the rows are forgotten.
        """


A = TypeVar("A", bound=RowAnswers)


class Likeness(Protocol):
    """What a what-if's answers about a node depend on, with some of its pods there or gone."""

    def of(self, node_name: str, pods: Sequence[Pod]) -> Hashable:
        """Equal for nodes that get equal answers, told by the places of ``pods``.

        With the first of these pods gone from either node, with the second, with both and so on.
        """

    def holds(self) -> bool:
        """False once a nomination has changed since: a node may not be what it was."""


class WhatIfs(Protocol):
    """Makes what-ifs on the snapshot of the cycle under way."""

    def of(self, state: CycleState, pod: Pod, node_names: Sequence[str]) -> WhatIf:
        """Copied rows of these nodes, judged for ``pod`` with what PreFilter left in ``state``.

        Raises:
            KeyError: a node is not in the snapshot.
        """

    def kept(
        self, state: CycleState, pod: Pod, *, key: Hashable, make: Callable[[], A]
    ) -> A | None:
        """What was found out on what-ifs for pods that are judged like ``pod``, by row.

        To be read and added to in this cycle. It is told to forget a row as soon as the node, a pod
        on it or a nomination to it changes, or another node is there; what a pod's own nomination
        or anything else of its own decides does not belong here.

        Args:
            state: what PreFilter left for ``pod``.
            pod: the pod in question.
            key: whose answers, and whatever else they depend on.
            make: begins with nothing; always the same for one ``key``.

        Returns:
            None when nothing may be kept: a plugin looks across nodes, or judges each pod anew.
        """

    def likeness(self, state: CycleState, pod: Pod) -> Likeness | None:
        """By which nodes get equal answers for all pods that are judged like ``pod``.

        Returns:
            None when a plugin looks at more of a node than sums (`FilterPlugin.judges_sums`).
        """

    async def checkpoint(self) -> None:
        """Offers the event loop to others if the cycle has run long; call it between chunks."""
