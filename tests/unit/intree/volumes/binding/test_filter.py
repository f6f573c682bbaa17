"""VolumeBinding: whom PreFilter turns away, and which nodes Filter leaves."""

from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.api.core_v1 import AWSElasticBlockStoreVolumeSource
from pyscheduler.framework import SKIP, Code, Status, unresolvable
from pyscheduler.intree.volumes.binding.reasons import (
    NO_ROOM,
    NO_VOLUME,
    NODE_CONFLICT,
    VOLUME_GONE,
)
from pyscheduler.intree.volumes.migration import MIGRATED_PLUGINS
from pyscheduler.testing import make_node, make_pod
from pyscheduler.testing.volume_builders import (
    make_claim,
    make_csi_driver,
    make_csi_node,
    make_storage_capacity,
    make_storage_class,
    make_volume,
)
from tests.unit.intree.volumes.binding.world import StorageWorld

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"
NODES = [
    make_node(name).label(ZONE, zone).label(HOST, name).obj()
    for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b"))
] + [make_node("bare").obj()]

POD = make_pod("p").claim("data")
WAITS = make_storage_class("late").waits()
MADE = WAITS.provisioner("csi.example.com")
CLAIM = make_claim("data").storage_class("late")
FREE = make_volume("pv").storage_class("late")


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([], 'persistentvolumeclaim "data" not found', id="missing"),
        pytest.param(
            [CLAIM.phase("Lost").named_volume("gone")],
            'persistentvolumeclaim "data" bound to non-existent persistentvolume "gone"',
            id="lost",
        ),
        pytest.param(
            [CLAIM.terminating()], 'persistentvolumeclaim "data" is being deleted', id="deleting"
        ),
        pytest.param(
            [make_claim("data")],
            "pod has unbound immediate PersistentVolumeClaims",
            id="without a class",
        ),
        pytest.param(
            [CLAIM],
            "pod has unbound immediate PersistentVolumeClaims",
            id="of a class that is not there",
        ),
        pytest.param(
            [CLAIM, make_storage_class("late")],
            "pod has unbound immediate PersistentVolumeClaims",
            id="of a class that binds at once",
        ),
        pytest.param(
            [CLAIM.named_volume("pv"), WAITS],
            "pod has unbound immediate PersistentVolumeClaims",
            id="names its volume",
        ),
        pytest.param(
            [CLAIM.request("1Zi"), WAITS],
            'persistentvolumeclaim "data": spec.resources.requests.storage:'
            " invalid quantity '1Zi'",
            id="wants what is no quantity",
        ),
        pytest.param(
            [
                make_claim("data").bound_to("pv"),
                make_volume("pv").reachable_from(ZONE, "a", operator="Near"),
            ],
            'persistentvolume "pv": spec.nodeAffinity.required:'
            f" key '{ZONE}': unknown operator 'Near'",
            id="bound to a volume nobody understands",
        ),
    ],
)
def test_a_pod_whose_claim_is_not_ready_is_turned_away(objects: list[Any], expected: str) -> None:
    world = StorageWorld(*(one.obj() for one in objects))

    assert world.harness(NODES).pre_filter(POD.obj()) == unresolvable(expected)


def test_a_class_without_a_mode_is_a_fault() -> None:
    world = StorageWorld(CLAIM.obj(), WAITS.binding_mode(None).obj())

    answer = world.harness(NODES).pre_filter(POD.obj())

    assert answer == Status(Code.ERROR, ('VolumeBindingMode not set for StorageClass "late"',))


def test_an_ephemeral_claim_is_waited_for_and_must_be_the_pods() -> None:
    pod = make_pod("p").ephemeral_volume().obj()
    world = StorageWorld()
    harness = world.harness(NODES)

    assert harness.pre_filter(pod) == unresolvable(
        'waiting for ephemeral volume controller to create the persistentvolumeclaim "p-v0"'
    )
    world.put(make_claim("p-v0").bound_to("pv").obj())
    assert harness.pre_filter(pod) == unresolvable(
        "PVC default/p-v0 was not created for pod default/p (pod is not owner)"
    )
    world.put(
        make_claim("p-v0").bound_to("pv").controlled_by("Pod", "p", pod.uid).obj(),
        make_volume("pv").bound_to("default/p-v0").obj(),
    )
    assert harness.pre_filter(pod) is None
    assert len(harness.feasible(pod)) == len(NODES)


