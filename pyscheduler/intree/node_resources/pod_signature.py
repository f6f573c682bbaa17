"""What both plugins about resources read of a pod, as the part of its class that they sign.

Sums, not containers: pods that differ in image, command or environment ask for the same and are
judged alike. Remembered with the requests themselves, per template.

Called by: ``fit``, ``balanced_allocation``.
"""

from __future__ import annotations

from msgspec.structs import replace

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.quantity import InvalidQuantity
from pyscheduler.api.resources import PodRequests, pod_requests


def signed_requests(pod: Pod) -> tuple[object, ...]:
    """All that the answers follow from: the pod's requests, with and without its own."""
    try:
        requests = pod_requests(pod)
        if pod.spec.resources is None:
            return _parts(requests)
        return (*_parts(requests), *_parts(pod_requests(without_pod_level(pod))))
    except InvalidQuantity:
        # whoever judges the pod will say so; it is alike to those that say the same
        spec = pod.spec
        return (spec.containers, spec.init_containers, spec.overhead, spec.resources)


def without_pod_level(pod: Pod) -> Pod:
    """The pod as if it asked for nothing as a whole."""
    if pod.spec.resources is None:
        return pod
    return replace(pod, spec=replace(pod.spec, resources=None))


def _parts(requests: PodRequests) -> tuple[object, ...]:
    return (requests.requests, requests.non_zero_cpu, requests.non_zero_memory)
