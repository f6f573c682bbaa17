"""PrioritySort: higher priority first, then who waits longest.

Source: kube-scheduler 1.37, ``plugins/queuesort/priority_sort.go``.
"""

from __future__ import annotations

from pyscheduler import framework as fwk


class PrioritySort(fwk.QueueSortPlugin, fwk.Plugin[fwk.NoArgs]):
    """Orders activeQ by descending priority and ascending time of entry."""

    def sort_key(self, entity: fwk.QueuedEntity) -> tuple[int, float]:
        """``(-priority, timestamp)``."""
        return (-entity.pod.priority, entity.timestamp)
