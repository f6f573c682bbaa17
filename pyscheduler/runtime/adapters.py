"""Makes one form of a hook out of the other, so that the rest of the runtime knows one call.

`filter_rows` and `score_rows` judge the rows of a table with whatever the plugin offers: the
whole-cluster form for many rows, the per-node form for a few, a loop where only that exists.
"""

from __future__ import annotations

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

    def rejections(
        self, state: CycleState, pod: Pod, nodes: NodeTable, reasons: ReasonTable
    ) -> dict[int, Status]:
        """Row of ``nodes`` -> status, for the rows that do not pass.

        Raises:
            PluginFault: the plugin raised, or answered an error for a node.
        """
        verdict = self.judge(state, pod, nodes, reasons)
        if verdict is None:
            return {}
        codes, indexes = verdict
        return {
            row: Status(Code(int(codes[row])), reasons[int(indexes[row])], self.name)
            for row in np.flatnonzero(codes).tolist()
        }

    def _loop(
        self, state: CycleState, pod: Pod, nodes: NodeTable, reasons: ReasonTable
    ) -> Verdict | None:
        hook = self._per_node
        assert hook is not None, f"plugin {self.name} has no form of Filter"
        codes = indexes = None
        start = self._instrument.monotonic()
        for row in range(nodes.n):
            status = hook(state, pod, nodes.node(row))
            self._instrument.refuse_long_loop(self.name, "Filter", since=start, pod=pod)
            if status is None or status.is_success:
                continue
            if codes is None or indexes is None:
                codes = np.zeros(nodes.n, dtype=np.int8)
                indexes = np.zeros(nodes.n, dtype=np.int32)
            codes[row] = status.code
            indexes[row] = reasons.index(status.reasons)
        return None if codes is None or indexes is None else (codes, indexes)


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
        self.normalizes = has_form(plugin, ScorePlugin, "normalize")
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
        hook = self._per_node
        assert hook is not None, f"plugin {self.name} has no form of Score"
        scores = []
        start = self._instrument.monotonic()
        for row in range(nodes.n):
            scores.append(hook(state, pod, nodes.node(row)))
            self._instrument.refuse_long_loop(self.name, "Score", since=start, pod=pod)
        try:
            return np.array(scores, dtype=np.int64)
        except OverflowError as error:
            raise self._instrument.fault(self.name, "Score", error, pod=pod.key) from error

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


def are_in_range(scores: Int64Array) -> bool:
    """True when all ``scores`` are in 0..100."""
    if scores.size <= _FEW_ROWS:
        return all(0 <= score <= MAX_NODE_SCORE for score in scores.tolist())
    # as unsigned numbers the negative ones are the largest: one look instead of two
    return bool(scores.astype(np.int64, copy=False).view(np.uint64).max() <= MAX_NODE_SCORE)
