"""VolumeBinding: what Reserve assumes, what PreBind writes and what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pyscheduler.api.core_v1 import AWSElasticBlockStoreVolumeSource, Node, ObjectReference, Pod
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.framework import SKIP, Code, PreBindPreFlightResult, Status
from pyscheduler.intree.volumes.binding import VolumeBinding
from pyscheduler.intree.volumes.migration import MIGRATED_PLUGINS
from pyscheduler.testing import PluginHarness, make_node, make_pod
from pyscheduler.testing.volume_builders import (
    ClaimBuilder,
    VolumeBuilder,
    make_claim,
    make_csi_node,
    make_storage_class,
    make_volume,
)
from tests.unit.intree.volumes.binding.world import Refused, StorageWorld

HOST = "kubernetes.io/hostname"
SELECTED = "volume.kubernetes.io/selected-node"
BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"

N1 = make_node("n1").label(HOST, "n1").obj()
N2 = make_node("n2").label(HOST, "n2").obj()
LATE = make_storage_class("late").waits().provisioner("csi.example.com").obj()
DATA = make_claim("data").storage_class("late").obj()
VOLUME = make_volume("pv").storage_class("late").reachable_from(HOST, "n1").obj()
POD = make_pod("p").claim("data").obj()


def found() -> tuple[StorageWorld, PluginHarness]:
    """The claim finds a volume on n1."""
    world = StorageWorld(LATE, DATA, VOLUME, POD)
    return world, world.harness([N1, N2])


def made() -> tuple[StorageWorld, PluginHarness]:
    """A volume is made for the claim."""
    world = StorageWorld(LATE, DATA, POD)
    return world, world.harness([N1, N2])


def bound_claim(world: StorageWorld, volume: str = "pv") -> PersistentVolumeClaim:
    """The claim as the controller leaves it."""
    return ClaimBuilder(world.claim("default/data")).bound_to(volume).obj()


def failed(message: str) -> Status:
    return Status(Code.ERROR, (message,))


async def turns() -> None:
    """Everybody who can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def begin(harness: PluginHarness, node: str = "n1") -> asyncio.Task[Status | None]:
    """Reserved, written, and waiting."""
    assert harness.reserve(POD, node) is None
    waiting = asyncio.ensure_future(harness.pre_bind(POD, node))
    await turns()
    return waiting


# --- Reserve ------------------------------------------------------------------------------------


def test_a_volume_that_was_found_is_kept_from_the_next_pod() -> None:
    world, harness = found()
    world.put(make_claim("other").storage_class("late").obj())
    world.put(make_storage_class("late").waits().obj())
    other = make_pod("other").claim("other").obj()
    assert harness.feasible(other) == ["n1"]

    assert harness.reserve(POD, "n1") is None

    assert harness.feasible(other) == []
    assert harness.pre_bind_pre_flight(POD, "n1") == PreBindPreFlightResult(allow_parallel=True)
    harness.unreserve(POD, "n1")
    harness.unreserve(POD, "n1")
    assert harness.feasible(other) == ["n1"]


def test_a_claim_whose_volume_is_made_for_a_node_fits_no_other() -> None:
    _, harness = made()
    sibling = make_pod("sibling").claim("data").obj()

    assert harness.reserve(POD, "n2") is None
    assert harness.feasible(sibling) == ["n2"]

    harness.unreserve(POD, "n2")
    assert harness.feasible(sibling) == ["n1", "n2"]


def test_nothing_is_assumed_if_one_object_changed_meanwhile() -> None:
    world = StorageWorld(
        LATE,
        DATA,
        VOLUME,
        make_claim("more").storage_class("late").request("9Gi").obj(),
        POD,
    )
    harness = world.harness([N1])
    pod = make_pod("both").claim("data").claim("more").obj()
    assert harness.state(pod) is not None  # decided about what is there now
    world.put(world.claim("default/more"))

    answer = harness.reserve(pod, "n1")

    assert answer is not None
    assert answer.code is Code.ERROR
    assert answer.message.startswith('"default/more" is out of sync (stored: ')
    alone = make_pod("alone").claim("data").obj()
    assert harness.reserve(alone, "n1") is None
    assert harness.pre_bind_pre_flight(alone, "n1") is not SKIP


def test_there_is_no_work_when_all_claims_are_bound() -> None:
    claim = make_claim("data").bound_to("pv").obj()
    world = StorageWorld(claim, make_volume("pv").bound_to("default/data").obj())
    harness = world.harness([N1])

    assert harness.reserve(POD, "n1") is None
    assert harness.pre_bind_pre_flight(POD, "n1") is SKIP


def test_there_is_no_work_when_the_controller_was_faster() -> None:
    world, harness = found()
    harness.state(POD)
    world.put(bound_claim(world))

    assert harness.reserve(POD, "n1") is None
    assert harness.pre_bind_pre_flight(POD, "n1") is SKIP


