"""QOSSort: pods of one priority are tried by quality of service, then first come first served.

A QueueSort gives a key instead of comparing two pods: it is computed when a pod enters the queue,
and again when the pod changes, not at every comparison.
"""

from __future__ import annotations

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Container, Pod
from pyscheduler.api.quantity import milli_value

GUARANTEED, BURSTABLE, BEST_EFFORT = range(3)


def quality_of_service(pod: Pod) -> int:
    """The pod's QoS class, as the kubelet defines it; lower is better."""
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    if all(not c.resources.requests and not c.resources.limits for c in containers):
        return BEST_EFFORT
    return GUARANTEED if all(_is_guaranteed(c) for c in containers) else BURSTABLE


def _is_guaranteed(container: Container) -> bool:
    """CPU and memory are limited, and what is asked for is the limit."""
    limits, requests = container.resources.limits, container.resources.requests
    return all(
        name in limits
        and milli_value(requests.get(name, limits[name])) == milli_value(limits[name])
        for name in ("cpu", "memory")
    )


class QOSSort(fwk.QueueSortPlugin, fwk.Plugin[fwk.NoArgs]):
    """Orders by priority, then Guaranteed before Burstable before BestEffort, then by time."""

    def sort_key(self, entity: fwk.QueuedEntity) -> tuple[int, int, float]:
        """Lower is tried first."""
        return -entity.pod.priority, quality_of_service(entity.pod), entity.timestamp
