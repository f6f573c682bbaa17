"""Decides whether a pod may make room for itself, on which node, and who leaves.

`Evaluator.preempt` is what a PostFilter plugin returns: is the pod eligible, where could it fit,
who would have to leave there (``dry_run``), which node costs least (``ranking``), and off it goes
(``executor``). The methods in the section "what a plugin may change" are meant to be overridden.

Called by: PostFilter plugins, DefaultPreemption among them. Source: kube-scheduler 1.37,
``framework/preemption/preemption.go`` and ``plugins/defaultpreemption/default_preemption.go``.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.nodes import NodeInfo
from pyscheduler.framework.status import (
    Code,
    Diagnosis,
    PostFilterResult,
    Status,
    unschedulable,
)
from pyscheduler.preemption import ranking
from pyscheduler.preemption.candidates import Candidate
from pyscheduler.preemption.dry_run import DryRun, DryRunResult
from pyscheduler.preemption.executor import Executor, terminates_by_preemption
from pyscheduler.preemption.findings import Findings, Rows

NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
NOT_HELPFUL = "Preemption is not helpful for scheduling"

#: ``await extend(pod, candidates)``: extenders may drop candidates and change their victims
Extend = Callable[[Pod, Sequence[Candidate]], Awaitable[Sequence[Candidate]]]

#: what PostFilter answers
Answer = tuple[PostFilterResult | None, Status]


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """How many candidates are enough; nodes are tried until there are."""

    #: percent of the nodes that may help
    min_percentage: int = 10
    min_absolute: int = 100

    def wanted(self, nodes: int) -> int:
        """Candidates to be found among so many nodes."""
        return min(max(nodes * self.min_percentage // 100, self.min_absolute), nodes)


class Evaluator:
    """Preemption for the pods of one plugin."""

    def __init__(
        self,
        handle: Handle,
        *,
        plugin: str,
        limits: SearchLimits = SearchLimits(),
        extend: Extend | None = None,
    ) -> None:
        """Asks for what it needs of the scheduler; made in a plugin's ``__init__``.

        Args:
            handle: the plugin's.
            plugin: its name.
            limits: how many candidates are enough.
            extend: shown the candidates before one is chosen; the configured extenders when None.
        """
        self._handle = handle
        self._limits = limits
        if extend is None and handle.extenders is not None:
            extend = handle.extenders.narrow_candidates
        self._extend = extend
        self._budgets = handle.listers.of("poddisruptionbudgets.v1.policy", PodDisruptionBudget)
        self._plugin = plugin
        #: the budgets at the last dry run; the version grows when they are others
        self._seen_budgets: Sequence[PodDisruptionBudget] = ()
        self._budgets_version = 0
        self._executor = Executor(handle, plugin=plugin)

    async def preempt(self, state: CycleState, pod: Pod, statuses: NodeStatuses) -> Answer:
        """Makes room for ``pod`` if that helps.

        Args:
            state: what PreFilter left for ``pod``.
            pod: fits nowhere.
            statuses: why.

        Returns:
            Success with the node nominated: victims are being evicted. Unschedulable without a
            nomination: not now, an earlier one stays. Unschedulable with an empty one: nobody's
            leaving helps, an earlier one is void. Error: nothing was done.

        Raises:
            PySchedulerError: an extender failed.
        """
        handle = self._handle
        began, code = handle.clock.monotonic(), Code.ERROR
        try:
            found = await self._evaluate(state, pod, statuses)
            code = Code.SUCCESS if isinstance(found, Candidate) else found[1].code
        finally:
            handle.preemption_observer.evaluated(code.label, handle.clock.monotonic() - began)
        if not isinstance(found, Candidate):
            return found
        victims = found.victims
        handle.preemption_observer.chose(len(victims.pods), victims.pdb_violations)
        self._executor.start(found, pod)
        message = (
            f"found a potential placement for pod on node {found.node_name},"
            f" preempting {len(victims.pods)} victims"
        )
        return PostFilterResult(found.node_name), Status(Code.SUCCESS, (message,))

    def is_preempting(self, pod: Pod) -> bool:
        """True while victims of ``pod`` are still to be told to go; for PreEnqueue."""
        return self._executor.is_preempting(pod)

    @property
    def may_be_done(self) -> Collection[str]:
        """The keys of gated preemptors for which `is_preempting` may have become false."""
        return self._executor.may_be_done

    # --- what a plugin may change ---

    def may_evict(self, node: NodeInfo, victim: Pod, preemptor: Pod) -> bool:
        """Whether ``victim``, whose priority is lower, may be evicted from ``node`` at all."""
        return True

    def importance(self, pod: Pod, now: float) -> tuple[float, ...]:
        """A key that sorts first whom to spare first; ``now`` is the start of who has not begun."""
        return ranking.importance(pod, now=now)

    def score_functions(self, now: float) -> Sequence[ranking.ScoreFunction]:
        """The criteria for the choice of the node, the first of them the most important."""
        return ranking.default_score_functions(now)

    def ineligibility(self, pod: Pod, statuses: NodeStatuses) -> str:
        """Why ``pod`` may not preempt now; empty when it may."""
        if pod.spec.preemption_policy == "Never":
            return NEVER
        nominated = self._handle.nominator.node_of(pod.uid)
        status = statuses.get(nominated)
        if status is None or status.code is Code.UNSCHEDULABLE_AND_UNRESOLVABLE:
            return ""  # never nominated, or the node is gone or can never take it
        node = _node_named(self._handle, nominated)
        if node is not None and any(map(self._leaves, self._evictable(node, pod))):
            return TERMINATING
        return ""

    # --- inside ---

    async def _evaluate(
        self, state: CycleState, pod: Pod, statuses: NodeStatuses
    ) -> Candidate | Answer:
        """The best candidate, or why there is none."""
        newest = self._executor.departures.newest(pod)
        if newest is None:
            return None, unschedulable("the pod was deleted meanwhile")
        reason = self.ineligibility(newest, statuses)
        if reason:
            return None, unschedulable(reason)
        found = await self._dry_run(state, pod, statuses.rows_with(Code.UNSCHEDULABLE))
        # nobody else is to choose among them, or to choose otherwise: then equals need no look
        is_usual = self._extend is None and type(self).score_functions is Evaluator.score_functions
        candidates: Sequence[Candidate] = found.one_of_each_cost if is_usual else found.candidates
        if not candidates:
            return _nothing_helps(found, total_nodes=len(statuses))
        if self._extend is not None:
            candidates = await self._extend(pod, candidates)
        if not candidates:
            return None, unschedulable("no candidate node for preemption")
        return ranking.best_candidate(candidates, self.score_functions(self._handle.clock.now()))

    async def _dry_run(self, state: CycleState, pod: Pod, rows: Rows) -> DryRunResult:
        """Tries the nodes in a circle from a random one on."""
        handle, budgets = self._handle, self._budgets.list()
        nodes = handle.snapshot.nodes
        if not rows.size:
            return DryRunResult(nodes, rows, Findings(len(nodes)))
        run = DryRun(
            handle.what_ifs,
            state,
            pod,
            evictable=functools.partial(self._evictable, preemptor=pod),
            importance=functools.partial(self.importance, now=handle.clock.now()),
            budgets=budgets,
            nodes=nodes,
            findings=self._known(state, pod, budgets) or Findings(len(nodes)),
        )
        offset = handle.rng.randrange(len(rows))
        return await run.run(rows, wanted=self._limits.wanted(len(rows)), first=offset)

    def _known(
        self, state: CycleState, pod: Pod, budgets: Sequence[PodDisruptionBudget]
    ) -> Findings | None:
        """What dry runs for pods of this class found out; None: nothing that holds for ``pod``."""
        kind = type(self)
        if (
            kind.may_evict is not Evaluator.may_evict
            or kind.importance is not Evaluator.importance
            or self._handle.nominator.node_of(pod.uid)
        ):
            return None  # what is decided for each pod, and what a pod's own nomination changes
        if len(budgets) != len(self._seen_budgets) or any(
            new is not old for new, old in zip(budgets, self._seen_budgets, strict=True)
        ):
            self._seen_budgets = budgets
            self._budgets_version += 1
        key = (self._plugin, self._budgets_version)
        return self._handle.what_ifs.kept(state, pod, key=key, make=Findings)

    def _evictable(self, node: NodeInfo, preemptor: Pod) -> list[Pod]:
        return [
            pod
            for pod in node.pods.values()
            if pod.priority < preemptor.priority and self.may_evict(node, pod, preemptor)
        ]

    def _leaves(self, pod: Pod) -> bool:
        """True for who makes room because a scheduler said so; other deletions do not count."""
        return terminates_by_preemption(pod) or pod in self._executor.departures


def _node_named(handle: Handle, name: str) -> NodeInfo | None:
    row = handle.snapshot.nodes.row_of(name)
    return None if row is None else handle.snapshot.nodes.node(row)


def _nothing_helps(found: DryRunResult, *, total_nodes: int) -> Answer:
    """Words what the dry run found out, as a scheduling attempt's diagnosis is worded."""
    reasons = found.reasons()
    faults = list(dict.fromkeys(one.message for one, _ in reasons if one.code is Code.ERROR))
    if faults:
        told = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        return None, Status(Code.ERROR, (told,))
    diagnosis = Diagnosis(total_nodes)
    for status, nodes in reasons:
        diagnosis.count(status.reasons, nodes)
    untried = total_nodes - sum(nodes for _, nodes in reasons)
    if untried:
        diagnosis.count((NOT_HELPFUL,), untried)
    return PostFilterResult(""), unschedulable(diagnosis.message)