def test_a_node_that_is_not_there_cannot_be_reserved() -> None:
    _, harness = found()

    assert harness.reserve(POD, "gone") == Status(
        Code.ERROR, ('no pod volume found for node "gone"',)
    )


# --- PreBind: success ---------------------------------------------------------------------------


async def test_a_found_volume_is_written_and_the_claim_waited_for() -> None:
    world, harness = found()
    version = world.volume("pv").metadata.resource_version
    claim_version = world.claim("default/data").metadata.resource_version
    waiting = await begin(harness)

    reference = ObjectReference(
        kind="PersistentVolumeClaim",
        api_version="v1",
        namespace="default",
        name="data",
        uid=DATA.uid,
        resource_version=claim_version,
    )
    assert harness.writes.requests == [
        (
            "PATCH",
            "/api/v1/persistentvolumes/pv",
            {
                "metadata": {
                    "resourceVersion": version,
                    "annotations": {BY_CONTROLLER: "yes"},
                },
                "spec": {
                    "claimRef": {
                        "kind": "PersistentVolumeClaim",
                        "apiVersion": "v1",
                        "namespace": "default",
                        "name": "data",
                        "uid": DATA.uid,
                        "resourceVersion": claim_version,
                    }
                },
            },
        )
    ]
    assert world.volume("pv").spec.claim_ref == reference
    assert not waiting.done()

    world.put(bound_claim(world))
    await turns()

    assert waiting.done()
    assert await waiting is None


async def test_a_volume_kept_for_the_claim_by_a_user_is_not_marked_as_the_controllers() -> None:
    kept = VolumeBuilder(VOLUME).kept_for("default/data").obj()
    world = StorageWorld(LATE, DATA, kept, POD)
    harness = world.harness([N1])

    waiting = await begin(harness)

    volume = world.volume("pv")
    assert volume.spec.claim_ref is not None
    assert volume.spec.claim_ref.uid == DATA.uid
    assert BY_CONTROLLER not in volume.annotations
    waiting.cancel()


async def test_a_volume_that_names_the_claim_already_is_not_written_again() -> None:
    kept = VolumeBuilder(VOLUME).bound_to("default/data").phase("Available").obj()
    world = StorageWorld(LATE, DATA, kept, POD)
    harness = world.harness([N1])

    waiting = await begin(harness)
    assert harness.writes.requests == []

    world.put(bound_claim(world))
    assert await waiting is None


async def test_the_node_is_written_for_whoever_makes_the_volume() -> None:
    world, harness = made()
    version = world.claim("default/data").metadata.resource_version
    waiting = await begin(harness, "n2")

    assert harness.writes.requests == [
        (
            "PATCH",
            "/api/v1/namespaces/default/persistentvolumeclaims/data",
            {"metadata": {"resourceVersion": version, "annotations": {SELECTED: "n2"}}},
        )
    ]
    # claim first, volume later: the watches are not in step
    world.put(bound_claim(world, "made"))
    await turns()
    assert not waiting.done()

    world.put(make_volume("made").bound_to("default/data").reachable_from(HOST, "n2").obj())
    assert await waiting is None


async def test_what_the_watch_has_not_told_yet_is_waited_for() -> None:
    world, harness = found()
    world.put(bound_claim(world))  # stale news of another attempt must not count for the volume
    world.put(DATA)
    world.holds_back = True
    waiting = await begin(harness)

    world.put(bound_claim(world))
    await turns()
    assert not waiting.done()

    world.tell_all()
    assert await waiting is None


# --- PreBind: failure ---------------------------------------------------------------------------

Change = Callable[[StorageWorld], None]


def _lost_reference(world: StorageWorld) -> None:
    world.put(VolumeBuilder(world.volume("pv")).spec(claim_ref=None).obj())


def _moved_away(world: StorageWorld) -> None:
    away = VolumeBuilder(world.volume("pv")).spec(node_affinity=None).reachable_from(HOST, "n2")
    world.put(away.obj())


def _node_relabelled(world: StorageWorld) -> None:
    world.put(make_node("n1").label(HOST, "renamed").obj())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            lambda world: world.remove(Pod, "default/p"),
            'pod does not exist any more: pod "p" not found',
            id="pod gone",
        ),
        pytest.param(
            lambda world: world.remove(Node, "n1"),
            'failed to get node "n1": node "n1" not found',
            id="node gone",
        ),
        pytest.param(
            lambda world: world.remove(PersistentVolumeClaim, "default/data"),
            'failed to check binding: persistentvolumeclaims "default/data" not found',
            id="claim gone",
        ),
        pytest.param(
            lambda world: world.remove(PersistentVolume, "pv"),
            'failed to check binding: persistentvolumes "pv" not found',
            id="volume gone",
        ),
        pytest.param(
            _lost_reference, 'ClaimRef got reset for pv "pv"', id="claim's reference taken off"
        ),
        pytest.param(
            _moved_away,
            'pv "pv" node affinity doesn\'t match node "n1": no matching NodeSelectorTerms',
            id="volume elsewhere",
        ),
        pytest.param(
            _node_relabelled,
            'pv "pv" node affinity doesn\'t match node "n1": no matching NodeSelectorTerms',
            id="node elsewhere",
        ),
    ],
)
async def test_a_found_volume_can_be_lost_while_waiting(change: Change, expected: str) -> None:
    world, harness = found()
    waiting = await begin(harness)

    change(world)

    assert await waiting == failed(f"binding volumes: {expected}")


