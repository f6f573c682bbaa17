"""Who would have to leave each node: tried out on copied rows, many nodes in lockstep.

For every row of a chunk all pods that may be evicted are taken away and the rows are judged
together; rows on which the pod does not fit even then are out. The others get their pods back, one
pod per row and round, the most worth sparing first; the rows are judged together again, and a pod
that leaves no room is taken away for good. What is gone in the end are the victims.

So a chunk costs as many judgements as its fullest node has pods that may be evicted, instead of
that many for each node, and each judgement is one pass of numpy over the rows. Rows about which
``findings`` know already are not tried at all, and of rows that are alike only one: what comes of
it is told by turns, not by pods.

Called by: ``evaluator``. Source of the rules: kube-scheduler 1.37,
``plugins/defaultpreemption/default_preemption.go`` SelectVictimsOnNode and
``framework/preemption/preemption.go`` DryRunPreemption. Knowing difference: enough candidates are
noticed at the end of a chunk, so that a few more may be found, as upstream's parallel workers do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.nodes import NodeInfo, NodeTable
from pyscheduler.framework.status import Code, Status, unresolvable
from pyscheduler.framework.what_if import Likeness, WhatIf, WhatIfs
from pyscheduler.preemption.budgets import split_by_budgets
from pyscheduler.preemption.candidates import Candidate, Victims
from pyscheduler.preemption.findings import CLEAN, UNKNOWN, VIOLATING, Findings, Outcome, Rows

#: Rows that are judged together: one pass of numpy over 50 rows costs hardly more than over one,
#: and two chunks are the 100 candidates that are enough by default.
CHUNK = 50

NO_VICTIMS = unresolvable("No preemption victims found for incoming pod")

#: the pods of a node that may be evicted
EvictableFn = Callable[[NodeInfo], list[Pod]]
#: sorts the most important pod first
ImportanceFn = Callable[[Pod], tuple[float, ...]]


class DryRunResult:
    """What came of it."""

    def __init__(self, nodes: NodeTable, tried: Rows, findings: Findings) -> None:
        self._nodes = nodes
        self._tried = tried
        self._findings = findings

    @property
    def candidates(self) -> list[Candidate]:
        """Nodes on which preemption helps; those that break no budget first."""
        return self._findings.candidates(self._tried)

    @property
    def one_of_each_cost(self) -> list[Candidate]:
        """Of these the first of each cost: by the usual criteria the others are as good."""
        return self._findings.one_of_each_cost(self._tried)

    @property
    def statuses(self) -> dict[str, Status]:
        """Why it does not help on the other nodes that were tried, by their names."""
        found = self._findings.statuses(self._tried)
        return {self._nodes.node(row).name: status for row, status in found.items()}

    def reasons(self) -> list[tuple[Status, int]]:
        """The same by status, in the order of the search, and how many nodes gave it."""
        return self._findings.reasons(self._tried)


@dataclass(slots=True)
class _Row:
    """One node, and who may be evicted from it."""

    row: int
    node_name: str
    #: in the node's order; never empty
    evictable: list[Pod]
    #: to be put back, in this order, until `violating` those that break a budget
    removed: list[Pod]
    violating: int = 0
    #: uid -> place in the order of importance; empty while `removed` is in that order
    places: dict[str, int] = field(default_factory=dict)


class DryRun:
    """Looks for victims for one pod."""

    def __init__(
        self,
        what_ifs: WhatIfs,
        state: CycleState,
        pod: Pod,
        *,
        evictable: EvictableFn,
        importance: ImportanceFn,
        budgets: Sequence[PodDisruptionBudget],
        nodes: NodeTable,
        findings: Findings,
    ) -> None:
        """Prepares the search.

        Args:
            what_ifs: where rows are copied and judged.
            state: what PreFilter left for ``pod``.
            pod: the preemptor.
            evictable: the pods that may be evicted from a node for ``pod``.
            importance: in which order they are spared.
            budgets: the disruption budgets as they are now.
            nodes: of the cycle's snapshot.
            findings: what earlier runs for pods of this class found on nodes that did not change
                since; added to.
        """
        self._what_ifs = what_ifs
        self._state = state
        self._pod = pod
        self._evictable = evictable
        self._importance = importance
        self._budgets = budgets
        self._nodes = nodes
        self._findings = findings

    async def run(self, rows: Rows, *, wanted: int, first: int = 0) -> DryRunResult:
        """Tries the nodes in a circle from the ``first`` on.

        Ends early, at the end of a chunk, once one candidate breaks no budget and there are at
        least ``wanted`` of both kinds. A plugin that fails for a node costs no other node anything.

        Shapes:
            rows (R,) intp.
        """
        findings, order = self._findings, np.concatenate((rows[first:], rows[:first]))
        findings.forget_failed()
        while True:
            kinds = findings.kinds.take(order)
            # what is unknown may help: so many rows are tried whatever comes of it
            end = _end_of_search(kinds, wanted)
            unknown = order[:end][kinds[:end] == UNKNOWN]
            if not unknown.size:
                return DryRunResult(self._nodes, order[:end], findings)
            await self._find_out(unknown[:CHUNK].tolist())

    async def _find_out(self, numbers: Sequence[int]) -> None:
        """Adds to what is known."""
        rows: list[_Row] = []
        for number in numbers:
            row = self._prepared(number)
            if isinstance(row, _Row):
                rows.append(row)
            else:
                self._findings.put(number, row)
            await self._what_ifs.checkpoint()
        likeness = self._what_ifs.likeness(self._state, self._pod)
        tried = self._try(rows) if likeness is None else self._try_unlike(rows, likeness)
        for row, outcome in zip(rows, await tried, strict=True):
            self._findings.put(row.row, _finding(row, outcome))

    def _prepared(self, number: int) -> _Row | Status:
        """The row to be tried, or why it need not be."""
        node = self._nodes.node(number)
        try:
            evictable = self._evictable(node)
            removed = sorted(evictable, key=self._importance)
        except PySchedulerError as fault:
            return Status(Code.ERROR, (str(fault),))
        if not removed:
            return NO_VICTIMS
        row = _Row(number, node.name, evictable, removed)
        if self._budgets:
            violating, others = split_by_budgets(row.removed, self._budgets)
            if violating and others:
                row.places = {pod.uid: place for place, pod in enumerate(row.removed)}
            row.violating = len(violating)
            row.removed = violating + others
        return row

    async def _try_unlike(self, rows: Sequence[_Row], likeness: Likeness) -> list[Outcome]:
        """Tries one of those that are alike, unless that is known; the others go as it went."""
        known = self._findings.outcomes
        keys = [likeness.of(row.node_name, row.removed) for row in rows]
        models: dict[Hashable, int] = {}
        for at, key in enumerate(keys):
            if key not in known:
                models.setdefault(key, at)
        tried = await self._try_at(rows, models.values())
        if likeness.holds():
            known |= {keys[at]: found for at, found in tried.items() if not found.is_fault}
        alone = [at for at, key in enumerate(keys) if key not in known and at not in tried]
        tried |= await self._try_at(rows, alone)
        return [tried.get(at) or known[key] for at, key in enumerate(keys)]

    async def _try_at(self, rows: Sequence[_Row], places: Iterable[int]) -> dict[int, Outcome]:
        places = tuple(places)
        return dict(zip(places, await self._try([rows[at] for at in places]), strict=True))

    async def _try(self, rows: Sequence[_Row]) -> list[Outcome]:
        """Tries the nodes together; each on copies of its own where that fails."""
        if not rows:
            return []
        try:
            return await self._try_together(rows)
        except PySchedulerError as fault:
            if len(rows) == 1:
                return [Outcome((), Status(Code.ERROR, (str(fault),)))]
        return [outcome for row in rows for outcome in await self._try([row])]

    async def _try_together(self, rows: Sequence[_Row]) -> list[Outcome]:
        what_if = self._what_ifs.of(self._state, self._pod, [row.node_name for row in rows])
        trials = [_Trial(at, row) for at, row in enumerate(rows)]
        for trial in trials:
            trial.remove_all(what_if)
            await self._what_ifs.checkpoint()
        _judge(what_if, [trial for trial in trials if trial.status is None])
        hopeful = [trial for trial in trials if trial.status is None]
        for turn in range(max((len(trial.row.removed) for trial in hopeful), default=0)):
            _reprieve(what_if, hopeful, turn)
            await self._what_ifs.checkpoint()
        return [Outcome(tuple(trial.gone), trial.status) for trial in trials]


@dataclass(slots=True)
class _Trial:
    """One row of a what-if."""

    at: int
    row: _Row
    #: the turns of those that leave no room
    gone: list[int] = field(default_factory=list)
    #: set once it is known that preemption does not help here
    status: Status | None = None

    def remove_all(self, what_if: WhatIf) -> None:
        for pod in self.row.evictable:
            self.status = self.status or what_if.remove_pod(self.at, pod)


def _finding(row: _Row, outcome: Outcome) -> Candidate | Status:
    """What ``outcome`` means for that node."""
    if outcome.status is not None:
        return outcome.status
    if not outcome.gone:
        # it fits as it is: nobody said so before, so somebody answers two ways
        told = f'expected at least one victim pod on node "{row.node_name}"'
        return Status(Code.ERROR, (told,))
    victims = [row.removed[turn] for turn in outcome.gone]
    if row.places:  # they stand in the order of importance, however they were found
        victims.sort(key=lambda pod: row.places[pod.uid])
    violations = sum(turn < row.violating for turn in outcome.gone)
    return Candidate(row.node_name, Victims(tuple(victims), violations))


def _end_of_search(kinds: npt.NDArray[np.int32], wanted: int) -> int:
    """How many rows are tried if all of which nothing is known are candidates.

    Shapes:
        kinds (R,) int32: of `findings`, in the order of the search.
    """
    may_be_clean = kinds <= CLEAN
    may_help = (kinds <= VIOLATING).nonzero()[0]
    if len(may_help) < wanted or not may_be_clean.any():
        return len(kinds)
    enough = may_help.item(wanted - 1) if wanted else 0
    last = max(enough, int(may_be_clean.argmax()))
    return min((last // CHUNK + 1) * CHUNK, len(kinds))


def _judge(what_if: WhatIf, trials: Sequence[_Trial]) -> None:
    """Marks the rows on which the pod does not fit."""
    if trials:
        answers = what_if.judge([trial.at for trial in trials])
        for trial, status in zip(trials, answers, strict=True):
            trial.status = status


def _reprieve(what_if: WhatIf, trials: Sequence[_Trial], turn: int) -> None:
    """Puts back the pod whose turn it is on each row, where the preemptor still fits then."""
    tried: list[_Trial] = []
    for trial in trials:
        if trial.status is None and turn < len(trial.row.removed):
            trial.status = what_if.add_pod(trial.at, trial.row.removed[turn])
            if trial.status is None:
                tried.append(trial)
    if not tried:
        return
    for trial, status in zip(tried, what_if.judge([trial.at for trial in tried]), strict=True):
        if status is None:
            continue
        trial.status = what_if.remove_pod(trial.at, trial.row.removed[turn])
        trial.gone.append(turn)
