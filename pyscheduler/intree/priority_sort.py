"""PrioritySort: higher priority first, then who waits longest.

Of two pods the one with the higher ``spec.priority`` (0 if it has none) is tried first, of equal
ones the one that entered the queue earlier. There is no state.

Source: kube-scheduler 1.37, ``plugins/queuesort/priority_sort.go``. Knowing difference: a key that
is made when a pod is queued, in place of a comparison, so that the queue calls no plugin.
"""

from __future__ import annotations

from pyscheduler import framework as fwk


class PrioritySort(fwk.QueueSortPlugin, fwk.Plugin[fwk.NoArgs]):
    """Orders activeQ by descending priority and ascending time of entry."""

    def sort_key(self, entity: fwk.QueuedEntity) -> tuple[int, float]:
        """``(-priority, timestamp)``."""
        return (-entity.pod.priority, entity.timestamp)
