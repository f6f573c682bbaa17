"""SchedulingGates: keeps a pod out of the queue until its gates are gone.

A pod with ``spec.schedulingGates`` waits outside, without being tried: PreEnqueue turns it away
with the names of all gates that are left. Gates can only be removed; the removal of the last one
lets the pod in. There is no state.

Source: kube-scheduler 1.37, ``plugins/schedulinggates/scheduling_gates.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod


class SchedulingGates(fwk.PreEnqueuePlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """Gates pods with ``spec.schedulingGates``."""

    def pre_enqueue(self, pod: Pod) -> fwk.Status | None:
        """Lets pods without gates in."""
        gates = pod.spec.scheduling_gates
        if not gates:
            return None
        names = " ".join(gate.name for gate in gates)
        return fwk.unresolvable(f"waiting for scheduling gates: [{names}]")

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """The pod's own last gate."""
        event = fwk.ClusterEvent(
            fwk.EventResource.TARGET_POD, fwk.ActionType.UPDATE_POD_SCHEDULING_GATES_ELIMINATED
        )
        return [fwk.ClusterEventWithHint(event, self.after_pod_change)]

    def after_pod_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the pod itself lost its gates; other pods' gates do not matter."""
        if isinstance(new, Pod) and new.uid == pod.uid and not new.spec.scheduling_gates:
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP
