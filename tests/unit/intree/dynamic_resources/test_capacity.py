"""What requests take of a shared device's capacity, by its policy."""

from __future__ import annotations

import pytest

from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.resource_v1 import (
    CapacityRequestPolicy,
    CapacityRequestPolicyRange,
    CapacityRequirements,
    DeviceCapacity,
)
from pyscheduler.config.feature_gates import parse_feature_gates
from pyscheduler.intree.dynamic_resources.allocation.capacity import (
    InvalidCapacity,
    consumption,
    fits,
)
from pyscheduler.intree.dynamic_resources.allocation.features import Features
from tests.unit.intree.dynamic_resources.allocating import device


def within(
    minimum: str | None, maximum: str | None = None, step: str | None = None
) -> DeviceCapacity:
    valid = CapacityRequestPolicyRange(minimum, maximum, step)
    return DeviceCapacity("10Gi", CapacityRequestPolicy("1Gi", valid_range=valid))


def one_of(*values: str) -> DeviceCapacity:
    return DeviceCapacity("10Gi", CapacityRequestPolicy(values[0], valid_values=values))


def consumed(asked: str | None, capacity: DeviceCapacity, *, fractional: bool = True) -> str | None:
    """What is taken of the one capacity; None if the device cannot serve it."""
    request = None if asked is None else CapacityRequirements(FrozenMap({"c": asked}))
    taken = consumption(request, device("d", capacity={"c": capacity}), fractional=fractional)
    return None if taken is None else str(taken["c"])


@pytest.mark.parametrize(
    ("asked", "capacity", "expected"),
    [
        pytest.param(None, DeviceCapacity("10Gi"), "10Gi", id="all-of-it"),
        pytest.param("1024Mi", DeviceCapacity("10Gi"), "1Gi", id="as-asked"),
        pytest.param(None, within("1Gi"), "1Gi", id="default"),
        pytest.param("1Mi", within("1Gi"), "1Gi", id="raised-to-the-minimum"),
        pytest.param("1500Mi", within("1Gi"), "1500Mi", id="no-step"),
        pytest.param("1500Mi", within("1Gi", None, "1Gi"), "2Gi", id="next-step"),
        pytest.param("2Gi", within("1Gi", None, "1Gi"), "2Gi", id="on-a-step"),
        pytest.param("5Gi", within("1Gi", "4Gi"), None, id="above-the-maximum"),
        pytest.param("4097Mi", within("1Gi", "4Gi", "1Gi"), None, id="rounded-above-the-maximum"),
        pytest.param("2Gi", within(None, "4Gi"), "2Gi", id="no-minimum"),
        pytest.param("250m", within("100m", None, "100m"), "300m", id="fractions"),
        pytest.param("950m", within("100m", None, "100m"), "1", id="whole-again"),
        pytest.param(None, one_of("1Gi", "2Gi"), "1Gi", id="default-value"),
        pytest.param("1100Mi", one_of("1Gi", "2Gi"), "2Gi", id="next-value"),
        pytest.param("3Gi", one_of("1Gi", "2Gi"), None, id="above-all-values"),
    ],
)
def test_what_is_consumed(
    asked: str | None, capacity: DeviceCapacity, expected: str | None
) -> None:
    assert consumed(asked, capacity) == expected


def test_ranges_are_in_whole_units_when_fractions_are_off() -> None:
    capacity = within("1", None, "500m")

    assert consumed("1200m", capacity) == "1500m"
    assert consumed("1200m", capacity, fractional=False) == "2"


def test_what_is_finer_than_a_thousandth_is_counted_in_whole_units() -> None:
    assert consumed("1200m", within("1", "5000000n", "1")) is None
    assert consumed("1500m", within("1n", None, "1")) == "2"


def test_capacities_that_the_device_does_not_have() -> None:
    request = CapacityRequirements(FrozenMap({"other": "1"}))

    assert consumption(request, device("d", capacity={"c": "1"}), fractional=True) is None
    assert consumption(request, device("d"), fractional=True) is None


@pytest.mark.parametrize(
    ("asked", "capacity", "fractional", "reason"),
    [
        pytest.param(
            "100E", within("1", None, "1"), False, "request 100E exceeds MaxInt64", id="int64"
        ),
        pytest.param(
            "9223372036854775807",
            within("1", None, "2Gi"),
            False,
            "rounding request 9223372036854775807 up to the next step passes MaxInt64",
            id="rounding",
        ),
        pytest.param(
            "9223372036854775807m",
            within("1m", None, "1G"),
            True,
            "rounding request 9223372036854775807m up to the next step passes the milli-value"
            " range",
            id="rounding-thousandths",
        ),
        pytest.param(
            "1500u",
            within("1m", None, "1m"),
            True,
            "request 1500u is not a representable milli value",
            id="too-fine",
        ),
        pytest.param("2", within("1", None, "0"), True, "step 0 is not positive", id="no-step"),
    ],
)
def test_requests_that_cannot_be_computed_with(
    asked: str, capacity: DeviceCapacity, fractional: bool, reason: str
) -> None:
    with pytest.raises(InvalidCapacity) as failure:
        consumed(asked, capacity, fractional=fractional)
    assert str(failure.value) == (
        'capacity "c": capacity request cannot be represented in the device\'s range arithmetic: '
        + reason
    )


def test_nothing_negative_is_consumed() -> None:
    with pytest.raises(InvalidCapacity, match=r'^capacity "c": capacity value is negative$'):
        consumed(None, DeviceCapacity("-1"))


def test_what_others_took_counts() -> None:
    shared = device("d", capacity={"c": "10"})
    taken = consumption(CapacityRequirements(FrozenMap({"c": "4"})), shared, fractional=True)
    assert taken is not None

    assert fits(taken, shared, {"c": 3 * 10**9}, {"c": 3 * 10**9})
    assert not fits(taken, shared, {"c": 3 * 10**9}, {"c": 3 * 10**9 + 1})
    assert fits(taken, shared, {"other": 10**12})


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        pytest.param("", False, id="by default"),
        pytest.param("DRAFractionalCapacityRange=true", True, id="switched on"),
    ],
)
def test_steps_of_less_than_one_are_for_a_gate_to_allow(gates: str, expected: bool) -> None:
    features = Features.from_gates(parse_feature_gates(gates))

    assert features.fractional_capacity_range is expected
