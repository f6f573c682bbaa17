"""What holds for one pod alone, on top of what its class is known to be: rows lost to others.

Two things take feasible rows from a pod's class entry. Rows with nominated pods of equal or higher
priority must do with these as well (`respect_nominations`); what was found out is kept with the
class (``crowding``). And plugins that must be called once per node, and whose answers may not be
kept, are asked last, in the order of the search and only until enough nodes are found
(`find_enough`). Either gives another entry (`ClassEntry.overridden`), of the pod's own unless all
pods of the class that are nominated nowhere have it; the shared one stays as it is.

Called by: ``cycle.scheduling``, after ``filtering``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence

import numpy as np

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache.snapshot import Snapshot
from pyscheduler.framework.status import BoolArray, Status
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.adapters import FilterHook
from pyscheduler.runtime.budget import Checkpoint
from pyscheduler.runtime.class_cache import ClassCache, ClassEntry
from pyscheduler.runtime.crowding import Crowding
from pyscheduler.runtime.filtering import NARROWED, narrow
from pyscheduler.runtime.profile import Profile
from pyscheduler.runtime.rejections import passed_filters
from pyscheduler.runtime.sampling import SearchOrder, feasible_nodes_to_find
from pyscheduler.runtime.what_if import RowsWhatIf

#: Nodes that plugins are called for before the event loop is offered to others: few at first, since
#: a call may search long, and twice as many each time that these took less than a slice.
_FIRST_ROWS, _MOST_ROWS = 4, 64

#: Kinds of crowded rows that a class remembers. A guess; a few hundred bytes each.
_MOST_SUMS = 2_000


class Narrowing:
    """Takes from a class entry what one pod cannot have."""

    def __init__(
        self,
        profile: Profile,
        snapshot: Snapshot,
        nominator: Nominator,
        budget: Checkpoint,
        *,
        classes: ClassCache,
        percentage_of_nodes_to_score: int = 0,
        chosen_elsewhere: bool = False,
    ) -> None:
        """Connects the parts.

        Args:
            profile: whose plugins are asked.
            snapshot: over which nodes.
            nominator: knows who was promised which node.
            budget: where long searches offer the loop to others.
            classes: of the entries that are narrowed.
            percentage_of_nodes_to_score: 0 is adaptive.
            chosen_elsewhere: one node is not enough even if no plugin scores: extenders choose.
        """
        self._profile = profile
        self._snapshot = snapshot
        self._nominator = nominator
        self._budget = budget
        self._classes = classes
        self._percentage = percentage_of_nodes_to_score
        self._one_is_enough = not profile.scores and not chosen_elsewhere
        self._search_order = SearchOrder(snapshot)
        #: the filters that cost a call per node; most profiles have none
        self._per_node_only = [hook for hook in profile.filters if hook.is_per_node_only]

    def respect_nominations(self, entry: ClassEntry, pod: Pod) -> ClassEntry:
        """The entry without the rows that nominated pods of equal or higher priority need.

        Rows that are not feasible anyway are looked at only if none is left: then the reason of
        each counts. PreFilter's leaving a row out stays the reason whoever is nominated there.
        """
        if not len(self._nominator):
            entry.crowdings.clear()
            return entry
        if entry.pre_filter_status is not None:
            return entry
        crowding = self._crowding(entry, pod)
        own, own_status = self._own_row(crowding, entry, pod)
        self._judge(crowding, entry, pod, crowding.unjudged(entry.feasible))
        if own < 0 and entry.feasible_count and not crowding.statuses:
            return entry
        if own < 0 and (kept := crowding.kept(entry)) is not None:
            return kept
        feasible, rejected = entry.feasible[: entry.n], crowding.rejected[: entry.n]
        statuses = crowding.statuses
        if own >= 0:
            rejected = rejected.copy()
            rejected[own] = own_status is not None
        left = feasible & ~rejected
        if own < 0 and left.any():
            return _narrowed(crowding, entry, left)
        overrides: MutableMapping[int, Status]
        if left.any():
            lost = np.flatnonzero(feasible & rejected).tolist()
            overrides = {row: statuses[row] for row in lost if row != own}
        else:
            self._judge(crowding, entry, pod, crowding.unjudged())
            is_shared = own < 0 and not entry.rejecting_plugins
            overrides = statuses if is_shared else statuses.copy()
            if own in overrides:
                del overrides[own]
        if own_status is not None:
            overrides[own] = own_status
        for row in _left_out(entry, overrides):
            del overrides[row]
        return entry.overridden(overrides) if overrides else entry

    def fits(self, entry: ClassEntry, pod: Pod, row: int) -> bool:
        """True when ``row`` is feasible for ``pod``, whatever takes rows from it included."""
        if not entry.feasible[row]:
            return False
        name = self._snapshot.nodes.node(row).name
        others = self._nominator.respected_by(pod, name)
        if others and self._crowded(entry, pod, {row: others})[0] is not None:
            return False
        hooks = self._asked_per_node(entry)
        return not hooks or bool(self._ask_per_node(entry.overridden({}), pod, hooks, [row]))

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
        begin, at_a_time = 0, _FIRST_ROWS
        while begin < len(candidates) and len(found) < wanted:
            rows = candidates[begin : begin + at_a_time]
            begin += at_a_time
            found += self._ask_per_node(own, pod, hooks, rows)
            has_yielded = await self._budget.checkpoint()
            at_a_time = max(at_a_time // 2, 1) if has_yielded else min(2 * at_a_time, _MOST_ROWS)
        del found[wanted:]
        enough = len(found) == wanted and bool(found)
        self._search_order.advance(int((order == found[-1]).argmax()) + 1 if enough else entry.n)
        if not found:
            self._ask_about_rejected(own, pod, hooks)
        own.feasible[:] = False
        own.feasible[found] = True
        own.feasible_count = len(found)
        return own

    # --- plugins that are asked once per node ---

    def _asked_per_node(self, entry: ClassEntry) -> list[FilterHook]:
        return [
            hook
            for hook in self._per_node_only
            if self._profile.asks_per_node(hook, is_shared=entry.is_shared)
            and hook.name not in entry.state.skipped_filters
        ]

    def _wanted(self, entry: ClassEntry) -> int:
        if self._one_is_enough:
            return 1
        considered = entry.n
        for answer in entry.filters:
            if answer.plugin == NARROWED and answer.codes is not None:
                considered = int(np.count_nonzero(answer.codes[: entry.n] == 0))
        return feasible_nodes_to_find(considered, self._percentage)

    def _ask_per_node(
        self, own: ClassEntry, pod: Pod, hooks: Sequence[FilterHook], rows: list[int]
    ) -> list[int]:
        """The rows that pass all of ``hooks``; the others are noted in ``own.overrides``."""
        for hook in hooks:
            if not rows:
                break
            nodes, reasons = self._snapshot.nodes, self._classes.reasons
            own.overrides.update(hook.rejections(own.state, pod, nodes, rows=rows, reasons=reasons))
            rows = [row for row in rows if row not in own.overrides]
        return rows

    def _ask_about_rejected(self, own: ClassEntry, pod: Pod, hooks: Sequence[FilterHook]) -> None:
        """No node fits: each row's reason is the first plugin's in profile order after all."""
        places = {hook.name: place for place, hook in enumerate(self._profile.filters)}
        for hook in hooks:
            passed = np.ones(own.n, dtype=np.bool_)
            for answer in own.filters:
                if places.get(answer.plugin, -1) < places[hook.name]:
                    narrow(passed, answer, own.n)
            rows = [row for row in np.flatnonzero(passed).tolist() if row not in own.overrides]
            self._ask_per_node(own, pod, [hook], rows)

    # --- nominated pods ---

    def _crowding(self, entry: ClassEntry, pod: Pod) -> Crowding:
        """What nominated pods that ``pod`` must respect take from its class, to be judged."""
        keeps = self._keeps_answers()
        crowding = entry.crowdings.get(pod.priority) if keeps else None
        if crowding is None:
            crowding = Crowding(entry.capacity)
            if keeps:
                entry.crowdings[pod.priority] = crowding
        crowding.bring_up_to_date(self._nominator, self._snapshot.nodes, priority=pod.priority)
        return crowding

    def _own_row(
        self, crowding: Crowding, entry: ClassEntry, pod: Pod
    ) -> tuple[int, Status | None]:
        """The row that ``pod`` itself is nominated to, and what the others there leave it; or -1.

        Its own nomination is no obstacle to it.
        """
        name = self._nominator.node_of(pod.uid)
        row = self._snapshot.nodes.row_of(name) if name else None
        if row is None:
            return -1, None
        others = tuple(other for other in crowding.pods.get(row, ()) if other.uid != pod.uid)
        return row, self._crowded(entry, pod, {row: others})[0] if others else None

    def _judge(self, crowding: Crowding, entry: ClassEntry, pod: Pod, rows: list[int]) -> None:
        """Finds out about ``rows``; of those that are alike one is judged, unless that is known."""
        if not rows:
            return
        nominated = {row: crowding.pods[row] for row in rows}
        judges = self._profile.judges(entry.state.skipped_filters)
        if not judges.look_at_sums_alone(passed_filters(entry)):
            crowding.put(rows, self._crowded(entry, pod, nominated))
            return
        snapshot, known = self._snapshot, crowding.by_sums
        if len(known) > _MOST_SUMS:
            known.clear()
        keys = {row: (snapshot.sums(row), snapshot.usages(nominated[row])) for row in rows}
        models = {key: row for row, key in keys.items() if key not in known}
        if models:
            judged = {row: nominated[row] for row in models.values()}
            known.update(zip(models, self._crowded(entry, pod, judged), strict=True))
        crowding.put(rows, [known[key] for key in keys.values()])

    def _crowded(
        self, entry: ClassEntry, pod: Pod, nominated: Mapping[int, tuple[Pod, ...]]
    ) -> list[Status | None]:
        """Whether the pod fits on each of the rows with the pods nominated to it."""
        what_if = RowsWhatIf(
            self._profile,
            self._snapshot,
            self._nominator,
            state=entry.state,
            pod=pod,
            rows=list(nominated),
            passed=passed_filters(entry),
        )
        return what_if.judge_crowded(list(nominated.values()))

    def _keeps_answers(self) -> bool:
        """True when all filters answer alike for all pods of a class."""
        profile = self._profile
        return all(profile.is_cacheable(hook.name) for hook in profile.filters)


def _left_out(entry: ClassEntry, rows: Iterable[int]) -> list[int]:
    """Those of the rows that a PreFilterResult does not name."""
    if not entry.rejecting_plugins:
        return []
    outside = (answer.codes for answer in entry.filters if answer.plugin == NARROWED)
    return [row for codes in outside if codes is not None for row in rows if codes[row]]


def _narrowed(crowding: Crowding, entry: ClassEntry, left: BoolArray) -> ClassEntry:
    """The entry with the rows that are ``left`` of the feasible ones: one for the whole class.

    Shapes: left (N,) bool.
    """
    n, count = entry.n, int(np.count_nonzero(left))
    if count == entry.feasible_count:
        return entry
    narrowed = crowding.narrowed or entry.overridden({})
    narrowed.n, narrowed.position, narrowed.filters = n, entry.position, entry.filters
    lost = np.flatnonzero(entry.feasible[:n] & ~left).tolist()
    narrowed.overrides = {row: crowding.statuses[row] for row in lost}
    if count != narrowed.feasible_count or (narrowed.feasible[:n] != left).any():
        narrowed.feasible[:n] = left
        narrowed.feasible[n:] = False
        narrowed.feasible_count = count
        narrowed.feasible_version += 1
    crowding.keep(narrowed, entry)
    return narrowed
