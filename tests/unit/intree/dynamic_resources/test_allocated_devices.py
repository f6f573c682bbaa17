"""The tally of what claims take: whole devices, shares, capacities."""

from __future__ import annotations

from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.intree.dynamic_resources.allocation import (
    AllocatedDevices,
    AllocatedState,
    DeviceID,
    Features,
)
from pyscheduler.testing.device_builders import DRIVER, make_resource_claim

A = DeviceID(DRIVER, "n", "a")
B = DeviceID(DRIVER, "n", "b")

WHOLE = make_resource_claim("whole").allocated("a", "b", node="n").obj()
SHARE = (
    make_resource_claim("share")
    .allocated("a", node="n", share_id="1", consumed_capacity=FrozenMap({"memory": "2"}))
    .obj()
)
OTHER_SHARE = (
    make_resource_claim("other")
    .allocated("a", node="n", share_id="2", consumed_capacity=FrozenMap({"memory": "3"}))
    .obj()
)
EMPTY_SHARE = make_resource_claim("empty").allocated("a", node="n", share_id="3").obj()


def test_whole_devices() -> None:
    state = AllocatedState.of([WHOLE, make_resource_claim("unallocated").obj()])

    assert (state.devices, state.shared, dict(state.capacity)) == ({A, B}, set(), {})
    assert state.is_allocated(A)
    assert not state.is_allocated(DeviceID(DRIVER, "n", "c"))


def test_administrators_take_nothing() -> None:
    looking = make_resource_claim("looking").allocated("a", node="n", admin_access=True).obj()

    assert AllocatedState.of([looking]) == AllocatedState()


def test_shares_add_up_and_go_one_by_one() -> None:
    tally = AllocatedDevices()
    for claim in (SHARE, OTHER_SHARE, EMPTY_SHARE):
        tally.add(claim)
    full = tally.snapshot()
    assert (full.devices, full.shared) == (set(), {A})
    assert full.capacity == {A: {"memory": 5 * 10**9}}

    tally.remove(SHARE)
    assert tally.snapshot().capacity == {A: {"memory": 3 * 10**9}}
    tally.remove(OTHER_SHARE)
    assert tally.snapshot().capacity == {}
    assert tally.snapshot().is_allocated(A)
    tally.remove(EMPTY_SHARE)
    assert tally.snapshot() == AllocatedState()
    assert full.capacity == {A: {"memory": 5 * 10**9}}


def test_a_device_that_two_claims_have_stays_taken_until_both_are_gone() -> None:
    tally = AllocatedDevices()
    tally.add(WHOLE)
    tally.add(make_resource_claim("again").allocated("a", node="n").obj())

    tally.remove(WHOLE)

    assert tally.snapshot().devices == {A}


def test_shares_are_whole_devices_when_capacity_cannot_be_consumed() -> None:
    state = AllocatedState.of([SHARE], consumable_capacity=False)

    assert (state.devices, state.shared) == ({A}, set())


def test_a_snapshot_is_kept_until_something_changes() -> None:
    tally = AllocatedDevices()
    tally.add(WHOLE)
    before = tally.snapshot()

    tally.add(make_resource_claim("unallocated").obj())

    assert tally.snapshot() is before


def test_features_follow_gates() -> None:
    assert Features.from_gates({}) == Features()
    off = Features.from_gates({"DRAResourceClaimDeviceStatus": False, "DRADeviceTaints": False})
    assert off == Features(binding_conditions=False, device_taints=False)
