"""Judges copied rows with pods added or taken away: what-ifs of plugins, and nominated pods.

Filters whose plugin keeps no PreFilter state about other pods are asked about all rows at once, and
those that look at nothing but the Node are asked once, for no pod added or taken away matters. A
plugin with ``add_pod`` or ``remove_pod`` has a state of its own per row, cloned when the row is
first changed, and is asked row by row.

Nominated pods count as being there: a row with pods nominated to it, of equal or higher priority,
is judged with them first and then without (they may go elsewhere); both must pass.

Called by: ``filtering`` (nominated pods), ``preemption`` and plugins (`WhatIfMaker` is their
``handle.what_ifs``). Source: kube-scheduler 1.37, ``framework/runtime/framework.go``
RunFilterPluginsWithNominatedPods.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import cast

from cachetools import LRUCache

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache.snapshot import Snapshot
from pyscheduler.framework.columns import ALL_ASPECTS, Aspect
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import ReasonTable, Status
from pyscheduler.framework.what_if import A, RowAnswers
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.adapters import FilterHook
from pyscheduler.runtime.budget import Checkpoint
from pyscheduler.runtime.profile import Profile

_PODS = int(Aspect.PODS)

#: Classes of pods whose answers are kept: those that preempt at the same time. A guess; each holds
#: about 300 bytes a node.
_CLASSES_KEPT = 16


class RowsWhatIf:
    """Copied rows, judged for one pod by one profile's filters; a `framework.what_if.WhatIf`."""

    def __init__(
        self,
        profile: Profile,
        snapshot: Snapshot,
        nominator: Nominator,
        *,
        state: CycleState,
        pod: Pod,
        rows: Sequence[int],
        passed: frozenset[str] = frozenset(),
    ) -> None:
        """Copies rows.

        Args:
            profile: whose filters judge.
            snapshot: where the rows are.
            nominator: knows who else counts as being there.
            state: what PreFilter left for ``pod``.
            pod: the pod in question.
            rows: of the snapshot.
            passed: plugins that let every row of the snapshot pass. Those of them that look at
                nothing but the Node are not asked again.
        """
        self._nominator = nominator
        self._pod = pod
        self._state = state
        self._copies = snapshot.copy_rows(rows)
        self._nodes = NodeTable(self._copies, len(rows))
        self._judges = profile.judges(state.skipped_filters)
        passed &= self._judges.of_nodes_alone
        self._filters = [hook for hook in self._judges.filters if hook.name not in passed]
        self._row_states: dict[int, CycleState] = {}
        #: plugin to whom it makes no difference which pods a node has -> rows known to pass
        self._passed: dict[str, set[int]] = {name: set() for name in self._judges.of_nodes_alone}
        self._reasons = ReasonTable()

    @property
    def nodes(self) -> NodeTable:
        """The copied rows."""
        return self._nodes

    def add_pod(self, row: int, pod: Pod) -> Status | None:
        """Counts ``pod`` on ``row``."""
        self._copies.add(row, pod)
        return self._follow(row, pod, added=True)

    def remove_pod(self, row: int, pod: Pod) -> Status | None:
        """Takes ``pod`` off ``row``."""
        self._copies.remove(row, pod)
        return self._follow(row, pod, added=False)

    def judge(self, rows: Sequence[int] | None = None) -> list[Status | None]:
        """Whether the pod fits on each of ``rows``, nominated pods respected."""
        asked = range(len(self._copies)) if rows is None else rows
        nominated = self._nominated(asked)
        if not nominated:
            return self._judge_once(asked)
        crowded = self._judge_with(nominated)
        left = [row for row in asked if crowded.get(row) is None]
        alone = dict(zip(left, self._judge_once(left), strict=True))
        return [crowded.get(row) or alone.get(row) for row in asked]

    def judge_crowded(self, nominated: Sequence[Sequence[Pod]]) -> list[Status | None]:
        """Whether the pod fits on each row with the pods nominated to it, which stay there.

        Args:
            nominated: by row.
        """
        answers = self._judge_crowded(dict(enumerate(nominated)))
        return [answers[row] for row in range(len(nominated))]

    # --- inside ---

    def _nominated(self, rows: Sequence[int]) -> dict[int, tuple[Pod, ...]]:
        if not len(self._nominator):
            return {}
        named = ((row, self._nodes.node(row).name) for row in rows)
        found = ((row, self._nominator.respected_by(self._pod, name)) for row, name in named)
        return {row: pods for row, pods in found if pods}

    def _judge_with(self, nominated: Mapping[int, Sequence[Pod]]) -> dict[int, Status | None]:
        before = {row: self._row_states.get(row) for row in nominated}
        for row, state in before.items():
            if state is not None:
                self._row_states[row] = state.clone()
        answers = self._judge_crowded(nominated)
        for row, pods in nominated.items():
            for pod in pods:
                self._copies.remove(row, pod)
            kept = before[row]
            if kept is None:
                self._row_states.pop(row, None)
            else:
                self._row_states[row] = kept
        return answers

    def _judge_crowded(self, nominated: Mapping[int, Sequence[Pod]]) -> dict[int, Status | None]:
        objections = self._crowd(nominated)
        rows = [row for row in nominated if row not in objections]
        return dict(zip(rows, self._judge_once(rows), strict=True)) | objections

    def _crowd(self, nominated: Mapping[int, Sequence[Pod]]) -> dict[int, Status]:
        """Adds the pods nominated to each row; returns the objections of plugins that follow."""
        objections: dict[int, Status] = {}
        for row, pods in nominated.items():
            for pod in pods:
                objection = self.add_pod(row, pod)
                if objection is not None:
                    objections.setdefault(row, objection)
        return objections

    def _judge_once(self, rows: Sequence[int]) -> list[Status | None]:
        answers: dict[int, Status] = {}
        left = list(rows)
        for hook in self._filters:
            passed = self._passed.get(hook.name)
            asked = left if passed is None else [row for row in left if row not in passed]
            if not asked:
                continue
            rejected = self._ask(hook, asked)
            if rejected:
                answers.update(rejected)
                left = [row for row in left if row not in rejected]
            if passed is not None:
                passed.update(row for row in asked if row not in rejected)
        return [answers.get(row) for row in rows]

    def _ask(self, hook: FilterHook, rows: Sequence[int]) -> dict[int, Status]:
        """Those of ``rows`` that one plugin rejects."""
        nodes, reasons = self._nodes, self._reasons
        if hook.name not in self._judges.following:
            return hook.rejections(self._state, self._pod, nodes, rows=rows, reasons=reasons)
        rejected: dict[int, Status] = {}
        for row in rows:
            state = self._row_states.get(row, self._state)
            rejected |= hook.rejections(state, self._pod, nodes, rows=[row], reasons=reasons)
        return rejected

    def _follow(self, row: int, pod: Pod, *, added: bool) -> Status | None:
        following = self._judges.following
        if not following:
            return None
        state = self._row_states.get(row)
        if state is None:
            state = self._row_states[row] = self._state.clone()
        node = self._nodes.node(row)
        for name, (add, remove) in following.items():
            status = (add if added else remove)(state, self._pod, pod, node)
            if status is not None and not status.is_success:
                return status.by(name)
        return None