def test_a_pod_without_claims_is_skipped_and_signed() -> None:
    harness = StorageWorld().harness(NODES)

    assert harness.pre_filter(make_pod("p").obj()) is SKIP
    assert harness.sign(make_pod("p").obj()) == ()
    assert harness.sign(POD.obj()) is None


def test_the_first_claim_that_is_not_ready_decides() -> None:
    world = StorageWorld(make_claim("second").terminating().obj())

    answer = world.harness(NODES).pre_filter(make_pod("p").claim("first").claim("second").obj())

    assert answer == unresolvable('persistentvolumeclaim "first" not found')


# --- bound claims -------------------------------------------------------------------------------

BOUND = make_claim("data").bound_to("pv")
VOLUME = make_volume("pv").bound_to("default/data")


@pytest.mark.parametrize(
    ("volume", "feasible"),
    [
        pytest.param(VOLUME, ["a1", "a2", "b1", "bare"], id="from anywhere"),
        pytest.param(VOLUME.reachable_from(ZONE, "a"), ["a1", "a2"], id="from a zone"),
        pytest.param(VOLUME.reachable_from(HOST, "b1"), ["b1"], id="from one node"),
        pytest.param(
            VOLUME.reachable_from(HOST, "a2").reachable_from(ZONE, "b"), ["a2", "b1"], id="terms"
        ),
        pytest.param(
            VOLUME.reachable_from(ZONE, operator="DoesNotExist"), ["bare"], id="without a zone"
        ),
        pytest.param(
            VOLUME.reachable_from("metadata.name", "b1", in_field=True),
            ["a1", "a2", "b1", "bare"],
            id="a field is not asked about",
        ),
    ],
)
def test_a_bound_volume_must_be_in_reach(volume: Any, feasible: list[str]) -> None:
    harness = StorageWorld(BOUND.obj(), volume.obj()).harness(NODES)

    statuses = harness.filter(POD.obj())

    assert [name for name, status in statuses.items() if status is None] == feasible
    assert {s for s in statuses.values() if s is not None} <= {unresolvable(NODE_CONFLICT)}


def test_a_volume_that_is_gone_keeps_the_pod_from_everywhere_else() -> None:
    world = StorageWorld(
        BOUND.obj(),
        VOLUME.reachable_from(ZONE, "a").obj(),
        make_claim("more").bound_to("gone").obj(),
    )

    statuses = world.harness(NODES).filter(make_pod("p").claim("data").claim("more").obj())

    assert statuses == {
        "a1": unresolvable(VOLUME_GONE),
        "a2": unresolvable(VOLUME_GONE),
        "b1": unresolvable(NODE_CONFLICT),
        "bare": unresolvable(NODE_CONFLICT),
    }


def test_a_migrated_volume_is_judged_by_the_drivers_labels_where_it_was_migrated() -> None:
    key = "topology.ebs.csi.aws.com/zone"
    nodes = [
        make_node("migrated").label(key, "a").obj(),
        make_node("elsewhere").label(key, "b").obj(),
        make_node("old").label(ZONE, "a").obj(),
        make_node("not yet").label(key, "a").obj(),
    ]
    ebs = AWSElasticBlockStoreVolumeSource(volume_id="vol-1")
    annotated = [
        make_csi_node(name).annotation(
            MIGRATED_PLUGINS, "kubernetes.io/gce-pd,kubernetes.io/aws-ebs"
        )
        for name in ("migrated", "elsewhere")
    ]
    world = StorageWorld(
        BOUND.obj(),
        VOLUME.spec(aws_elastic_block_store=ebs).reachable_from(ZONE, "a").obj(),
        *(one.obj() for one in annotated),
        make_csi_node("not yet").obj(),
    )

    assert world.harness(nodes).feasible(POD.obj()) == ["migrated", "old"]


