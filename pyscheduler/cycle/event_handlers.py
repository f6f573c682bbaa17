"""What the watch delivers, told to cache and queue: the only place where the two are kept in step.

The cache changes first, then the queue is told, so that a pod woken by an event sees what woke it
(a node's deletion is the exception, as upstream). Pods with a node count against it, whoever bound
them; pods without one enter the queue if a profile here has their schedulerName.

A pending pod that was promised a node holds room as if it were there. So when it goes, or loses the
promise, pods of its priority or below hear that a pod has left.

Called by: the informers' handlers, through ``app.assembly``.

Source: kube-scheduler 1.37, ``eventhandlers.go``; knowing differences: UnscheduledPod events are
raised only while a plugin names that resource (upstream: only with gang scheduling); a pod bound to
another node than it was promised frees the promised one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec

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

_PENDING_POD_ADDED = ClusterEvent(EventResource.UNSCHEDULED_POD, ActionType.ADD)
_PENDING_POD_DELETED = ClusterEvent(EventResource.UNSCHEDULED_POD, ActionType.DELETE)


class AssumedPods(Protocol):
    """Where pods are between their assumption and their binding."""

    def on_assumed_pod_deleting(self, pod: Pod) -> bool:
        """Ends the pod's wait at Permit, if it waits there.

        Returns:
            True when it did: its binding cycle then gives the room back and tells the queue.
        """
        ...


class PodEvents:
    """Pods of the watch."""

    def __init__(
        self,
        cache: SchedulerCache,
        queue: SchedulingQueue,
        scheduler_names: Collection[str],
        *,
        assumed_pods: AssumedPods | None = None,
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._scheduler_names = frozenset(scheduler_names)
        #: None while no pod can wait at Permit
        self._assumed_pods = assumed_pods
        self._tells_of_pending = EventResource.UNSCHEDULED_POD in queue.interesting_resources

    def on_add(self, pod: Pod, initial: bool) -> None:  # the informer's signature
        """A pod is there."""
        if pod.node_name:
            self._assigned(pod)
        elif self._is_ours(pod) and self._cache.node_of(pod.uid) is None:
            self._queue.add(pod)
            if self._tells_of_pending:
                self._queue.move(_PENDING_POD_ADDED, None, pod)

    def on_update(self, old: Pod, new: Pod) -> None:
        """A pod changed; getting a node is the change that matters most."""
        if not new.node_name:
            if self._is_ours(new) and not _is_same_version(old, new):
                self._pending_changed(old, new)
            return
        if not old.node_name:
            self._assigned(new)
            promised = old.status.nominated_node_name
            if promised and promised != new.node_name and self._is_ours(new):
                promise_ended(self._queue, old, promised)
            return
        self._cache.update_pod(new)
        for event in pod_change_events(old, new, resource=EventResource.ASSIGNED_POD):
            self._queue.move(event, old, new)

    def on_delete(self, pod: Pod) -> None:
        """A pod is gone or has ended. Its last state may be older than what we know."""
        was_counted = self._cache.node_of(pod.uid) is not None
        if self._cache.is_assumed(pod.uid) and self._assumed_pods is not None:
            self._assumed_pods.on_assumed_pod_deleting(pod)
        promised = pod.status.nominated_node_name or self._queue.nominator.node_of(pod.uid)
        self._cache.remove_pod(pod)
        self._queue.delete(pod)
        if pod.node_name or was_counted:
            self._queue.move(ASSIGNED_POD_DELETED, pod, None)
        elif self._is_ours(pod):
            if promised:
                promise_ended(self._queue, pod, promised)
            if self._tells_of_pending:
                self._queue.move(_PENDING_POD_DELETED, pod, None)

    def _pending_changed(self, old: Pod, new: Pod) -> None:
        if self._cache.is_assumed(new.uid):
            # what else changed is read again if its binding fails
            if new.is_terminating and not old.is_terminating:
                self._assumed_deleting(new)
            return
        self._queue.update(old, new)
        promised = old.status.nominated_node_name
        if promised and promised != new.status.nominated_node_name:
            promise_ended(self._queue, old, promised)
        if self._tells_of_pending:
            for event in pod_change_events(old, new, resource=EventResource.UNSCHEDULED_POD):
                self._queue.move(event, old, new)

    def _assumed_deleting(self, pod: Pod) -> None:
        """The room is free at once: the API server will not bind a pod that is being deleted."""
        if self._assumed_pods is not None and self._assumed_pods.on_assumed_pod_deleting(pod):
            return
        self._cache.forget(pod)
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


def promise_ended(queue: SchedulingQueue, pod: Pod, node_name: str) -> None:
    """Wakes whom the nomination of ``pod`` kept out of that node: those that had to respect it."""
    queue.move(
        ASSIGNED_POD_DELETED,
        _nominated(pod, node_name),
        None,
        pre_check=lambda other: other.priority <= pod.priority,
    )


def _is_same_version(old: Pod, new: Pod) -> bool:
    """True for a re-delivery, which must not look like a change (kubernetes#96071)."""
    version = new.metadata.resource_version
    return old.uid == new.uid and bool(version) and version == old.metadata.resource_version


def _nominated(pod: Pod, node_name: str) -> Pod:
    """The pod as hints are to see it: a promise known here may not have been written yet."""
    if pod.status.nominated_node_name == node_name:
        return pod
    status = msgspec.structs.replace(pod.status, nominated_node_name=node_name)
    return msgspec.structs.replace(pod, status=status)


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