class KeptAnswers:
    """Answers by row, for one class of pods, while neither node nor nominations change."""

    __slots__ = ("_looks_at_pods", "_position", "_version", "answers")

    def __init__(self, answers: RowAnswers, *, looks_at_pods: bool) -> None:
        self.answers = answers
        #: a plugin looks at more of a node's pods than what they take
        self._looks_at_pods = looks_at_pods
        #: of the change log, and of the nominator, up to which the answers are true
        self._position = self._version = -1

    def bring_up_to_date(self, snapshot: Snapshot, nominator: Nominator) -> None:
        """Has the answers about rows that changed forgotten."""
        log, nodes = snapshot.store.change_log, snapshot.nodes
        changed = log.since(self._position, int(ALL_ASPECTS))
        names = nominator.changed_since(self._version)
        self._position, self._version = log.position, nominator.version
        if changed is None or names is None:
            self.answers.forget(None, n=nodes.n)
            return
        rows = {row for row in map(nodes.row_of, names) if row is not None}
        if self._looks_at_pods:
            rows.update(changed)
        else:
            rows.update(row for row, mask in changed.items() if mask != _PODS)
            self.answers.pods_changed(changed.keys() - rows)
        self.answers.forget(rows, n=nodes.n)


class SumsLikeness:
    """What answers about a node depend on, where all plugins look at sums alone; a `Likeness`."""

    def __init__(self, snapshot: Snapshot, nominator: Nominator, pod: Pod) -> None:
        self._snapshot = snapshot
        self._nominator = nominator
        self._version = nominator.version
        self._pod = pod

    def of(self, node_name: str, pods: Sequence[Pod]) -> Hashable:
        """What the node has to give, and what is taken of it, or is to be.

        By all its pods, by each of ``pods``, and by those nominated to it.
        """
        snapshot, others = self._snapshot, self._nominator.respected_by(self._pod, node_name)
        sums = snapshot.sums(_row_of(snapshot, node_name))
        return sums, snapshot.usages(pods), snapshot.usages(others)

    def holds(self) -> bool:
        """True while there was no change of a nomination."""
        return self._nominator.version == self._version


