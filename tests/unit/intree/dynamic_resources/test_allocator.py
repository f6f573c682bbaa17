"""Which devices claims get, in the order of upstream's search, and what is written about them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from pyscheduler.api.core_v1 import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.resource_v1 import (
    CapacityRequirements,
    DeviceAllocationConfiguration,
    DeviceClaimConfiguration,
    DeviceClassConfiguration,
    DeviceClassSpec,
    DeviceConstraint,
    DeviceRequest,
    DeviceSelector,
    DeviceTaint,
    DeviceTaintRule,
    DeviceTaintRuleSpec,
    DeviceTaintSelector,
    DeviceToleration,
    OpaqueDeviceConfiguration,
    ResourceClaim,
    ResourceSlice,
)
from pyscheduler.intree.dynamic_resources.allocation import (
    AllocatedState,
    AllocationAborted,
    AllocationFailed,
    DeviceID,
    Features,
    NodeAllocationFailed,
)
from pyscheduler.testing.device_builders import DRIVER, make_device_class
from tests.unit.intree.dynamic_resources.allocating import (
    CLASS,
    a_claim,
    a_node,
    a_slice,
    allocate,
    allocator,
    cel,
    counter_set,
    device,
    everything,
    exactly,
    first_of,
    names,
    on,
    stepped,
    sub,
)

ONLY_N = NodeSelector(
    (NodeSelectorTerm(match_fields=(NodeSelectorRequirement("metadata.name", "In", ("n",)),)),)
)


def taken(*devices: str) -> AllocatedState:
    return AllocatedState(devices=frozenset(DeviceID(DRIVER, "pool", name) for name in devices))


def by_numa(*values: int) -> list[ResourceSlice]:
    devices = [device(f"d{i}", attributes={"numa": value}) for i, value in enumerate(values)]
    return [a_slice("s", *devices)]


SAME_NUMA = DeviceConstraint(match_attribute=f"{DRIVER}/numa")
OTHER_NUMA = DeviceConstraint(distinct_attribute=f"{DRIVER}/numa")
TAINTED = DeviceTaint("broken", "NoSchedule")
PARTITIONS = [
    a_slice("counters", of=2, shared_counters=(counter_set("gpu", memory="40Gi"),)),
    a_slice(
        "partitions",
        device("half-0", counters={"gpu": {"memory": "20Gi"}}),
        device("half-1", counters={"gpu": {"memory": "20Gi"}}),
        device("whole", counters={"gpu": {"memory": "40Gi"}}),
        of=2,
    ),
]
SHARED = [a_slice("s", device("gpu", capacity={"memory": "10Gi"}, allow_multiple_allocations=True))]
LARGE = cel(f"device.attributes['{DRIVER}'].numa >= 1")


def memory(amount: str) -> CapacityRequirements:
    return CapacityRequirements(FrozenMap({"memory": amount}))


@pytest.mark.parametrize(
    ("claims", "slices", "expected"),
    [
        pytest.param([a_claim(exactly())], [a_slice("s", "a", "b")], [["req: a"]], id="first"),
        pytest.param(
            [a_claim(exactly(number=2))], [a_slice("s", "a", "b")], [["req: a", "req: b"]], id="two"
        ),
        pytest.param([a_claim(exactly(number=3))], [a_slice("s", "a", "b")], None, id="not-enough"),
        pytest.param([a_claim()], [], [[]], id="nothing-asked-for"),
        pytest.param([a_claim(exactly())], [], None, id="no-devices"),
        pytest.param(
            [a_claim(exactly(), name="c1"), a_claim(exactly(), name="c2")],
            [a_slice("s", "a", "b")],
            [["req: a"], ["req: b"]],
            id="claims-get-different-devices",
        ),
        pytest.param(
            [a_claim(exactly())],
            [a_slice("s", "a", pool="z"), a_slice("t", "b", pool="y")],
            [["req: b"]],
            id="pools-by-name",
        ),
        pytest.param(
            [a_claim(exactly())],
            [a_slice("t", "a", of=2), a_slice("s", "b", of=2)],
            [["req: b"]],
            id="slices-by-name",
        ),
        pytest.param(
            [a_claim(exactly())],
            [
                a_slice("s", device("slow", binding_conditions=("Attached",)), pool="a"),
                a_slice("t", "ready", pool="b"),
            ],
            [["req: ready"]],
            id="binding-conditions-come-last",
        ),
        pytest.param(
            [a_claim(everything())], [a_slice("s", "a", "b")], [["req: a", "req: b"]], id="all"
        ),
        pytest.param([a_claim(everything())], [], None, id="all-of-none"),
        pytest.param(
            [a_claim(exactly(selectors=LARGE))], by_numa(0, 1), [["req: d1"]], id="selector"
        ),
        pytest.param(
            [a_claim(everything(selectors=LARGE))], by_numa(0, 1, 2), [["req: d1", "req: d2"]],
            id="all-that-are-selected",
        ),
        pytest.param(
            [a_claim(everything(capacity=memory("20Gi")))],
            [
                a_slice(
                    "s",
                    device("small", capacity={"memory": "10Gi"}),
                    device("large", capacity={"memory": "40Gi"}),
                )
            ],
            [["req: large"]],
            id="all-that-are-large-enough",
        ),
        pytest.param(
            [a_claim(exactly(number=2), constraints=[SAME_NUMA])],
            by_numa(0, 1, 0),
            [["req: d0", "req: d2"]],
            id="same-attribute",
        ),
        pytest.param(
            [a_claim(exactly(number=2), constraints=[SAME_NUMA])],
            by_numa(0, 1, 1),
            [["req: d1", "req: d2"]],
            id="same-attribute-after-giving-back",
        ),
        pytest.param(
            [a_claim(exactly(number=2), constraints=[OTHER_NUMA])],
            by_numa(0, 0, 1),
            [["req: d0", "req: d2"]],
            id="distinct-attribute",
        ),
        pytest.param(
            [a_claim(exactly(number=3), constraints=[OTHER_NUMA])], by_numa(0, 0, 1), None,
            id="not-enough-distinct",
        ),
        pytest.param(
            [
                a_claim(
                    exactly("r1"),
                    exactly("r2"),
                    constraints=[DeviceConstraint(("r2",), match_attribute="other/numa")],
                )
            ],
            by_numa(0, 1),
            None,
            id="attribute-of-another-domain",
        ),
        pytest.param(
            [a_claim(first_of("r", sub("three", 3), sub("two", 2)))],
            [a_slice("s", "a", "b")],
            [["r/two: a", "r/two: b"]],
            id="second-alternative",
        ),
        pytest.param(
            [
                a_claim(
                    first_of("r", sub("big", selectors=LARGE), sub("any")),
                    constraints=[DeviceConstraint(("r/big",), match_attribute="x/missing")],
                )
            ],
            by_numa(1),
            [["r/any: d0"]],
            id="constraint-on-one-alternative",
        ),
        pytest.param(
            [a_claim(exactly("any"), exactly("large", selectors=LARGE))],
            by_numa(1, 0),
            [["any: d1", "large: d0"]],
            id="an-earlier-request-gives-way",
        ),
        pytest.param(
            [a_claim(exactly(), name="c1"), a_claim(exactly(selectors=LARGE), name="c2")],
            by_numa(1, 0),
            [["req: d1"], ["req: d0"]],
            id="an-earlier-claim-gives-way",
        ),
        pytest.param(
            [a_claim(exactly(number=2))], PARTITIONS, [["req: half-0", "req: half-1"]],
            id="partitions-that-fit",
        ),
        pytest.param([a_claim(exactly(number=3))], PARTITIONS, None, id="partitions-that-do-not"),
        pytest.param(
            [a_claim(exactly(capacity=memory("4Gi"), number=2))], SHARED, None,
            id="one-request-gets-one-share",
        ),
        pytest.param(
            [a_claim(exactly("a", capacity=memory("4Gi")), exactly("b", capacity=memory("6Gi")))],
            SHARED,
            [["a: gpu", "b: gpu"]],
            id="shares",
        ),
        pytest.param(
            [a_claim(exactly("a", capacity=memory("4Gi")), exactly("b", capacity=memory("7Gi")))],
            SHARED,
            None,
            id="shares-that-do-not-fit",
        ),
        pytest.param(
            [a_claim(exactly(capacity=CapacityRequirements(FrozenMap({"cores": "1"}))))],
            SHARED,
            None,
            id="unknown-capacity",
        ),
        pytest.param(
            [a_claim(exactly())], [a_slice("s", device("d", taints=(TAINTED,)))], None, id="tainted"
        ),
        pytest.param(
            [a_claim(exactly(tolerations=(DeviceToleration("broken", "Exists"),)))],
            [a_slice("s", device("d", taints=(TAINTED,)))],
            [["req: d"]],
            id="tolerated",
        ),
        pytest.param(
            [a_claim(exactly())],
            [a_slice("s", device("d", taints=(DeviceTaint("note", "None"),)))],
            [["req: d"]],
            id="taint-without-effect",
        ),
    ],
)  # fmt: skip
def test_devices_are_chosen(
    claims: Sequence[ResourceClaim],
    slices: Sequence[ResourceSlice],
    expected: list[list[str]] | None,
) -> None:
    assert names(allocate(claims, slices)) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(exactly(), [["req: b"]], id="one"),
        pytest.param(exactly(number=2), None, id="two"),
        pytest.param(everything(), None, id="all"),
        pytest.param(exactly(admin_access=True), [["req: a"]], id="admin"),
    ],
)
def test_what_is_allocated_is_left_alone(
    request_: DeviceRequest, expected: list[list[str]] | None
) -> None:
    slices = [a_slice("s", "a", "b")]
    assert names(allocate([a_claim(request_)], slices, allocated=taken("a"))) == expected


def test_allocated_partitions_hold_their_counters() -> None:
    claim = a_claim(exactly(number=2))

    assert names(allocate([claim], PARTITIONS, allocated=taken("half-0"))) is None
    one = a_claim(exactly())
    assert names(allocate([one], PARTITIONS, allocated=taken("half-0"))) == [["req: half-1"]]


def test_counters_that_are_overdrawn_leave_nothing_to_whoever_needs_counters() -> None:
    slices = [*PARTITIONS[:1], replace_devices(PARTITIONS[1], "half-0", "whole", "half-1")]

    assert names(allocate([a_claim(exactly())], slices, allocated=taken("whole", "half-0"))) is None


def replace_devices(slice_: ResourceSlice, *order: str) -> ResourceSlice:
    by_name = {d.name: d for d in slice_.spec.devices}
    devices = tuple(by_name[name] for name in order)
    return replace(slice_, spec=replace(slice_.spec, devices=devices))


def test_shares_of_other_claims_count() -> None:
    gpu = DeviceID(DRIVER, "pool", "gpu")
    state = AllocatedState(shared=frozenset((gpu,)), capacity={gpu: {"memory": 7 * 2**30 * 10**9}})

    def found(amount: str) -> list[list[str]] | None:
        return names(allocate([a_claim(exactly(capacity=memory(amount)))], SHARED, allocated=state))

    assert found("3Gi") == [["req: gpu"]]
    assert found("4Gi") is None


def test_a_share_says_what_it_consumes_and_has_an_identity() -> None:
    slices = [
        a_slice(
            "s",
            device(
                "gpu",
                capacity={"memory": stepped("10Gi", default="1Gi", minimum="1Gi", step="1Gi")},
                allow_multiple_allocations=True,
            ),
        )
    ]
    claim = a_claim(exactly("a", capacity=memory("1500Mi")), exactly("b"))

    (allocation,) = allocate([claim], slices) or ()

    assert [(r.share_id, r.consumed_capacity) for r in allocation.devices.results] == [
        ("share-0", {"memory": "2Gi"}),
        ("share-1", {"memory": "1Gi"}),
    ]


def test_the_first_share_pays_for_counters_once() -> None:
    shared = device("gpu", counters={"gpu": {"memory": "40Gi"}}, allow_multiple_allocations=True)
    slices = [PARTITIONS[0], a_slice("partitions", shared, of=2)]

    assert names(allocate([a_claim(exactly("a"), exactly("b"))], slices)) == [["a: gpu", "b: gpu"]]


@pytest.mark.parametrize(
    ("where", "node", "expected"),
    [
        pytest.param({"node_name": "n"}, a_node(), ONLY_N, id="node"),
        pytest.param({"all_nodes": True}, a_node(), None, id="everywhere"),
        pytest.param(
            {"node_selector": on(zone="a")}, a_node(zone="a"), on(zone="a"), id="selector"
        ),
    ],
)
def test_an_allocation_says_where_it_can_be_used(
    where: dict[str, object], node: object, expected: NodeSelector | None
) -> None:
    (allocation,) = allocate([a_claim(exactly())], [a_slice("s", "a", **where)], node=node) or ()  # type: ignore[arg-type]  # a node
    assert allocation.node_selector == expected


@pytest.mark.parametrize(
    ("where", "node"),
    [
        pytest.param({"node_name": "other"}, a_node(), id="other-node"),
        pytest.param({"node_selector": on(zone="a")}, a_node(zone="b"), id="other-zone"),
        pytest.param({"all_nodes": False}, a_node(), id="nowhere"),
    ],
)
def test_slices_for_other_nodes_are_of_no_use(where: dict[str, object], node: object) -> None:
    assert allocate([a_claim(exactly())], [a_slice("s", "a", **where)], node=node) is None  # type: ignore[arg-type]  # a node


def test_devices_may_say_for_themselves_where_they_belong() -> None:
    slices = [
        a_slice(
            "s",
            device("elsewhere", node_name="m"),
            device("in-zone", node_selector=on(zone="a")),
            device("anywhere", all_nodes=True),
            per_device_node_selection=True,
        )
    ]
    node = a_node(zone="a")

    (allocation,) = allocate([a_claim(exactly(number=2))], slices, node=node) or ()

    assert names([allocation]) == [["req: in-zone", "req: anywhere"]]
    assert allocation.node_selector == on(zone="a")


def test_requirements_of_several_devices_are_joined() -> None:
    slices = [
        a_slice("s1", "a", pool="p1", node_selector=on(zone="a", rack="1")),
        a_slice("s2", "b", pool="p2", node_selector=on(rack="1", row="2")),
    ]

    (allocation,) = (
        allocate([a_claim(exactly(number=2))], slices, node=a_node(zone="a", rack="1", row="2"))
        or ()
    )

    assert allocation.node_selector == on(zone="a", rack="1", row="2")


def test_a_device_that_binds_to_its_node_restricts_the_claim_to_it() -> None:
    slices = [a_slice("s", device("a", binds_to_node=True), all_nodes=True)]

    (allocation,) = allocate([a_claim(exactly())], slices) or ()

    assert allocation.node_selector == ONLY_N


def test_conditions_and_tolerations_are_copied() -> None:
    tolerations = (DeviceToleration("x", "Exists"),)
    slices = [
        a_slice(
            "s", device("a", binding_conditions=("Ready",), binding_failure_conditions=("Dead",))
        )
    ]

    (allocation,) = allocate([a_claim(exactly(tolerations=tolerations))], slices) or ()

    result = allocation.devices.results[0]
    assert result.binding_conditions == ("Ready",)
    assert result.binding_failure_conditions == ("Dead",)
    assert result.tolerations == tolerations
    assert result.admin_access is None


def test_configuration_comes_from_classes_once_and_from_the_claim() -> None:
    def opaque(what: str) -> OpaqueDeviceConfiguration:
        return OpaqueDeviceConfiguration(DRIVER, FrozenMap({"what": what}))

    configured = replace(
        CLASS, spec=DeviceClassSpec(config=(DeviceClassConfiguration(opaque("class")),))
    )
    claim = a_claim(
        exactly("a"),
        first_of("b", sub("x", selectors=cel("false")), sub("y")),
        exactly("c", device_class_name="plain"),
        config=(
            DeviceClaimConfiguration((), opaque("all")),
            DeviceClaimConfiguration(("b/x",), opaque("not chosen")),
            DeviceClaimConfiguration(("b/y",), opaque("chosen")),
            DeviceClaimConfiguration(("a", "b", "c"), opaque("all by name")),
        ),
    )

    (allocation,) = (
        allocate(
            [claim],
            [a_slice("s", "d1", "d2", "d3")],
            classes=[configured, make_device_class("plain").obj()],
        )
        or ()
    )

    assert allocation.devices.config == (
        DeviceAllocationConfiguration("FromClass", ("a", "b/y"), opaque("class")),
        DeviceAllocationConfiguration("FromClaim", (), opaque("all")),
        DeviceAllocationConfiguration("FromClaim", ("b/y",), opaque("chosen")),
        DeviceAllocationConfiguration("FromClaim", (), opaque("all by name")),
    )


def test_admin_access_is_written_down_and_keeps_the_device_from_the_same_pod() -> None:
    claim = a_claim(exactly("look", admin_access=True), exactly("use"))

    (allocation,) = allocate([claim], [a_slice("s", "a", "b")]) or ()

    assert [r.admin_access for r in allocation.devices.results] == [True, None]
    assert names([allocation]) == [["look: a", "use: b"]]


def test_rules_taint_devices() -> None:
    selector = DeviceTaintSelector(driver=DRIVER, device="a")
    rule = DeviceTaintRule(ObjectMeta(name="r"), DeviceTaintRuleSpec(TAINTED, selector))

    assert names(allocate([a_claim(exactly())], [a_slice("s", "a", "b")], rules=[rule])) == [
        ["req: b"]
    ]


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "slices", "message"),
    [
        pytest.param(
            a_claim(exactly(device_class_name="x")),
            [],
            "claim default/c, request req: could not retrieve device class x:"
            ' deviceclass.resource.k8s.io "x" not found',
            id="no-class",
        ),
        pytest.param(
            a_claim(exactly(device_class_name="")),
            [],
            "claim default/c, request req: missing device class name (unsupported request type?)",
            id="no-class-name",
        ),
        pytest.param(
            a_claim(DeviceRequest("req")),
            [],
            "claim default/c, request req: missing device class name (unsupported request type?)",
            id="unknown-request",
        ),
        pytest.param(
            a_claim(exactly(selectors=(DeviceSelector(),))),
            [],
            "claim default/c, request req, selector #0: CEL expression empty (unsupported selector"
            " type?)",
            id="unknown-selector",
        ),
        pytest.param(
            a_claim(exactly(allocation_mode="Some")),
            [],
            "claim default/c, request req: unsupported count mode Some",
            id="unknown-mode",
        ),
        pytest.param(
            a_claim(exactly(), constraints=[DeviceConstraint()]),
            [],
            "claim default/c, constraint #0: empty constraint (unsupported constraint type?)",
            id="unknown-constraint",
        ),
        pytest.param(
            a_claim(exactly("a", 20), exactly("b", 13)),
            [],
            "claim default/c, request b: adding 13 devices exceeds the claim limit of 32, with 20"
            " already accounted for",
            id="too-many",
        ),
        pytest.param(
            a_claim(everything()),
            [a_slice("s", "a", of=2)],
            "claim default/c, request req: asks for all devices, but resource pool"
            f" {DRIVER}/pool is currently being updated",
            id="all-of-an-incomplete-pool",
        ),
        pytest.param(
            a_claim(everything()),
            [a_slice("s", "a", "a")],
            "claim default/c, request req: asks for all devices, but resource pool"
            f" {DRIVER}/pool is currently invalid",
            id="all-of-an-invalid-pool",
        ),
        pytest.param(
            a_claim(everything(), constraints=[SAME_NUMA]),
            by_numa(0, 1),
            "claim default/c, request req: cannot add device"
            f" {DRIVER}/pool/d1 because a claim constraint would not be satisfied",
            id="all-against-a-constraint",
        ),
        pytest.param(
            a_claim(exactly(selectors=cel("true", "nonsense"))),
            [a_slice("s", "a")],
            "claim default/c: selector #1: CEL compile error: compilation failed: ERROR:"
            " <input>:1:1: undeclared reference to 'nonsense' (in container '')\n"
            " | nonsense\n | ^",
            id="cel-compile",
        ),
        pytest.param(
            a_claim(exactly(selectors=cel("device.attributes['x'].y"))),
            [a_slice("s", "a")],
            f"claim default/c: selector #0 on device {DRIVER}/pool/a: CEL runtime error: no such"
            " key: y. consider using CEL optional chaining (.? followed by orValue()) or guarding"
            " the check with has() for optional fields",
            id="cel-runtime",
        ),
        pytest.param(
            a_claim(exactly()),
            [
                a_slice(
                    "s",
                    "a",
                    node_selector=NodeSelector(
                        (NodeSelectorTerm((NodeSelectorRequirement("zone", "Near"),)),)
                    ),
                )
            ],
            "gather pool information: failed to perform node selection for slice s: key 'zone':"
            " unknown operator 'Near'",
            id="node-selector",
        ),
        pytest.param(
            a_claim(exactly(capacity=memory("100Ei"))),
            [
                a_slice(
                    "s",
                    device("a", capacity={"memory": stepped("10", step="1")}),
                )
            ],
            "claim default/c, request req: checking capacity for device"
            f' {DRIVER}/pool/a: capacity "memory": capacity request cannot be represented in the'
            " device's range arithmetic: request 9223372036854775807 is not a representable milli"
            " value",
            id="capacity-out-of-range",
        ),
        pytest.param(
            a_claim(everything(capacity=memory("100Ei"))),
            [a_slice("s", device("a", capacity={"memory": stepped("10", step="1")}))],
            "claim default/c, request req: checking capacity for device a: capacity"
            ' "memory": capacity request cannot be represented in the device\'s range'
            " arithmetic: request 9223372036854775807 is not a representable milli value",
            id="capacity-out-of-range-of-all",
        ),
    ],
)
def test_what_cannot_be_understood_fails_the_pod(
    claim: ResourceClaim, slices: Sequence[ResourceSlice], message: str
) -> None:
    with pytest.raises(AllocationFailed) as failure:
        allocate([claim], slices)
    assert str(failure.value) == message


@pytest.mark.parametrize(
    ("features", "request_", "message"),
    [
        pytest.param(
            Features(prioritized_list=False),
            first_of("r", sub("x")),
            "claim default/c, request r: has subrequests, but the DRAPrioritizedList feature is"
            " disabled",
            id="subrequests",
        ),
        pytest.param(
            Features(consumable_capacity=False),
            exactly(capacity=memory("1")),
            "claim default/c, request req: has capacity requests, but the DRAConsumableCapacity"
            " feature is disabled",
            id="capacity",
        ),
        pytest.param(
            Features(consumable_capacity=False),
            first_of("r", sub("x", capacity=memory("1"))),
            "claim default/c, subrequest x: has capacity requests, but the DRAConsumableCapacity"
            " feature is disabled",
            id="capacity-of-a-subrequest",
        ),
        pytest.param(
            Features(admin_access=False),
            exactly(admin_access=False),
            "claim default/c, request req: admin access is requested, but the feature is disabled",
            id="admin-access",
        ),
    ],
)
def test_what_is_switched_off_fails_the_pod(
    features: Features, request_: DeviceRequest, message: str
) -> None:
    with pytest.raises(AllocationFailed) as failure:
        allocate([a_claim(request_)], [a_slice("s", "a")], features=features)
    assert str(failure.value) == message


@pytest.mark.parametrize(
    ("features", "offered"),
    [
        pytest.param(
            Features(binding_conditions=False),
            [a_slice("s", device("a", binding_conditions=("Ready",)))],
            id="binding-conditions",
        ),
        pytest.param(Features(partitionable_devices=False), PARTITIONS, id="counters"),
        pytest.param(
            Features(partitionable_devices=False),
            [a_slice("s", device("a", all_nodes=True), per_device_node_selection=True)],
            id="node-selection-per-device",
        ),
    ],
)
def test_devices_of_features_that_are_off_are_not_used(
    features: Features, offered: Sequence[ResourceSlice]
) -> None:
    assert allocate([a_claim(exactly())], offered) is not None
    assert allocate([a_claim(exactly())], offered, features=features) is None


def test_an_invalid_pool_is_told_of_if_nothing_else_helps() -> None:
    invalid = a_slice("s", "a", "a", pool="bad")

    with pytest.raises(NodeAllocationFailed, match=r"^invalid resource pools were encountered$"):
        allocate([a_claim(exactly())], [invalid])
    assert names(allocate([a_claim(exactly())], [invalid, a_slice("t", "b")])) == [["req: b"]]


def test_the_search_ends_when_the_time_is_up() -> None:
    with pytest.raises(AllocationAborted):
        allocate([a_claim(exactly())], [a_slice("s", "a")], is_expired=lambda: True)


def test_a_large_search_looks_at_the_clock_again_and_again() -> None:
    looks = 0

    def is_expired() -> bool:
        nonlocal looks
        looks += 1
        return looks > 3

    # Six of sixteen devices with one attribute value each cannot be alike.
    claim = a_claim(exactly(number=2), exactly("more", 6), constraints=[OTHER_NUMA])

    with pytest.raises(AllocationAborted):
        allocate([claim], by_numa(*[i % 7 for i in range(16)]), is_expired=is_expired)


def test_a_claim_gets_as_many_devices_as_it_may_without_deep_recursion() -> None:
    devices = [f"d{i:03}" for i in range(128)]
    claims = [a_claim(exactly(number=32), name=f"c{i}") for i in range(8)]

    slices = [a_slice(f"s{i}", *devices, pool=f"p{i}") for i in range(2)]

    assert [len(c) for c in names(allocate(claims, slices)) or []] == [32] * 8


def test_an_alternative_with_fewer_devices_is_taken_when_the_claim_would_have_too_many() -> None:
    devices = [f"d{i:03}" for i in range(64)]
    claim = a_claim(exactly("most", 30), first_of("rest", sub("many", 3), sub("few", 2)))

    (allocation,) = allocate([claim], [a_slice("s", *devices)]) or ()

    assert [r.request for r in allocation.devices.results[30:]] == ["rest/few", "rest/few"]


def test_one_allocator_serves_many_nodes() -> None:
    shared = allocator([a_slice(f"s{n}", "a", pool=n, node_name=n) for n in ("n1", "n2")])
    claim = a_claim(exactly())

    found = [shared.allocate(a_node(name), [claim]) for name in ("n1", "n2", "n3")]

    assert [f and f[0].devices.results[0].pool for f in found] == ["n1", "n2", None]
