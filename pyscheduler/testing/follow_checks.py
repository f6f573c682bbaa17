"""The check of `pre_filter_again` and `pre_score_again`, held against `pre_filter` and `pre_score`.

Pods come to the sample nodes one by one and leave two by two. A plugin that follows them stands
beside one that prepares anew each time: with what both have prepared they must say the same of
every node, and a node that is not named must be one whose answer stays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache import Snapshot
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.interface import (
    PreFilterPlugin,
    PreScorePlugin,
    Role,
    ScorePlugin,
    SignPlugin,
    has_form,
)
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import Code, Status
from pyscheduler.testing.answers import filter_forms, filter_rows, score_forms, score_rows
from pyscheduler.testing.builders import PodBuilder
from pyscheduler.testing.subject import Subject
from pyscheduler.testing.tables import cache_of

#: by row, what each form says
_ByRow: TypeAlias = list[tuple[object, ...]]


class _Judged(NamedTuple):
    """What a plugin says of all nodes with what it has prepared."""

    #: of each node by itself: statuses, raw scores
    alone: _ByRow
    #: in the end: statuses, normalised scores
    final: _ByRow


#: the same, or what the preparing hook answered instead
_Outcome: TypeAlias = _Judged | object


@dataclass(frozen=True, slots=True)
class _Half:
    """One half of a cycle: what prepares it, and what is judged with that."""

    hook: str
    role: type[Role]
    judge: Callable[[Any, CycleState, Pod, NodeTable], _Judged]
    #: True for answers that change nothing, as if the plugin were left out
    is_void: Callable[[_ByRow], bool]

    @property
    def again(self) -> str:
        """The hook that follows."""
        return f"{self.hook}_again"

    def says_nothing(self, outcome: _Outcome) -> bool:
        """True when the plugin is left out, or might as well be."""
        if isinstance(outcome, _Judged):
            return self.is_void(outcome.final)
        return isinstance(outcome, Status) and outcome.code is Code.SKIP


def _filtered(plugin: Any, state: CycleState, pod: Pod, nodes: NodeTable) -> _Judged:
    forms = [filter_rows(plugin, state, pod, nodes, form) for form in filter_forms(plugin)]
    statuses: _ByRow = list(zip(*forms, strict=True))
    return _Judged(statuses, statuses)


def _scored(plugin: Any, state: CycleState, pod: Pod, nodes: NodeTable) -> _Judged:
    forms = [score_rows(plugin, state, pod, nodes, form) for form in score_forms(plugin)]
    raw, normalized = (
        list(zip(*(scores.tolist() for scores in kind), strict=True))
        for kind in (zip(*forms, strict=True) if forms else ((), ()))
    )
    return _Judged(raw, normalized)


_HALVES = (
    _Half("pre_filter", PreFilterPlugin, _filtered, lambda final: not any(map(any, final))),
    _Half("pre_score", PreScorePlugin, _scored, lambda final: len(set(final)) <= 1),
)


@dataclass(slots=True)
class _Prepared:
    """A plugin with what it prepared for a pod, and what it says with that."""

    plugin: Any
    pod: Pod
    signature: object
    state: CycleState = field(default_factory=CycleState)
    #: by hook
    outcomes: dict[str, _Outcome] = field(default_factory=dict)

    def prepare(self, half: _Half, nodes: NodeTable) -> None:
        """The plain form."""
        if isinstance(self.plugin, half.role):
            answer = getattr(self.plugin, half.hook)(self.state, self.pod, nodes)
            goes_on = answer is None or (isinstance(answer, Status) and answer.is_success)
            self.outcomes[half.hook] = self.judged(half, nodes) if goes_on else answer

    def judged(self, half: _Half, nodes: NodeTable) -> _Judged:
        """What the plugin says now."""
        return half.judge(self.plugin, self.state, self.pod, nodes)

    def is_followed_by(self, other: _Prepared) -> bool:
        """True when the runtime would keep this, for a pod of the class that ``other`` is of."""
        return (
            self.signature is not None
            and self.signature == other.signature
            and all(
                isinstance(outcome, _Judged) or half.says_nothing(outcome)
                for half in _HALVES
                for outcome in (self.outcomes.get(half.hook, Status(Code.SKIP)),)
            )
        )


class _Change(NamedTuple):
    """Pods come to nodes, or leave them."""

    comes: bool
    pods: Sequence[Pod]

    def __str__(self) -> str:
        verb = "came to" if self.comes else "left"
        return "after " + " and ".join(f"{pod.key} {verb} {pod.node_name}" for pod in self.pods)


def check_following_is_exact(subject: Subject) -> None:
    """What follows pods that come and go is what is prepared anew, and names what that changes.

    Asked of plugins with `pre_filter_again` or `pre_score_again`, for pods whose signature stays.
    """
    plugin = subject.plugin
    if isinstance(plugin, SignPlugin) and any(
        has_form(plugin, half.role, half.again) for half in _HALVES
    ):
        for pod in subject.pods:
            _check_pod(subject, pod)


def _check_pod(subject: Subject, pod: Pod) -> None:
    cache = cache_of(subject.nodes, subject.existing)
    snapshot = Snapshot(cache)
    snapshot.refresh()
    kept = _prepared(subject, snapshot, pod)
    for change in _changes(subject):
        for other in change.pods:
            (cache.add_pod if change.comes else cache.remove_pod)(other)
        snapshot.refresh()
        fresh = _prepared(subject, snapshot, pod)
        if not kept.is_followed_by(fresh):
            kept = fresh
            continue
        for half in _HALVES:
            if problem := _problem(half, kept, fresh, snapshot.nodes, change):
                raise subject.fail(f"{half.again} {problem} for {pod.key}, {change}")


def _prepared(subject: Subject, snapshot: Snapshot, pod: Pod) -> _Prepared:
    plugin = subject.made_for(snapshot)
    assert isinstance(plugin, SignPlugin)
    prepared = _Prepared(plugin, pod, plugin.sign_pod(pod))
    for half in _HALVES:
        prepared.prepare(half, snapshot.nodes)
    return prepared


def _changes(subject: Subject) -> Iterator[_Change]:
    """Every sample comes, and somebody to every node; then all leave."""
    names = [node.name for node in subject.nodes]
    samples = (*subject.existing, *subject.pods)
    number = max(len(samples), len(names)) if names and samples else 0
    guests = [
        PodBuilder(sample).uid(f"guest-{n}-{sample.uid}").node(name).obj()
        for n, sample, name in zip(range(number), itertools.cycle(samples), itertools.cycle(names))
    ]
    for guest in guests:
        yield _Change(comes=True, pods=[guest])
    leaving = [*guests, *(pod for pod in subject.existing if pod.node_name in names)]
    for first in range(0, len(leaving), 2):
        yield _Change(comes=False, pods=leaving[first : first + 2])


def _problem(
    half: _Half, kept: _Prepared, fresh: _Prepared, nodes: NodeTable, change: _Change
) -> str:
    """How ``kept`` differs from ``fresh`` once it has followed; empty when it does not."""
    if not isinstance(kept.plugin, half.role):
        return ""
    names, before = list(nodes.names), kept.outcomes[half.hook]
    rows = sorted({names.index(pod.node_name) for pod in change.pods})
    named = getattr(kept.plugin, half.again)(kept.state, kept.pod, nodes, rows)
    if named is None or (len(named) and not isinstance(before, _Judged)):
        kept.prepare(half, nodes)
        return ""
    if not isinstance(named, np.ndarray):
        return f"answered {named!r}, which is no array of rows,"
    was = before if isinstance(before, _Judged) else None
    ours = before if was is None else kept.judged(half, nodes)
    theirs = fresh.outcomes[half.hook]
    kept.outcomes[half.hook] = ours
    if was is None or not (isinstance(ours, _Judged) and isinstance(theirs, _Judged)):
        if half.says_nothing(ours) and half.says_nothing(theirs):
            return ""
        return f"follows to {_told(ours)}, {half.hook} anew to {_told(theirs)},"
    if half.role is PreScorePlugin and _goes_by_label(kept, nodes):
        named = np.arange(len(nodes))  # what it names is of no interest
    for row, name in enumerate(names):
        if ours.final[row] != theirs.final[row]:
            return f"leaves {name} at {ours.final[row]}, {half.hook} anew at {theirs.final[row]},"
        if row not in named and was.alone[row] != ours.alone[row]:
            return f"does not name {name}, which was {was.alone[row]}, is {ours.alone[row]},"
    return ""


def _goes_by_label(kept: _Prepared, nodes: NodeTable) -> bool:
    plugin = kept.plugin
    return (
        isinstance(plugin, ScorePlugin)
        and plugin.score_by_label(kept.state, kept.pod, nodes) is not None
    )


def _told(outcome: _Outcome) -> object:
    return outcome.final if isinstance(outcome, _Judged) else outcome