def test_a_volume_that_no_driver_would_understand_is_a_fault_where_it_was_migrated() -> None:
    ebs = AWSElasticBlockStoreVolumeSource(volume_id="aws:///zone/disk")
    world = StorageWorld(BOUND.obj(), VOLUME.spec(aws_elastic_block_store=ebs).obj())
    assert len(world.harness(NODES).feasible(POD.obj())) == len(NODES)

    world.put(make_csi_node("a1").annotation(MIGRATED_PLUGINS, "kubernetes.io/aws-ebs").obj())
    answer = world.harness(NODES).pre_filter(POD.obj())

    assert isinstance(answer, Status)
    assert answer.code is Code.ERROR
    assert answer.message.startswith("could not translate pv: ")
    assert "aws:///zone/disk" in answer.message


# --- claims that find a volume ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "volume", "feasible"),
    [
        pytest.param(CLAIM, FREE, ["a1", "a2", "b1", "bare"], id="anywhere"),
        pytest.param(CLAIM, FREE.reachable_from(ZONE, "b"), ["b1"], id="in one zone"),
        pytest.param(CLAIM.request("2Gi"), FREE, [], id="too small"),
        pytest.param(CLAIM, FREE.capacity("1073741823"), [], id="too small by a byte"),
        pytest.param(CLAIM, FREE.capacity("huge"), [], id="a quantity nobody understands"),
        pytest.param(
            CLAIM, FREE.reachable_from(ZONE, "a", operator="Near"), [], id="an operator likewise"
        ),
        pytest.param(CLAIM, FREE.storage_class("other"), [], id="of another class"),
        pytest.param(
            CLAIM,
            FREE.storage_class("other").annotation(
                "volume.beta.kubernetes.io/storage-class", "late"
            ),
            ["a1", "a2", "b1", "bare"],
            id="of the class by annotation",
        ),
        pytest.param(CLAIM, FREE.volume_mode("Block"), [], id="of another mode"),
        pytest.param(
            CLAIM.volume_mode("Block"),
            FREE.volume_mode("Block"),
            ["a1", "a2", "b1", "bare"],
            id="a block device",
        ),
        pytest.param(CLAIM.access_modes("ReadWriteMany"), FREE, [], id="without the access mode"),
        pytest.param(
            CLAIM,
            FREE.access_modes("ReadOnlyMany", "ReadWriteOnce"),
            ["a1", "a2", "b1", "bare"],
            id="with more access modes",
        ),
        pytest.param(CLAIM, FREE.attributes_class("gold"), [], id="of a class of attributes"),
        pytest.param(
            CLAIM.attributes_class("gold"),
            FREE.attributes_class("gold"),
            ["a1", "a2", "b1", "bare"],
            id="of the same class of attributes",
        ),
        pytest.param(CLAIM.selector({"tier": "fast"}), FREE, [], id="not selected"),
        pytest.param(
            CLAIM.selector({"tier": "fast"}),
            FREE.label("tier", "fast"),
            ["a1", "a2", "b1", "bare"],
            id="selected",
        ),
        pytest.param(CLAIM, FREE.phase("Released"), [], id="not available"),
        pytest.param(CLAIM, FREE.terminating(), [], id="being deleted"),
        pytest.param(CLAIM, FREE.kept_for("default/other"), [], id="kept for another"),
        pytest.param(
            CLAIM.selector({"tier": "fast"}).access_modes("ReadWriteMany"),
            FREE.kept_for("default/data").phase("Pending"),
            ["a1", "a2", "b1", "bare"],
            id="kept for it, whatever else it is",
        ),
        pytest.param(
            CLAIM, FREE.bound_to("default/data", uid="older"), [], id="kept for an older namesake"
        ),
        pytest.param(
            CLAIM.request("2Gi"), FREE.kept_for("default/data"), [], id="kept for it, too small"
        ),
    ],
)
def test_a_claim_finds_a_volume_that_suits_it(claim: Any, volume: Any, feasible: list[str]) -> None:
    harness = StorageWorld(claim.obj(), volume.obj(), WAITS.obj()).harness(NODES)

    statuses = harness.filter(POD.obj())

    assert [name for name, status in statuses.items() if status is None] == feasible
    assert {s for s in statuses.values() if s is not None} <= {unresolvable(NO_VOLUME)}


