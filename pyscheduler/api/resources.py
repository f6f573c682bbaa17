"""What a pod asks for and what a node can give, as integers by resource name.

CPU is in thousandths of a core, memory, ephemeral storage and huge pages in bytes, everything else
in whole units. Sums are made exactly, in billionths, and rounded up once at the end. Results are
remembered per combination of the interned parts they follow from, so that pods of one template
cost a look-up.

Source: `component-helpers/resource/helpers.go` (PodRequests) and
`pkg/scheduler/framework/types.go` (CalculateResource), 1.37, with InPlacePodVerticalScaling,
PodLevelResources and InPlacePodLevelResourcesVerticalScaling on, as they are by default. Knowing
differences: resources requested with zero are left out; sums beyond int64 give the largest int64
where upstream wraps; DRANodeAllocatableResources (alpha) is not there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pyscheduler.api.core_v1 import (
    NO_RESOURCES,
    Container,
    ContainerStatus,
    Node,
    Pod,
    ResourceRequirements,
)
from pyscheduler.api.frozen_map import EMPTY, FrozenMap, StringMap
from pyscheduler.api.quantity import INT64_MAX, NANO, InvalidQuantity, nano_value

CPU = "cpu"
MEMORY = "memory"
EPHEMERAL_STORAGE = "ephemeral-storage"
PODS = "pods"
HUGEPAGES_PREFIX = "hugepages-"
ATTACHABLE_PREFIX = "attachable-volumes-"

#: Assumed for a container that asks for none, when nodes are scored by what is used of them:
#: 100 millicores and 200 MiB. Source: `pkg/scheduler/util/pod_resources.go`.
DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024**2

#: Results remembered, least recently asked for forgotten first: of so many templates at a time. A
#: guess; more would keep the templates of yesterday alive in a cluster that never uses them again.
_REMEMBERED = 2048

_MILLI = NANO // 1000
_DEFAULTS = {CPU: DEFAULT_MILLI_CPU * _MILLI, MEMORY: DEFAULT_MEMORY * NANO}

Nanos = dict[str, int]


@dataclass(frozen=True, slots=True)
class PodRequests:
    """What a pod asks of a node."""

    #: By resource name, without zeros; not `pods`, of which every pod takes one.
    requests: Mapping[str, int]
    #: Milli-CPU with `DEFAULT_MILLI_CPU` for containers that ask for none.
    non_zero_cpu: int
    #: Bytes with `DEFAULT_MEMORY` for containers that ask for none.
    non_zero_memory: int


class _Inputs(NamedTuple):
    """All that a pod's requests follow from; hashable."""

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...]
    overhead: StringMap
    resources: ResourceRequirements | None
    use_status: bool = False
    is_infeasible: bool = False
    statuses: tuple[ContainerStatus, ...] = ()
    init_statuses: tuple[ContainerStatus, ...] = ()
    status_resources: ResourceRequirements | None = None
    status_allocated: StringMap = EMPTY


def pod_requests(pod: Pod, *, use_status: bool = False) -> PodRequests:
    """Returns what the pod asks for.

    Args:
        pod: any pod.
        use_status: whether what the kubelet allocated and actuated counts too, as it must for pods
            that run and may be resized: the largest of spec, allocated and actuated, without the
            spec when the resize was found infeasible.

    Raises:
        InvalidQuantity: a quantity cannot be read; the message names it and the resource.
    """
    spec = pod.spec
    status = pod.status
    if not use_status or not (
        status.container_statuses or status.init_container_statuses or status.resources
    ):
        return _of_spec(spec.containers, spec.init_containers, spec.overhead, spec.resources)
    pending = pod.condition("PodResizePending")
    return _with_status(
        _Inputs(
            spec.containers,
            spec.init_containers,
            spec.overhead,
            spec.resources,
            use_status=True,
            is_infeasible=pending is not None and pending.reason == "Infeasible",
            statuses=status.container_statuses,
            init_statuses=status.init_container_statuses,
            status_resources=status.resources,
            status_allocated=status.allocated_resources,
        )
    )


def node_allocatable(node: Node) -> Mapping[str, int]:
    """Returns what pods may use of the node, with `pods`; unknown plain names are left out.

    Raises:
        InvalidQuantity: a quantity cannot be read; the message names it and the resource.
    """
    return _allocatable(node.status.allocatable)


def is_scheduled_resource(name: str) -> bool:
    """Whether the scheduler accounts for a resource of that name.

    CPU, memory, ephemeral storage, huge pages, attachable volumes, and whatever has a prefix
    (`example.com/gpu`) other than `requests.`; not plain names nobody knows.
    """
    if name in (CPU, MEMORY, EPHEMERAL_STORAGE) or "kubernetes.io/" in name:
        return True
    if name.startswith((HUGEPAGES_PREFIX, ATTACHABLE_PREFIX)):
        return True
    return "/" in name and not name.startswith("requests.")


@lru_cache(maxsize=_REMEMBERED)
def _allocatable(allocatable: StringMap) -> Mapping[str, int]:
    found = {k: v for k, v in allocatable.items() if k == PODS or is_scheduled_resource(k)}
    # shared by all nodes of that size
    return FrozenMap(_whole(_nanos(found)))


@lru_cache(maxsize=_REMEMBERED)
def _of_spec(
    containers: tuple[Container, ...],
    init_containers: tuple[Container, ...],
    overhead: StringMap,
    resources: ResourceRequirements | None,
) -> PodRequests:
    return _compute(_Inputs(containers, init_containers, overhead, resources))


