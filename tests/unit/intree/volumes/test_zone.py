"""VolumeZone: nodes must be where the labels of bound volumes say that the volumes are."""

from __future__ import annotations

import pytest

from pyscheduler.framework import SKIP, unresolvable
from pyscheduler.intree.volumes.zone import VolumeZone
from pyscheduler.testing import (
    ClaimBuilder,
    NodeBuilder,
    PluginHarness,
    PodBuilder,
    StorageClassBuilder,
    VolumeBuilder,
    make_claim,
    make_node,
    make_pod,
    make_storage_class,
    make_volume,
)
from tests.unit.intree.volumes.known import knowing

ELSEWHERE = unresolvable("node(s) had no available volume zone")
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
BETA_ZONE = "failure-domain.beta.kubernetes.io/zone"
BETA_REGION = "failure-domain.beta.kubernetes.io/region"

POD = make_pod("p").claim("data")
BOUND = make_claim("data").bound_to("pv")
VOLUME = make_volume("pv").bound_to("default/data")


def harness(
    *objects: ClaimBuilder | VolumeBuilder | StorageClassBuilder,
    nodes: tuple[NodeBuilder, ...] = (),
) -> PluginHarness:
    return PluginHarness(
        VolumeZone,
        nodes=[node.obj() for node in nodes],
        informers=knowing(*(known.obj() for known in objects)),
    )


@pytest.mark.parametrize(
    ("volume", "node", "fits"),
    [
        pytest.param(VOLUME.zone("a"), make_node("n").label(ZONE, "a"), True, id="in the zone"),
        pytest.param(VOLUME.zone("a"), make_node("n").label(ZONE, "b"), False, id="elsewhere"),
        pytest.param(VOLUME.zone("a__b"), make_node("n").label(ZONE, "b"), True, id="in one zone"),
        pytest.param(
            VOLUME.zone(" a __ b"), make_node("n").label(ZONE, "a"), True, id="blanks do not count"
        ),
        pytest.param(
            VOLUME.zone("a__b"), make_node("n").label(ZONE, "a__b"), False, id="no such zone"
        ),
        pytest.param(VOLUME.zone("a"), make_node("n"), True, id="a node without zones"),
        pytest.param(
            VOLUME.zone("a"), make_node("n").label(REGION, "r"), False, id="a node with a region"
        ),
        pytest.param(
            VOLUME.label(REGION, "r").zone("a"),
            make_node("n").label(REGION, "r").label(ZONE, "b"),
            False,
            id="only the region fits",
        ),
        pytest.param(
            VOLUME.label(BETA_ZONE, "a"), make_node("n").label(ZONE, "a"), True, id="old label"
        ),
        pytest.param(
            VOLUME.label(BETA_REGION, "r"),
            make_node("n").label(REGION, "s"),
            False,
            id="old label of a region",
        ),
        pytest.param(
            VOLUME.label(BETA_ZONE, "a"),
            make_node("n").label(BETA_ZONE, "b").label(ZONE, "a"),
            False,
            id="the node's old label first",
        ),
        pytest.param(
            VOLUME.zone("a"),
            make_node("n").label(BETA_ZONE, "a"),
            False,
            id="a new label is not compared with an old one",
        ),
    ],
)
def test_labels_of_the_volume_must_be_the_nodes(
    volume: VolumeBuilder, node: NodeBuilder, fits: bool
) -> None:
    cluster = harness(BOUND, volume, nodes=(node, make_node("other")))

    assert cluster.filter(POD.obj()) == {"n": None if fits else ELSEWHERE, "other": None}


def test_all_volumes_must_be_there() -> None:
    cluster = harness(
        BOUND,
        VOLUME.zone("a__b"),
        make_claim("logs").bound_to("pv-2"),
        make_volume("pv-2").zone("b__c"),
        nodes=tuple(make_node(zone).label(ZONE, zone) for zone in "abc"),
    )

    assert cluster.feasible(POD.claim("logs").obj()) == ["b"]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(make_pod("p"), id="without volumes"),
        pytest.param(make_pod("p").ephemeral_volume(), id="with a claim made for it"),
        pytest.param(POD, id="with a volume without labels"),
        pytest.param(make_pod("p").claim("odd"), id="with a volume whose label is no list"),
        pytest.param(make_pod("p").claim("waits"), id="with a claim that waits for it"),
    ],
)
def test_pods_whose_volumes_are_anywhere_are_skipped(pod: PodBuilder) -> None:
    cluster = harness(
        BOUND,
        VOLUME,
        make_claim("odd").bound_to("pv-odd"),
        make_volume("pv-odd").zone("a__"),
        make_claim("waits").storage_class("later"),
        make_storage_class("later").waits(),
    )

    assert cluster.pre_filter(pod.obj()) is SKIP


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        pytest.param("", "PersistentVolumeClaim had no name", id="no name"),
        pytest.param("gone", 'persistentvolumeclaim "gone" not found', id="no claim"),
        pytest.param("lost", 'persistentvolume "pv-gone" not found', id="no volume"),
        pytest.param(
            "classless",
            "PersistentVolumeClaim had no pv name and storageClass name",
            id="neither volume nor class",
        ),
        pytest.param(
            "unknown", 'storageclass.storage.k8s.io "nowhere" not found', id="no such class"
        ),
        pytest.param(
            "modeless", 'VolumeBindingMode not set for StorageClass "odd"', id="class without mode"
        ),
        pytest.param("unbound", "PersistentVolume had no name", id="not bound yet"),
    ],
)
def test_a_claim_that_says_nothing_of_its_place_rejects_the_pod(claim: str, told: str) -> None:
    cluster = harness(
        make_claim("lost").bound_to("pv-gone"),
        make_claim("classless"),
        make_claim("unknown").storage_class("nowhere"),
        make_claim("modeless").storage_class("odd"),
        make_storage_class("odd").binding_mode(None),
        make_claim("unbound").storage_class("now"),
        make_storage_class("now"),
    )

    assert cluster.pre_filter(make_pod("p").claim(claim).obj()) == unresolvable(told)


def test_nothing_is_kept_about_pods_that_name_claims() -> None:
    assert harness().sign(POD.obj()) is None
    assert harness().sign(make_pod("p").obj()) == ()
    assert harness().sign(make_pod("p").ephemeral_volume().obj()) == ()
