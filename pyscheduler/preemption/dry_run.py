"""Who would have to leave each node: tried out on copied rows, many nodes in lockstep.

For every row of a chunk all pods that may be evicted are taken away and the rows are judged
together; rows on which the pod does not fit even then are out. The others get their pods back, one
pod per row and round, the most worth sparing first; the rows are judged together again, and a pod
that leaves no room is taken away for good. What is gone in the end are the victims.

So a chunk costs as many judgements as its fullest node has pods that may be evicted, instead of
that many for each node, and each judgement is one pass of numpy over the rows. Rows about which
``findings`` know already are not tried at all.

Called by: ``evaluator``. Source of the rules: kube-scheduler 1.37,
``plugins/defaultpreemption/default_preemption.go`` SelectVictimsOnNode and
``framework/preemption/preemption.go`` DryRunPreemption. Knowing difference: enough candidates are
noticed at the end of a chunk, so that a few more may be found, as upstream's parallel workers do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.nodes import NodeInfo, NodeTable
from pyscheduler.framework.status import Code, Status, unresolvable
from pyscheduler.framework.what_if import WhatIf, WhatIfs
from pyscheduler.preemption.budgets import split_by_budgets
from pyscheduler.preemption.candidates import Candidate, Victims
from pyscheduler.preemption.findings import CLEAN, UNKNOWN, VIOLATING, Findings, Rows

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
    """One node of a chunk."""

    row: int
    node_name: str
    #: to be put back, in this order, until `violating` those that break a budget
    removed: list[Pod] = field(default_factory=list)
    violating: int = 0
    #: uid -> place in the order of importance; empty while `removed` is in that order
    places: dict[str, int] = field(default_factory=dict)
    victims: list[Pod] = field(default_factory=list)
    violations: int = 0
    #: set once it is known that preemption does not help here
    status: Status | None = None


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

    async def _find_out(self, rows: Sequence[int]) -> None:
        """Adds to what is known."""
        tried = await self._try([self._nodes.node(row).name for row in rows])
        for at, row in zip(rows, tried, strict=True):
            victims = Victims(tuple(row.victims), row.violations)
            self._findings.put(at, row.status or Candidate(row.node_name, victims))

    async def _try(self, node_names: Sequence[str]) -> list[_Row]:
        """Tries the nodes together; each on copies of its own where that fails."""
        try:
            return await self._try_together(node_names)
        except PySchedulerError as fault:
            if len(node_names) == 1:
                return [_Row(0, node_names[0], status=Status(Code.ERROR, (str(fault),)))]
        return [row for name in node_names for row in await self._try([name])]

    async def _try_together(self, node_names: Sequence[str]) -> list[_Row]:
        what_if = self._what_ifs.of(self._state, self._pod, node_names)
        rows = [_Row(row, name) for row, name in enumerate(node_names)]
        for row in rows:
            self._remove_all(what_if, row)
            await self._what_ifs.checkpoint()
        _judge(what_if, [row for row in rows if row.status is None])
        hopeful = [row for row in rows if row.status is None]
        for row in hopeful:
            self._order_reprieves(row)
        for turn in range(max((len(row.removed) for row in hopeful), default=0)):
            _reprieve(what_if, hopeful, turn)
            await self._what_ifs.checkpoint()
        for row in hopeful:
            _conclude(row)
        return rows

    def _remove_all(self, what_if: WhatIf, row: _Row) -> None:
        row.removed = self._evictable(what_if.nodes.node(row.row))
        if not row.removed:
            row.status = NO_VICTIMS
        for pod in row.removed:
            row.status = row.status or what_if.remove_pod(row.row, pod)

    def _order_reprieves(self, row: _Row) -> None:
        row.removed.sort(key=self._importance)
        violating, others = split_by_budgets(row.removed, self._budgets)
        if violating and others:
            row.places = {pod.uid: place for place, pod in enumerate(row.removed)}
        row.violating = len(violating)
        row.removed = violating + others


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


def _judge(what_if: WhatIf, rows: Sequence[_Row]) -> None:
    """Marks the rows on which the pod does not fit."""
    if rows:
        for row, status in zip(rows, what_if.judge([row.row for row in rows]), strict=True):
            row.status = status


def _reprieve(what_if: WhatIf, rows: Sequence[_Row], turn: int) -> None:
    """Puts back the pod whose turn it is on each row, where the preemptor still fits then."""
    tried: list[_Row] = []
    for row in rows:
        if row.status is None and turn < len(row.removed):
            row.status = what_if.add_pod(row.row, row.removed[turn])
            if row.status is None:
                tried.append(row)
    if not tried:
        return
    for row, status in zip(tried, what_if.judge([row.row for row in tried]), strict=True):
        if status is None:
            continue
        pod = row.removed[turn]
        row.status = what_if.remove_pod(row.row, pod)
        row.victims.append(pod)
        row.violations += turn < row.violating


def _conclude(row: _Row) -> None:
    """The victims stand in the order of importance, however they were found."""
    if row.places:
        row.victims.sort(key=lambda pod: row.places[pod.uid])
    if row.status is None and not row.victims:
        # it fits as it is: nobody said so before, so somebody answers two ways
        row.status = Status(
            Code.ERROR, (f'expected at least one victim pod on node "{row.node_name}"',)
        )
