"""From a changed object to the events it means: pure comparisons.

Source: kube-scheduler 1.37, ``framework/events.go`` (which change raises which event).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.quantity import InvalidQuantity
from pyscheduler.api.resources import pod_requests
from pyscheduler.framework.cluster_events import ActionType, ClusterEvent, EventResource


def node_events(old: Node, new: Node) -> Iterator[ClusterEvent]:
    """The events of a node's update, none for a mere heartbeat."""
    if old.spec.unschedulable and not new.spec.unschedulable:
        yield _node(ActionType.UPDATE_NODE_TAINT)
    if old.status.allocatable != new.status.allocatable:
        yield _node(ActionType.UPDATE_NODE_ALLOCATABLE)
    if old.labels != new.labels:
        yield _node(ActionType.UPDATE_NODE_LABEL)
    if old.spec.taints != new.spec.taints:
        yield _node(ActionType.UPDATE_NODE_TAINT)
    if _conditions(old) != _conditions(new):
        yield _node(ActionType.UPDATE_NODE_CONDITION)
    if old.annotations != new.annotations:
        yield _node(ActionType.UPDATE_NODE_ANNOTATION)


def pod_events(old: Pod, new: Pod, resource: EventResource) -> Iterator[ClusterEvent]:
    """The events of a pod's update; a change of no known kind is a plain update."""
    action = ActionType(0)
    if old.labels != new.labels:
        action |= ActionType.UPDATE_POD_LABEL
    if _scaled_down(old, new):
        action |= ActionType.UPDATE_POD_SCALE_DOWN
    if old.spec.scheduling_gates and not new.spec.scheduling_gates:
        action |= ActionType.UPDATE_POD_SCHEDULING_GATES_ELIMINATED
    if len(old.spec.tolerations) != len(new.spec.tolerations):
        action |= ActionType.UPDATE_POD_TOLERATION
    if old.status.resource_claim_statuses != new.status.resource_claim_statuses:
        action |= ActionType.UPDATE_POD_GENERATED_RESOURCE_CLAIM
    if not action:
        yield ClusterEvent(resource, ActionType.UPDATE)
        return
    for bit in ActionType:
        if bit not in (ActionType.UPDATE, ActionType.ALL) and action & bit:
            yield ClusterEvent(resource, bit)


def _node(action: ActionType) -> ClusterEvent:
    return ClusterEvent(EventResource.NODE, action)


def _conditions(node: Node) -> Mapping[str, str]:
    return {condition.type: condition.status for condition in node.status.conditions}


def _scaled_down(old: Pod, new: Pod) -> bool:
    if old.spec == new.spec and old.status.container_statuses == new.status.container_statuses:
        return False
    try:
        before = pod_requests(old, use_status=True).requests
        after = pod_requests(new, use_status=True).requests
    except InvalidQuantity:
        return False
    return any(after.get(resource, 0) < amount for resource, amount in before.items())
