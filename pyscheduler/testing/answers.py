"""Asks one plugin about nodes, the way the runtime would, in every form it has.

`PluginHarness` and the conformance checks are made of `filter_answers` and `score_answers`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

import numpy as np

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.interface import (
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

PluginT = TypeVar("PluginT", bound=Plugin[Any])


class Form(Enum):
    """The two forms of Filter and Score."""

    PER_NODE = "per node"
    WHOLE_CLUSTER = "whole cluster"


#: one status per row; None where the node passes. SKIP or a rejection where PreFilter said so.
FilterAnswers = list[Status | None] | Status


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


def filter_answers(
    plugin: Plugin[Any],
    pod: Pod,
    nodes: NodeTable,
    form: Form,
    *,
    prepared_on: NodeTable | None = None,
) -> FilterAnswers:
    """What PreFilter and Filter say of every row.

    Args:
        plugin: whom to ask.
        pod: to judge.
        nodes: what Filter is asked about.
        form: of Filter.
        prepared_on: what PreFilter sees, if that is more than ``nodes``.
    """
    state = CycleState()
    narrowed: frozenset[str] | None = None
    if isinstance(plugin, PreFilterPlugin):
        answer = plugin.pre_filter(state, pod, nodes if prepared_on is None else prepared_on)
        if isinstance(answer, PreFilterResult):
            narrowed = answer.node_names
        elif answer is not None and not answer.is_success:
            return answer
    if not isinstance(plugin, FilterPlugin):
        return SKIP
    statuses = filter_rows(plugin, state, pod, nodes, form)
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


def filter_rows(
    plugin: FilterPlugin, state: CycleState, pod: Pod, nodes: NodeTable, form: Form
) -> list[Status | None]:
    """What Filter alone says of every row, with what PreFilter left in ``state``."""
    if form is Form.PER_NODE:
        return [plugin.filter(state, pod, nodes.node(row)) for row in range(len(nodes))]
    reasons = ReasonTable()
    codes, indexes = plugin.filter_nodes(state, pod, nodes).resolve(reasons)
    return [
        Status(Code(code), reasons[index]) if code else None
        for code, index in zip(codes.tolist(), indexes.tolist(), strict=True)
    ]


def score_answers(
    plugin: Plugin[Any],
    pod: Pod,
    nodes: NodeTable,
    form: Form,
    *,
    prepared_on: NodeTable | None = None,
) -> tuple[Int64Array, Int64Array] | None:
    """Raw and normalised scores (N,) of every row; None where PreScore skips the pod.

    The arguments are those of `filter_answers`; PreScore sees what PreFilter does.
    """
    assert isinstance(plugin, ScorePlugin), f"{plugin.name} does not score"
    state = _prepared_to_score(plugin, pod, nodes if prepared_on is None else prepared_on)
    return None if state is None else score_rows(plugin, state, pod, nodes, form)


def _prepared_to_score(plugin: Plugin[Any], pod: Pod, nodes: NodeTable) -> CycleState | None:
    """What Score may read; None where PreScore skips the pod."""
    state = CycleState()
    if isinstance(plugin, PreFilterPlugin):
        plugin.pre_filter(state, pod, nodes)
    if isinstance(plugin, PreScorePlugin) and plugin.pre_score(state, pod, nodes) is not None:
        return None
    return state


def label_scores(plugin: Plugin[Any], pod: Pod, nodes: NodeTable) -> Int64Array | None:
    """Raw scores (N,) of every row, as `ScorePlugin.score_by_label` has them; None without any."""
    state = _prepared_to_score(plugin, pod, nodes)
    assert isinstance(plugin, ScorePlugin)
    found = None if state is None else plugin.score_by_label(state, pod, nodes)
    if found is None:
        return None
    label, by_code = found
    codes, _ = nodes.label_codes(label)
    by_row: Int64Array = by_code[codes]
    return by_row  # code -1, of the nodes without the label, is the last entry's


def score_rows(
    plugin: Any, state: CycleState, pod: Pod, nodes: NodeTable, form: Form
) -> tuple[Int64Array, Int64Array]:
    """What Score alone says of every row, raw and normalised; PreScore has left it in ``state``."""
    if form is Form.PER_NODE:
        scores = [plugin.score(state, pod, nodes.node(row)) for row in range(len(nodes))]
        if not all(isinstance(score, int | np.integer) for score in scores):
            raise TypeError(f"plugin {plugin.name}: score answered {scores}, not whole numbers")
        raw = np.array(scores, dtype=np.int64)
    else:
        raw = plugin.score_nodes(state, pod, nodes)
    return raw, plugin.normalize(state, pod, raw.copy())
