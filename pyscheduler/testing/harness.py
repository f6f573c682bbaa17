"""Runs one plugin over a small cluster, the way the runtime would, in every form it has.

`PluginHarness` is what a plugin's tests use; `filter_answers` and `score_answers` are its parts,
which the conformance checks use on tables of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache import Snapshot
from pyscheduler.framework.args import Args
from pyscheduler.framework.cluster_events import ClusterEvent, QueueingHint
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.interface import (
    EnqueueExtensions,
    FilterPlugin,
    Plugin,
    PreFilterPlugin,
    PreScorePlugin,
    ScorePlugin,
    has_form,
)
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import (
    SKIP,
    Code,
    Int64Array,
    PreFilterResult,
    ReasonTable,
    Status,
)
from pyscheduler.testing.fakes import fake_handle
from pyscheduler.testing.tables import snapshot_of

PluginT = TypeVar("PluginT", bound=Plugin[Any])


class Form(Enum):
    """The two forms of Filter and Score."""

    PER_NODE = "per node"
    WHOLE_CLUSTER = "whole cluster"


#: one status per row; None where the node passes. SKIP or a rejection where PreFilter said so.
FilterAnswers = list[Status | None] | Status


def make_plugin(
    plugin_class: type[PluginT], args: Mapping[str, Any] | Args | None = None, *, handle: Handle
) -> PluginT:
    """The plugin, with arguments read as a configuration file's would be.

    Raises:
        pydantic.ValidationError: the arguments are not the plugin's.
    """
    if not isinstance(args, Args):
        args = plugin_class.args_model.model_validate_json(json.dumps(dict(args or {})))
    return plugin_class(args, handle)


def filter_forms(plugin: Plugin[Any]) -> list[Form]:
    """The forms of Filter that ``plugin`` has."""
    return [
        form
        for form, hook in ((Form.PER_NODE, "filter"), (Form.WHOLE_CLUSTER, "filter_nodes"))
        if isinstance(plugin, FilterPlugin) and has_form(plugin, FilterPlugin, hook)
    ]


def score_forms(plugin: Plugin[Any]) -> list[Form]:
    """The forms of Score that ``plugin`` has."""
    return [
        form
        for form, hook in ((Form.PER_NODE, "score"), (Form.WHOLE_CLUSTER, "score_nodes"))
        if isinstance(plugin, ScorePlugin) and has_form(plugin, ScorePlugin, hook)
    ]


def filter_answers(plugin: Plugin[Any], pod: Pod, nodes: NodeTable, form: Form) -> FilterAnswers:
    """What PreFilter and Filter say of every row."""
    state = CycleState()
    narrowed: frozenset[str] | None = None
    if isinstance(plugin, PreFilterPlugin):
        answer = plugin.pre_filter(state, pod, nodes)
        if isinstance(answer, PreFilterResult):
            narrowed = answer.node_names
        elif answer is not None and not answer.is_success:
            return answer
    if not isinstance(plugin, FilterPlugin):
        return SKIP
    if form is Form.PER_NODE:
        statuses = [plugin.filter(state, pod, nodes.node(row)) for row in range(len(nodes))]
    else:
        reasons = ReasonTable()
        codes, indexes = plugin.filter_nodes(state, pod, nodes).resolve(reasons)
        statuses = [
            Status(Code(code), reasons[index]) if code else None
            for code, index in zip(codes.tolist(), indexes.tolist(), strict=True)
        ]
    if narrowed is None:
        return statuses
    left_out = Status(
        Code.UNSCHEDULABLE_AND_UNRESOLVABLE,
        (f"node(s) didn't satisfy plugin(s) [{plugin.name}]",),
    )
    return [
        status if nodes.node(row).name in narrowed else left_out
        for row, status in enumerate(statuses)
    ]


def score_answers(
    plugin: Plugin[Any], pod: Pod, nodes: NodeTable, form: Form
) -> tuple[Int64Array, Int64Array] | None:
    """Raw and normalised scores (N,) of every row; None where PreScore skips the pod."""
    state = CycleState()
    # what PreFilter computes, Score may read
    if isinstance(plugin, PreFilterPlugin):
        plugin.pre_filter(state, pod, nodes)
    if isinstance(plugin, PreScorePlugin) and plugin.pre_score(state, pod, nodes) is not None:
        return None
    assert isinstance(plugin, ScorePlugin), f"{plugin.name} does not score"
    if form is Form.PER_NODE:
        scores = [plugin.score(state, pod, nodes.node(row)) for row in range(len(nodes))]
        raw = np.array(scores, dtype=np.int64)
    else:
        raw = plugin.score_nodes(state, pod, nodes)
    return raw, plugin.normalize(state, pod, raw.copy())


class PluginHarness:
    """One plugin over a cluster of ``nodes`` with ``pods`` on them."""

    def __init__(
        self,
        plugin_class: type[Plugin[Any]],
        *,
        args: Mapping[str, Any] | Args | None = None,
        nodes: Iterable[Node] = (),
        pods: Iterable[Pod] = (),
    ) -> None:
        self.snapshot: Snapshot = snapshot_of(nodes, pods)
        self.handle = fake_handle(self.snapshot)
        self.plugin = make_plugin(plugin_class, args, handle=self.handle)

    @property
    def nodes(self) -> NodeTable:
        """All nodes."""
        return self.snapshot.nodes

    def pre_filter(self, pod: Pod) -> PreFilterResult | Status | None:
        """What PreFilter answers."""
        assert isinstance(self.plugin, PreFilterPlugin)
        return self.plugin.pre_filter(CycleState(), pod, self.nodes)

    def filter(self, pod: Pod) -> dict[str, Status | None]:
        """What becomes of every node, by name; all None when PreFilter skips the pod.

        Raises:
            AssertionError: the two forms disagree.
        """
        answers = [
            filter_answers(self.plugin, pod, self.nodes, form)
            for form in filter_forms(self.plugin) or [Form.PER_NODE]
        ]
        assert all(answer == answers[0] for answer in answers), f"the forms disagree: {answers}"
        first = answers[0]
        if isinstance(first, Status):
            return dict.fromkeys(self.nodes.names, None if first is SKIP else first)
        return dict(zip(self.nodes.names, first, strict=True))

    def feasible(self, pod: Pod) -> list[str]:
        """The names of the nodes that pass."""
        return [name for name, status in self.filter(pod).items() if status is None]

    def score(self, pod: Pod) -> dict[str, int]:
        """The normalised score of every node, by name; empty when PreScore skips the pod.

        Raises:
            AssertionError: the two forms disagree.
        """
        return self._scores(pod, normalized=True)

    def raw_score(self, pod: Pod) -> dict[str, int]:
        """The scores before normalisation.

        Raises:
            AssertionError: the two forms disagree.
        """
        return self._scores(pod, normalized=False)

    def hint(
        self, event: ClusterEvent, pod: Pod, *, old: object = None, new: object = None
    ) -> QueueingHint:
        """What the plugin makes of an event: QUEUE if one registration says so."""
        assert isinstance(self.plugin, EnqueueExtensions)
        hints = [
            QueueingHint.QUEUE if known.hint is None else known.hint(pod, old, new)
            for known in self.plugin.events_to_register()
            if known.event.matches(event)
        ]
        return QueueingHint.QUEUE if QueueingHint.QUEUE in hints else QueueingHint.SKIP

    def _scores(self, pod: Pod, *, normalized: bool) -> dict[str, int]:
        answers = [
            score_answers(self.plugin, pod, self.nodes, form) for form in score_forms(self.plugin)
        ]
        found = [answer[normalized].tolist() for answer in answers if answer is not None]
        if not found:
            return {}
        assert all(scores == found[0] for scores in found), f"the forms disagree: {found}"
        return dict(zip(self.nodes.names, found[0], strict=True))