@lru_cache(maxsize=_REMEMBERED)
def _with_status(inputs: _Inputs) -> PodRequests:
    return _compute(inputs)


def _compute(inputs: _Inputs) -> PodRequests:
    requests = _total(inputs, missing={})
    whole = padded = _whole(requests)
    missing = _DEFAULTS
    if _pod_level(inputs.resources):
        missing = {name: nanos for name, nanos in _DEFAULTS.items() if name not in requests}
    if not _need_no(missing, inputs):
        padded = _whole(_total(inputs, missing=missing))
    return PodRequests(
        FrozenMap({k: v for k, v in whole.items() if v and is_scheduled_resource(k)}),
        non_zero_cpu=padded.get(CPU, 0),
        non_zero_memory=padded.get(MEMORY, 0),
    )


def _need_no(missing: Mapping[str, int], inputs: _Inputs) -> bool:
    """True when every container names all of these resources in its spec, which alone counts."""
    return not inputs.use_status and all(
        missing.keys() <= container.resources.requests.keys()
        for container in (*inputs.containers, *inputs.init_containers)
    )


def _total(inputs: _Inputs, *, missing: Mapping[str, int]) -> Nanos:
    """Containers, then what the pod as a whole asks for in their place, then the overhead."""
    total = _containers_total(inputs, missing)
    if pod_level := _pod_level(inputs.resources):
        if inputs.status_resources is not None:
            spec = {} if inputs.is_infeasible else pod_level
            actuated = _nanos(inputs.status_resources.requests)
            pod_level = _largest(spec, actuated, _nanos(inputs.status_allocated))
        total.update((k, v) for k, v in pod_level.items() if _is_pod_level(k))
    if inputs.overhead:
        _add(total, _nanos(inputs.overhead))
    return total


def _containers_total(inputs: _Inputs, missing: Mapping[str, int]) -> Nanos:
    def aggregate(wanted: Callable[[Container], StringMap]) -> Nanos:
        return _aggregate(inputs, lambda c: {**missing, **_nanos(wanted(c))})

    if not inputs.use_status:
        return aggregate(_in_spec)
    by_name = {s.name: s for s in (*inputs.init_statuses, *inputs.statuses)}
    unsettled = (lambda _container: EMPTY) if inputs.is_infeasible else _in_spec

    def allocated(container: Container) -> StringMap:
        status = by_name.get(container.name)
        return (status.allocated_resources if status else EMPTY) or unsettled(container)

    def actuated(container: Container) -> StringMap:
        status = by_name.get(container.name)
        requests = ((status and status.resources) or NO_RESOURCES).requests
        return requests or allocated(container)

    pod_actuated = (inputs.status_resources or NO_RESOURCES).requests
    if pod_actuated and inputs.status_allocated:
        settled = [_nanos(inputs.status_allocated), _nanos(pod_actuated)]
    else:
        settled = [aggregate(allocated), aggregate(actuated)]
    return _largest(*settled) if inputs.is_infeasible else _largest(aggregate(_in_spec), *settled)


def _in_spec(container: Container) -> StringMap:
    return container.resources.requests


def _aggregate(inputs: _Inputs, wanted: Callable[[Container], Nanos]) -> Nanos:
    """Sums containers and sidecars, or takes the most an init container needs while it runs.

    An init container runs beside the sidecars that started before it.
    """
    total: Nanos = {}
    for container in inputs.containers:
        _add(total, wanted(container))
    if not inputs.init_containers:
        return total
    sidecars: Nanos = {}
    peak: Nanos = {}
    for container in inputs.init_containers:
        request = wanted(container)
        if container.restart_policy == "Always":
            _add(total, request)
            _add(sidecars, request)
            in_use = sidecars
        else:
            in_use = dict(request)
            _add(in_use, sidecars)
        peak = _largest(peak, in_use)
    return _largest(total, peak)


def _pod_level(resources: ResourceRequirements | None) -> Nanos:
    """Returns what the pod as a whole asks for, as far as that is supported."""
    if resources is None:
        return {}
    return {k: v for k, v in _nanos(resources.requests).items() if _is_pod_level(k)}


def _is_pod_level(name: str) -> bool:
    return name in (CPU, MEMORY) or name.startswith(HUGEPAGES_PREFIX)


def _add(total: Nanos, more: Mapping[str, int]) -> None:
    for name, nanos in more.items():
        total[name] = total.get(name, 0) + nanos


def _largest(*lists: Mapping[str, int]) -> Nanos:
    result: Nanos = {}
    for resources in lists:
        for name, nanos in resources.items():
            result[name] = max(nanos, result.get(name, nanos))
    return result


def _nanos(quantities: Mapping[str, str]) -> Nanos:
    result: Nanos = {}
    for name, text in quantities.items():
        try:
            result[name] = nano_value(text)
        except InvalidQuantity as error:
            raise InvalidQuantity(text, about=name) from error
    return result


def _whole(resources: Mapping[str, int]) -> dict[str, int]:
    """Billionths -> thousandths for CPU, units for the rest; rounded up, kept within int64."""
    return {
        name: max(-INT64_MAX, min(-(-nanos // (_MILLI if name == CPU else NANO)), INT64_MAX))
        for name, nanos in resources.items()
    }
