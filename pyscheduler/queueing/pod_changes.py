"""What an update of a pod means for scheduling.

Called by: ``scheduling_queue`` for updates of waiting pods, ``cycle.event_handlers`` for those of
assigned ones.

Source: kube-scheduler 1.37, ``framework/events.go`` PodSchedulingPropertiesChange; knowing
difference: an update that changes nothing but what schedulers write themselves is no event.
"""

from __future__ import annotations

import msgspec

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.quantity import InvalidQuantity
from pyscheduler.api.resources import pod_requests
from pyscheduler.framework.cluster_events import ActionType, ClusterEvent, EventResource

#: the condition that the scheduler itself writes
_POD_SCHEDULED = "PodScheduled"


def pod_change_events(old: Pod, new: Pod, *, resource: EventResource) -> tuple[ClusterEvent, ...]:
    """The events that the change from `old` to `new` raises, one per aspect.

    Args:
        old: the pod before.
        new: the pod now.
        resource: what the events are about: the pending pod itself, or an assigned pod.
    """
    actions: list[ActionType] = []
    if old.labels != new.labels:
        actions.append(ActionType.UPDATE_POD_LABEL)
    actions.extend(_resizes(old, new))
    if len(old.spec.tolerations) != len(new.spec.tolerations):
        actions.append(ActionType.UPDATE_POD_TOLERATION)
    if old.spec.scheduling_gates and not new.spec.scheduling_gates:
        actions.append(ActionType.UPDATE_POD_SCHEDULING_GATES_ELIMINATED)
    if old.status.resource_claim_statuses != new.status.resource_claim_statuses:
        actions.append(ActionType.UPDATE_POD_GENERATED_RESOURCE_CLAIM)
    if not actions and _without_own_traces(old) != _without_own_traces(new):
        actions.append(ActionType.UPDATE)
    return tuple(ClusterEvent(resource, action) for action in actions)


def _resizes(old: Pod, new: Pod) -> list[ActionType]:
    if not _may_differ_in_size(old, new):
        return []
    try:
        before = pod_requests(old, use_status=True).requests
        now = pod_requests(new, use_status=True).requests
    except InvalidQuantity:
        return []  # still an update, only not one of a known direction
    resizes: list[ActionType] = []
    if any(now.get(name, 0) < amount for name, amount in before.items()):
        resizes.append(ActionType.UPDATE_POD_SCALE_DOWN)
    if any(before.get(name, 0) < amount for name, amount in now.items()):
        resizes.append(ActionType.UPDATE_POD_SCALE_UP)
    return resizes


def _may_differ_in_size(old: Pod, new: Pod) -> bool:
    if old.spec is not new.spec and old.spec != new.spec:
        return True
    before, now = old.status, new.status
    return (
        before.container_statuses != now.container_statuses
        or before.init_container_statuses != now.init_container_statuses
        or before.conditions != now.conditions
    )


def _without_own_traces(pod: Pod) -> Pod:
    """The pod less its version and what a failed attempt makes a scheduler write."""
    conditions = tuple(c for c in pod.status.conditions if c.type != _POD_SCHEDULED)
    replace = msgspec.structs.replace
    return replace(
        pod,
        metadata=replace(pod.metadata, resource_version="", generation=0),
        status=replace(
            pod.status, conditions=conditions, nominated_node_name="", observed_generation=0
        ),
        raw=b"",
    )
