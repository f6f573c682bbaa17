"""Allocations as they are written into claims: devices, configuration, and where they can be used.

Called by: ``allocator``, after a search that succeeded. Source: ``allocator_incubating.go``
Allocate and createNodeSelector, 1.37.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from pyscheduler.api.core_v1 import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from pyscheduler.api.frozen_map import EMPTY, FrozenMap
from pyscheduler.api.resource_v1 import (
    FROM_CLAIM,
    FROM_CLASS,
    AllocationResult,
    DeviceAllocationConfiguration,
    DeviceAllocationResult,
    DeviceRequestAllocationResult,
    ResourceClaim,
)
from pyscheduler.api.selectors import NAME_FIELD
from pyscheduler.intree.dynamic_resources.allocation.failures import AllocationFailed
from pyscheduler.intree.dynamic_resources.allocation.features import Features
from pyscheduler.intree.dynamic_resources.allocation.ledger import Taken
from pyscheduler.intree.dynamic_resources.allocation.requests import Demand


def allocation_result(
    claim: ResourceClaim,
    *,
    node_name: str,
    taken: Sequence[Taken],
    chosen: Sequence[Demand],
    features: Features,
    new_share_id: Callable[[], str],
) -> AllocationResult:
    """Returns the claim's allocation.

    Args:
        claim: what was asked for.
        node_name: where it was found.
        taken: the devices.
        chosen: the alternative of each request.
        features: what is switched on.
        new_share_id: makes the identity of a share.

    Raises:
        AllocationFailed: the node selector of a slice cannot be understood.
    """
    try:
        node_selector = _node_selector(taken, node_name)
    except ValueError as error:
        raise AllocationFailed(
            f"create NodeSelector for claim {claim.metadata.name}: {error}"
        ) from error
    devices = [_device(device, features, new_share_id) for device in taken]
    return AllocationResult(
        DeviceAllocationResult(tuple(devices), tuple(_configuration(claim, chosen))),
        node_selector,
    )


def _device(
    taken: Taken, features: Features, new_share_id: Callable[[], str]
) -> DeviceRequestAllocationResult:
    demand, device = taken.demand, taken.candidate.device
    share = taken.share
    conditional = features.binding_conditions
    return DeviceRequestAllocationResult(
        demand.full_name,
        *taken.candidate.id,
        admin_access=True if demand.admin_access else None,
        tolerations=demand.tolerations,
        binding_conditions=device.binding_conditions if conditional else (),
        binding_failure_conditions=device.binding_failure_conditions if conditional else (),
        share_id=None if share is None else new_share_id(),
        consumed_capacity=FrozenMap({name: str(taken) for name, taken in share.items()})
        if share
        else EMPTY,
    )


def _configuration(
    claim: ResourceClaim, chosen: Sequence[Demand]
) -> list[DeviceAllocationConfiguration]:
    """Returns the classes' settings, each class's once, and then the claim's."""
    requests_of: dict[str, list[str]] = {}
    for demand in chosen:
        requests_of.setdefault(demand.device_class.metadata.name, []).append(demand.full_name)
    classes = {demand.device_class.metadata.name: demand.device_class for demand in chosen}
    found = [
        DeviceAllocationConfiguration(FROM_CLASS, tuple(requests), config.opaque)
        for name, requests in requests_of.items()
        for config in classes[name].spec.config
    ]
    found += [
        DeviceAllocationConfiguration(FROM_CLAIM, config.requests, config.opaque)
        for config in claim.spec.devices.config
        if not config.requests or any(_is_among(demand, config.requests) for demand in chosen)
    ]
    # What is for all of them names none.
    return [
        replace(config, requests=())
        if all(_is_among(demand, config.requests) for demand in chosen)
        else config
        for config in found
    ]


def _is_among(demand: Demand, requests: Iterable[str]) -> bool:
    return not demand.names.isdisjoint(requests)


def _node_selector(taken: Iterable[Taken], node_name: str) -> NodeSelector | None:
    """Returns where all of the devices can be used; None: everywhere."""
    fields: list[NodeSelectorRequirement] = []
    expressions: list[NodeSelectorRequirement] = []
    for one in taken:
        device, spec = one.candidate.device, one.candidate.slice_.spec
        place = device if spec.per_device_node_selection else spec
        if place.node_name is not None or device.binds_to_node:
            only = NodeSelectorRequirement(NAME_FIELD, "In", (node_name,))
            return NodeSelector((NodeSelectorTerm(match_fields=(only,)),))
        terms = () if place.node_selector is None else place.node_selector.node_selector_terms
        if len(terms) > 1:
            raise ValueError(f"unsupported ResourceSlice.NodeSelector with {len(terms)} terms")
        for term in terms:
            _add_new(term.match_fields, fields)
            _add_new(term.match_expressions, expressions)
    if not fields and not expressions:
        return None
    return NodeSelector((NodeSelectorTerm(tuple(expressions), tuple(fields)),))


def _add_new(
    requirements: Iterable[NodeSelectorRequirement], known: list[NodeSelectorRequirement]
) -> None:
    for wanted in requirements:
        if not any(
            wanted.key == other.key
            and wanted.operator == other.operator
            and set(wanted.values) == set(other.values)
            for other in known
        ):
            known.append(wanted)
