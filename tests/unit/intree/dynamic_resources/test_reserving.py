"""Reserve, PreBind and Unreserve: devices are given out once, whatever becomes of the writes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from msgspec.structs import replace

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.resource_v1 import (
    FINALIZER,
    AllocatedDeviceStatus,
    Condition,
    Device,
    ResourceClaim,
)
from pyscheduler.client.errors import Conflict, Forbidden, NotFound, ServerUnreachable
from pyscheduler.errors import PySchedulerError
from pyscheduler.testing import make_node, make_pod
from pyscheduler.testing.device_builders import (
    DRIVER,
    make_device_class,
    make_resource_claim,
    make_slice,
)
from tests.unit.intree.dynamic_resources.rig import Rig

POD = make_pod("p").resource_claim("c").obj()
CLAIM = make_resource_claim("c").request("gpu")
CLASS = make_device_class().obj()
SLICE = make_slice("n").devices("gpu-0").obj()


def _rig(*more: ResourceClaim) -> Rig:
    return Rig(CLASS, SLICE, CLAIM.obj(), *more)


def _error(text: str) -> fwk.Status:
    return fwk.Status(fwk.Code.ERROR, (text,))


def _somebody_elses(claim: ResourceClaim) -> ResourceClaim:
    """Allocated by another scheduler, for another pod."""
    other = make_pod("other").obj()
    status = make_resource_claim("c").allocated("gpu-9", node="m").reserved_for(other).obj().status
    return replace(claim, status=status)


# --- what is written ---


async def test_pre_bind_writes_allocation_and_reservation() -> None:
    rig = _rig(CLAIM.finalizer("example.com/keep").obj())

    await rig.bound(POD)

    claim = rig.server.claim("default/c")
    assert rig.devices_of("default/c") == ["gpu-0"]
    assert [(c.resource, c.name, c.uid) for c in claim.status.reserved_for] == [
        ("pods", "p", POD.uid)
    ]
    assert claim.metadata.finalizers == ("example.com/keep", FINALIZER)
    assert claim.status.allocation is not None
    assert claim.status.allocation.node_selector is not None
    assert claim.status.allocation.allocation_timestamp == "2023-11-14T22:13:20Z"
    assert rig.server.sent == ["PATCH /c", "PATCH /c/status"]
    assert not rig.tracker.is_in_flight(claim.metadata.uid)
    assert rig.pre_filter(make_pod("q").resource_claim("c").obj()) is None, "it may be shared now"


async def test_an_allocated_claim_is_only_reserved() -> None:
    before = make_pod("before").obj()
    rig = Rig(CLAIM.allocated("gpu-0", node="n").reserved_for(before).obj())

    await rig.bound(POD)

    assert rig.consumers_of("default/c") == ["before", "p"]
    assert rig.server.sent == ["PATCH /c/status"]


async def test_a_claim_that_is_reserved_already_is_not_written() -> None:
    rig = Rig(CLAIM.allocated("gpu-0", node="n").reserved_for(POD).obj())

    await rig.bound(POD)

    assert rig.server.requests == []


def test_pods_without_claims_have_no_work() -> None:
    rig = Rig()
    state = fwk.CycleState()

    assert rig.plugin.reserve(state, POD, "n") is None
    assert rig.plugin.pre_bind_pre_flight(state, POD, "n") is fwk.SKIP
    rig.plugin.unreserve(state, POD, "n")


def test_pods_with_claims_have_work_that_may_run_beside_others() -> None:
    rig = _rig()

    work = rig.plugin.pre_bind_pre_flight(rig.reserved(POD), POD, "n")

    assert work == fwk.PreBindPreFlightResult(allow_parallel=True)


# --- what happens meanwhile ---


async def test_a_benign_change_meanwhile_is_written_over_the_new_version() -> None:
    rig = _rig()
    rig.server.tells = False
    state = rig.reserved(POD)
    rig.server.put(CLAIM.label("touched", "yes").obj())

    assert await rig.plugin.pre_bind(state, POD, "n") is None

    assert rig.devices_of("default/c") == ["gpu-0"]
    assert rig.server.claim("default/c").metadata.labels == {"touched": "yes"}
    assert "GET /c" in rig.server.sent


@pytest.mark.parametrize("tells", [True, False], ids=["the-watch-told", "the-watch-is-late"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            _somebody_elses(CLAIM.obj()),
            "claim default/c got allocated elsewhere in the meantime",
            id="allocated",
        ),
        pytest.param(
            CLAIM.terminating().obj(),
            "claim default/c got deleted in the meantime",
            id="leaves",
        ),
        pytest.param(
            CLAIM.uid("another").obj(),
            "claim default/c got deleted in the meantime",
            id="another-of-that-name",
        ),
    ],
)
async def test_a_claim_that_is_given_away_meanwhile_ends_the_attempt(
    change: ResourceClaim, message: str, tells: bool
) -> None:
    rig = _rig()
    state = rig.reserved(POD)
    rig.server.tells = tells
    rig.server.put(change)
    after = rig.server.claim("default/c").status

    assert await rig.plugin.pre_bind(state, POD, "n") == _error(message)
    rig.plugin.unreserve(state, POD, "n")
    await rig.settle()

    assert rig.server.claim("default/c").status == after
    assert not rig.tracker.is_in_flight(CLAIM.obj().metadata.uid)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            CLAIM.obj(),
            "claim default/c got deallocated elsewhere in the meantime",
            id="taken-back",
        ),
        pytest.param(
            CLAIM.allocated("gpu-7", node="m").obj(),
            "claim default/c got reallocated elsewhere in the meantime",
            id="other-devices",
        ),
    ],
)
async def test_devices_that_were_decided_about_must_still_be_the_claims(
    change: ResourceClaim, message: str
) -> None:
    rig = Rig(CLAIM.allocated("gpu-0", node="n").reserved_for(POD).obj())
    state = rig.reserved(POD)
    rig.server.put(change)

    assert await rig.plugin.pre_bind(state, POD, "n") == _error(message)
    assert rig.consumers_of("default/c") == []


def test_reserve_refuses_what_was_given_away_since_pre_filter() -> None:
    rig = _rig(make_resource_claim("d").request("gpu").obj())
    state, _ = rig.judged(POD)
    rig.put(make_resource_claim("d").request("gpu").allocated("gpu-0", node="n").obj())

    status = rig.plugin.reserve(state, POD, "n")

    assert status == _error(f"device {DRIVER}/n/gpu-0 got allocated elsewhere in the meantime")
    assert not rig.tracker.is_in_flight(CLAIM.obj().metadata.uid)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_somebody_elses(CLAIM.obj()), "claim default/c got allocated elsewhere in the meantime"),
        (None, "claim default/c got deleted in the meantime"),
    ],
    ids=["allocated", "deleted"],
)
def test_reserve_looks_at_the_claim_again(change: ResourceClaim | None, message: str) -> None:
    rig = _rig()
    state, _ = rig.judged(POD)
    if change is None:
        rig.server.remove("default/c")
    else:
        rig.put(change)

    assert rig.plugin.reserve(state, POD, "n") == _error(message)


def test_reserve_on_a_node_that_filter_did_not_pass_is_an_error() -> None:
    rig = _rig()
    state, _ = rig.judged(POD)

    assert rig.plugin.reserve(state, POD, "m") == _error("claim allocation not found for node")


# --- writes that fail ---


async def test_conflicts_without_end_are_told() -> None:
    rig = _rig()
    state = rig.reserved(POD)
    rig.server.refusals["PATCH"] = [Conflict(409, "Conflict", "modified")] * 5

    assert await rig.plugin.pre_bind(state, POD, "n") == _error(
        "add finalizer to claim default/c: modified"
    )


async def test_a_refusal_gives_the_devices_back() -> None:
    rig = _rig(make_resource_claim("d").request("gpu").obj())
    state = rig.reserved(POD)
    rig.server.refusals["PATCH"] = [Forbidden(403, "Forbidden", "no")]

    assert await rig.plugin.pre_bind(state, POD, "n") == _error(
        "add finalizer to claim default/c: no"
    )
    rig.plugin.unreserve(state, POD, "n")
    rig.plugin.unreserve(state, POD, "n")

    assert rig.judged(make_pod("q").resource_claim("d").obj())[1] == {"n": ""}


async def test_a_write_whose_answer_was_lost_counts_when_it_was_carried_out() -> None:
    rig = _rig()
    state = rig.reserved(POD)
    rig.server.lost_answers = 2

    assert await rig.plugin.pre_bind(state, POD, "n") is None

    assert rig.devices_of("default/c") == ["gpu-0"]
    assert rig.consumers_of("default/c") == ["p"], "not twice"


async def test_devices_stay_taken_until_the_server_says_what_became_of_a_write() -> None:
    rig = _rig(make_resource_claim("d").request("gpu").obj())
    state = rig.reserved(POD)
    away = ServerUnreachable("connection reset")
    rig.server.refusals = {"PATCH": [away], "GET": [away, away]}
    writing = asyncio.ensure_future(rig.plugin.pre_bind(state, POD, "n"))

    await rig.settle()
    other = make_pod("q").resource_claim("d").obj()
    assert rig.judged(other)[1] == {"n": "cannot allocate all claims"}
    for _ in range(3):
        rig.clock.advance(1)
        await rig.settle()

    assert await writing is None
    assert rig.devices_of("default/c") == ["gpu-0"]


async def test_nobody_is_asked_about_a_write_that_was_not_sent() -> None:
    rig = _rig()
    state = rig.reserved(POD)
    rig.server.refusals["PATCH"] = [Forbidden(403, "Forbidden", "not the leader")]

    assert await rig.plugin.pre_bind(state, POD, "n") is not None
    assert not any(sent.startswith("GET") for sent in rig.server.sent)


async def test_a_write_under_way_is_seen_to_its_end_when_its_pod_is_taken_away() -> None:
    rig = _rig(make_resource_claim("d").request("gpu").obj())
    state = rig.reserved(POD)
    gate = rig.server.gate = asyncio.Event()
    writing = asyncio.ensure_future(rig.plugin.pre_bind(state, POD, "n"))
    await rig.settle()

    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    rig.plugin.unreserve(state, POD, "n")
    other = make_pod("q").resource_claim("d").obj()
    assert rig.judged(other)[1] == {"n": "cannot allocate all claims"}, "it may still be written"
    gate.set()
    await rig.settle()

    assert rig.devices_of("default/c") == ["gpu-0"]
    assert rig.consumers_of("default/c") == [], "nobody uses it"
    assert not rig.tracker.is_in_flight(CLAIM.obj().metadata.uid)
    assert rig.judged(other)[1] == {"n": "cannot allocate all claims"}, "it was written"


# --- the way back ---


async def test_unreserve_takes_the_reservation_back_and_leaves_those_of_others() -> None:
    other = make_pod("other").obj()
    rig = Rig(CLAIM.allocated("gpu-0", node="n").reserved_for(other).obj())
    state = await rig.bound(POD)

    rig.plugin.unreserve(state, POD, "n")
    await rig.settle()

    assert rig.consumers_of("default/c") == ["other"]
    assert rig.devices_of("default/c") == ["gpu-0"]


async def test_the_next_attempt_waits_for_the_reservation_that_goes_back() -> None:
    rig = Rig(CLAIM.allocated("gpu-0", node="n").obj())
    state = await rig.bound(POD)
    gate = rig.server.gate = asyncio.Event()
    rig.plugin.unreserve(state, POD, "n")
    await rig.settle()
    again = rig.reserved(POD)
    writing = asyncio.ensure_future(rig.plugin.pre_bind(again, POD, "n"))
    await rig.settle()
    assert not writing.done()

    gate.set()
    assert await writing is None
    await rig.settle()

    assert rig.consumers_of("default/c") == ["p"]


async def test_a_reservation_that_cannot_be_taken_back_is_used_by_the_next_attempt() -> None:
    rig = Rig(CLAIM.allocated("gpu-0", node="n").obj())
    state = await rig.bound(POD)
    rig.server.refusals["PATCH"] = [Forbidden(403, "Forbidden", "no")]
    rig.plugin.unreserve(state, POD, "n")
    await rig.settle()

    await rig.bound(POD)

    assert rig.consumers_of("default/c") == ["p"]


async def test_pods_share_a_claim() -> None:
    rig = _rig()
    twin = make_pod("twin").resource_claim("c").obj()

    await rig.bound(POD)
    await rig.bound(twin)

    assert rig.consumers_of("default/c") == ["p", "twin"]
    assert rig.devices_of("default/c") == ["gpu-0"]


async def test_devices_that_were_written_are_taken_before_the_watch_tells() -> None:
    rig = _rig(make_resource_claim("d").request("gpu").obj())
    rig.server.tells = False

    await rig.bound(POD)

    assert rig.judged(make_pod("q").resource_claim("d").obj())[1] == {
        "n": "cannot allocate all claims"
    }


async def test_what_was_written_stays_taken_when_the_pod_fails_later() -> None:
    rig = _rig(make_resource_claim("d").request("gpu").obj())
    rig.server.tells = False
    state = await rig.bound(POD)

    rig.plugin.unreserve(state, POD, "n")
    await rig.settle()

    assert rig.judged(make_pod("q").resource_claim("d").obj())[1] == {
        "n": "cannot allocate all claims"
    }


async def test_a_claim_that_goes_gives_its_devices_back() -> None:
    rig = _rig(make_resource_claim("d").request("gpu").obj())
    await rig.bound(POD)

    rig.server.remove("default/c")

    assert rig.judged(make_pod("q").resource_claim("d").obj())[1] == {"n": ""}


async def test_administrators_take_nothing_from_anybody() -> None:
    admin = make_resource_claim("c").request("all", admin_access=True, allocation_mode="All")
    rig = Rig(CLASS, SLICE, admin.obj(), make_resource_claim("d").request("gpu").obj())

    await rig.bound(POD)

    assert rig.devices_of("default/c") == ["gpu-0"]
    assert rig.judged(make_pod("q").resource_claim("d").obj())[1] == {"n": ""}


# --- binding conditions ---


def _attachable() -> Rig:
    device = Device(
        "gpu-0", binding_conditions=("attached",), binding_failure_conditions=("broken",)
    )
    return Rig(CLASS, make_slice("n").device(device).obj(), CLAIM.obj())


def _tell(rig: Rig, *conditions: Condition) -> None:
    claim = rig.server.claim("default/c")
    told = AllocatedDeviceStatus(DRIVER, "n", "gpu-0", conditions=conditions)
    rig.server.put(replace(claim, status=replace(claim.status, devices=(told,))))


async def _pre_bind(rig: Rig, pod: Pod) -> asyncio.Future[fwk.Status | None]:
    state = rig.reserved(pod)
    writing = asyncio.ensure_future(rig.plugin.pre_bind(state, pod, "n"))
    await rig.settle()
    return writing


async def _elapse(rig: Rig, seconds: int) -> None:
    for _ in range(seconds // 5):
        rig.clock.advance(5)
        await rig.settle()


async def test_the_pod_waits_until_its_devices_are_attached() -> None:
    rig = _attachable()
    writing = await _pre_bind(rig, POD)
    assert [(e.reason, e.action, e.note) for e in rig.recorder.events] == [
        (
            "BindingConditionsPending",
            "Scheduling",
            "waiting for binding conditions for device on node n",
        )
    ]
    await _elapse(rig, 100)
    assert not writing.done()

    _tell(rig, Condition("attached", "True"))
    await _elapse(rig, 5)

    assert writing.result() is None


async def test_a_device_that_breaks_down_ends_the_attempt() -> None:
    rig = _attachable()
    writing = await _pre_bind(rig, POD)

    _tell(rig, Condition("broken", "True", "Burnt", "it is black"))
    await _elapse(rig, 5)

    assert writing.result() == _error(
        'device binding failed: claim=c, reason=Burnt, message="it is black"'
    )


async def test_a_device_that_is_not_attached_in_time_ends_the_attempt() -> None:
    rig = _attachable()
    writing = await _pre_bind(rig, POD)

    await _elapse(rig, 605)

    status = writing.result()
    assert status is not None
    assert status.message.startswith("device binding timeout")


# --- many at once ---


async def test_every_device_is_given_out_once() -> None:
    nodes = [make_node(f"n{i}").obj() for i in range(3)]
    slices = [make_slice(node.name).devices("a", "b").obj() for node in nodes]
    claims = [make_resource_claim(f"c{i}").request("gpu").obj() for i in range(6)]
    rig = Rig(CLASS, *slices, *claims, nodes=nodes)
    pods = [make_pod(f"p{i}").resource_claim(f"c{i}").obj() for i in range(6)]

    async def place(pod: Pod) -> None:
        state, said = rig.judged(pod)
        node = next(name for name, message in said.items() if not message)
        assert rig.plugin.reserve(state, pod, node) is None
        await asyncio.sleep(0)
        assert await rig.plugin.pre_bind(state, pod, node) is None

    await asyncio.gather(*map(place, pods))

    given = [
        (result.pool, result.device)
        for key in rig.server.keys
        if (allocation := rig.server.claim(key).status.allocation) is not None
        for result in allocation.devices.results
    ]
    assert sorted(given) == [(node.name, device) for node in nodes for device in "ab"]


# --- deletion, for claims that the scheduler made ---


@pytest.mark.parametrize(
    "refusals",
    [
        pytest.param({"PATCH": [Conflict(409, "Conflict", "modified")]}, id="changed-meanwhile"),
        pytest.param({"DELETE": [NotFound(404, "NotFound", "gone")]}, id="gone-already"),
    ],
)
async def test_deletion_gets_by_what_others_do(refusals: dict[str, list[Exception]]) -> None:
    rig = Rig(CLAIM.finalizer(FINALIZER).finalizer("example.com/keep").obj())
    claim = rig.server.claim("default/c")
    rig.server.refusals = refusals

    await rig.plugin._reserving.writes.delete(claim)

    patches = [body for method, _, body in rig.server.requests if method == "PATCH"]
    assert patches
    assert all(body and body["metadata"]["finalizers"] == ["example.com/keep"] for body in patches)
    assert rig.server.sent[-1] == "DELETE /c"


async def test_a_refused_deletion_is_told() -> None:
    rig = Rig(CLAIM.finalizer(FINALIZER).obj())
    rig.server.refusals["PATCH"] = [Forbidden(403, "Forbidden", "no")]

    with pytest.raises(PySchedulerError, match="update resourceclaim default/c: no"):
        await rig.plugin._reserving.writes.delete(rig.server.claim("default/c"))
