"""Which nodes can run a pod: PreFilter, then Filter over all rows or over what changed.

`evaluate` gives the entry of the pod's class, true for the current snapshot. A class seen for the
first time is judged on all rows; after that only the rows that the change log names, and of these
only by the plugins that depend on what changed. In profile order the first plugin to reject a row
owns its reason (`diagnose`). Rows with nominated pods of equal or higher priority are judged apart,
for each pod anew (`respect_nominations`). So are plugins that must be called once per node and whose
answers may not be kept: they are asked last, and only until enough nodes are found (`find_enough`).

Called by: ``cycle.scheduling``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache.snapshot import Snapshot
from pyscheduler.framework.columns import Aspect
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import Code, Diagnosis, PreFilterResult, Status
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.adapters import FilterHook, Verdict
from pyscheduler.runtime.budget import Checkpoint
from pyscheduler.runtime.class_cache import ClassCache, ClassEntry, FilterAnswer
from pyscheduler.runtime.instrument import PluginFault
from pyscheduler.runtime.profile import Profile
from pyscheduler.runtime.sampling import SearchOrder, feasible_nodes_to_find
from pyscheduler.runtime.what_if import RowsWhatIf

_IDENTITY = int(Aspect.IDENTITY)
#: Distinct reasons after which all kept answers are given up: reasons may carry figures that never
#: come again, and the table that numbers them only grows. A guess; in-tree plugins give dozens.
_MAX_REASONS = 10_000
#: The pseudo-plugin in front of all filters: rows that a PreFilterResult leaves out.
_NARROWED = ""
#: Nodes that a plugin is called for before the event loop is offered to others; a call costs
#: microseconds.
_ROWS_AT_A_TIME = 64
#: From this share of the rows on, judging all of them again is cheaper.
_MANY = 4


class Filtering:
    """PreFilter and Filter of one profile over one snapshot."""

    def __init__(
        self,
        profile: Profile,
        snapshot: Snapshot,
        nominator: Nominator,
        budget: Checkpoint,
        *,
        percentage_of_nodes_to_score: int = 0,
    ) -> None:
        self._profile = profile
        self._snapshot = snapshot
        self._nominator = nominator
        self._budget = budget
        self._percentage = percentage_of_nodes_to_score
        self._search_order = SearchOrder(snapshot)
        self.classes = ClassCache()
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
            entry = await self.judge_all(pod)
            if signature is not None:
                self.classes.put(signature, entry)
        entry.pods += 1
        return entry

    async def judge_all(self, pod: Pod) -> ClassEntry:
        """A fresh entry: every plugin asked about every row, but for those asked per node."""
        nodes = self._snapshot.nodes
        store = self._snapshot.store
        entry = ClassEntry(store.capacity)
        entry.n, entry.position = nodes.n, store.change_log.position
        self._run_pre_filters(entry, pod, nodes)
        if entry.pre_filter_status is not None:
            return entry
        feasible = entry.feasible[: nodes.n]
        feasible[:] = True
        for answer in entry.filters:
            _narrow(feasible, answer, nodes.n)
        for hook in self._profile.filters:
            if hook.name in entry.state.skipped_filters or self._is_asked_per_node(hook):
                continue
            answer = FilterAnswer(hook.name)
            verdict = hook.judge(entry.state, pod, nodes, self.classes.reasons)
            _store(answer, entry.capacity, slice(0, nodes.n), verdict)
            entry.filters.append(answer)
            _narrow(feasible, answer, nodes.n)
            await self._budget.checkpoint()
        entry.feasible_count = int(np.count_nonzero(feasible))
        entry.feasible_version += 1
        return entry

    def respect_nominations(self, entry: ClassEntry, pod: Pod) -> ClassEntry:
        """The entry without the rows that nominated pods of equal or higher priority need.

        Rows that are not feasible anyway are looked at only if none is left: then the reason of
        each counts.
        """
        if not len(self._nominator) or entry.pre_filter_status is not None:
            return entry
        nominated = self._nominated_rows(pod)
        feasible = {row: pods for row, pods in nominated.items() if entry.feasible[row]}
        lost = self._lost_rows(entry, pod, feasible)
        if len(lost) == entry.feasible_count:
            others = {row: pods for row, pods in nominated.items() if row not in feasible}
            lost |= self._lost_rows(entry, pod, others)
        return entry.overridden(lost) if lost else entry

    def fits(self, entry: ClassEntry, pod: Pod, row: int) -> bool:
        """True when ``row`` is feasible, plugins that are asked per node included."""
        if not entry.feasible[row]:
            return False
        own = entry.overridden({})
        return bool(self._ask_per_node(own, pod, self._asked_per_node(entry), [row]))

    async def find_enough(self, entry: ClassEntry, pod: Pod) -> ClassEntry:
        """The entry with so many of the feasible rows as are enough to choose from.

        Where plugins must be called once per node this is where they are, and no more often than
        needed.

        Raises:
            PluginFault: a hook raised or answered an error.
        """
        hooks = self._asked_per_node(entry)
        if entry.pre_filter_status is not None or not (hooks or self._percentage):
            return entry
        wanted = self._wanted(entry)
        if not hooks and entry.feasible_count <= wanted:
            return entry
        order = self._search_order.rows()
        candidates = order[entry.feasible[order]].tolist()
        own = entry.overridden({})
        own.overrides.update(entry.overrides)
        found: list[int] = []
        for begin in range(0, len(candidates), _ROWS_AT_A_TIME):
            rows = candidates[begin : begin + _ROWS_AT_A_TIME]
            found += self._ask_per_node(own, pod, hooks, rows)
            if len(found) >= wanted:
                break
            await self._budget.checkpoint()
        del found[wanted:]
        enough = len(found) == wanted and bool(found)
        self._search_order.advance(int((order == found[-1]).argmax()) + 1 if enough else entry.n)
        if not found:
            self._ask_about_rejected(own, pod, hooks)
        own.feasible[:] = False
        own.feasible[found] = True
        own.feasible_count = len(found)
        return own

    def statuses(self, entry: ClassEntry) -> NodeStatuses:
        """Why each node of an entry without feasible ones was turned down, for PostFilter."""
        nodes, n = self._snapshot.nodes, entry.n
        status = entry.pre_filter_status
        if status is not None:
            return NodeStatuses.alike(nodes, status)
        codes = np.zeros(n, dtype=np.int8)
        causes = np.zeros(n, dtype=np.int32)
        statuses: list[Status] = []
        for row, override in entry.overrides.items():
            codes[row], causes[row] = override.code, len(statuses)
            statuses.append(override)
        for answer in entry.filters:
            if answer.codes is None or answer.reasons is None:
                continue
            owned = (codes == 0) & (answer.codes[:n] != 0)
            codes[owned] = answer.codes[:n][owned]
            kinds = np.stack((answer.codes[:n][owned], answer.reasons[:n][owned]), axis=1)
            distinct, which = np.unique(kinds, axis=0, return_inverse=True)
            causes[owned] = which.reshape(-1) + len(statuses)
            statuses += [
                Status(Code(code), self.classes.reasons[reason], answer.plugin)
                for code, reason in distinct.tolist()
            ]
        return NodeStatuses(nodes, codes, causes, statuses)

    def diagnose(self, entry: ClassEntry) -> Diagnosis:
        """Why no node of ``entry`` fits; every rejected row counts for its first rejecter."""
        diagnosis = Diagnosis(entry.n, unschedulable_plugins=set(entry.rejecting_plugins))
        status = entry.pre_filter_status
        if status is not None:
            diagnosis.pre_filter_message = status.message
            plugins = (
                diagnosis.pending_plugins
                if status.code is Code.PENDING
                else diagnosis.unschedulable_plugins
            )
            if status.plugin:
                plugins.add(status.plugin)
            return diagnosis
        unowned = np.ones(entry.n, dtype=np.bool_)
        for row, override in entry.overrides.items():
            unowned[row] = False
            diagnosis.count(override.reasons)
            is_pending = override.code is Code.PENDING
            (diagnosis.pending_plugins if is_pending else diagnosis.unschedulable_plugins).add(
                override.plugin
            )
        for answer in entry.filters:
            if answer.codes is None or answer.reasons is None:
                continue
            codes = answer.codes[: entry.n]
            owned = unowned & (codes != 0)
            if not owned.any():
                continue
            if answer.plugin:
                pending = bool((codes[owned] == Code.PENDING).any())
                (diagnosis.pending_plugins if pending else diagnosis.unschedulable_plugins).add(
                    answer.plugin
                )
            for index, count in enumerate(np.bincount(answer.reasons[: entry.n][owned]).tolist()):
                if count:
                    diagnosis.count(self.classes.reasons[index], count)
            unowned &= ~owned
        return diagnosis

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

    # --- plugins that are asked once per node ---

    def _is_asked_per_node(self, hook: FilterHook) -> bool:
        return hook.is_per_node_only and not self._profile.is_cacheable(hook.name)

    def _asked_per_node(self, entry: ClassEntry) -> list[FilterHook]:
        return [
            hook
            for hook in self._profile.filters
            if self._is_asked_per_node(hook) and hook.name not in entry.state.skipped_filters
        ]

    def _wanted(self, entry: ClassEntry) -> int:
        if not self._profile.scores:
            return 1
        considered = entry.n
        for answer in entry.filters:
            if answer.plugin == _NARROWED and answer.codes is not None:
                considered = int(np.count_nonzero(answer.codes[: entry.n] == 0))
        return feasible_nodes_to_find(considered, self._percentage)

    def _ask_per_node(
        self, own: ClassEntry, pod: Pod, hooks: Sequence[FilterHook], rows: list[int]
    ) -> list[int]:
        """The rows that pass all of ``hooks``; the others are noted in ``own.overrides``."""
        for hook in hooks:
            if not rows:
                break
            table = self._snapshot.nodes.select(np.array(rows, dtype=np.intp))
            verdict = hook.judge(own.state, pod, table, self.classes.reasons)
            if verdict is None:
                continue
            codes, reasons = verdict
            for index in np.flatnonzero(codes).tolist():
                own.overrides[rows[index]] = Status(
                    Code(int(codes[index])), self.classes.reasons[int(reasons[index])], hook.name
                )
            rows = [row for row in rows if row not in own.overrides]
        return rows

    def _ask_about_rejected(self, own: ClassEntry, pod: Pod, hooks: Sequence[FilterHook]) -> None:
        """No node fits: each row's reason is the first plugin's in profile order after all."""
        places = {hook.name: place for place, hook in enumerate(self._profile.filters)}
        for hook in hooks:
            passed = np.ones(own.n, dtype=np.bool_)
            for answer in own.filters:
                if places.get(answer.plugin, -1) < places[hook.name]:
                    _narrow(passed, answer, own.n)
            rows = [row for row in np.flatnonzero(passed).tolist() if row not in own.overrides]
            self._ask_per_node(own, pod, [hook], rows)

    # --- nominated pods ---

    def _nominated_rows(self, pod: Pod) -> dict[int, list[Pod]]:
        """Rows with the pods nominated to them that ``pod`` must respect."""
        found: dict[int, list[Pod]] = {}
        row_of = self._snapshot.nodes.row_of
        for name, other in self._nominator.any_at_least(pod.priority, but_not=pod.uid):
            row = row_of(name)
            if row is not None:
                found.setdefault(row, []).append(other)
        return found

    def _lost_rows(
        self, entry: ClassEntry, pod: Pod, nominated: Mapping[int, Sequence[Pod]]
    ) -> dict[int, Status]:
        if not nominated:
            return {}
        rows = list(nominated)
        what_if = RowsWhatIf(
            self._profile, self._snapshot, self._nominator, state=entry.state, pod=pod, rows=rows
        )
        failed = what_if.judge_with(dict(enumerate(nominated.values())))
        return {rows[index]: status for index, status in failed.items()}

    # --- PreFilter ---

    def _run_pre_filters(self, entry: ClassEntry, pod: Pod, nodes: NodeTable) -> None:
        skipped: set[str] = set()
        narrowed: frozenset[str] | None = None
        narrowing: set[str] = set()
        rejection: Status | None = None
        for name, pre_filter in self._profile.pre_filters:
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
            elif answer.is_rejected:
                rejection = rejection or answer.by(name)
                if answer.code is Code.UNSCHEDULABLE_AND_UNRESOLVABLE:
                    rejection = answer.by(name)
                    break
            else:
                raise PluginFault(name, "PreFilter", answer.message or answer.code.label)
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
        answer = FilterAnswer(_NARROWED)
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
        changed = store.change_log.since(entry.position, self._profile.judged_aspects)
        if (
            changed is None
            or entry.capacity != store.capacity
            or entry.pre_filter_status is not None
            or entry.rejecting_plugins
            or len(changed) * _MANY > nodes.n + 2 * _MANY
        ):
            return False
        rows = np.array([row for row in changed if row < nodes.n], dtype=np.intp)
        aspects = 0
        for mask in changed.values():
            aspects |= mask
        if aspects & self._profile.filters_cross_node:
            return False
        entry.position = store.change_log.position
        shrunk, entry.n = nodes.n < entry.n, nodes.n
        touched = judged_all = False
        some = nodes.select(rows)
        for answer in entry.filters:
            cacheable = self._profile.cacheable.get(answer.plugin)
            hook = self._hooks[answer.plugin]
            if cacheable is None:
                _store(answer, entry.capacity, slice(0, nodes.n), None)
                verdict = hook.judge(entry.state, pod, nodes, self.classes.reasons)
                _store(answer, entry.capacity, slice(0, nodes.n), verdict)
                judged_all = True
            elif rows.size and aspects & cacheable:
                verdict = hook.judge(entry.state, pod, some, self.classes.reasons)
                _store(answer, entry.capacity, rows, verdict)
                touched = True
        if touched or judged_all or shrunk or aspects & _IDENTITY:
            self._recount(entry, rows, all_rows=shrunk or judged_all)
        for row, mask in changed.items():
            entry.changed_rows[row] = entry.changed_rows.get(row, 0) | mask
        return True

    def _recount(self, entry: ClassEntry, rows: npt.NDArray[np.intp], *, all_rows: bool) -> None:
        n = entry.n
        if all_rows:
            feasible = np.ones(n, dtype=np.bool_)
            for answer in entry.filters:
                _narrow(feasible, answer, n)
            entry.feasible[:n] = feasible
            entry.feasible[n:] = False
            entry.feasible_count = int(np.count_nonzero(feasible))
            entry.feasible_version += 1
            return
        before = entry.feasible[rows]
        now = np.ones(rows.size, dtype=np.bool_)
        for answer in entry.filters:
            if answer.codes is not None:
                now &= answer.codes[rows] == 0
        if (before != now).any():
            entry.feasible[rows] = now
            entry.feasible_count += int(np.count_nonzero(now)) - int(np.count_nonzero(before))
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


def _narrow(feasible: npt.NDArray[np.bool_], answer: FilterAnswer, n: int) -> None:
    if answer.codes is not None:
        feasible &= answer.codes[:n] == 0


def _codes(answer: FilterAnswer, n: int) -> npt.NDArray[np.int8]:
    return np.zeros(n, dtype=np.int8) if answer.codes is None else answer.codes[:n]
