"""Which of the feasible nodes is best: PreScore, Score, normalisation, weights.

`score` brings the class entry's totals up to date: raw scores of changed rows are computed again,
normalisation runs again only if the feasible nodes or a plugin's raw scores changed.

Called by: ``cycle.scheduling``, after filtering left at least two nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache.snapshot import Snapshot
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.scores import MAX_NODE_SCORE, MIN_NODE_SCORE
from pyscheduler.framework.status import BoolArray
from pyscheduler.runtime.adapters import ScoreHook, are_in_range
from pyscheduler.runtime.budget import Checkpoint
from pyscheduler.runtime.class_cache import ClassEntry, ScoreAnswer
from pyscheduler.runtime.following import changed_rows, follow
from pyscheduler.runtime.label_scores import LabelScores
from pyscheduler.runtime.latest_answers import LatestAnswers
from pyscheduler.runtime.profile import Profile
from pyscheduler.runtime.ranking import NO_TOTAL, Totals

Rows: TypeAlias = slice | npt.NDArray[np.intp]

#: Up to so many rows are summed one by one; about where numpy begins to pay.
_FEW_ROWS = 16


class Scoring:
    """PreScore and Score of one profile over one snapshot."""

    def __init__(self, profile: Profile, snapshot: Snapshot, budget: Checkpoint) -> None:
        self._profile = profile
        self._snapshot = snapshot
        self._budget = budget
        self._latest: LatestAnswers[ScoreAnswer] = LatestAnswers(profile)
        #: what may change a raw score; who is asked every time has all rows summed
        self._scored_aspects = 0
        for hook in profile.scores:
            self._scored_aspects |= profile.cacheable.get(hook.name, 0)
        highest = MAX_NODE_SCORE * sum(abs(hook.weight) for hook in profile.scores)
        #: what any total fits: the fewer bytes, the less of a new class goes through memory
        self._totals_type = np.dtype(np.int16 if highest <= np.iinfo(np.int16).max else np.int64)

    async def score(self, entry: ClassEntry, pod: Pod) -> None:
        """Brings ``entry.totals`` up to date with ``entry.feasible``.

        Raises:
            PluginFault: a hook raised, or a score is out of range.
        """
        nodes = self._snapshot.nodes
        changed, entry.changed_rows = entry.changed_rows, {}
        aspects = 0
        for mask in changed.values():
            aspects |= mask
        same_feasible = entry.scored_version == entry.feasible_version
        stale = self._stale(entry, aspects, same_feasible=same_feasible)
        skipped = entry.skip_scores
        followed = self._follow(
            entry, pod, nodes, changed, stale=stale, aspects=aspects, same_feasible=same_feasible
        )
        self._run_pre_scores(entry, pod, nodes, stale - followed.keys())
        # rows that are to be summed anew
        moved = set(changed_rows(changed, entry.n, aspects=self._scored_aspects))
        all_moved = entry.skip_scores != skipped
        flipped = None if same_feasible or all_moved else _flipped(entry)
        for hook in self._profile.scores:
            if hook.name in (entry.skip_scores or ()):
                continue
            answer = entry.scores.get(hook.name)
            if answer is None:
                answer = entry.scores[hook.name] = self._first(hook, entry)
            affected = followed.get(hook.name)
            by_label = affected is not None and self._refresh_by_label(hook, answer, entry, pod)
            if by_label:
                pass
            elif affected is not None and affected.size <= _FEW_ROWS:
                self._refresh_rows(hook, answer, entry, pod, rows=affected.tolist())
                moved.update(affected.tolist())
            else:
                answer.fresh = answer.fresh and hook.name not in stale
                self._refresh_raw(hook, answer, entry, pod, changed=changed, aspects=aspects)
            if hook.normalizes and (answer.stale or not same_feasible):
                differing = self._normalize(hook, answer, entry, pod, by_label=by_label)
                if differing is None:
                    all_moved = True
                else:
                    moved.update(differing)
                await self._budget.checkpoint()
            elif answer.stale:
                all_moved = True
                answer.stale = False
        if all_moved:
            entry.ranking.put_all(self._summed(entry, slice(0, entry.n)))
        else:
            if flipped is not None:
                self._sum_flipped(entry, flipped)
            self._sum(entry, moved)
        entry.scored_version = entry.feasible_version

    def weighted(self, entry: ClassEntry, row: int) -> dict[str, int]:
        """What each plugin that was asked adds to the total of a feasible row, by name."""
        return {
            hook.name: answer.final.item(row) * hook.weight for hook, answer in self._answers(entry)
        }

    def _stale(self, entry: ClassEntry, aspects: int, *, same_feasible: bool) -> frozenset[str]:
        """The plugins that are to prepare and judge all rows again."""
        profile = self._profile
        across = profile.looking_across(aspects, entry.unconcerned)
        if same_feasible:
            return across
        return across | (profile.scores_feasible_set - entry.unconcerned)

    def _follow(
        self,
        entry: ClassEntry,
        pod: Pod,
        nodes: NodeTable,
        changed: Mapping[int, int],
        *,
        stale: frozenset[str],
        aspects: int,
        same_feasible: bool,
    ) -> dict[str, npt.NDArray[np.intp]]:
        """Those of the ``stale`` plugins that could follow the changes: rows to score again."""
        profile = self._profile
        if entry.skip_scores is None:
            return {}
        if not same_feasible:
            stale -= profile.scores_feasible_set
        hooks = profile.following(profile.pre_scores_again, stale, aspects)
        return follow(hooks, entry.state, pod, nodes, changed, left_out=entry.skip_scores)

    def _run_pre_scores(
        self, entry: ClassEntry, pod: Pod, nodes: NodeTable, stale: frozenset[str]
    ) -> None:
        """Runs PreScore of all plugins the first time, of the ``stale`` ones later."""
        if not stale and entry.skip_scores is not None:
            return
        skipped = set() if entry.skip_scores is None else set(entry.skip_scores)
        feasible = None
        for name, pre_score in self._profile.pre_scores:
            if entry.skip_scores is not None and name not in stale:
                continue
            if name in entry.unconcerned:
                skipped.add(name)
                continue
            if feasible is None:
                is_all = entry.feasible_count == entry.n
                feasible = nodes if is_all else nodes.select(entry.feasible_rows())
            status = pre_score(entry.state, pod, feasible)
            if status is None or status.is_success:
                skipped.discard(name)
                continue
            skipped.add(name)
            entry.scores.pop(name, None)
        entry.skip_scores = frozenset(skipped)

    def _first(self, hook: ScoreHook, entry: ClassEntry) -> ScoreAnswer:
        """What is known of the scores of a class that the plugin was not asked about."""
        latest = self._latest.get(hook.name, entry, self._snapshot.store.change_log)
        if latest is None:
            return ScoreAnswer(entry.capacity)
        entry.pods = max(entry.pods, 2)
        return latest.copy(entry.n)

    def _refresh_raw(
        self,
        hook: ScoreHook,
        answer: ScoreAnswer,
        entry: ClassEntry,
        pod: Pod,
        *,
        changed: Mapping[int, int],
        aspects: int,
    ) -> None:
        nodes = self._snapshot.nodes
        cacheable = self._profile.cacheable.get(hook.name)
        if answer.fresh and cacheable is not None:
            if aspects & cacheable:
                rows = changed_rows(changed, entry.n, aspects=cacheable)
                self._refresh_rows(hook, answer, entry, pod, rows=rows)
            return
        scores = hook.raw(entry.state, pod, nodes)
        is_first = not answer.raw.size
        if answer.stale or (answer.raw[: nodes.n] != scores).any():
            answer.put_all(scores)
            answer.stale = True
        answer.fresh = True
        answer.by_label = None
        if is_first:
            self._latest.put(hook.name, answer, entry, self._snapshot.store.change_log)

    def _refresh_rows(
        self, hook: ScoreHook, answer: ScoreAnswer, entry: ClassEntry, pod: Pod, *, rows: list[int]
    ) -> None:
        """One plugin's raw scores of some rows."""
        nodes = self._snapshot.nodes
        if not rows:
            return
        if hook.judges_singly(len(rows)):
            scores = hook.raw_of_each(entry.state, pod, nodes, rows=rows)
        else:
            table = nodes.select(np.array(rows, dtype=np.intp))
            scores = hook.raw(entry.state, pod, table).tolist()
        for row, score in zip(rows, scores, strict=True):
            if answer.raw.item(row) != score:
                answer.put(row, score)
                answer.stale = answer.stale or hook.normalizes

    def _refresh_by_label(
        self, hook: ScoreHook, answer: ScoreAnswer, entry: ClassEntry, pod: Pod
    ) -> bool:
        """One plugin's raw scores of the nodes with one value of a label; False: it has no such."""
        nodes = self._snapshot.nodes
        figures = None if hook.by_label is None else hook.by_label(entry.state, pod, nodes)
        if figures is None:
            return False
        label, raw = figures
        codes, _ = nodes.label_codes(label)
        known = answer.by_label
        differing = None if known is None else known.differing(label, raw)
        if known is None or differing is None or len(differing) > _FEW_ROWS:
            answer.put_all(raw.take(codes))
            answer.by_label = LabelScores(label, raw)
            answer.stale = True
            return True
        for value in differing:
            answer.put_where(known.rows(value, codes), raw.item(value))
            answer.stale = True
        known.raw = raw
        return True

    def _normalize(
        self,
        hook: ScoreHook,
        answer: ScoreAnswer,
        entry: ClassEntry,
        pod: Pod,
        *,
        by_label: bool,
    ) -> list[int] | None:
        """Brings one plugin's normalised scores up to date; the rows that are to be summed anew.

        None: all of them. Where many scores of rows that stay feasible differ from those before,
        totals are changed by the difference.
        """
        n = entry.n
        was_stale, answer.stale = answer.stale, False
        if by_label and self._normalize_by_label(hook, answer, entry, pod):
            return []
        if hook.normalizes_by_extremes and not was_stale and answer.is_everybodys(n):
            return []
        if answer.normalized is None and hook.normalizes_by_extremes and answer.is_alike(n):
            # one speaks for all, for nodes that are not feasible, too, for when they are
            score = hook.normalized(entry.state, pod, answer.raw[:1].astype(np.int64))
            answer.put_everybodys(score.item(0), n)
            return None
        is_all = entry.feasible_count == n
        where: Rows = slice(0, n) if is_all else entry.feasible_rows()
        # a copy: plugins may use it up
        scores = hook.normalized(entry.state, pod, answer.raw[where].astype(np.int64))
        if (labelled := answer.by_label) is not None:
            codes, _ = self._snapshot.nodes.label_codes(labelled.label)
            labelled.put_normalized(codes[where], scores, version=entry.feasible_version)
        if answer.normalized is None:
            answer.put_normalized(where, scores)
            return None
        before = answer.normalized[where]
        differing = before != scores
        number = int(np.count_nonzero(differing))
        if not number:
            return []
        few: list[int] = []
        if number > _FEW_ROWS:
            entry.ranking.add(where, (scores - before) * hook.weight)
        else:
            rows = np.flatnonzero(differing)
            few = (rows if is_all else entry.feasible_rows()[rows]).tolist()
        # last, because `before` may be a view
        answer.put_normalized(where, scores)
        return few

    def _normalize_by_label(
        self, hook: ScoreHook, answer: ScoreAnswer, entry: ClassEntry, pod: Pod
    ) -> bool:
        """The same where a label decides, totals included; False: it has to be done by row."""
        labelled = answer.by_label
        if labelled is None or labelled.version != entry.feasible_version:
            return False
        before = labelled.normalized
        scores = hook.normalized(entry.state, pod, labelled.raw[labelled.values])
        differing = (scores != before).nonzero()[0].tolist()
        if len(differing) > _FEW_ROWS:
            return False
        labelled.normalized = scores
        codes, _ = self._snapshot.nodes.label_codes(labelled.label)
        for index in differing:
            rows = labelled.rows(labelled.values.item(index), codes)
            score = scores.item(index)
            answer.put_normalized_where(rows, score)
            if entry.feasible_count < entry.n:
                rows = rows & entry.feasible[: entry.n]
            entry.ranking.add_where(rows, (score - before.item(index)) * hook.weight)
        return True

    def _sum(self, entry: ClassEntry, rows: Collection[int]) -> None:
        """Sums the scores of these rows; if they are few, one by one: numpy costs more there."""
        if len(rows) > _FEW_ROWS:
            some = np.fromiter(rows, dtype=np.intp)
            entry.ranking.put_some(some, self._summed(entry, some))
            return
        answers = [(hook, answer.final) for hook, answer in self._answers(entry)]
        for row in rows:
            total = NO_TOTAL
            if entry.feasible[row]:
                total = 0
                for hook, scores in answers:
                    score = scores.item(row)
                    if not MIN_NODE_SCORE <= score <= MAX_NODE_SCORE:
                        hook.refuse_odd_scores(np.array([score], dtype=np.int64))
                    total += score * hook.weight
            entry.ranking.put(row, total)

    def _sum_flipped(self, entry: ClassEntry, flipped: BoolArray) -> None:
        """Sums the rows that became feasible, and takes out those that are it no more."""
        number = np.count_nonzero(flipped)
        if number <= _FEW_ROWS:
            self._sum(entry, np.flatnonzero(flipped).tolist())
            return
        gained = np.flatnonzero(flipped & entry.feasible)
        if gained.size < number:
            # whole zones, as a rule, and nothing is to be summed for them
            entry.ranking.take_out(flipped)
        if gained.size:
            entry.ranking.put_some(gained, self._summed(entry, gained))

    def _summed(self, entry: ClassEntry, rows: Rows) -> Totals:
        """The totals of these rows."""
        feasible = entry.feasible[rows]
        totals = np.zeros(len(feasible), dtype=self._totals_type)
        for hook, answer in self._answers(entry):
            if answer.is_everybodys(entry.n):
                totals += hook.weight * answer.final.item(0)
                continue
            scores = answer.final[rows]
            if answer.may_be_odd and not hook.normalizes and not are_in_range(scores):
                # what an infeasible node would score does not matter
                hook.refuse_odd_scores(scores[feasible].astype(np.int64))
            totals += scores if hook.weight == 1 else hook.weight * scores.astype(totals.dtype)
        totals[~feasible] = NO_TOTAL
        return totals

    def _answers(self, entry: ClassEntry) -> list[tuple[ScoreHook, ScoreAnswer]]:
        """The scorers that were asked, each with its scores for all rows."""
        return [
            (hook, answer)
            for hook in self._profile.scores
            if (answer := entry.scores.get(hook.name)) is not None
        ]


def _flipped(entry: ClassEntry) -> BoolArray:
    """(capacity,) bool: who became feasible, or ceased to be, since rows were last summed."""
    flipped: BoolArray = (entry.totals != NO_TOTAL) != entry.feasible
    return flipped