def test_a_volume_kept_for_the_claim_leaves_it_no_other() -> None:
    world = StorageWorld(
        CLAIM.obj(),
        WAITS.obj(),
        make_volume("kept").storage_class("late").kept_for("default/data")
        .reachable_from(ZONE, "a").obj(),
        make_volume("free").storage_class("late").obj(),
    )  # fmt: skip

    assert world.harness(NODES).feasible(POD.obj()) == ["a1", "a2"]


def test_two_claims_need_two_volumes() -> None:
    local = [
        make_volume(f"{host}-{n}").storage_class("late").reachable_from(HOST, host)
        for host, n in (("a1", 1), ("a2", 1), ("a2", 2))
    ]
    world = StorageWorld(
        CLAIM.obj(),
        make_claim("more").storage_class("late").obj(),
        WAITS.obj(),
        *(volume.obj() for volume in local),
    )

    pod = make_pod("p").claim("data").claim("more").obj()

    assert world.harness(NODES).feasible(pod) == ["a2"]


def test_the_smallest_claim_takes_the_smallest_volume() -> None:
    world = StorageWorld(
        make_claim("big").storage_class("late").request("5Gi").obj(),
        make_claim("small").storage_class("late").request("1Gi").obj(),
        WAITS.obj(),
        make_volume("ten").storage_class("late").capacity("10Gi").obj(),
        make_volume("five").storage_class("late").capacity("5Gi").obj(),
    )

    # the small one comes first and takes "five", which leaves "ten" for the big one
    pod = make_pod("p").claim("big").claim("small").obj()

    assert len(world.harness(NODES).feasible(pod)) == len(NODES)


def test_a_claim_that_two_volumes_of_the_pod_share_needs_one_volume() -> None:
    world = StorageWorld(CLAIM.obj(), WAITS.obj(), FREE.obj())

    pod = make_pod("p").claim("data").claim("data").obj()

    assert len(world.harness(NODES).feasible(pod)) == len(NODES)


# --- claims whose volumes are made --------------------------------------------------------------


@pytest.mark.parametrize(
    ("storage_class", "expected"),
    [
        pytest.param(MADE, {}, id="anywhere"),
        pytest.param(WAITS.provisioner(""), dict.fromkeys("ab-", NO_VOLUME), id="by nobody"),
        pytest.param(
            MADE.allowed(ZONE, "a", "c"), {"b": NO_VOLUME, "-": NO_VOLUME}, id="in allowed zones"
        ),
        pytest.param(MADE.allowed(ZONE, "a").allowed(HOST, "b1"), {"-": NO_VOLUME}, id="in either"),
        pytest.param(
            MADE.allowed(ZONE), dict.fromkeys("ab-", NO_VOLUME), id="a term without values"
        ),
    ],
)
def test_a_volume_is_made_where_the_class_allows(
    storage_class: Any, expected: dict[str, str]
) -> None:
    harness = StorageWorld(CLAIM.obj(), storage_class.obj()).harness(NODES)

    assert harness.filter(POD.obj()) == {
        node.name: unresolvable(expected[zone]) if zone in expected else None
        for node in NODES
        for zone in [node.labels.get(ZONE, "-")]
    }