def _not_made(world: StorageWorld) -> None:
    world.put(make_claim("data").storage_class("late").annotation("other", "").obj())


def _made_elsewhere(world: StorageWorld) -> None:
    world.put(make_volume("made").bound_to("default/data").reachable_from(HOST, "n1").obj())
    world.put(bound_claim(world, "made"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(_not_made, 'provisioning failed for PVC "data"', id="could not be made"),
        pytest.param(
            lambda world: world.put(DATA),
            'selectedNode annotation reset for PVC "data"',
            id="no annotation left",
        ),
        pytest.param(
            lambda world: world.remove(PersistentVolumeClaim, "default/data"),
            'failed to check provisioning pvc: persistentvolumeclaims "default/data" not found',
            id="claim gone",
        ),
        pytest.param(
            _made_elsewhere,
            'pv "made" node affinity doesn\'t match node "n2": no matching NodeSelectorTerms',
            id="made elsewhere",
        ),
    ],
)
async def test_making_a_volume_can_fail(change: Change, expected: str) -> None:
    world, harness = made()
    waiting = await begin(harness, "n2")

    change(world)

    assert await waiting == failed(f"binding volumes: {expected}")


async def test_the_wait_ends_with_its_time() -> None:
    world = StorageWorld(LATE, DATA, VOLUME, POD)
    harness = world.harness([N1], args={"bindTimeoutSeconds": 30})
    waiting = await begin(harness)

    harness.clock.advance(29.9)
    await turns()
    assert not waiting.done()
    harness.clock.advance(0.2)

    assert await waiting == failed("binding volumes: context deadline exceeded")


async def test_a_volume_that_cannot_be_translated_fails_the_wait() -> None:
    broken = AWSElasticBlockStoreVolumeSource(volume_id="aws:///zone/disk")
    in_tree = VolumeBuilder(VOLUME).spec(aws_elastic_block_store=broken).obj()
    world = StorageWorld(
        LATE,
        DATA,
        in_tree,
        POD,
        make_csi_node("n1").annotation(MIGRATED_PLUGINS, "kubernetes.io/aws-ebs").obj(),
    )
    waiting = await begin(world.harness([N1]))

    status = await waiting
    assert status is not None
    assert status.message.startswith(
        "binding volumes: failed to translate pv to csi: could not translate pv: "
    )
    assert "aws:///zone/disk" in status.message


async def test_a_conflict_is_raised_as_the_server_says_it_and_nothing_stays_assumed() -> None:
    world, harness = found()
    assert harness.reserve(POD, "n1") is None
    sibling = make_pod("sibling").claim("data").obj()
    harness.writes.failure = Refused("the object has been modified")

    assert await harness.pre_bind(POD, "n1") == failed("the object has been modified")
    harness.unreserve(POD, "n1")

    harness.writes.failure = None
    assert harness.feasible(sibling) == ["n1", "n2"]
    assert world.volume("pv").spec.claim_ref is None


async def test_what_was_written_before_a_refusal_stays_assumed_until_the_watch_tells() -> None:
    """The volume is the claim's on the server, whatever becomes of the pod."""
    world = StorageWorld(
        LATE,
        DATA,
        make_claim("more").storage_class("late").request("9Gi").obj(),
        VOLUME,
        POD,
    )
    harness = world.harness([N1])
    world.holds_back = True
    pod = make_pod("both").claim("data").claim("more").obj()
    assert harness.reserve(pod, "n1") is None
    world.put(world.claim("default/more"))  # decided about an older one

    assert await harness.pre_bind(pod, "n1") == failed("default/more: the object has been modified")
    harness.unreserve(pod, "n1")

    assert world.volume("pv").spec.claim_ref is None  # the watch has not told
    thief = make_pod("thief").claim("thief").obj()
    world.put(make_claim("thief").storage_class("late").obj())
    world.put(make_storage_class("late").waits().obj())  # nobody makes volumes any more
    assert harness.feasible(thief) == []


async def test_a_cancelled_wait_leaves_nobody_waiting() -> None:
    world, harness = found()
    waiting = await begin(harness)

    waiting.cancel()
    await turns()

    assert waiting.cancelled()
    assert isinstance(harness.plugin, VolumeBinding)
    assert not harness.plugin._wait._waiting
    world.put(bound_claim(world))
