"""DefaultPreemption: makes room for a pod of higher priority that fits nowhere.

The rule. Of the nodes that turned the pod away for something that pods' leaving can change, some
are tried on copies: without all pods of lower priority the pod must fit; then as many as possible
are put back, those that a disruption budget protects first. Of the candidates that are left the one
with the fewest broken budgets is best, then the one whose highest victim is lowest, then by the sum
of the victims' priorities, their number, and the start of the highest ones. The pod is nominated to
it, and the victims are told to go in the background.

    PostFilter   finds node and victims, or says why preemption does not help
    PreEnqueue   keeps the preemptor out of the queue until all its victims were told to go

The work is done by the library ``pyscheduler.preemption``, which other plugins may use as well;
this is its registration, with the limits of the search as arguments.

Source: kube-scheduler 1.37, ``plugins/defaultpreemption/default_preemption.go``. Knowing
differences are those of the library's modules.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pydantic import Field, model_validator

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.status import PostFilterResult
from pyscheduler.preemption import Evaluator, SearchLimits

_UNDER_WAY = fwk.unresolvable("waiting for the preemption for this pod to be finished")


class DefaultPreemptionArgs(fwk.Args):
    """Arguments of DefaultPreemption."""

    min_candidate_nodes_percentage: int = Field(default=10, ge=0, le=100)
    min_candidate_nodes_absolute: int = Field(default=100, ge=0)

    @model_validator(mode="after")
    def _must_not_both_be_zero(self) -> DefaultPreemptionArgs:
        if not self.min_candidate_nodes_percentage and not self.min_candidate_nodes_absolute:
            raise ValueError(
                "minCandidateNodesPercentage and minCandidateNodesAbsolute must not both be 0"
            )
        return self


class DefaultPreemption(
    fwk.PostFilterPlugin,
    fwk.PreEnqueuePlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[DefaultPreemptionArgs],
):
    """Evicts pods of lower priority where that lets a pod in."""

    def __init__(self, args: DefaultPreemptionArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._evaluator = Evaluator(
            handle,
            plugin=self.name,
            limits=SearchLimits(
                min_percentage=args.min_candidate_nodes_percentage,
                min_absolute=args.min_candidate_nodes_absolute,
            ),
        )

    async def post_filter(
        self, state: fwk.CycleState, pod: Pod, statuses: fwk.NodeStatuses
    ) -> tuple[PostFilterResult | None, fwk.Status]:
        """Nominates a node and has its victims evicted, or says why that does not help."""
        result, status = await self._evaluator.preempt(state, pod, statuses)
        return result, fwk.Status(status.code, (f"preemption: {status.message}",))

    def pre_enqueue(self, pod: Pod) -> fwk.Status | None:
        """Keeps a preemptor out until all its victims were told to go."""
        if self._evaluator.is_preempting(pod):
            return _UNDER_WAY
        return None

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A victim's end, so that a gated preemptor is looked at again if its gate has opened."""
        after = self.after_pod_deletion
        return [fwk.ClusterEventWithHint(fwk.ASSIGNED_POD_DELETED, after, let_in=self.let_in)]

    def let_in(self, old: object, new: object) -> Collection[str]:
        """Those whose victims may all have been told; most that are gated wait for that."""
        return self._evaluator.may_be_done

    def after_pod_deletion(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """SKIP: whether there is room now is for the plugin to say that missed it."""
        return fwk.QueueingHint.SKIP
