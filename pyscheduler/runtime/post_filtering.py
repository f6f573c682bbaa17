"""PostFilter: what may be done for a pod that fits nowhere, such as preemption.

Plugins are asked in order until one makes room (success), says that nothing helps (unresolvable)
or fails; those that only could not help (unschedulable) add their reasons to the pod's condition.

Called by: ``cycle.loop``, after filtering left no node. Source: kube-scheduler 1.37,
``framework/runtime/framework.go`` RunPostFilterPlugins; knowing difference: after a fault the pod
is tried again with error backoff, instead of waiting for an event.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.status import Code
from pyscheduler.runtime.instrument import PluginFault
from pyscheduler.runtime.profile import Profile


@dataclass(frozen=True, slots=True)
class PostFilterOutcome:
    """What the PostFilter plugins together came to."""

    #: appended to the pod's condition
    message: str = ""
    #: the node nominated; "" voids an earlier nomination, None leaves it as it is
    nomination: str | None = None
    #: a plugin broke down: no event tells when it may do better, so the pod is tried again soon
    is_fault: bool = False


async def run_post_filters(
    profile: Profile, state: CycleState, pod: Pod, statuses: NodeStatuses
) -> PostFilterOutcome:
    """Asks the profile's PostFilter plugins; a fault ends the search and nominates nothing."""
    nomination: str | None = None
    reasons: list[str] = []
    for _, post_filter in profile.post_filters:
        try:
            result, status = await post_filter(state, pod, statuses)
        except PluginFault as fault:
            return PostFilterOutcome(str(fault), is_fault=True)
        named = None if result is None else result.nominated_node_name
        if status is None or status.is_success:
            return PostFilterOutcome("" if status is None else status.message, named)
        if status.code is Code.UNSCHEDULABLE_AND_UNRESOLVABLE:
            return PostFilterOutcome(status.message, named)
        if not status.is_rejected:
            return PostFilterOutcome(status.message)
        if named is not None:
            nomination = named
        reasons.extend(status.reasons)
    return PostFilterOutcome(", ".join(reasons), nomination)
