"""Extended resources as devices: the requests, the claim, the pod's status."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Container, Pod, ResourceRequirements
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.resource_v1 import EXTENDED_RESOURCE_CLAIM_ANNOTATION, FINALIZER
from pyscheduler.client.errors import Forbidden
from pyscheduler.intree.dynamic_resources.extended_resources import device_needs
from pyscheduler.testing import make_node, make_pod
from pyscheduler.testing.device_builders import (
    make_device_class,
    make_resource_claim,
    make_slice,
)
from tests.unit.intree.dynamic_resources.rig import Rig

GPU, NIC = "example.com/gpu", "example.com/nic"
CLASS = make_device_class().extended_resource(GPU).obj()
POD = make_pod("p").req({"cpu": "1", GPU: "2"}).obj()
SPECIAL = "default/p-extended-resources-x"


def _container(name: str, requests: dict[str, str], *, restart_policy: str = "") -> Container:
    resources = ResourceRequirements(requests=FrozenMap(requests))
    return Container(name, resources=resources, restart_policy=restart_policy)


def _pod(*containers: Container, init: tuple[Container, ...] = ()) -> Pod:
    pod = make_pod("p").obj()
    return replace(pod, spec=replace(pod.spec, containers=containers, init_containers=init))


@pytest.mark.parametrize(
    ("pod", "requests", "mappings"),
    [
        pytest.param(
            _pod(_container("main", {"cpu": "1", GPU: "2", NIC: "1"})),
            {"container-0-request-1": 2, "container-0-request-2": 1},
            [("main", GPU, "container-0-request-1"), ("main", NIC, "container-0-request-2")],
            id="one-container-two-resources",
        ),
        pytest.param(
            _pod(_container("a", {GPU: "1"}), _container("b", {}), _container("c", {GPU: "3"})),
            {"container-0-request-0": 1, "container-2-request-0": 3},
            [("a", GPU, "container-0-request-0"), ("c", GPU, "container-2-request-0")],
            id="several-containers",
        ),
        pytest.param(
            _pod(_container("main", {GPU: "2"}), init=(_container("init", {GPU: "2"}),)),
            {"container-1-request-0": 2},
            [("main", GPU, "container-1-request-0"), ("init", GPU, "container-1-request-0")],
            id="init-uses-the-same",
        ),
        pytest.param(
            _pod(_container("main", {GPU: "2"}), init=(_container("init", {GPU: "5"}),)),
            {"container-0-request-0": 3, "container-1-request-0": 2},
            [
                ("main", GPU, "container-1-request-0"),
                ("init", GPU, "container-1-request-0"),
                ("init", GPU, "container-0-request-0"),
            ],
            id="init-needs-more",
        ),
        pytest.param(
            _pod(
                _container("main", {}),
                init=(_container("small", {GPU: "1"}), _container("large", {GPU: "4"})),
            ),
            {"container-1-request-0": 4},
            [("small", GPU, "container-1-request-0"), ("large", GPU, "container-1-request-0")],
            id="the-largest-of-several-inits",
        ),
        pytest.param(
            _pod(
                _container("main", {GPU: "1"}),
                init=(
                    _container("sidecar", {GPU: "1"}, restart_policy="Always"),
                    _container("init", {GPU: "1"}),
                ),
            ),
            {"container-0-request-0": 1, "container-2-request-0": 1},
            [
                ("sidecar", GPU, "container-0-request-0"),
                ("main", GPU, "container-2-request-0"),
                ("init", GPU, "container-2-request-0"),
            ],
            id="a-sidecar-stays-and-is-not-used-by-later-inits",
        ),
    ],
)
def test_what_containers_ask_for_becomes_requests(
    pod: Pod, requests: dict[str, int], mappings: list[tuple[str, str, str]]
) -> None:
    needs = device_needs(pod, {GPU: "gpus", NIC: "nics"})

    made = {r.name: r.exactly for r in needs.spec.devices.requests}
    assert {name: exactly.count for name, exactly in made.items() if exactly} == requests
    assert list(made) == sorted(made)
    assert {exactly.allocation_mode for exactly in made.values() if exactly} == {"ExactCount"}
    found = [(m.container_name, m.resource_name, m.request_name) for m in needs.mappings]
    assert found == mappings


def _rig(**nodes: dict[str, str]) -> Rig:
    """Nodes with what they have to allocate besides; node ``n`` has two devices."""
    made = [
        make_node(name).capacity({"cpu": "4", "memory": "8Gi", **more}).obj()
        for name, more in (nodes or {"n": {}}).items()
    ]
    return Rig(CLASS, make_slice("n").devices("gpu-0", "gpu-1").obj(), nodes=made)


def test_nodes_give_devices_or_have_the_resource_themselves() -> None:
    rig = _rig(n={}, none={}, own={GPU: "2"}, zero={GPU: "0"})

    state, said = rig.judged(POD)

    assert said == {
        "n": "",
        "none": "cannot allocate all claims",
        "own": "",
        "zero": "cannot allocate all claims",
    }
    assert rig.plugin.sign_pod(POD) is None
    assert rig.plugin.reserve(state, POD, "own") is None, "its device plugin does it"


def test_without_a_class_the_resource_is_none_of_its_business() -> None:
    pod = make_pod("p").req({NIC: "1"}).obj()
    rig = _rig()

    assert rig.pre_filter(pod) is fwk.SKIP
    assert rig.plugin.sign_pod(pod) == ()


def test_another_resource_must_be_there_too() -> None:
    pod = make_pod("p").req({GPU: "1", NIC: "1"}).obj()

    assert _rig(n={}).judged(pod)[1] == {"n": "cannot fit resource"}
    assert _rig(n={NIC: "1"}).judged(pod)[1] == {"n": ""}


async def test_the_claim_is_made_allocated_and_told_to_the_pod() -> None:
    rig = _rig()

    await rig.bound(POD)

    assert rig.server.keys == [SPECIAL]
    claim = rig.server.claim(SPECIAL)
    assert rig.devices_of(SPECIAL) == ["gpu-0", "gpu-1"]
    assert rig.consumers_of(SPECIAL) == ["p"]
    assert claim.metadata.annotations == {EXTENDED_RESOURCE_CLAIM_ANNOTATION: "true"}
    assert [(o.kind, o.uid, o.controller) for o in claim.metadata.owner_references] == [
        ("Pod", POD.uid, True)
    ]
    method, path, body = rig.server.requests[-1]
    assert (method, path) == ("PATCH", "/api/v1/namespaces/default/pods/p/status")
    assert body is not None
    status = body["status"]["extendedResourceClaimStatus"]
    assert status["resourceClaimName"] == claim.metadata.name
    assert [m.request_name for m in status["requestMappings"]] == ["container-0-request-1"]


async def test_a_node_that_has_the_resource_itself_needs_no_claim() -> None:
    rig = _rig(own={GPU: "2"})
    state, _ = rig.judged(POD)
    assert rig.plugin.reserve(state, POD, "own") is None

    assert await rig.plugin.pre_bind(state, POD, "own") is None

    assert rig.server.requests == []


async def test_claims_of_the_pod_are_allocated_beside_the_device_plugin() -> None:
    rig = _rig(n={GPU: "2"})
    rig.put(make_resource_claim("c").request("gpu").obj())
    pod = make_pod("p").req({"cpu": "1", GPU: "2"}).resource_claim("c").obj()

    await rig.bound(pod)

    assert rig.server.keys == ["default/c"]
    assert rig.devices_of("default/c") == ["gpu-0"]


async def test_claims_of_the_pod_and_its_resources_share_the_devices() -> None:
    rig = _rig()
    rig.put(make_resource_claim("c").request("gpu").obj())
    pod = make_pod("p").req({"cpu": "1", GPU: "1"}).resource_claim("c").obj()

    await rig.bound(pod)

    given = sorted(rig.devices_of("default/c") + rig.devices_of(SPECIAL))
    assert given == ["gpu-0", "gpu-1"]


def test_devices_in_flight_are_not_given_to_another() -> None:
    rig = _rig()
    rig.reserved(POD)

    other = make_pod("q").req({GPU: "1"}).obj()
    assert rig.judged(other)[1] == {"n": "cannot allocate all claims"}


async def test_devices_stay_taken_while_the_watch_does_not_know_the_claim() -> None:
    rig = _rig()
    rig.server.tells = False
    state = rig.reserved(POD)
    writing = asyncio.ensure_future(rig.plugin.pre_bind(state, POD, "n"))
    await rig.settle()
    other = make_pod("q").req({GPU: "1"}).obj()
    assert rig.judged(other)[1] == {"n": "cannot allocate all claims"}
    assert not writing.done()

    rig.server.tell()
    rig.clock.advance(1)
    await rig.settle()

    assert writing.result() is None
    assert rig.judged(other)[1] == {"n": "cannot allocate all claims"}


async def test_a_watch_that_never_tells_does_not_hold_the_pod_for_ever() -> None:
    rig = _rig()
    rig.server.tells = False
    state = rig.reserved(POD)
    writing = asyncio.ensure_future(rig.plugin.pre_bind(state, POD, "n"))
    for _ in range(140):
        await rig.settle()
        rig.clock.advance(1)
    await rig.settle()

    assert writing.result() is None


async def test_a_claim_of_an_earlier_attempt_is_deleted_first() -> None:
    rig = _rig()
    await rig.bound(POD)

    state, said = rig.judged(POD)
    assert said == {"n": "cannot schedule extended resource claim"}
    statuses = fwk.NodeStatuses.alike(rig.handle.snapshot.nodes, fwk.unresolvable("x"))
    answer = await rig.plugin.post_filter(state, POD, statuses)

    assert answer == (None, fwk.unschedulable("deletion of ResourceClaim completed"))
    assert rig.server.keys == []
    assert rig.judged(POD)[1] == {"n": ""}


async def test_unreserve_deletes_the_claim_that_was_made() -> None:
    rig = _rig()
    state = await rig.bound(POD)
    assert FINALIZER in rig.server.claim(SPECIAL).metadata.finalizers

    rig.plugin.unreserve(state, POD, "n")
    await rig.settle()

    assert rig.server.keys == []
    assert rig.judged(POD)[1] == {"n": ""}


async def test_a_claim_that_could_not_be_made_is_an_error() -> None:
    rig = _rig()
    state = rig.reserved(POD)
    rig.server.refusals["POST"] = [Forbidden(403, "Forbidden", "no")]

    assert await rig.plugin.pre_bind(state, POD, "n") == fwk.Status(
        fwk.Code.ERROR, ("create claim for extended resources default/: no",)
    )
    rig.plugin.unreserve(state, POD, "n")
    assert rig.judged(POD)[1] == {"n": ""}
