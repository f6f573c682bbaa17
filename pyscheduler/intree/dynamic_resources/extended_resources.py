"""Extended resources as devices: which requests a pod's containers become, and who shares one.

On a node that has none of ``example.com/gpu`` to allocate, with a device class that provides it,
what the containers ask for becomes the requests of one claim, made by the scheduler for the pod:

    container-<index>-request-<index>    count devices of the class

where the first index is the container's among init containers and containers, and the second the
resource's among all that the container requests, by name. An init container that ends before the
others start uses their devices again, and asks for more only as far as these do not suffice; of
several such containers the largest request stands for all. The *mappings* tell the kubelet which
container has which request.

Until PreBind the claim exists in memory alone, under a name that no claim can have.

Called by: ``plugin``. Source: kube-scheduler 1.37, ``extendeddynamicresources.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyscheduler.api.core_v1 import Container, Pod
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import KubeStruct, ObjectMeta, OwnerReference
from pyscheduler.api.quantity import NANO, nano_value
from pyscheduler.api.resource_v1 import (
    EXACT_COUNT,
    EXTENDED_RESOURCE_CLAIM_ANNOTATION,
    DeviceClaim,
    DeviceRequest,
    ExactDeviceRequest,
    ResourceClaim,
    ResourceClaimSpec,
)
from pyscheduler.framework.extended_resources import ExtendedResources, may_be_devices

#: The name of the claim while it is in memory only; no valid one, so that none can be taken for it.
IN_MEMORY: Final = "<extended-resources>"


class ContainerRequest(KubeStruct, frozen=True):
    """``v1.ContainerExtendedResourceRequest``: where a container finds its devices."""

    container_name: str
    resource_name: str
    request_name: str


@dataclass(frozen=True, slots=True)
class DeviceNeeds:
    """What a pod needs of devices on nodes that lack the same extended resources."""

    spec: ResourceClaimSpec
    mappings: tuple[ContainerRequest, ...]


def wanted(requests: Mapping[str, int], classes: ExtendedResources) -> dict[str, int]:
    """The extended resources among a pod's requests, if a class provides one of them; else none."""
    if not len(classes):
        return {}
    extended = {name: count for name, count in requests.items() if count and may_be_devices(name)}
    return extended if any(map(classes.class_of, extended)) else {}


def claim_in_memory(pod: Pod) -> ResourceClaim:
    """The claim for the pod's extended resources, before it is known what it has to ask for."""
    owner = OwnerReference(
        api_version="v1", kind="Pod", name=pod.name, uid=pod.uid, controller=True
    )
    return ResourceClaim(
        ObjectMeta(
            name=IN_MEMORY,
            namespace=pod.namespace,
            # no uid that the API server gives out
            uid=f"{pod.uid}{IN_MEMORY}",
            generate_name=f"{pod.name}-extended-resources-",
            owner_references=(owner,),
            annotations=FrozenMap({EXTENDED_RESOURCE_CLAIM_ANNOTATION: "true"}),
        )
    )


def is_in_memory(claim: ResourceClaim) -> bool:
    """True until the API server has the claim."""
    return claim.metadata.name == IN_MEMORY


def device_needs(pod: Pod, class_names: Mapping[str, str]) -> DeviceNeeds:
    """The requests for those resources, by name, and the mappings.

    Args:
        pod: the pod.
        class_names: by resource, of the resources that are to be had as devices.
    """
    containers = [*pod.spec.init_containers, *pod.spec.containers]
    inits = len(pod.spec.init_containers)
    ends_early = [
        i < inits and container.restart_policy != "Always" for i, container in enumerate(containers)
    ]
    requests: list[DeviceRequest] = []
    mappings: list[ContainerRequest] = []
    for resource, class_name in sorted(class_names.items()):
        found = _needs_of(resource, class_name, containers, ends_early)
        requests += found.spec.devices.requests
        mappings += found.mappings
    requests.sort(key=lambda request: request.name)
    return DeviceNeeds(ResourceClaimSpec(DeviceClaim(tuple(requests))), tuple(mappings))


def _needs_of(
    resource: str, class_name: str, containers: Sequence[Container], ends_early: Sequence[bool]
) -> DeviceNeeds:
    """What one resource comes to."""
    kept: dict[int, DeviceRequest] = {}
    kept_mappings: list[ContainerRequest] = []
    brief: list[DeviceRequest] = []
    brief_mappings: list[ContainerRequest] = []
    for i, container in enumerate(containers):
        if not ends_early[i]:
            request, used = _request_of(i, container, resource, class_name, again=())
            kept_mappings += used
            if request is not None:
                kept[i] = request
    for i, container in enumerate(containers):
        if ends_early[i]:
            later = [request for j, request in kept.items() if j >= i]
            request, used = _request_of(i, container, resource, class_name, again=later)
            brief_mappings += used
            if request is not None:
                brief.append(request)
    if brief:
        largest = max(brief, key=_count)
        replaced = {request.name for request in brief}
        brief_mappings = [
            ContainerRequest(used.container_name, used.resource_name, largest.name)
            if used.request_name in replaced
            else used
            for used in brief_mappings
        ]
        brief = [largest]
    requests = (*brief, *kept.values())
    return DeviceNeeds(ResourceClaimSpec(DeviceClaim(requests)), (*kept_mappings, *brief_mappings))


def _request_of(
    index: int,
    container: Container,
    resource: str,
    class_name: str,
    *,
    again: Sequence[DeviceRequest],
) -> tuple[DeviceRequest | None, list[ContainerRequest]]:
    """What a container has to ask for besides the requests that it uses again, and all it uses."""
    asked = container.resources.requests
    count = _whole(asked.get(resource, "0"))
    used: list[ContainerRequest] = []
    if not count:
        return None, used
    for request in again:
        used.append(ContainerRequest(container.name, resource, request.name))
        count -= _count(request)
        if count <= 0:
            return None, used
    name = f"container-{index}-request-{sorted(asked).index(resource)}"
    used.append(ContainerRequest(container.name, resource, name))
    exactly = ExactDeviceRequest(class_name, allocation_mode=EXACT_COUNT, count=count)
    return DeviceRequest(name, exactly=exactly), used


def _count(request: DeviceRequest) -> int:
    return 0 if request.exactly is None else request.exactly.count


def _whole(quantity: str) -> int:
    """A quantity as a number of devices; 0 for what is no whole number."""
    nanos = nano_value(quantity)
    return nanos // NANO if nanos % NANO == 0 else 0