@pytest.mark.parametrize(
    ("capacities", "feasible"),
    [
        pytest.param([], [], id="nothing published"),
        pytest.param(
            [make_storage_capacity("c", "late", "10Gi", node_labels={ZONE: "a"})],
            ["a1", "a2"],
            id="room in a zone",
        ),
        pytest.param(
            [make_storage_capacity("c", "late", "10Gi", node_labels={})],
            ["a1", "a2", "b1", "bare"],
            id="room everywhere",
        ),
        pytest.param([make_storage_capacity("c", "late", "10Gi")], [], id="room on no node"),
        pytest.param(
            [make_storage_capacity("c", "late", "1073741823", node_labels={})],
            [],
            id="a byte too few",
        ),
        pytest.param(
            [make_storage_capacity("c", "late", "10Gi", maximum_volume_size="1Mi", node_labels={})],
            [],
            id="no volume so large",
        ),
        pytest.param(
            [make_storage_capacity("c", "late", maximum_volume_size="1Gi", node_labels={})],
            ["a1", "a2", "b1", "bare"],
            id="the largest volume alone is said",
        ),
        pytest.param(
            [make_storage_capacity("c", "late", node_labels={})], [], id="nothing is said"
        ),
        pytest.param(
            [make_storage_capacity("c", "late", "plenty", node_labels={})],
            [],
            id="nobody understands it",
        ),
        pytest.param(
            [make_storage_capacity("c", "other", "10Gi", node_labels={})], [], id="another class"
        ),
        pytest.param(
            [
                make_storage_capacity(host, "late", "1Gi", node_labels={HOST: host})
                for host in ("a2", "b1")
            ],
            ["a2", "b1"],
            id="room per node",
        ),
    ],
)
def test_there_must_be_room_where_the_driver_publishes_it(
    capacities: list[Any], feasible: list[str]
) -> None:
    driver = make_csi_driver("csi.example.com", storage_capacity=True)
    harness = StorageWorld(CLAIM.obj(), MADE.obj(), driver, *capacities).harness(NODES)

    statuses = harness.filter(POD.obj())

    assert [name for name, status in statuses.items() if status is None] == feasible
    assert {s for s in statuses.values() if s is not None} <= {unresolvable(NO_ROOM)}


@pytest.mark.parametrize("says", [None, False])
def test_a_driver_that_does_not_publish_its_room_is_not_asked(says: bool | None) -> None:
    driver = make_csi_driver("csi.example.com", storage_capacity=says)
    harness = StorageWorld(CLAIM.obj(), MADE.obj(), driver).harness(NODES)

    assert len(harness.feasible(POD.obj())) == len(NODES)


def test_a_claim_goes_where_its_volume_is_being_made() -> None:
    selected = CLAIM.annotation("volume.kubernetes.io/selected-node", "b1")
    # there is a volume for it, too; it is not looked for again
    harness = StorageWorld(selected.obj(), MADE.obj(), FREE.obj()).harness(NODES)

    assert harness.filter(POD.obj()) == {
        node.name: None if node.name == "b1" else unresolvable(NO_VOLUME) for node in NODES
    }
    assert harness.what_if(POD.obj(), "b1") is None
    assert harness.what_if(POD.obj(), "a1") == unresolvable(NO_VOLUME)


def test_two_claims_for_two_nodes_fit_nowhere() -> None:
    world = StorageWorld(
        *(
            make_claim(name).storage_class("late")
            .annotation("volume.kubernetes.io/selected-node", node).obj()
            for name, node in (("one", "a1"), ("two", "a2"))
        ),
        MADE.obj(),
    )  # fmt: skip

    assert world.harness(NODES).feasible(make_pod("p").claim("one").claim("two").obj()) == []


def test_reasons_are_joined_in_their_order() -> None:
    driver = make_csi_driver("csi.example.com", storage_capacity=True)
    world = StorageWorld(
        make_claim("bound").bound_to("far").obj(),
        make_volume("far").bound_to("default/bound").reachable_from(HOST, "a1").obj(),
        CLAIM.obj(),
        MADE.allowed(ZONE, "a").obj(),
        driver,
    )

    statuses = world.harness(NODES).filter(make_pod("p").claim("data").claim("bound").obj())

    assert statuses["a1"] == unresolvable(NO_ROOM)
    assert statuses["a2"] == unresolvable(NODE_CONFLICT, NO_ROOM)
    assert statuses["b1"] == unresolvable(NODE_CONFLICT, NO_VOLUME)
    world.remove(type(world.volume("far")), "far")
    assert world.harness(NODES).filter(make_pod("q").claim("data").claim("bound").obj())[
        "a1"
    ] == unresolvable(NO_ROOM, VOLUME_GONE)
