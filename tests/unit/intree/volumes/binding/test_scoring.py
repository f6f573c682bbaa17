"""VolumeBinding's score: how full the storage would be."""

from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.framework import SKIP, PreScorePlugin
from pyscheduler.intree.volumes.binding import VolumeBinding
from pyscheduler.testing import PluginHarness, make_node, make_plugin, make_pod
from pyscheduler.testing.fakes import fake_handle
from pyscheduler.testing.volume_builders import (
    make_claim,
    make_csi_driver,
    make_storage_capacity,
    make_storage_class,
    make_volume,
)
from tests.unit.intree.volumes.binding.world import StorageWorld

HOST = "kubernetes.io/hostname"
NODES = [make_node(name).label(HOST, name).obj() for name in ("n1", "n2", "n3")]
LATE = make_storage_class("late").waits()
MADE = LATE.provisioner("csi.example.com")
DRIVER = make_csi_driver("csi.example.com", storage_capacity=True)
CLAIM = make_claim("data").storage_class("late")
PACKING = [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}]


def local(name: str, host: str, capacity: str, storage_class: str = "late") -> object:
    volume = make_volume(name).storage_class(storage_class).capacity(capacity)
    return volume.reachable_from(HOST, host).obj()


def room(host: str, capacity: str | None, **largest: str) -> object:
    return make_storage_capacity(host, "late", capacity, node_labels={HOST: host}, **largest)


def scored(*objects: Any, claims: tuple[str, ...] = ("data",), **args: Any) -> dict[str, int]:
    harness = StorageWorld(*objects).harness(NODES, args=args)
    pod = make_pod("p")
    for claim in claims:
        pod = pod.claim(claim)
    return harness.score(pod.obj())


def test_the_node_with_the_most_room_left_is_best_for_a_found_volume() -> None:
    scores = scored(
        CLAIM.request("10Gi").obj(),
        LATE.obj(),
        local("a", "n1", "10Gi"),
        local("b", "n2", "20Gi"),
        local("c", "n3", "30Gi"),
    )

    # 100, 50 and 33 percent would be used
    assert scores == {"n1": 0, "n2": 50, "n3": 67}


def test_the_shape_says_what_is_good() -> None:
    scores = scored(
        CLAIM.request("10Gi").obj(),
        LATE.obj(),
        local("a", "n1", "10Gi"),
        local("b", "n2", "20Gi"),
        local("c", "n3", "30Gi"),
        shape=PACKING,
    )

    assert scores == {"n1": 100, "n2": 50, "n3": 33}


def test_classes_count_alike_and_the_mean_is_rounded_half_away_from_zero() -> None:
    scores = scored(
        CLAIM.request("10Gi").obj(),
        make_claim("more").storage_class("also").request("1Gi").obj(),
        LATE.obj(),
        make_storage_class("also").waits().obj(),
        local("a1", "n1", "40Gi"),
        local("a2", "n1", "1Gi", "also"),
        local("b1", "n2", "20Gi"),
        local("b2", "n2", "4Gi", "also"),
        local("c1", "n3", "10Gi"),
        local("c2", "n3", "4Gi", "also"),
        claims=("data", "more"),
    )

    # the halves of 75 and 0, of 50 and 75, of 0 and 75
    assert scores == {"n1": 38, "n2": 63, "n3": 38}


def test_volumes_of_one_class_are_summed() -> None:
    scores = scored(
        CLAIM.request("10Gi").obj(),
        make_claim("more").storage_class("late").request("10Gi").obj(),
        LATE.obj(),
        *(local(f"{host}-{n}", host, "40Gi") for host in ("n1", "n2", "n3") for n in (1, 2)),
        claims=("data", "more"),
    )

    assert scores == dict.fromkeys(("n1", "n2", "n3"), 75)


def test_a_volume_to_be_made_is_scored_by_what_its_driver_publishes() -> None:
    scores = scored(
        CLAIM.request("10Gi").obj(),
        MADE.obj(),
        DRIVER,
        room("n1", "20Gi"),
        room("n2", "100Gi"),
        room("n3", None, maximum_volume_size="10Gi"),
    )

    # nothing is said of the room on n3, but that a volume fits
    assert scores == {"n1": 50, "n2": 90, "n3": 0}


def test_two_volumes_share_the_room_that_is_published() -> None:
    scores = scored(
        CLAIM.request("10Gi").obj(),
        make_claim("more").storage_class("late").request("15Gi").obj(),
        MADE.obj(),
        DRIVER,
        room("n1", "20Gi"),
        room("n2", "100Gi"),
        room("n3", "50Gi"),
        claims=("data", "more"),
    )

    # more is wanted on n1 than there is, though each would fit
    assert scores == {"n1": 0, "n2": 75, "n3": 50}


def test_what_was_found_counts_more_than_what_is_made() -> None:
    scores = scored(
        CLAIM.request("10Gi").obj(),
        MADE.obj(),
        DRIVER,
        local("a", "n1", "20Gi"),
        room("n1", "1000Gi"),
        room("n2", "1000Gi"),
        room("n3", "100Gi"),
    )

    assert scores == {"n1": 50, "n2": 99, "n3": 90}


def test_nothing_is_known_of_a_driver_that_publishes_nothing() -> None:
    assert scored(CLAIM.obj(), MADE.obj()) == dict.fromkeys(("n1", "n2", "n3"), 0)


def test_products_wrap_around_as_gos_do() -> None:
    scores = scored(
        CLAIM.request("4Ei").obj(),
        LATE.obj(),
        local("a", "n1", "7Ei"),
        local("b", "n2", "5Ei"),
        local("c", "n3", "4Ei"),
    )

    # 400 Ei wraps around to 0: nothing seems to be used
    assert scores == {"n1": 100, "n2": 100, "n3": 100}


def pre_scored(harness: PluginHarness, pod: Any) -> object:
    plugin = harness.plugin
    assert isinstance(plugin, PreScorePlugin)
    return plugin.pre_score(harness.state(pod), pod, harness.nodes)


def test_pods_whose_claims_are_bound_are_not_scored() -> None:
    world = StorageWorld(make_claim("data").bound_to("pv").obj(), make_volume("pv").obj())

    assert pre_scored(world.harness(NODES), make_pod("p").claim("data").obj()) is SKIP


def test_nothing_is_scored_without_the_gate() -> None:
    world = StorageWorld(CLAIM.obj(), MADE.obj())
    harness = world.harness(NODES, features={"StorageCapacityScoring": False})

    assert pre_scored(harness, make_pod("p").claim("data").obj()) is SKIP


def test_a_shape_without_the_gate_is_refused() -> None:
    handle = fake_handle(features={"StorageCapacityScoring": False})

    make_plugin(VolumeBinding, {"bindTimeoutSeconds": 1}, handle=handle)
    with pytest.raises(ValueError, match="shape: remove it, or turn on the feature gate"):
        make_plugin(VolumeBinding, {"shape": PACKING}, handle=handle)
