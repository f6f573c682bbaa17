"""Makes one form of a hook out of the other, so that the rest of the runtime knows one call.

`filter_rows` and `score_rows` judge the rows of a table with whatever the plugin offers: the
whole-cluster form for many rows, the per-node form for a few, a loop where only that exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.interface import FilterPlugin, ScorePlugin, has_form
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.scores import MAX_NODE_SCORE
from pyscheduler.framework.status import Code, Int64Array, ReasonTable, Status
from pyscheduler.runtime import answers
from pyscheduler.runtime.instrument import Instrument

#: Below so many rows the per-node form is the faster one (measured: numpy costs ~8 us a call).
_FEW_ROWS = 6

#: code and reason index of a node that passes
_PASSES = (0, 0)
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

Verdict = tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]


class FilterHook:
    """One plugin's Filter in both forms."""

    def __init__(self, plugin: FilterPlugin, name: str, instrument: Instrument) -> None:
        self.name = name
        self._instrument = instrument
        self._per_node = (
            instrument.hook(name, "Filter", plugin.filter, answers=answers.FILTER)
            if has_form(plugin, FilterPlugin, "filter")
            else None
        )
        self._whole = (
            instrument.hook(name, "Filter", plugin.filter_nodes, answers=answers.FILTER_NODES)
            if has_form(plugin, FilterPlugin, "filter_nodes")
            else None
        )

    @property
    def is_per_node_only(self) -> bool:
        """True when each node costs a Python call."""
        return self._whole is None

    def judge(
        self, state: CycleState, pod: Pod, nodes: NodeTable, reasons: ReasonTable
    ) -> Verdict | None:
        """Codes and reason indexes of all rows of ``nodes``; None when every node passes.

        Raises:
            PluginFault: the plugin raised, or answered an error for a node.
        """
        if self._whole is not None and (self._per_node is None or nodes.n > _FEW_ROWS):
            verdict = self._whole(state, pod, nodes)
            return None if verdict.all_pass else verdict.resolve(reasons)
        return self._loop(state, pod, nodes, reasons)

    def judges_singly(self, rows: int) -> bool:
        """True when so few rows are best judged node by node."""
        return self._per_node is not None and rows <= _FEW_ROWS

    def judge_each(
        self,
        state: CycleState,
        pod: Pod,
        nodes: NodeTable,
        *,
        rows: Iterable[int],
        reasons: ReasonTable,
    ) -> list[tuple[int, int]]:
        """Code and reason index of each of ``rows``, node by node; 0 and 0 for who passes.

        Raises:
            PluginFault: the plugin raised, or answered an error for a node.
        """
        hook = self._per_node
        assert hook is not None, f"plugin {self.name} has no such form of Filter"
        judged: list[tuple[int, int]] = []
        asked = [nodes.node(row) for row in rows]
        for status in self._instrument.each(
            hook, state, pod, asked, plugin=self.name, point="Filter"
        ):
            if status is None or status.is_success:
                judged.append(_PASSES)
            else:
                judged.append((status.code, reasons.index(status.reasons)))
        return judged

    def rejections(
        self,
        state: CycleState,
        pod: Pod,
        nodes: NodeTable,
        *,
        rows: Sequence[int],
        reasons: ReasonTable,
    ) -> dict[int, Status]:
        """Row -> status, for those of ``rows`` that do not pass.

        Raises:
            PluginFault: the plugin raised, or answered an error for a node.
        """
        if self.judges_singly(len(rows)):
            judged = self.judge_each(state, pod, nodes, rows=rows, reasons=reasons)
            rejected = [(row, *found) for row, found in zip(rows, judged, strict=True) if found[0]]
        else:
            verdict = self.judge(state, pod, nodes.select(np.array(rows, dtype=np.intp)), reasons)
            if verdict is None:
                return {}
            codes, indexes = verdict
            rejected = [
                (rows[at], int(codes[at]), int(indexes[at]))
                for at in np.flatnonzero(codes).tolist()
            ]
        return {row: Status(Code(code), reasons[index], self.name) for row, code, index in rejected}

    def _loop(
        self, state: CycleState, pod: Pod, nodes: NodeTable, reasons: ReasonTable
    ) -> Verdict | None:
        judged = self.judge_each(state, pod, nodes, rows=range(nodes.n), reasons=reasons)
        if all(code == 0 for code, _ in judged):
            return None
        codes, indexes = zip(*judged, strict=True)
        return np.array(codes, dtype=np.int8), np.array(indexes, dtype=np.int32)