class WhatIfMaker:
    """Makes what-ifs on the current snapshot; a `framework.what_if.WhatIfs`."""

    def __init__(self, snapshot: Snapshot, nominator: Nominator, budget: Checkpoint) -> None:
        self._snapshot = snapshot
        self._nominator = nominator
        self._budget = budget
        self._profiles: dict[str, Profile] = {}
        self._kept: LRUCache[Hashable, KeptAnswers] = LRUCache(_CLASSES_KEPT)

    def serve(self, profile: Profile) -> None:
        """Judges the pods of ``profile`` by its filters from now on."""
        self._profiles[profile.scheduler_name] = profile

    def of(self, state: CycleState, pod: Pod, node_names: Sequence[str]) -> RowsWhatIf:
        """Copied rows of these nodes, judged for ``pod`` by its profile's filters.

        Raises:
            KeyError: a node is not in the snapshot, or the pod's scheduler name is not ours.
        """
        return RowsWhatIf(
            self._profiles[pod.scheduler_name],
            self._snapshot,
            self._nominator,
            state=state,
            pod=pod,
            rows=[_row_of(self._snapshot, name) for name in node_names],
            passed=state.passed_filters,
        )

    def kept(
        self, state: CycleState, pod: Pod, *, key: Hashable, make: Callable[[], A]
    ) -> A | None:
        """What was found out for pods that are judged like ``pod``, by row; see `WhatIfs`."""
        profile = self._profiles[pod.scheduler_name]
        judges = profile.judges(state.skipped_filters)
        if not judges.judge_rows_alone:
            return None
        signature = profile.sign(pod)
        if signature is None:
            return None
        by_class = (profile.scheduler_name, signature, pod.priority, state.skipped_filters, key)
        kept = self._kept.get(by_class)
        if kept is None:
            kept = KeptAnswers(make(), looks_at_pods=judges.look_at_pods)
            self._kept[by_class] = kept
        kept.bring_up_to_date(self._snapshot, self._nominator)
        return cast(A, kept.answers)  # who has the key says what is made for it

    def likeness(self, state: CycleState, pod: Pod) -> SumsLikeness | None:
        """What answers about a node depend on, if it is sums alone; see `WhatIfs`."""
        judges = self._profiles[pod.scheduler_name].judges(state.skipped_filters)
        if not judges.look_at_sums_alone(state.passed_filters):
            return None
        return SumsLikeness(self._snapshot, self._nominator, pod)

    async def checkpoint(self) -> None:
        """Offers the event loop to others if the cycle has run long."""
        await self._budget.checkpoint()


def _row_of(snapshot: Snapshot, name: str) -> int:
    row = snapshot.nodes.row_of(name)
    if row is None:
        raise KeyError(name)
    return row
