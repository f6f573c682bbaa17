"""The allocator against the definition of an allocation, and against trying everything.

Small worlds: up to five devices of one node, some of them partitions that share a counter, some
shareable with a capacity; one or two claims of one or two requests, alternatives and constraints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.resource_v1 import (
    AllocationResult,
    CapacityRequirements,
    Device,
    DeviceConstraint,
    DeviceRequest,
    ResourceClaim,
    ResourceSlice,
)
from pyscheduler.intree.dynamic_resources.allocation import AllocatedState, DeviceID
from pyscheduler.testing.device_builders import DRIVER
from tests.unit.intree.dynamic_resources.allocating import (
    a_claim,
    a_slice,
    allocate,
    counter_set,
    device,
    exactly,
    first_of,
    sub,
)

COUNTER_TOTAL = 4
CAPACITY = 4


@dataclass(frozen=True, slots=True)
class World:
    """What an allocation has to do with."""

    devices: Mapping[str, Device]
    taken: frozenset[str]
    claims: tuple[ResourceClaim, ...]

    @property
    def slices(self) -> list[ResourceSlice]:
        return [
            a_slice("counters", of=2, shared_counters=(counter_set("set", c=str(COUNTER_TOTAL)),)),
            a_slice("devices", *self.devices.values(), of=2),
        ]

    @property
    def state(self) -> AllocatedState:
        return AllocatedState(frozenset(DeviceID(DRIVER, "pool", name) for name in self.taken))


#: What is asked for: request's full name, its short names, how many, how much of a shared device.
Demand = tuple[str, frozenset[str], int, int]

#: (claim, demand, device)
Choice = tuple[int, Demand, str]


def demands(request: DeviceRequest) -> list[Demand]:
    def amount(capacity: CapacityRequirements | None) -> int:
        return CAPACITY if capacity is None else int(capacity.requests["c"])

    if request.exactly is not None:
        wanted = request.exactly
        return [(request.name, frozenset((request.name,)), wanted.count, amount(wanted.capacity))]
    return [
        (
            f"{request.name}/{one.name}",
            frozenset((request.name, f"{request.name}/{one.name}")),
            one.count,
            amount(one.capacity),
        )
        for one in request.first_available
    ]


def is_valid(world: World, choices: Sequence[Choice]) -> bool:
    """Whether the definition of an allocation holds."""
    used = Counter(name for _, _, name in choices)
    if any(name in world.taken for name in used):
        return False
    consumed: Counter[str] = Counter()
    for _, (_, _, _, amount), name in choices:
        has_capacity = "c" in world.devices[name].capacity
        if amount != CAPACITY and not has_capacity:
            return False
        consumed[name] += amount if has_capacity else 0
    for name, times in used.items():
        one = world.devices[name]
        if times > 1 and not one.allow_multiple_allocations:
            return False
        if consumed[name] > CAPACITY:
            return False
    counted = sum(
        int(consumption.counters["c"].value)
        for name in {*used, *world.taken}
        for consumption in world.devices[name].consumes_counters
    )
    if counted > COUNTER_TOTAL and any(world.devices[name].consumes_counters for name in used):
        return False
    return all(
        satisfies(world, choices, index, constraint)
        for index, claim in enumerate(world.claims)
        for constraint in claim.spec.devices.constraints
    )


def satisfies(
    world: World, choices: Sequence[Choice], claim: int, constraint: DeviceConstraint
) -> bool:
    wanted = frozenset(constraint.requests)
    attributes = [
        world.devices[name].attributes.get("numa")
        for index, (_, names, _, _), name in choices
        if index == claim and (not wanted or wanted & names)
    ]
    if None in attributes:
        return False
    distinct = len(set(attributes))
    return distinct <= 1 if constraint.match_attribute else distinct == len(attributes)


def everything_possible(world: World) -> Iterator[list[Choice]]:
    """Yields all ways to give devices to requests, sensible or not."""
    requests = [
        (index, request)
        for index, claim in enumerate(world.claims)
        for request in claim.spec.devices.requests
    ]
    ways = [
        [
            [(index, demand, name) for name in picked]
            for demand in demands(request)
            for picked in combinations(world.devices, demand[2])
        ]
        for index, request in requests
    ]
    for combination in product(*ways):
        yield [choice for part in combination for choice in part]


def chosen(world: World, allocations: Sequence[AllocationResult]) -> list[Choice]:
    by_name = {
        demand[0]: demand
        for claim in world.claims
        for request in claim.spec.devices.requests
        for demand in demands(request)
    }
    return [
        (index, by_name[result.request], result.device)
        for index, allocation in enumerate(allocations)
        for result in allocation.devices.results
    ]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    def one(index: int) -> Device:
        kind = draw(st.sampled_from(("plain", "partition", "shared", "shared partition")))
        numa = draw(st.sampled_from((None, 0, 1)))
        is_shared = kind.startswith("shared")
        return device(
            f"d{index}",
            attributes={} if numa is None else {"numa": numa},
            counters={"set": {"c": str(draw(st.integers(1, 3)))}} if "part" in kind else None,
            capacity={"c": str(CAPACITY)} if is_shared else None,
            allow_multiple_allocations=is_shared,
        )

    devices = [one(index) for index in range(draw(st.integers(0, 5)))]
    whole = [d.name for d in devices if not d.allow_multiple_allocations]
    taken = draw(st.frozensets(st.sampled_from(whole), max_size=2)) if whole else frozenset()
    claims = [a_claim_for(draw, index) for index in range(draw(st.integers(1, 2)))]
    return World({d.name: d for d in devices}, taken, tuple(claims))


def a_claim_for(draw: st.DrawFn, claim: int) -> ResourceClaim:
    def capacity() -> CapacityRequirements | None:
        amount = draw(st.sampled_from((None, None, 1, 2, 3)))
        return None if amount is None else CapacityRequirements(FrozenMap({"c": str(amount)}))

    def request(index: int) -> DeviceRequest:
        name = f"c{claim}r{index}"
        if draw(st.booleans()):
            return exactly(name, draw(st.integers(1, 2)), capacity=capacity())
        return first_of(
            name,
            sub("x", draw(st.integers(2, 3)), capacity=capacity()),
            sub("y", draw(st.integers(1, 2)), capacity=capacity()),
        )

    requests = [request(index) for index in range(draw(st.integers(1, 2)))]
    numa = f"{DRIVER}/numa"
    constraint = st.sampled_from(
        (
            DeviceConstraint(match_attribute=numa),
            DeviceConstraint(distinct_attribute=numa),
            DeviceConstraint((requests[0].name,), match_attribute=numa),
            DeviceConstraint((f"{requests[-1].name}/x",), distinct_attribute=numa),
        )
    )
    return a_claim(*requests, name=f"c{claim}", constraints=draw(st.lists(constraint, max_size=2)))


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_what_is_allocated_is_an_allocation(world: World) -> None:
    found = allocate(world.claims, world.slices, allocated=world.state)

    if found is not None:
        assert is_valid(world, chosen(world, found))
        assert found == allocate(world.claims, world.slices, allocated=world.state)


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_there_is_an_allocation_whenever_trying_everything_finds_one(world: World) -> None:
    found = allocate(world.claims, world.slices, allocated=world.state)

    possible = any(is_valid(world, choices) for choices in everything_possible(world))

    assert (found is not None) == possible
