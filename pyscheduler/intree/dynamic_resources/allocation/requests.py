"""What a claim asks for: its requests, the alternatives of each, and what each alternative demands.

None of this depends on a node. Called by: ``allocator``, once per claim and cycle.

Source: `structured/internal/incubating/allocator_incubating.go` validateDeviceRequest, 1.37.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pyscheduler.api.keys import key_of
from pyscheduler.api.resource_v1 import (
    ALL_DEVICES,
    EXACT_COUNT,
    CapacityRequirements,
    DeviceClass,
    DeviceRequest,
    DeviceSelector,
    DeviceSubRequest,
    DeviceToleration,
    ExactDeviceRequest,
    ResourceClaim,
)
from pyscheduler.intree.dynamic_resources.allocation.failures import AllocationFailed
from pyscheduler.intree.dynamic_resources.allocation.features import Features


@dataclass(frozen=True, slots=True)
class Selector:
    """An expression a device must satisfy, and where it stands."""

    expression: str
    #: "class gpu: selector #0", for messages
    where: str


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """One alternative of a request: so many devices like this."""

    claim: ResourceClaim
    #: of the request, or of the subrequest
    name: str
    #: of the request a subrequest belongs to; "" if it is none
    parent: str
    device_class: DeviceClass
    selectors: tuple[Selector, ...]
    #: 0 if all devices are wanted
    count: int
    wants_all: bool
    admin_access: bool
    tolerations: tuple[DeviceToleration, ...]
    capacity: CapacityRequirements | None
    #: the names by which constraints and configuration refer to it
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        names = (self.parent, self.full_name) if self.parent else (self.name,)
        object.__setattr__(self, "names", frozenset(names))

    @property
    def full_name(self) -> str:
        """`request` or `request/subrequest`."""
        return f"{self.parent}/{self.name}" if self.parent else self.name

    @property
    def described(self) -> str:
        """Where it stands, for messages."""
        return f"claim {key_of(self.claim)}, request {self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """One request: one of these, the first that can be had."""

    name: str
    alternatives: tuple[Demand, ...]
    has_subrequests: bool


def expand(
    claim: ResourceClaim,
    *,
    features: Features,
    get_class: Callable[[str], DeviceClass | None],
) -> tuple[Wanted, ...]:
    """Returns the claim's requests.

    Raises:
        AllocationFailed: a request cannot be understood, or names a class that is not there.
    """
    return tuple(
        [
            Wanted(
                request.name,
                tuple(_alternatives(claim, request, features, get_class)),
                bool(request.first_available),
            )
            for request in claim.spec.devices.requests
        ]
    )


def check_constraints(claim: ResourceClaim) -> None:
    """Returns if every constraint of the claim is of a known type.

    Raises:
        AllocationFailed: one is not.
    """
    for index, constraint in enumerate(claim.spec.devices.constraints):
        if constraint.match_attribute is None and constraint.distinct_attribute is None:
            raise AllocationFailed(
                f"claim {key_of(claim)}, constraint #{index}: empty constraint (unsupported"
                " constraint type?)"
            )


def _alternatives(
    claim: ResourceClaim,
    request: DeviceRequest,
    features: Features,
    get_class: Callable[[str], DeviceClass | None],
) -> Iterator[Demand]:
    key = key_of(claim)
    if request.first_available and not features.prioritized_list:
        raise AllocationFailed(
            f"claim {key}, request {request.name}: has subrequests, but the DRAPrioritizedList"
            " feature is disabled"
        )
    parts: list[tuple[str, str, str, ExactDeviceRequest | DeviceSubRequest]] = [
        ("subrequest", sub.name, request.name, sub) for sub in request.first_available
    ]
    if not parts:
        if request.exactly is None:
            raise AllocationFailed(
                f"claim {key}, request {request.name}: missing device class name (unsupported"
                " request type?)"
            )
        parts.append(("request", request.name, "", request.exactly))
    for kind, name, _, part in parts:
        if part.capacity is not None and not features.consumable_capacity:
            raise AllocationFailed(
                f"claim {key}, {kind} {name}: has capacity requests, but the"
                " DRAConsumableCapacity feature is disabled"
            )
    for _, name, parent, part in parts:
        yield _demand(claim, name, parent, part, features=features, get_class=get_class)


def _demand(
    claim: ResourceClaim,
    name: str,
    parent: str,
    part: ExactDeviceRequest | DeviceSubRequest,
    *,
    features: Features,
    get_class: Callable[[str], DeviceClass | None],
) -> Demand:
    key = key_of(claim)
    where = f"claim {key}, request {name}"
    for index, selector in enumerate(part.selectors):
        if selector.cel is None:
            raise AllocationFailed(
                f"{where}, selector #{index}: CEL expression empty (unsupported selector type?)"
            )
    admin_access = part.admin_access if isinstance(part, ExactDeviceRequest) else None
    if admin_access is not None and not features.admin_access:
        raise AllocationFailed(f"{where}: admin access is requested, but the feature is disabled")
    if not part.device_class_name:
        raise AllocationFailed(f"{where}: missing device class name (unsupported request type?)")
    device_class = get_class(part.device_class_name)
    if device_class is None:
        raise AllocationFailed(
            f"{where}: could not retrieve device class {part.device_class_name}:"
            f' deviceclass.resource.k8s.io "{part.device_class_name}" not found'
        )
    mode = part.allocation_mode or EXACT_COUNT
    if mode not in (EXACT_COUNT, ALL_DEVICES):
        raise AllocationFailed(f"{where}: unsupported count mode {mode}")
    return Demand(
        claim,
        name,
        parent,
        device_class,
        (
            *_selectors(f"class {device_class.metadata.name}", device_class.spec.selectors),
            *_selectors(f"claim {key}", part.selectors),
        ),
        0 if mode == ALL_DEVICES else part.count,
        mode == ALL_DEVICES,
        bool(admin_access),
        part.tolerations,
        part.capacity,
    )


def _selectors(where: str, selectors: tuple[DeviceSelector, ...]) -> Iterator[Selector]:
    for index, selector in enumerate(selectors):
        if selector.cel is None:
            raise AllocationFailed(
                f"{where}: selector #{index}: CEL expression empty (unsupported selector type?)"
            )
        yield Selector(selector.cel.expression, f"{where}: selector #{index}")
