"""What slices and rules become: pools as nodes see them, and snapshots that do not change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.resource_v1 import (
    DeviceTaint,
    DeviceTaintRule,
    DeviceTaintRuleSpec,
    DeviceTaintSelector,
    ResourceSlice,
)
from pyscheduler.intree.dynamic_resources.allocation import Features, Inventory
from pyscheduler.intree.dynamic_resources.allocation.pools import Pool
from pyscheduler.testing.device_builders import DRIVER
from tests.unit.intree.dynamic_resources.allocating import (
    a_node,
    a_slice,
    counter_set,
    device,
    on,
)

NODE = a_node("n", zone="a")


def an_inventory(*slices: ResourceSlice, features: Features | None = None) -> Inventory:
    inventory = Inventory(features=features or Features())
    for slice_ in slices:
        inventory.put_slice(slice_)
    return inventory


def seen(*slices: ResourceSlice) -> Pool | None:
    """What the node sees of the one pool."""
    pools = an_inventory(*slices).snapshot().of_node("n")
    return pools[0].seen_from(NODE) if pools else None


def devices(pool: Pool | None) -> list[str] | None:
    return None if pool is None else [candidate.id.device for candidate in pool.candidates]


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        pytest.param([a_slice("s", "a")], ["a"], id="complete"),
        pytest.param([a_slice("t", "a", of=2), a_slice("s", "b", of=2)], ["b", "a"], id="two"),
        pytest.param(
            [a_slice("old", "a"), a_slice("new", "b", generation=2)], ["b"], id="newest-generation"
        ),
        pytest.param(
            [a_slice("s", "a", of=2), a_slice("t", "b", of=2, node_name="m")],
            ["a"],
            id="the-rest-is-elsewhere",
        ),
        pytest.param(
            [a_slice("s", "a", of=2), a_slice("t", "b", node_name="m", generation=2)],
            None,
            id="replaced-elsewhere",
        ),
        pytest.param([a_slice("s", "a", node_selector=on(zone="a"))], ["a"], id="selected"),
        pytest.param([a_slice("s", "a", node_selector=on(zone="b"))], None, id="not-selected"),
        pytest.param([a_slice("s", "a", all_nodes=False)], None, id="for-no-node"),
    ],
)
def test_what_a_node_sees(slices: Sequence[ResourceSlice], expected: list[str] | None) -> None:
    pool = seen(*slices)

    assert devices(pool) == expected
    assert pool is None or pool.is_usable


@pytest.mark.parametrize(
    ("slices", "reason"),
    [
        pytest.param([a_slice("s", "a", "a")], "duplicate device name a", id="device-twice"),
        pytest.param(
            [a_slice("s", shared_counters=(counter_set("x", c="1"), counter_set("x", c="1")))],
            "duplicate counter set name x",
            id="counter-set-twice",
        ),
        pytest.param(
            [a_slice("s", device("a", counters={"x": {"c": "1"}}))],
            "counter set x not found",
            id="no-counter-set",
        ),
        pytest.param(
            [
                a_slice("s", device("a", counters={"x": {"d": "1"}}), of=2),
                a_slice("t", of=2, shared_counters=(counter_set("x", c="1"),)),
            ],
            "counter d not found in counter set x",
            id="no-counter",
        ),
        pytest.param(
            [
                a_slice("s", "a", of=2),
                a_slice("t", device("b", counters={"x": {"c": "1"}}), of=2, node_name="m"),
            ],
            "counter set x not found",
            id="elsewhere",
        ),
    ],
)
def test_invalid_pools_say_why(slices: Sequence[ResourceSlice], reason: str) -> None:
    pool = seen(*slices)

    assert pool is not None
    assert (pool.invalid_reason, pool.is_usable, devices(pool)) == (reason, False, [])


def test_a_pool_of_which_a_slice_is_missing_is_incomplete() -> None:
    pool = seen(a_slice("s", "a", of=2))

    assert pool is not None
    assert (pool.is_incomplete, pool.is_usable, devices(pool)) == (True, False, [])


def test_slices_that_use_compatibility_groups_count_as_missing() -> None:
    partition = device("b", counters={"x": {"c": "1"}})

    pool = seen(a_slice("s", "a", of=2), with_groups(a_slice("t", partition, of=2)))

    assert pool is not None
    assert pool.is_incomplete


def with_groups(slice_: ResourceSlice) -> ResourceSlice:
    (only,) = slice_.spec.devices
    (consumption,) = only.consumes_counters
    grouped = replace(only, consumes_counters=(replace(consumption, compatibility_groups=("g",)),))
    return replace(slice_, spec=replace(slice_.spec, devices=(grouped,)))


def test_devices_elsewhere_are_known_for_their_counters() -> None:
    pool = seen(
        a_slice("s", "a", of=3),
        a_slice("t", device("b", counters={"x": {"c": "1"}}), of=3, node_name="m"),
        a_slice("u", of=3, node_name="m", shared_counters=(counter_set("x", c="2"),)),
    )

    assert pool is not None
    assert [candidate.id.device for candidate in pool.elsewhere] == ["b"]
    assert pool.counter_sets == {"x": {"c": 2 * 10**9}}


def test_nodes_that_see_the_same_share_one_pool() -> None:
    inventory = an_inventory(a_slice("s", "a", all_nodes=True))
    (pool,) = inventory.snapshot().of_node("anything")

    assert pool.seen_from(a_node("n")) is pool.seen_from(a_node("m"))


def test_a_snapshot_does_not_change_and_keeps_what_did_not_change() -> None:
    inventory = an_inventory(a_slice("s", "a", pool="p"), a_slice("t", "b", pool="q"))
    before = inventory.snapshot()
    assert inventory.snapshot() is before

    inventory.drop_slice("s")
    inventory.put_slice(a_slice("u", "c", pool="r", node_name="m"))
    after = inventory.snapshot()

    assert {pool.pool for pool in before.pools} == {"p", "q"}
    assert {pool.pool for pool in after.pools} == {"q", "r"}
    kept = next(iter(pool for pool in after.pools if pool.pool == "q"))
    assert after.pools[kept] is before.pools[kept]
    assert (before.may_have_devices("m"), after.may_have_devices("m")) == (False, True)
    inventory.drop_slice("t")
    assert not inventory.snapshot().may_have_devices("n")


def test_a_slice_may_move_to_another_node_and_another_pool() -> None:
    inventory = an_inventory(a_slice("s", "a"))
    inventory.snapshot()

    inventory.put_slice(a_slice("s", "a", pool="other", node_name="m"))

    snapshot = inventory.snapshot()
    assert [pool.id.pool for pool in snapshot.of_node("m")] == ["other"]
    assert snapshot.of_node("n") == []


def test_dropping_what_is_not_there_changes_nothing() -> None:
    inventory = an_inventory(a_slice("s", "a"))
    before = inventory.snapshot()

    inventory.drop_slice("unknown")

    assert inventory.drop_rule("unknown") == ()
    assert inventory.snapshot() is before


# --- taint rules ----------------------------------------------------------------------------------


def a_rule(name: str, selector: DeviceTaintSelector | None, key: str = "bad") -> DeviceTaintRule:
    return DeviceTaintRule(
        ObjectMeta(name=name), DeviceTaintRuleSpec(DeviceTaint(key, "NoSchedule"), selector)
    )


def taints(inventory: Inventory) -> dict[str, list[str]]:
    return {
        candidate.id.device: [taint.key for taint in candidate.device.taints]
        for pool in inventory.snapshot().of_node("n")
        if (view := pool.seen_from(NODE)) is not None
        for candidate in view.candidates
    }


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        pytest.param(None, {"a": [], "b": []}, id="no-selector"),
        pytest.param(DeviceTaintSelector(), {"a": ["bad"], "b": ["bad"]}, id="everything"),
        pytest.param(DeviceTaintSelector(device="b"), {"a": [], "b": ["bad"]}, id="device"),
        pytest.param(
            DeviceTaintSelector(pool="pool", device="a"), {"a": ["bad"], "b": []}, id="pool"
        ),
        pytest.param(DeviceTaintSelector(driver="other"), {"a": [], "b": []}, id="other-driver"),
        pytest.param(DeviceTaintSelector(driver=DRIVER), {"a": ["bad"], "b": ["bad"]}, id="driver"),
    ],
)
def test_which_devices_a_rule_taints(
    selector: DeviceTaintSelector | None, expected: dict[str, list[str]]
) -> None:
    inventory = an_inventory(a_slice("s", "a", "b"))

    changed = inventory.put_rule(a_rule("r", selector))

    assert taints(inventory) == expected
    assert changed == (("s",) if any(expected.values()) else ())


def test_rules_change_and_go_and_apply_to_slices_that_come_later() -> None:
    inventory = an_inventory(a_slice("s", "a"))
    inventory.put_rule(a_rule("r2", DeviceTaintSelector(), "second"))
    inventory.put_rule(a_rule("r1", DeviceTaintSelector(), "first"))
    assert taints(inventory) == {"a": ["first", "second"]}

    assert inventory.put_rule(a_rule("r1", DeviceTaintSelector(device="b"), "first")) == ("s",)
    inventory.put_slice(a_slice("t", "b", pool="q"))
    assert taints(inventory) == {"a": ["second"], "b": ["first", "second"]}

    assert inventory.drop_rule("r2") == ("s", "t")
    assert taints(inventory) == {"a": [], "b": ["first"]}


def test_rules_do_nothing_when_taints_are_off() -> None:
    inventory = an_inventory(a_slice("s", "a"), features=Features(device_taints=False))

    assert inventory.put_rule(a_rule("r", DeviceTaintSelector())) == ()
    assert taints(inventory) == {"a": []}