class ScoreHook:
    """One plugin's Score in both forms, with its weight and normalisation."""

    def __init__(self, plugin: ScorePlugin, name: str, weight: int, instrument: Instrument) -> None:
        self.name = name
        self.weight = weight
        self._instrument = instrument
        self._per_node = (
            instrument.hook(name, "Score", plugin.score, answers=answers.SCORE)
            if has_form(plugin, ScorePlugin, "score")
            else None
        )
        self._whole = (
            instrument.hook(name, "Score", plugin.score_nodes, answers=answers.SCORE_NODES)
            if has_form(plugin, ScorePlugin, "score_nodes")
            else None
        )
        #: its scores by the value of a label; None if it has no such form
        self.by_label = (
            instrument.hook(name, "Score", plugin.score_by_label, answers=answers.SCORE_BY_LABEL)
            if has_form(plugin, ScorePlugin, "score_by_label")
            else None
        )
        self.normalizes = has_form(plugin, ScorePlugin, "normalize")
        self.normalizes_by_extremes = plugin.normalizes_by_extremes
        self._normalize = instrument.hook(
            name, "ScoreExtensionNormalize", plugin.normalize, answers=answers.SCORE_NODES
        )

    def raw(self, state: CycleState, pod: Pod, nodes: NodeTable) -> Int64Array:
        """(N,) int64: raw scores of all rows of ``nodes``.

        Raises:
            PluginFault: the plugin raised, or answered no integers, or too many or few of them.
        """
        if self._whole is not None and (self._per_node is None or nodes.n > _FEW_ROWS):
            return self._whole(state, pod, nodes)
        scores = self.raw_of_each(state, pod, nodes, rows=range(nodes.n))
        return np.array(scores, dtype=np.int64)

    def judges_singly(self, rows: int) -> bool:
        """True when so few rows are best scored node by node."""
        return self._per_node is not None and rows <= _FEW_ROWS

    def raw_of_each(
        self, state: CycleState, pod: Pod, nodes: NodeTable, *, rows: Iterable[int]
    ) -> list[int]:
        """Raw scores of ``rows``, node by node; each fits an int64.

        Raises:
            PluginFault: the plugin raised, or answered no integer or too large a one.
        """
        hook = self._per_node
        assert hook is not None, f"plugin {self.name} has no such form of Score"
        scores: list[int] = []
        asked = [nodes.node(row) for row in rows]
        for score in self._instrument.each(
            hook, state, pod, asked, plugin=self.name, point="Score"
        ):
            if not _INT64_MIN <= score <= _INT64_MAX:
                error = OverflowError("Python int too large to convert to C long")
                raise self._instrument.fault(self.name, "Score", error, pod=pod.key)
            scores.append(int(score))
        return scores

    def normalized(self, state: CycleState, pod: Pod, raw: Int64Array) -> Int64Array:
        """Scores (F,) in 0..100.

        Raises:
            PluginFault: a score is out of range.
        """
        scores = raw
        if self.normalizes:
            scores = self._normalize(state, pod, raw)
        self.refuse_odd_scores(scores)
        return scores

    def refuse_odd_scores(self, scores: Int64Array) -> None:
        """Every score may be weighed.

        Raises:
            PluginFault: a score is out of range.
        """
        if not are_in_range(scores):
            low, high = int(scores.min()), int(scores.max())
            first = next(score for score in scores.tolist() if not 0 <= score <= MAX_NODE_SCORE)
            raise self._instrument.fault(
                self.name,
                "Score",
                f"scores {low}..{high} are not in 0..100",
                told=f'applying score defaultWeights on Score plugins: plugin "{self.name}" returns'
                f" an invalid score {first}, it should in the range of [0, 100] after normalizing",
            )


def are_in_range(scores: npt.NDArray[np.signedinteger[Any]]) -> bool:
    """True when all ``scores`` are in 0..100."""
    if scores.size <= _FEW_ROWS:
        return all(0 <= score <= MAX_NODE_SCORE for score in scores.tolist())
    # as unsigned numbers the negative ones are the largest: one look instead of two
    return bool(scores.view(f"u{scores.itemsize}").max() <= MAX_NODE_SCORE)
