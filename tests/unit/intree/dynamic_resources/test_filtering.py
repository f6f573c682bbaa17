"""PreEnqueue, PreFilter, Filter, PostFilter and Score: who waits for what, in which words."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodResourceClaim,
    PodResourceClaimStatus,
)
from pyscheduler.api.resource_v1 import (
    AllocatedDeviceStatus,
    Condition,
    DeviceRequest,
    ResourceClaim,
)
from pyscheduler.intree.dynamic_resources.cel import selectors
from pyscheduler.intree.dynamic_resources.cel.declarations import CelMissing
from pyscheduler.intree.dynamic_resources.plugin import DynamicResources
from pyscheduler.testing import FakeInformers, fake_handle, make_node, make_plugin, make_pod
from pyscheduler.testing.device_builders import (
    DRIVER,
    alternative,
    make_device_class,
    make_resource_claim,
    make_slice,
)
from tests.unit.intree.dynamic_resources.rig import Rig

POD = make_pod("p").resource_claim("c").obj()
CLAIM = make_resource_claim("c").request("gpu")
CLASS = make_device_class().obj()


def _from_template(pod: Pod, *, status: PodResourceClaimStatus | None = None) -> Pod:
    claims = (PodResourceClaim("gpu", resource_claim_template_name="template"),)
    statuses = () if status is None else (status,)
    return replace(
        pod,
        spec=replace(pod.spec, resource_claims=claims),
        status=replace(pod.status, resource_claim_statuses=statuses),
    )


_GENERATED = _from_template(
    make_pod("p").obj(), status=PodResourceClaimStatus("gpu", resource_claim_name="p-gpu")
)
_UNKNOWN = replace(
    POD, spec=replace(POD.spec, resource_claims=(PodResourceClaim("from-the-future"),))
)


@pytest.mark.parametrize(
    ("pod", "claims", "message"),
    [
        pytest.param(make_pod("p").obj(), [], None, id="without-claims"),
        pytest.param(POD, [CLAIM.obj()], None, id="is-there"),
        pytest.param(POD, [], 'could not find ResourceClaim "default/c"', id="is-not-there"),
        pytest.param(
            POD, [CLAIM.terminating().obj()], 'resourceclaim "c" is being deleted', id="leaves"
        ),
        pytest.param(
            _from_template(POD),
            [],
            'pod "default/p": ResourceClaim not created yet',
            id="not-made-yet",
        ),
        pytest.param(
            _from_template(POD, status=PodResourceClaimStatus("gpu")), [], None, id="none-needed"
        ),
        pytest.param(
            _GENERATED, [make_resource_claim("p-gpu").owner(_GENERATED).obj()], None, id="made"
        ),
        pytest.param(
            _GENERATED,
            [make_resource_claim("p-gpu").owner(make_pod("q").obj()).obj()],
            "ResourceClaim default/p-gpu was not created for Pod default/p (Pod is not owner)",
            id="made-for-another",
        ),
        pytest.param(
            _UNKNOWN,
            [],
            'pod "default/p", spec.resourceClaim "from-the-future":'
            " none of the supported fields are set",
            id="unknown-reference",
        ),
    ],
)
def test_a_pod_waits_until_its_claims_are_there_and_its_own(
    pod: Pod, claims: list[ResourceClaim], message: str | None
) -> None:
    rig = Rig(*claims)

    expected = None if message is None else fwk.unresolvable(message)
    assert rig.plugin.pre_enqueue(pod) == expected
    if message is not None:
        assert rig.pre_filter(pod) == expected


def test_pods_without_claims_are_none_of_its_business() -> None:
    rig = Rig(CLASS)
    plain = make_pod("p").req({"cpu": "1"}).obj()

    assert rig.pre_filter(plain) is fwk.SKIP
    assert rig.pre_filter(_from_template(POD, status=PodResourceClaimStatus("gpu"))) is fwk.SKIP
    assert rig.plugin.sign_pod(plain) == ()
    assert rig.plugin.sign_pod(POD) is None


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        pytest.param(
            CLAIM.request("nic", "nics").obj(),
            "request nic: device class nics does not exist",
            id="no-such-class",
        ),
        pytest.param(
            make_resource_claim("c")
            .first_of("gpu", alternative("fast"), alternative("slow", "old"))
            .obj(),
            "request gpu/slow: device class old does not exist",
            id="no-such-class-of-an-alternative",
        ),
        pytest.param(
            replace(
                CLAIM.obj(),
                spec=replace(
                    CLAIM.obj().spec,
                    devices=replace(CLAIM.obj().spec.devices, requests=(DeviceRequest("new"),)),
                ),
            ),
            "resource claim default/c, request new: unknown request type",
            id="request-from-the-future",
        ),
    ],
)
def test_requests_must_name_classes_that_exist(claim: ResourceClaim, message: str) -> None:
    assert Rig(CLASS, claim).pre_filter(POD) == fwk.unresolvable(message)


def test_a_request_without_a_class_is_an_error() -> None:
    status = Rig(CLASS, make_resource_claim("c").request("gpu", "").obj()).pre_filter(POD)

    assert status == fwk.Status(fwk.Code.ERROR, ("request gpu: unsupported request type",))


def test_nodes_with_free_devices_pass() -> None:
    rig = Rig(
        CLASS,
        CLAIM.obj(),
        make_resource_claim("other").request("gpu").allocated("gpu-0", node="full").obj(),
        make_slice("full").devices("gpu-0").obj(),
        make_slice("half").devices("gpu-0", "gpu-1").obj(),
        nodes=[make_node(name).obj() for name in ("full", "half", "none")],
    )

    assert rig.judged(POD)[1] == {
        "full": "cannot allocate all claims",
        "half": "",
        "none": "cannot allocate all claims",
    }


def test_allocated_claims_bind_the_pod_to_where_their_devices_are() -> None:
    rig = Rig(CLAIM.allocated("gpu-0", node="b").obj(), nodes=[make_node(n).obj() for n in "ab"])

    state, said = rig.judged(POD)

    assert said == {"a": "resourceclaim not available on the node", "b": ""}
    assert rig.plugin.reserve(state, POD, "b") is None, "there is nothing to keep in memory"


def test_a_selector_that_cannot_be_understood_names_itself() -> None:
    term = NodeSelectorTerm(match_expressions=(NodeSelectorRequirement("zone", "Near", ("a",)),))
    claim = CLAIM.allocated("gpu-0", node="b").obj()
    assert claim.status.allocation is not None
    odd = replace(claim.status.allocation, node_selector=NodeSelector((term,)))
    rig = Rig(replace(claim, status=replace(claim.status, allocation=odd)))

    assert rig.pre_filter(POD) == fwk.unresolvable(
        "resourceclaim default/c: status.allocation.nodeSelector:"
        " key 'zone': unknown operator 'Near'"
    )


def test_a_claim_in_flight_is_waited_for_and_its_devices_are_taken() -> None:
    slices = make_slice("n").devices("gpu-0").obj()
    rig = Rig(CLASS, slices, CLAIM.obj(), make_resource_claim("d").request("gpu").obj())
    rig.reserved(POD)

    assert rig.pre_filter(make_pod("twin").resource_claim("c").obj()) == fwk.unresolvable(
        "resource claim default/c is in the process of being allocated"
    )
    assert rig.judged(make_pod("q").resource_claim("d").obj())[1] == {
        "n": "cannot allocate all claims"
    }


def test_profiles_respect_what_another_keeps_in_memory() -> None:
    rig = Rig(CLASS, make_slice("n").devices("gpu-0").obj(), CLAIM.obj())
    other = type(rig.plugin)(rig.plugin.args, dataclasses.replace(rig.handle))
    rig.reserved(POD)

    status = other.pre_filter(fwk.CycleState(), POD, rig.handle.snapshot.nodes)

    assert status is not None
    assert "in the process of being allocated" in status.message


def test_a_search_that_takes_too_long_is_an_error_that_names_the_node() -> None:
    rig = Rig(CLASS, make_slice("n").devices(*map(str, range(20))).obj(), CLAIM.obj())
    rig.plugin._search_s = -1.0
    state = rig.prepared(POD)

    status = rig.plugin.filter(state, POD, rig.handle.snapshot.nodes.node(0))

    assert status == fwk.Status(fwk.Code.ERROR, ("node n: timed out trying to allocate devices",))


@pytest.mark.parametrize(
    ("timeout", "search_s"),
    [
        pytest.param("10s", 0.5, id="as-long-as-the-loop-may-be-held"),
        pytest.param("200ms", 0.2, id="as-configured"),
        pytest.param("0s", 0.5, id="no-limit-of-its-own"),
    ],
)
def test_how_long_a_search_may_take(timeout: str, search_s: float) -> None:
    rig = Rig(args={"filterTimeout": timeout})

    assert rig.plugin._search_s == pytest.approx(search_s)


def test_without_the_extra_a_pod_that_needs_it_waits_and_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise CelMissing("needs the extra dra")

    monkeypatch.setattr(selectors, "new_environment", missing)
    picky = make_device_class("picky").selector("true").obj()
    rig = Rig(
        CLASS,
        picky,
        make_slice("n").devices("gpu-0").obj(),
        make_resource_claim("c").request("gpu", "picky").obj(),
        make_resource_claim("d").request("gpu").obj(),
    )
    state = rig.prepared(POD)

    status = rig.plugin.filter(state, POD, rig.handle.snapshot.nodes.node(0))

    assert status is not None
    assert status.code is fwk.Code.UNSCHEDULABLE_AND_UNRESOLVABLE
    assert status.message.endswith("needs the extra dra")
    assert rig.judged(make_pod("q").resource_claim("d").obj())[1] == {"n": ""}


def test_an_expression_that_cannot_be_understood_is_an_error_that_names_it() -> None:
    odd = make_device_class("odd").selector("device.colour.is(red").obj()
    claim = make_resource_claim("c").request("gpu", "odd").obj()
    rig = Rig(odd, make_slice("n").devices("gpu-0").obj(), claim)
    state = rig.prepared(POD)

    status = rig.plugin.filter(state, POD, rig.handle.snapshot.nodes.node(0))

    assert status is not None
    assert status.code is fwk.Code.ERROR
    assert "odd" in status.message


# --- PostFilter ---


async def test_a_claim_of_no_use_anywhere_is_deallocated() -> None:
    rig = Rig(CLAIM.allocated("gpu-0", node="gone").reserved_for(POD).obj())
    state, said = rig.judged(POD)
    assert said == {"n": "resourceclaim not available on the node"}

    assert await _post_filter(rig, state) == fwk.unschedulable(
        "deallocation of ResourceClaim completed"
    )
    assert (rig.devices_of("default/c"), rig.consumers_of("default/c")) == ([], [])


async def test_a_claim_that_others_use_stays_as_it_is() -> None:
    other = make_pod("other").obj()
    rig = Rig(CLAIM.allocated("gpu-0", node="gone").reserved_for(POD, other).obj())
    state, _ = rig.judged(POD)

    assert await _post_filter(rig, state) == fwk.unschedulable()
    assert rig.server.requests == []


async def test_without_claims_nothing_can_be_deallocated() -> None:
    rig, state = Rig(), fwk.CycleState()
    rig.plugin.pre_filter(state, make_pod("p").obj(), rig.handle.snapshot.nodes)

    assert await _post_filter(rig, state) == fwk.unschedulable()


async def test_nor_for_a_pod_whose_pre_filter_need_not_be_called() -> None:
    state = fwk.CycleState()
    state.skipped_filters = frozenset({"DynamicResources"})

    assert await _post_filter(Rig(), state) == fwk.unschedulable()


async def test_a_pod_that_another_pre_filter_turned_away_ends_the_search_as_upstream_does() -> None:
    assert await _post_filter(Rig(), fwk.CycleState()) == fwk.unresolvable("not found")


async def _post_filter(rig: Rig, state: fwk.CycleState) -> fwk.Status | None:
    statuses = fwk.NodeStatuses.alike(rig.handle.snapshot.nodes, fwk.unresolvable("x"))
    result, status = await rig.plugin.post_filter(state, POD, statuses)
    assert result is None
    return status


# --- binding conditions, as Filter sees them ---


def _bound_device(*conditions: Condition) -> ResourceClaim:
    """Allocated at the rig's beginning, with a device that has to be attached."""
    claim = (
        CLAIM.allocated(
            "gpu-0",
            node="n",
            binding_conditions=("attached",),
            binding_failure_conditions=("broken",),
        )
        .allocated_at("2023-11-14T22:13:20Z")
        .reserved_for(POD)
        .obj()
    )
    told = AllocatedDeviceStatus(DRIVER, "n", "gpu-0", conditions=conditions)
    return replace(claim, status=replace(claim.status, devices=(told,) if conditions else ()))


