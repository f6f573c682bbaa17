"""Shorthand for tests of the allocator: claims, classes and slices in, names of devices out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

from msgspec.structs import replace

from pyscheduler.api.core_v1 import (
    Node,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
)
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.resource_v1 import (
    AllocationResult,
    CapacityRequestPolicy,
    CapacityRequestPolicyRange,
    CELDeviceSelector,
    Counter,
    CounterSet,
    Device,
    DeviceAttribute,
    DeviceCapacity,
    DeviceClaim,
    DeviceClass,
    DeviceConstraint,
    DeviceCounterConsumption,
    DeviceRequest,
    DeviceSelector,
    DeviceSubRequest,
    DeviceTaintRule,
    ExactDeviceRequest,
    ResourceClaim,
    ResourceClaimSpec,
    ResourcePool,
    ResourceSlice,
    ResourceSliceSpec,
)
from pyscheduler.intree.dynamic_resources.allocation import (
    AllocatedState,
    Allocator,
    Features,
    Inventory,
)
from pyscheduler.intree.dynamic_resources.cel import DeviceSelectors
from pyscheduler.testing.device_builders import DRIVER, make_device_class, make_resource_claim

CLASS = make_device_class().obj()

#: One environment for all tests: making one takes longer than most of them.
SELECTORS = DeviceSelectors()


def attribute(value: str | int | bool) -> DeviceAttribute:
    if isinstance(value, bool):
        return DeviceAttribute(bool_value=value)
    if isinstance(value, int):
        return DeviceAttribute(int_value=value)
    return DeviceAttribute(string_value=value)


def device(
    name: str,
    *,
    attributes: dict[str, str | int | bool] | None = None,
    capacity: dict[str, str | DeviceCapacity] | None = None,
    counters: dict[str, dict[str, str]] | None = None,
    **fields: Any,
) -> Device:
    return Device(
        name,
        attributes=FrozenMap({k: attribute(v) for k, v in (attributes or {}).items()}),
        capacity=FrozenMap(
            {
                k: v if isinstance(v, DeviceCapacity) else DeviceCapacity(v)
                for k, v in (capacity or {}).items()
            }
        ),
        consumes_counters=tuple(
            DeviceCounterConsumption(name, _counters(consumed))
            for name, consumed in (counters or {}).items()
        ),
        **fields,
    )


def counter_set(name: str, **counters: str) -> CounterSet:
    return CounterSet(name, _counters(counters))


def _counters(counters: dict[str, str]) -> FrozenMap[str, Counter]:
    return FrozenMap({name: Counter(value) for name, value in counters.items()})


def stepped(
    value: str, *, default: str = "1", minimum: str = "1", step: str | None = None, **other: str
) -> DeviceCapacity:
    valid = CapacityRequestPolicyRange(minimum, other.get("maximum"), step)
    return DeviceCapacity(value, CapacityRequestPolicy(default, valid_range=valid))


def a_slice(
    name: str,
    *devices: Device | str,
    pool: str = "pool",
    driver: str = DRIVER,
    generation: int = 1,
    of: int = 1,
    **spec: Any,
) -> ResourceSlice:
    """A slice of node n, unless it is said where it belongs."""
    if not {"node_name", "node_selector", "all_nodes", "per_device_node_selection"} & spec.keys():
        spec["node_name"] = "n"
    offered = tuple(Device(d) if isinstance(d, str) else d for d in devices)
    return ResourceSlice(
        ObjectMeta(name=name),
        ResourceSliceSpec(driver, ResourcePool(pool, generation, of), devices=offered, **spec),
    )


def on(**labels: str) -> NodeSelector:
    """Selects the nodes with these labels."""
    expressions = [NodeSelectorRequirement(k, "In", (v,)) for k, v in labels.items()]
    return NodeSelector((NodeSelectorTerm(tuple(expressions)),))


def a_node(name: str = "n", **labels: str) -> Node:
    return Node(ObjectMeta(name=name, labels=FrozenMap(labels)))


def cel(*expressions: str) -> tuple[DeviceSelector, ...]:
    return tuple(DeviceSelector(CELDeviceSelector(text)) for text in expressions)


def exactly(name: str = "req", number: int = 1, **fields: Any) -> DeviceRequest:
    fields.setdefault("device_class_name", CLASS.metadata.name)
    mode = fields.pop("allocation_mode", "ExactCount")
    return DeviceRequest(name, ExactDeviceRequest(count=number, allocation_mode=mode, **fields))


def everything(name: str = "req", **fields: Any) -> DeviceRequest:
    return exactly(name, 0, allocation_mode="All", **fields)


def first_of(name: str, *subrequests: DeviceSubRequest) -> DeviceRequest:
    return DeviceRequest(name, first_available=subrequests)


def sub(name: str, number: int = 1, **fields: Any) -> DeviceSubRequest:
    fields.setdefault("device_class_name", CLASS.metadata.name)
    return DeviceSubRequest(name, count=number, allocation_mode="ExactCount", **fields)


def a_claim(
    *requests: DeviceRequest,
    name: str = "c",
    constraints: Sequence[DeviceConstraint] = (),
    **rest: Any,
) -> ResourceClaim:
    claim = make_resource_claim(name).obj()
    wanted = DeviceClaim(requests, tuple(constraints), **rest)
    return replace(claim, spec=ResourceClaimSpec(wanted))


def allocator(
    slices: Iterable[ResourceSlice],
    *,
    allocated: AllocatedState | None = None,
    classes: Iterable[DeviceClass] = (CLASS,),
    rules: Iterable[DeviceTaintRule] = (),
    features: Features | None = None,
    selectors: DeviceSelectors = SELECTORS,
) -> Allocator:
    features = features or Features()
    inventory = Inventory(features=features)
    for rule in rules:
        inventory.put_rule(rule)
    for slice_ in slices:
        inventory.put_slice(slice_)
    shares = count()
    return Allocator(
        features=features,
        pools=inventory.snapshot(),
        allocated=allocated or AllocatedState(),
        get_class={known.metadata.name: known for known in classes}.get,
        selectors=selectors,
        new_share_id=lambda: f"share-{next(shares)}",
    )


def allocate(
    claims: Sequence[ResourceClaim],
    slices: Iterable[ResourceSlice],
    *,
    node: Node | None = None,
    is_expired: Callable[[], bool] = lambda: False,
    **others: Any,
) -> tuple[AllocationResult, ...] | None:
    return allocator(slices, **others).allocate(node or a_node(), claims, is_expired=is_expired)


def names(allocations: Sequence[AllocationResult] | None) -> list[list[str]] | None:
    """`request: device` of each claim; None if there is no allocation."""
    if allocations is None:
        return None
    return [
        [f"{result.request}: {result.device}" for result in allocation.devices.results]
        for allocation in allocations
    ]
