"""Which nodes can run a pod: PreFilter, then Filter over all rows or over what changed.

`evaluate` gives the entry of the pod's class, true for the current snapshot. A class seen for the
first time is judged on all rows, by those that would not repeat what they said of the class before;
after that only the rows that the change log names, and of these only by the plugins that depend on
what changed. In profile order the first plugin to reject a row owns its reason (`diagnose`). What
holds for one pod alone comes on top of that, in ``narrowing``.

Called by: ``cycle.scheduling``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache.snapshot import Snapshot
from pyscheduler.framework.columns import Aspect
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import BoolArray, Code, Diagnosis, PreFilterResult, Status
from pyscheduler.runtime import rejections
from pyscheduler.runtime.adapters import FilterHook, Verdict
from pyscheduler.runtime.budget import Checkpoint
from pyscheduler.runtime.class_cache import ClassCache, ClassEntry, FilterAnswer
from pyscheduler.runtime.following import changed_rows, follow
from pyscheduler.runtime.latest_answers import LatestAnswers
from pyscheduler.runtime.profile import Profile

_IDENTITY = int(Aspect.IDENTITY)
#: Distinct reasons after which all kept answers are given up: reasons may carry figures that never
#: come again, and the table that numbers them only grows. A guess; in-tree plugins give dozens.
_MAX_REASONS = 10_000
#: The pseudo-plugin in front of all filters: rows that a PreFilterResult leaves out.
NARROWED = ""
#: Up to so many rows are counted one by one; about where numpy begins to pay.
_FEW_ROWS = 16
#: From this share of the rows on, judging all of them again is cheaper.
_MANY = 4


class Filtering:
    """PreFilter and Filter of one profile over one snapshot."""

    def __init__(self, profile: Profile, snapshot: Snapshot, budget: Checkpoint) -> None:
        self._profile = profile
        self._snapshot = snapshot
        self._budget = budget
        self._latest: LatestAnswers[FilterAnswer] = LatestAnswers(profile)
        self.classes = ClassCache(on_clear=self._latest.clear)
        self._hooks = {hook.name: hook for hook in profile.filters}

    async def evaluate(self, pod: Pod, signature: tuple[object, ...] | None) -> ClassEntry:
        """The entry of the pod's class with `feasible` true for the current snapshot.

        Raises:
            PluginFault: a hook raised or answered an error.
        """
        if len(self.classes.reasons) > _MAX_REASONS:
            self.classes.clear()
        entry = None if signature is None else self.classes.get(signature)
        if entry is None or not self._bring_up_to_date(entry, pod):
            entry = await self._judge_first(pod, signature)
        entry.pods += 1
        return entry

    async def judge_all(self, pod: Pod, *, is_shared: bool = True) -> ClassEntry:
        """A fresh entry: every plugin asked about every row, but for those asked per node.

        Args:
            pod: the pod.
            is_shared: other pods of its class will use the entry.

        Raises:
            PluginFault: a hook raised or answered an error.
        """
        entry = ClassEntry(self._snapshot.store.capacity, is_shared=is_shared)
        await self._judge(entry, pod)
        return entry

    async def _judge_first(self, pod: Pod, signature: tuple[object, ...] | None) -> ClassEntry:
        """The same, without who has no say about the class or would repeat himself."""
        if signature is None:
            return await self.judge_all(pod, is_shared=False)
        entry = ClassEntry(self._snapshot.store.capacity)
        entry.unconcerned = self._profile.unconcerned(signature)
        entry.parts = self._profile.parts(signature)
        await self._judge(entry, pod)
        self._set_aspects(entry)
        self.classes.put(signature, entry)
        return entry

    async def _judge(self, entry: ClassEntry, pod: Pod) -> None:
        nodes, changes = self._snapshot.nodes, self._snapshot.store.change_log
        entry.n, entry.position = nodes.n, changes.position
        self._run_pre_filters(entry, pod, nodes)
        if entry.pre_filter_status is not None:
            return
        feasible = entry.feasible[: nodes.n]
        feasible[:] = True
        for answer in entry.filters:
            narrow(feasible, answer, nodes.n)
        for hook in self._profile.filters:
            if hook.name in entry.state.skipped_filters or self._profile.asks_per_node(
                hook, is_shared=entry.is_shared
            ):
                continue
            latest = self._latest.get(hook.name, entry, changes)
            if latest is not None:
                answer = latest.copy()
                entry.pods = 1
            else:
                answer = FilterAnswer(hook.name)
                verdict = hook.judge(entry.state, pod, nodes, self.classes.reasons)
                _store(answer, entry.capacity, slice(0, nodes.n), verdict)
                self._latest.put(hook.name, answer, entry, changes)
                await self._budget.checkpoint()
            entry.filters.append(answer)
            narrow(feasible, answer, nodes.n)
        entry.feasible_count = int(np.count_nonzero(feasible))
        entry.feasible_version += 1

    def statuses(self, entry: ClassEntry) -> NodeStatuses:
        """Why each node of an entry without feasible ones was turned down, for PostFilter."""
        return rejections.statuses(entry, self._snapshot.nodes, self.classes.reasons)

    def diagnose(self, entry: ClassEntry, statuses: NodeStatuses | None = None) -> Diagnosis:
        """Why no node of ``entry`` fits; every rejected row counts for its first rejecter.

        Args:
            entry: without feasible rows.
            statuses: its `statuses`, if they were asked for already.
        """
        found = self.statuses(entry) if statuses is None else statuses
        return rejections.diagnosis(entry, found)

    def differing_plugins(self, kept: ClassEntry, cold: ClassEntry) -> list[str]:
        """Plugins whose kept verdicts or raw scores are not what a fresh judgement gives.

        Only plugins whose answers are kept are compared, and scores only if both were scored.
        """
        n = cold.n
        ours = {answer.plugin: answer for answer in kept.filters}
        fresh = {answer.plugin: answer for answer in cold.filters}
        wrong = {
            plugin
            for plugin in ours.keys() | fresh.keys()
            if plugin not in ours
            or plugin not in fresh
            or not np.array_equal(_codes(ours[plugin], n), _codes(fresh[plugin], n))
        }
        if kept.skip_scores is not None and cold.skip_scores is not None:
            wrong |= {
                plugin
                for plugin in kept.scores.keys() | cold.scores.keys()
                if plugin not in kept.scores
                or plugin not in cold.scores
                or not np.array_equal(kept.scores[plugin].raw[:n], cold.scores[plugin].raw[:n])
            }
        if cold.pre_filter_status is not None:
            wrong = {cold.pre_filter_status.plugin}
        return sorted(plugin for plugin in wrong if self._profile.is_cacheable(plugin))

    # --- PreFilter ---

    def _run_pre_filters(self, entry: ClassEntry, pod: Pod, nodes: NodeTable) -> None:
        skipped: set[str] = set()
        narrowed: frozenset[str] | None = None
        narrowing: set[str] = set()
        rejection: Status | None = None
        for name, pre_filter in self._profile.pre_filters:
            if name in entry.unconcerned:
                skipped.add(name)
                continue
            answer = pre_filter(entry.state, pod, nodes)
            if isinstance(answer, PreFilterResult):
                if answer.node_names is not None:
                    narrowing.add(name)
                    narrowed = (
                        answer.node_names if narrowed is None else narrowed & answer.node_names
                    )
            elif answer is None or answer.is_success:
                continue
            elif answer.code is Code.SKIP:
                skipped.add(name)
            else:
                rejection = rejection or answer.by(name)
                if answer.code is Code.UNSCHEDULABLE_AND_UNRESOLVABLE:
                    rejection = answer.by(name)
                    break
        entry.state.skipped_filters = frozenset(skipped)
        entry.pre_filter_status = rejection
        if narrowed is not None and rejection is None:
            self._narrow_to(entry, nodes, narrowed, sorted(narrowing))

    def _narrow_to(
        self, entry: ClassEntry, nodes: NodeTable, names: frozenset[str], plugins: list[str]
    ) -> None:
        entry.rejecting_plugins = frozenset(plugins)
        listed = f"[{' '.join(plugins)}]"
        if not names:
            entry.pre_filter_status = Status(
                Code.UNSCHEDULABLE_AND_UNRESOLVABLE,
                (f"node(s) didn't satisfy plugin(s) {listed} simultaneously",),
            )
            return
        answer = FilterAnswer(NARROWED)
        outside = np.ones(nodes.n, dtype=np.bool_)
        for name in names:
            row = nodes.row_of(name)
            if row is not None:
                outside[row] = False
        verdict = nodes.verdict().reject(
            outside, f"node(s) didn't satisfy plugin(s) {listed}", unresolvable=True
        )
        _store(answer, entry.capacity, slice(0, nodes.n), verdict.resolve(self.classes.reasons))
        entry.filters.append(answer)

    # --- Filter ---

    def _bring_up_to_date(self, entry: ClassEntry, pod: Pod) -> bool:
        """Judges again what changed since the entry was last used; False: start afresh."""
        nodes, store = self._snapshot.nodes, self._snapshot.store
        changed = store.change_log.since(entry.position, entry.aspects)
        if changed is None or not self._is_worth_it(entry, len(changed)):
            return False
        aspects = 0
        for mask in changed.values():
            aspects |= mask
        stale = self._profile.filters_looking_across(aspects, entry.unconcerned)
        asked = entry.filters
        few: dict[str, list[int]] = {}
        if stale:
            followed = self._follow(entry, pod, nodes, changed, aspects=aspects, stale=stale)
            asked_afresh = stale - followed.keys()
            if asked_afresh and not self._prepare_again(entry, pod, nodes, asked_afresh):
                return False
            few = {name: rows.tolist() for name, rows in followed.items() if rows.size <= _FEW_ROWS}
            stale -= few.keys()
        entry.position = store.change_log.position
        shrunk, entry.n = nodes.n < entry.n, nodes.n
        differing = self._judge_again(
            entry, pod, changed, aspects=aspects, stale=stale, affected=few
        )
        # who is asked no longer rejects no more
        if others_asked := entry.filters is not asked:
            self._set_aspects(entry)
        if shrunk or others_asked or differing is None:
            self._recount_all(entry, shrunk=shrunk)
        else:
            self._recount(entry, differing)
        for row, mask in changed.items():
            entry.changed_rows[row] = entry.changed_rows.get(row, 0) | mask
        for crowding in entry.crowdings.values():
            crowding.note(changed)
        return True

    def _judge_again(
        self,
        entry: ClassEntry,
        pod: Pod,
        changed: Mapping[int, int],
        *,
        aspects: int,
        stale: Collection[str],
        affected: Mapping[str, list[int]],
    ) -> set[int] | None:
        """Asks the plugins concerned; the rows that may pass now or no longer, None: any.

        Args:
            entry: the class.
            pod: one of it.
            changed: row -> what changed there.
            aspects: what changed anywhere.
            stale: plugins that are to judge rows that did not change, too.
            affected: what else is to judge rows that did not change: plugin -> which of them.
        """
        n = entry.n
        others = changed_rows(changed, n, aspects=_IDENTITY) if aspects & _IDENTITY else ()
        rows: set[int] | None = set(others)
        for answer in entry.filters:
            cacheable = self._profile.cacheable.get(answer.plugin)
            hook = self._hooks[answer.plugin]
            if cacheable is None or answer.plugin in stale:
                differing = self._judge_all_rows(hook, answer, entry, pod)
                if np.count_nonzero(differing) > _FEW_ROWS:
                    rows = None
                elif rows is not None:
                    rows.update(np.flatnonzero(differing).tolist())
            elif aspects & cacheable:
                some = affected.get(answer.plugin)
                if some is None:
                    some = changed_rows(changed, n, aspects=cacheable)
                self._judge_rows(hook, answer, entry, pod, rows=some)
                # without codes nobody was ever rejected, nor is now
                if rows is not None and answer.codes is not None:
                    rows.update(some)
        return rows

    def _is_worth_it(self, entry: ClassEntry, changed_rows: int) -> bool:
        """True when the entry can be brought up to date for less than a fresh one costs."""
        return (
            entry.capacity == self._snapshot.store.capacity
            and entry.pre_filter_status is None
            and not entry.rejecting_plugins
            and changed_rows * _MANY <= self._snapshot.nodes.n + 2 * _MANY
        )

    def _judge_all_rows(
        self, hook: FilterHook, answer: FilterAnswer, entry: ClassEntry, pod: Pod
    ) -> BoolArray:
        """One plugin's answer for all N rows; (N,) bool: whose verdict is another than before."""
        verdict = hook.judge(entry.state, pod, self._snapshot.nodes, self.classes.reasons)
        if verdict is None:
            return answer.put_nobody(entry.n)
        return answer.put_all(*verdict, capacity=entry.capacity)

    def _judge_rows(
        self,
        hook: FilterHook,
        answer: FilterAnswer,
        entry: ClassEntry,
        pod: Pod,
        *,
        rows: list[int],
    ) -> None:
        """One plugin's answer for some rows."""
        nodes, reasons = self._snapshot.nodes, self.classes.reasons
        if not rows:
            return
        if hook.judges_singly(len(rows)):
            judged = hook.judge_each(entry.state, pod, nodes, rows=rows, reasons=reasons)
            for row, (code, reason) in zip(rows, judged, strict=True):
                answer.put(row, code, reason, capacity=entry.capacity)
        else:
            some = np.array(rows, dtype=np.intp)
            verdict = hook.judge(entry.state, pod, nodes.select(some), reasons)
            _store(answer, entry.capacity, some, verdict)

    def _set_aspects(self, entry: ClassEntry) -> None:
        filters = (answer.plugin for answer in entry.filters)
        entry.aspects = self._profile.judged_aspects(filters, entry.unconcerned)

    def _follow(
        self,
        entry: ClassEntry,
        pod: Pod,
        nodes: NodeTable,
        changed: Mapping[int, int],
        *,
        aspects: int,
        stale: Collection[str],
    ) -> dict[str, npt.NDArray[np.intp]]:
        """The ``stale`` plugins that could follow what changed: the rows to judge again."""
        skipped = entry.state.skipped_filters
        hooks = self._profile.following(self._profile.pre_filters_again, stale, aspects)
        followed = follow(hooks, entry.state, pod, nodes, changed, left_out=skipped)
        if followed.keys() - skipped:
            # a promised pod may count otherwise now
            entry.crowdings.clear()
        return followed

    def _prepare_again(
        self, entry: ClassEntry, pod: Pod, nodes: NodeTable, stale: Collection[str]
    ) -> bool:
        """Runs PreFilter of plugins that look across nodes; False: start afresh."""
        skipped = set(entry.state.skipped_filters)
        for name, pre_filter in self._profile.pre_filters:
            if name not in stale:
                continue
            answer = pre_filter(entry.state, pod, nodes)
            if isinstance(answer, PreFilterResult):
                if answer.node_names is not None:
                    return False
                skipped.discard(name)
            elif answer is None or answer.is_success:
                skipped.discard(name)
            elif answer.code is Code.SKIP:
                skipped.add(name)
            else:
                return False
        if not skipped & entry.state.skipped_filters >= set(stale):
            entry.crowdings.clear()
        if skipped != entry.state.skipped_filters:
            entry.state.skipped_filters = frozenset(skipped)
            known = {answer.plugin: answer for answer in entry.filters}
            entry.filters = [
                known.get(hook.name) or FilterAnswer(hook.name)
                for hook in self._profile.filters
                if hook.name in known or hook.name in stale
                if hook.name not in skipped
                and not self._profile.asks_per_node(hook, is_shared=True)
            ]
        return True

    def _recount_all(self, entry: ClassEntry, *, shrunk: bool) -> None:
        n = entry.n
        feasible = np.ones(n, dtype=np.bool_)
        for answer in entry.filters:
            narrow(feasible, answer, n)
        if shrunk or (feasible != entry.feasible[:n]).any():
            entry.feasible[:n] = feasible
            entry.feasible[n:] = False
            entry.feasible_count = int(np.count_nonzero(feasible))
            entry.feasible_version += 1

    def _recount(self, entry: ClassEntry, rows: Iterable[int]) -> None:
        # one by one: they are few as a rule, and a call of numpy costs as much as a dozen rows
        codes = [answer.codes for answer in entry.filters if answer.codes is not None]
        gained = lost = 0
        for row in rows:
            is_feasible = not any(rejecting.item(row) for rejecting in codes)
            if is_feasible != entry.feasible.item(row):
                entry.feasible[row] = is_feasible
                gained += is_feasible
                lost += not is_feasible
        if gained or lost:
            entry.feasible_count += gained - lost
            entry.feasible_version += 1


def _store(
    answer: FilterAnswer,
    capacity: int,
    rows: slice | npt.NDArray[np.intp],
    verdict: Verdict | None,
) -> None:
    if verdict is None:
        if answer.codes is not None:
            answer.codes[rows] = 0
        return
    if answer.codes is None or answer.reasons is None:
        answer.codes = np.zeros(capacity, dtype=np.int8)
        answer.reasons = np.zeros(capacity, dtype=np.int32)
    answer.codes[rows], answer.reasons[rows] = verdict


def narrow(feasible: npt.NDArray[np.bool_], answer: FilterAnswer, n: int) -> None:
    """Takes the rows that ``answer`` rejects out of ``feasible`` (N,)."""
    if answer.codes is not None:
        feasible &= answer.codes[:n] == 0


def _codes(answer: FilterAnswer, n: int) -> npt.NDArray[np.int8]:
    return np.zeros(n, dtype=np.int8) if answer.codes is None else answer.codes[:n]
