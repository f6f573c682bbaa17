"""What the watch delivers, told to cache and queue: the only place where the two are kept in step.

The cache changes first, then the queue is told, so that a pod woken by an event sees what woke it
(a node's deletion is the exception, as upstream). Pods with a node count against it, whoever bound
them; pods without one enter the queue if a profile here has their schedulerName.

Called by: the informers' handlers, through ``app.assembly``.
"""

from __future__ import annotations

from collections.abc import Collection

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache.cache import SchedulerCache
from pyscheduler.cycle.event_diff import node_events
from pyscheduler.framework.cluster_events import (
    ASSIGNED_POD_ADDED,
    ASSIGNED_POD_DELETED,
    NODE_ADDED,
    NODE_DELETED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.queueing.pod_changes import pod_change_events
from pyscheduler.queueing.scheduling_queue import SchedulingQueue


class PodEvents:
    """Pods of the watch."""

    def __init__(
        self,
        cache: SchedulerCache,
        queue: SchedulingQueue,
        scheduler_names: Collection[str],
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._scheduler_names = frozenset(scheduler_names)

    def on_add(self, pod: Pod, initial: bool) -> None:  # the informer's signature
        """A pod is there."""
        if pod.node_name:
            self._assigned(pod)
        elif self._is_ours(pod) and self._cache.node_of(pod.uid) is None:
            self._queue.add(pod)

    def on_update(self, old: Pod, new: Pod) -> None:
        """A pod changed; getting a node is the change that matters most."""
        if not new.node_name:
            if self._is_ours(new) and not self._cache.is_assumed(new.uid):
                self._queue.update(old, new)
            return
        if not old.node_name:
            self._assigned(new)
            return
        self._cache.update_pod(new)
        for event in pod_change_events(old, new, resource=EventResource.ASSIGNED_POD):
            self._queue.move(event, old, new)

    def on_delete(self, pod: Pod) -> None:
        """A pod is gone or has ended. Its last state may be older than what we know."""
        was_counted = self._cache.node_of(pod.uid) is not None
        self._cache.remove_pod(pod)
        self._queue.delete(pod)
        if pod.node_name or was_counted:
            self._queue.move(ASSIGNED_POD_DELETED, pod, None)

    def _assigned(self, pod: Pod) -> None:
        self._cache.add_pod(pod)
        if self._is_ours(pod):
            self._queue.delete(pod)
        self._queue.move(ASSIGNED_POD_ADDED, None, pod)

    def _is_ours(self, pod: Pod) -> bool:
        return pod.scheduler_name in self._scheduler_names


class NodeEvents:
    """Nodes of the watch."""

    def __init__(self, cache: SchedulerCache, queue: SchedulingQueue) -> None:
        self._cache = cache
        self._queue = queue

    def on_add(self, node: Node, initial: bool) -> None:  # the informer's signature
        """A node joined."""
        self._cache.add_node(node)
        self._queue.move(NODE_ADDED, None, node)

    def on_update(self, old: Node, new: Node) -> None:
        """A node changed."""
        self._cache.update_node(old, new)
        for event in node_events(old, new):
            self._queue.move(event, old, new)

    def on_delete(self, node: Node) -> None:
        """A node left."""
        self._queue.move(NODE_DELETED, node, None)
        self._cache.remove_node(node.name)


class ResourceEvents:
    """Objects of any other kind that plugins registered events for; the cache knows none of them.

    The plugins' own handlers were added before this one, so what they keep is up to date when
    their hints are asked.
    """

    def __init__(self, queue: SchedulingQueue, resource: EventResource | str) -> None:
        self._queue = queue
        self._added = ClusterEvent(resource, ActionType.ADD)
        self._updated = ClusterEvent(resource, ActionType.UPDATE)
        self._deleted = ClusterEvent(resource, ActionType.DELETE)

    def on_add(self, added: object, initial: bool) -> None:  # the informer's signature
        """An object is there."""
        self._queue.move(self._added, None, added)

    def on_update(self, old: object, new: object) -> None:
        """An object changed."""
        self._queue.move(self._updated, old, new)

    def on_delete(self, deleted: object) -> None:
        """An object is gone."""
        self._queue.move(self._deleted, deleted, None)
