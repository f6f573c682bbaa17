"""From a changed node to the events it means; pods are ``queueing.pod_changes``'.

Source: kube-scheduler 1.37, ``framework/events.go`` (which change raises which event); knowing
difference: UpdateNodePreemptionPolicy is never raised, it belongs to an alpha feature that is off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyscheduler.api.core_v1 import Node
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
    if old.status.declared_features != new.status.declared_features:
        yield _node(ActionType.UPDATE_NODE_DECLARED_FEATURE)


def _node(action: ActionType) -> ClusterEvent:
    return ClusterEvent(EventResource.NODE, action)


def _conditions(node: Node) -> Mapping[str, str]:
    return {condition.type: condition.status for condition in node.status.conditions}
