"""VolumeRestrictions: disks that exclude each other on a node, claims that are for one pod."""

from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    GCEPersistentDiskVolumeSource,
    ISCSIVolumeSource,
    Pod,
    RBDVolumeSource,
    Volume,
)
from pyscheduler.framework import SKIP, unresolvable, unschedulable
from pyscheduler.intree.volumes.restrictions import VolumeRestrictions
from pyscheduler.testing import PluginHarness, PodBuilder, make_claim, make_node, make_pod
from tests.unit.intree.volumes.known import knowing

NO_DISK = unschedulable("node(s) had no available disk")
CLAIM_IN_USE = unschedulable(
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already"
    " in-use by another pod"
)
RWOP = make_claim("data").access_modes("ReadWriteOncePod")


def with_disk(name: str, **source: Any) -> PodBuilder:
    return make_pod(name).volume(Volume("disk", **source))


def gce(name: str, *, read_only: bool = False) -> dict[str, Any]:
    return {"gce_persistent_disk": GCEPersistentDiskVolumeSource(name, read_only)}


def ebs(name: str, *, read_only: bool = False) -> dict[str, Any]:
    return {"aws_elastic_block_store": AWSElasticBlockStoreVolumeSource(name, read_only)}


def iscsi(iqn: str, *, portal: str = "p:1", read_only: bool = False) -> dict[str, Any]:
    return {"iscsi": ISCSIVolumeSource(portal, iqn, read_only=read_only)}


def rbd(
    *monitors: str, image: str = "i", pool: str = "rbd", read_only: bool = False
) -> dict[str, Any]:
    return {"rbd": RBDVolumeSource(monitors, image, pool, read_only)}


def harness(*pods: PodBuilder, claims: tuple[Any, ...] = ()) -> PluginHarness:
    return PluginHarness(
        VolumeRestrictions,
        nodes=[make_node("a").obj(), make_node("b").obj()],
        pods=[pod.obj() for pod in pods],
        informers=knowing(*(claim.obj() for claim in claims)),
    )


@pytest.mark.parametrize(
    ("wanted", "existing", "shared"),
    [
        pytest.param(gce("x"), gce("x"), False, id="gce disk written twice"),
        pytest.param(gce("x", read_only=True), gce("x"), False, id="gce disk written by one"),
        pytest.param(gce("x"), gce("x", read_only=True), False, id="gce disk written by us"),
        pytest.param(
            gce("x", read_only=True), gce("x", read_only=True), True, id="gce disk read by both"
        ),
        pytest.param(gce("x"), gce("y"), True, id="another gce disk"),
        pytest.param(ebs("x"), ebs("x"), False, id="ebs"),
        pytest.param(
            ebs("x", read_only=True), ebs("x", read_only=True), False, id="ebs, though only read"
        ),
        pytest.param(ebs("x"), ebs("y"), True, id="another ebs volume"),
        pytest.param(ebs("x"), gce("x"), True, id="another kind of the same name"),
        pytest.param(iscsi("q"), iscsi("q", portal="other"), False, id="iscsi by iqn"),
        pytest.param(
            iscsi("q", read_only=True), iscsi("q", read_only=True), True, id="iscsi read by both"
        ),
        pytest.param(iscsi("q"), iscsi("r"), True, id="another iqn"),
        pytest.param(rbd("a", "b"), rbd("b", "c"), False, id="rbd with a monitor in common"),
        pytest.param(rbd("a"), rbd("b"), True, id="rbd without a monitor in common"),
        pytest.param(rbd("a"), rbd("a", image="j"), True, id="another rbd image"),
        pytest.param(rbd("a"), rbd("a", pool="p"), True, id="another rbd pool"),
        pytest.param(
            rbd("a", read_only=True), rbd("a", read_only=True), True, id="rbd read by both"
        ),
    ],
)
def test_a_disk_is_shared_only_by_readers(
    wanted: dict[str, Any], existing: dict[str, Any], shared: bool
) -> None:
    cluster = harness(with_disk("there", **existing).node("a"))

    answers = cluster.filter(with_disk("new", **wanted).obj())

    assert answers == {"a": None if shared else NO_DISK, "b": None}


