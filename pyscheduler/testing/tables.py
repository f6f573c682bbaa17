"""Node tables as a cycle sees them, made by the real cache and column store."""

from __future__ import annotations

from collections.abc import Iterable

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.framework.nodes import NodeTable


def cache_of(nodes: Iterable[Node], pods: Iterable[Pod] = ()) -> SchedulerCache:
    """A cache of ``nodes`` in their order, and of the ``pods`` that are bound to them."""
    cache = SchedulerCache()
    for node in nodes:
        cache.add_node(node)
    for pod in pods:
        cache.add_pod(pod)
    return cache


def snapshot_of(nodes: Iterable[Node], pods: Iterable[Pod] = ()) -> Snapshot:
    """A snapshot of ``nodes`` in their order, with the ``pods`` that are bound to them."""
    snapshot = Snapshot(cache_of(nodes, pods))
    snapshot.refresh()
    return snapshot


def node_table(nodes: Iterable[Node], pods: Iterable[Pod] = ()) -> NodeTable:
    """The table of `snapshot_of`."""
    return snapshot_of(nodes, pods).nodes
