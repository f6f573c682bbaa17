"""What an update of a pod means for scheduling.

Called by: ``scheduling_queue`` for updates of waiting pods, ``cycle.event_handlers`` for those of
assigned ones.

Source: kube-scheduler 1.37, ``framework/events.go`` PodSchedulingPropertiesChange; knowing
difference: an update that changes nothing but what schedulers write themselves is no event.
"""

from __future__ import annotations

from functools import cache

import msgspec

from pyscheduler.api.core_v1 import Pod, PodCondition
from pyscheduler.api.quantity import InvalidQuantity
from pyscheduler.api.resources import pod_requests
from pyscheduler.framework.cluster_events import ActionType, ClusterEvent, EventResource

#: the condition that the scheduler itself writes
_POD_SCHEDULED = "PodScheduled"
#: the condition that says whether a resize is possible at all
_RESIZE_PENDING = "PodResizePending"


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
    if not actions and _differs_otherwise(old, new):
        actions.append(ActionType.UPDATE)
    return tuple([_event(resource, action) for action in actions])


@cache
def _event(resource: EventResource, action: ActionType) -> ClusterEvent:
    """One object for each of a dozen events, for that is what their audience is found by."""
    return ClusterEvent(resource, action)


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
    """Compares what `pod_requests` looks at; mostly the same objects, so that it costs nothing."""
    before, now = old.spec, new.spec
    if before is not now and (
        before.containers != now.containers
        or before.init_containers != now.init_containers
        or before.overhead != now.overhead
        or before.resources != now.resources
    ):
        return True
    earlier, later = old.status, new.status
    return (
        earlier.container_statuses != later.container_statuses
        or earlier.init_container_statuses != later.init_container_statuses
        or earlier.resources != later.resources
        or earlier.allocated_resources != later.allocated_resources
        or old.condition(_RESIZE_PENDING) != new.condition(_RESIZE_PENDING)
    )


def _differs_otherwise(old: Pod, new: Pod) -> bool:
    """Compares all but the version and what a failed attempt makes a scheduler write."""
    before, now = old.status, new.status
    replace = msgspec.structs.replace
    return (
        replace(
            now,
            conditions=before.conditions,
            nominated_node_name=before.nominated_node_name,
            observed_generation=before.observed_generation,
        )
        != before
        or _conditions_of_others(old) != _conditions_of_others(new)
        or new.spec != old.spec
        or replace(
            new.metadata,
            resource_version=old.metadata.resource_version,
            generation=old.metadata.generation,
        )
        != old.metadata
    )


def _conditions_of_others(pod: Pod) -> list[PodCondition]:
    return [c for c in pod.status.conditions if c.type != _POD_SCHEDULED]