def test_a_disk_is_taken_whatever_the_namespace() -> None:
    cluster = harness(with_disk("there", **gce("x")).namespace("other").node("a"))

    assert cluster.feasible(with_disk("new", **gce("x")).obj()) == ["b"]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(make_pod("p"), id="without volumes"),
        pytest.param(make_pod("p").volume(Volume("v")), id="with a volume of another kind"),
        pytest.param(make_pod("p").ephemeral_volume(), id="with a claim made for it"),
        pytest.param(make_pod("p").claim("data"), id="with a claim that nobody uses"),
        pytest.param(make_pod("p").claim("shared"), id="with a claim for many"),
    ],
)
def test_pods_without_such_volumes_are_skipped(pod: PodBuilder) -> None:
    cluster = harness(
        make_pod("there").claim("shared").node("a"), claims=(RWOP, make_claim("shared"))
    )

    assert cluster.pre_filter(pod.obj()) is SKIP


def test_a_claim_that_is_not_there_rejects_the_pod() -> None:
    assert harness().pre_filter(make_pod("p").claim("data").obj()) == unresolvable(
        'persistentvolumeclaim "data" not found'
    )


def test_a_claim_for_one_pod_in_use_rejects_every_node() -> None:
    cluster = harness(make_pod("there").claim("data").node("a"), claims=(RWOP,))

    assert cluster.filter(make_pod("new").claim("data").obj()) == {
        "a": CLAIM_IN_USE,
        "b": CLAIM_IN_USE,
    }


def test_a_disk_is_named_before_a_claim() -> None:
    cluster = harness(with_disk("there", **gce("x")).claim("data").node("a"), claims=(RWOP,))

    assert cluster.filter(with_disk("new", **gce("x")).claim("data").obj()) == {
        "a": NO_DISK,
        "b": CLAIM_IN_USE,
    }


def test_a_claim_of_that_name_in_another_namespace_is_another() -> None:
    cluster = harness(
        make_pod("there").namespace("other").claim("data").node("a"),
        claims=(RWOP, RWOP.namespace("other")),
    )

    assert cluster.feasible(make_pod("new").claim("data").obj()) == ["a", "b"]


THERE = make_pod("there").claim("data").node("a")
NEW = make_pod("new").claim("data").obj()


def test_without_the_pod_that_uses_the_claim_the_node_would_do() -> None:
    cluster = harness(THERE, claims=(RWOP,))

    assert cluster.what_if(NEW, "a", remove=[THERE.obj()]) is None


def test_a_pod_that_comes_back_uses_the_claim_again() -> None:
    cluster = harness(THERE, claims=(RWOP,))
    another = make_pod("another").claim("data").node("a").obj()

    assert cluster.what_if(NEW, "a", remove=[THERE.obj()], add=[another]) == CLAIM_IN_USE


def test_a_pod_of_another_namespace_does_not_free_the_claim() -> None:
    stranger = make_pod("stranger").namespace("other").claim("data").node("b")
    cluster = harness(THERE, stranger, claims=(RWOP, RWOP.namespace("other")))

    assert cluster.what_if(NEW, "b", remove=[stranger.obj()]) == CLAIM_IN_USE


def test_without_the_pod_that_has_the_disk_the_node_would_do() -> None:
    there = with_disk("there", **gce("x")).node("a")
    cluster = harness(there)

    assert cluster.what_if(with_disk("new", **gce("x")).obj(), "a", remove=[there.obj()]) is None


def _signed(pod: PodBuilder) -> tuple[object, ...] | None:
    return harness(claims=(RWOP,)).sign(pod.obj())


def test_pods_are_signed_by_their_disks_and_never_with_claims() -> None:
    plain: Pod = make_pod("p").volume(Volume("v")).obj()

    assert harness().sign(plain) == ()
    assert _signed(make_pod("p")) == ()
    assert _signed(with_disk("p", **gce("x"))) == _signed(with_disk("q", **gce("x"))) != ()
    assert _signed(with_disk("p", **gce("x"))) != _signed(with_disk("q", **gce("y")))
    assert _signed(make_pod("p").claim("data")) is None