@pytest.mark.parametrize(
    ("conditions", "elapsed_s", "is_available"),
    [
        pytest.param((), 0, True, id="in-time"),
        pytest.param((), 601, False, id="too-late"),
        pytest.param((Condition("attached", "True"),), 601, True, id="ready"),
        pytest.param((Condition("attached", "False"),), 601, False, id="not-ready-and-too-late"),
        pytest.param((Condition("broken", "True", "Burnt"),), 0, False, id="failed"),
        pytest.param((Condition("broken", "False"),), 0, True, id="not-failed"),
    ],
)
def test_devices_must_be_ready_or_still_in_time(
    conditions: tuple[Condition, ...], elapsed_s: float, is_available: bool
) -> None:
    rig = Rig(_bound_device(*conditions))
    rig.clock.advance(elapsed_s)

    expected = "" if is_available else "resourceclaim not available on the node"
    assert rig.judged(POD)[1] == {"n": expected}


# --- Score ---


def test_nodes_with_the_first_alternative_are_best() -> None:
    alternatives = alternative("pair", count=2), alternative("single")
    rig = Rig(
        CLASS,
        make_resource_claim("c").first_of("gpu", *alternatives).obj(),
        make_slice("a").devices("gpu-0").obj(),
        make_slice("b").devices("gpu-0", "gpu-1").obj(),
        nodes=[make_node(n).obj() for n in "abc"],
    )
    state, said = rig.judged(POD)
    nodes = rig.handle.snapshot.nodes

    assert [name for name, message in said.items() if not message] == ["a", "b"]
    assert rig.plugin.pre_score(state, POD, nodes) is None
    raw = rig.plugin.score_nodes(state, POD, nodes)
    assert raw.tolist() == [7, 8, 0]
    assert [rig.plugin.score(state, POD, nodes.node(row)) for row in range(3)] == [7, 8, 0]
    assert rig.plugin.normalize(state, POD, raw[:2]).tolist() == [87, 100]


def test_without_alternatives_nothing_is_scored() -> None:
    rig = Rig(CLASS, CLAIM.obj(), make_slice("n").devices("gpu-0").obj())
    nodes = rig.handle.snapshot.nodes

    assert rig.plugin.pre_score(rig.prepared(POD), POD, nodes) is fwk.SKIP
    assert rig.plugin.pre_score(fwk.CycleState(), POD, nodes) is fwk.SKIP


def test_what_is_followed_and_by_whom() -> None:
    informers = FakeInformers()

    make_plugin(DynamicResources, handle=fake_handle(informers=informers))

    assert sorted(informers.followed) == [
        "deviceclasses.v1.resource.k8s.io",
        "devicetaintrules.v1.resource.k8s.io",
        "resourceclaims.v1.resource.k8s.io",
        "resourceslices.v1.resource.k8s.io",
    ]
