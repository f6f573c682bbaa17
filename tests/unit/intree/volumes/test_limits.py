"""NodeVolumeLimits: no more volumes of a driver on a node than its CSINode allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    AzureFileVolumeSource,
    EphemeralVolumeSource,
    Pod,
    Volume,
)
from pyscheduler.framework import (
    SKIP,
    ActionType,
    ClusterEvent,
    EventResource,
    Status,
    unresolvable,
    unschedulable,
)
from pyscheduler.intree.volumes.limits import NodeVolumeLimits, VolumesUnclear
from pyscheduler.intree.volumes.migration import CannotTranslate
from pyscheduler.testing import (
    ClaimBuilder,
    FakeInformers,
    PluginHarness,
    PodBuilder,
    make_attachment,
    make_claim,
    make_csi_driver,
    make_csi_node,
    make_node,
    make_pod,
    make_storage_class,
    make_volume,
)
from tests.unit.intree.volumes.known import knowing

DRIVER = "ebs.csi.aws.com"
FULL = unschedulable("node(s) exceed max volume count")
NOT_INSTALLED = unschedulable(f"{DRIVER} CSI driver is not installed on the node")


def bound(name: str, *, handle: str | None = None, driver: str = DRIVER) -> list[Any]:
    """A claim and its volume."""
    volume = make_volume(f"pv-{name}").csi(driver, handle or f"vol-{name}")
    return [
        make_claim(name).bound_to(f"pv-{name}").obj(),
        volume.bound_to(f"default/{name}").obj(),
    ]


def waiting(name: str, storage_class: str = "ebs") -> ClaimBuilder:
    """A claim that no volume is bound to."""
    return make_claim(name).storage_class(storage_class)


def inline(volume_id: str) -> Volume:
    return Volume("inline", aws_elastic_block_store=AWSElasticBlockStoreVolumeSource(volume_id))


def with_limit(node: str, limit: int | None, driver: str = DRIVER) -> Any:
    return make_csi_node(node).driver(driver, limit=limit).obj()


CLASS = make_storage_class("ebs").provisioner(DRIVER).waits().obj()
IN_TREE_CLASS = make_storage_class("in-tree").provisioner("kubernetes.io/aws-ebs").obj()


def harness(
    *objects: object,
    pods: Sequence[PodBuilder] = (),
    nodes: Sequence[str] = ("n",),
    features: dict[str, bool] | None = None,
) -> PluginHarness:
    return PluginHarness(
        NodeVolumeLimits,
        nodes=[make_node(name).obj() for name in nodes],
        pods=[pod.obj() for pod in pods],
        informers=knowing(*objects),
        features=features,
    )


def answer(cluster: PluginHarness, pod: PodBuilder) -> Status | None:
    return cluster.filter(pod.obj())["n"]


THERE = make_pod("there").node("n")


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(make_pod("p"), id="without volumes"),
        pytest.param(make_pod("p").volume(Volume("v")), id="with a volume of another kind"),
        pytest.param(
            make_pod("p").volume(Volume("v", azure_file=AzureFileVolumeSource("s", "t"))),
            id="with a volume whose plugin has not moved",
        ),
    ],
)
def test_pods_without_volumes_of_drivers_are_skipped(pod: PodBuilder) -> None:
    assert harness().pre_filter(pod.obj()) is SKIP
    assert harness().sign(pod.obj()) == ()


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(make_pod("p").claim("a"), id="claim"),
        pytest.param(make_pod("p").ephemeral_volume(), id="ephemeral"),
        pytest.param(make_pod("p").volume(inline("vol-1")), id="inline"),
    ],
)
def test_nothing_is_kept_about_pods_with_volumes_of_drivers(pod: PodBuilder) -> None:
    assert harness().sign(pod.obj()) is None


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(None, None), (2, None), (1, FULL), (0, FULL)],
    ids=["no limit", "room", "full", "none at all"],
)
def test_a_node_has_room_up_to_its_limit(limit: int | None, expected: Status | None) -> None:
    cluster = harness(*bound("a"), *bound("b"), with_limit("n", limit), pods=[THERE.claim("a")])

    assert answer(cluster, make_pod("p").claim("b")) == expected


def test_a_node_without_csi_node_has_no_limit() -> None:
    assert answer(harness(*bound("a")), make_pod("p").claim("a")) is None


def test_a_limit_is_for_its_driver_alone() -> None:
    cluster = harness(
        *bound("a", driver="other"), *bound("b"), with_limit("n", 1), pods=[THERE.claim("a")]
    )

    assert answer(cluster, make_pod("p").claim("b")) is None


def test_all_volumes_of_the_pod_count() -> None:
    cluster = harness(*bound("a"), *bound("b"), with_limit("n", 1))

    assert answer(cluster, make_pod("p").claim("a").claim("b")) == FULL


@pytest.mark.parametrize(
    "there",
    [
        pytest.param([THERE.claim("a")], id="one pod has it"),
        pytest.param(
            [THERE.claim("a"), make_pod("too").node("n").claim("a")], id="two pods have it"
        ),
        pytest.param([THERE.claim("a").claim("a")], id="one has it twice"),
        pytest.param([THERE.claim("same")], id="through another claim"),
    ],
)
def test_a_volume_counts_once(there: list[PodBuilder]) -> None:
    cluster = harness(*bound("a"), *bound("same", handle="vol-a"), with_limit("n", 1), pods=there)

    assert answer(cluster, make_pod("p").claim("a")) is None


def test_attached_volumes_count_though_no_pod_has_them() -> None:
    cluster = harness(
        *bound("a"),
        *bound("b"),
        with_limit("n", 1),
        make_attachment("at", driver=DRIVER, node="n", volume="pv-a"),
    )

    assert answer(cluster, make_pod("p").claim("b")) == FULL


def test_an_attached_volume_of_a_pod_counts_once() -> None:
    cluster = harness(
        *bound("a"),
        *bound("b"),
        with_limit("n", 2),
        make_attachment("at", driver=DRIVER, node="n", volume="pv-a"),
        pods=[THERE.claim("a")],
    )

    assert answer(cluster, make_pod("p").claim("b")) is None


def test_the_pods_own_volume_counts_twice_while_it_is_attached_and_unused() -> None:
    cluster = harness(
        *bound("a"),
        with_limit("n", 1),
        make_attachment("at", driver=DRIVER, node="n", volume="pv-a"),
    )

    assert answer(cluster, make_pod("p").claim("a")) == FULL


@pytest.mark.parametrize(
    "attachment",
    [
        pytest.param(
            make_attachment("at", driver=DRIVER, node="other", volume="pv-a"), id="elsewhere"
        ),
        pytest.param(make_attachment("at", driver="", node="n", volume="pv-a"), id="by nobody"),
        pytest.param(make_attachment("at", driver=DRIVER, node="n", volume=None), id="of nothing"),
        pytest.param(
            make_attachment("at", driver=DRIVER, node="n", volume="gone"), id="of a lost volume"
        ),
        pytest.param(
            make_attachment("at", driver=DRIVER, node="n", volume="in-tree"), id="of no CSI volume"
        ),
    ],
)
def test_other_attachments_do_not_count(attachment: object) -> None:
    cluster = harness(
        *bound("a"),
        *bound("b"),
        make_volume("in-tree").spec(aws_elastic_block_store=_ebs("vol-9")).obj(),
        with_limit("n", 1),
        attachment,
    )

    assert answer(cluster, make_pod("p").claim("b")) is None


def _ebs(volume_id: str) -> AWSElasticBlockStoreVolumeSource:
    return AWSElasticBlockStoreVolumeSource(volume_id)


@pytest.mark.parametrize(
    ("objects", "counts"),
    [
        pytest.param([waiting("a").obj(), CLASS], True, id="of a driver's class"),
        pytest.param(
            [waiting("a", "in-tree").obj(), IN_TREE_CLASS], True, id="of a class that moved"
        ),
        pytest.param(
            [
                waiting("a", "azure").obj(),
                make_storage_class("azure").provisioner("kubernetes.io/azure-file").obj(),
            ],
            False,
            id="of a class that has not moved",
        ),
        pytest.param([make_claim("a").obj()], False, id="without class"),
        pytest.param([waiting("a").obj()], False, id="of an unknown class"),
        pytest.param(
            [waiting("a").bound_to("gone").obj(), CLASS], True, id="whose volume is not there"
        ),
        pytest.param(
            [
                make_claim("a").bound_to("pv").obj(),
                make_volume("pv").spec(aws_elastic_block_store=_ebs("vol-1")).obj(),
            ],
            True,
            id="with an in-tree volume",
        ),
        pytest.param(
            [
                make_claim("a").bound_to("pv").obj(),
                make_volume("pv").spec(aws_elastic_block_store=_ebs("aws://odd")).obj(),
            ],
            False,
            id="with an in-tree volume that no driver understands",
        ),
        pytest.param(
            [make_claim("a").bound_to("pv").obj(), make_volume("pv").obj()],
            False,
            id="with a volume of no driver",
        ),
    ],
)
def test_a_claim_takes_a_place_of_its_driver(objects: list[object], counts: bool) -> None:
    cluster = harness(*objects, with_limit("n", 0))

    assert answer(cluster, make_pod("p").claim("a")) == (FULL if counts else None)


def test_an_unbound_claim_is_the_same_for_all_its_pods() -> None:
    cluster = harness(waiting("a").obj(), CLASS, with_limit("n", 1), pods=[THERE.claim("a")])

    assert answer(cluster, make_pod("p").claim("a")) is None


def test_migrated_volumes_in_pods_count() -> None:
    cluster = harness(*bound("a"), with_limit("n", 1), pods=[THERE.volume(inline("aws://z/vol-1"))])

    assert answer(cluster, make_pod("p").claim("a")) == FULL
    assert answer(cluster, make_pod("p").volume(inline("vol-1"))) is None
    assert answer(cluster, make_pod("p").volume(inline("vol-2"))) == FULL


def test_a_missing_claim_rejects_every_node() -> None:
    assert answer(harness(), make_pod("p").claim("a")) == unresolvable(
        'looking up PVC default/a: persistentvolumeclaim "a" not found'
    )


EPHEMERAL = make_pod("p").volume(Volume("data", ephemeral=EphemeralVolumeSource()))
OWN = make_claim("p-data").bound_to("pv-a").controlled_by("Pod", "p", "uid-default-p")


def test_the_claim_of_an_ephemeral_volume_counts() -> None:
    cluster = harness(OWN.obj(), *bound("a"), with_limit("n", 0))

    assert answer(cluster, EPHEMERAL) == FULL


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        pytest.param(
            EPHEMERAL,
            r"PVC default/p-data was not created for pod default/p \(pod is not owner\)",
            id="a claim that is not the pod's",
        ),
        pytest.param(
            make_pod("p").volume(inline("aws://odd")),
            r"converting volume\(inline\) from inline to csi: .*\(aws://odd\)",
            id="a volume no driver understands",
        ),
        pytest.param(
            make_pod("p").claim(""), "PersistentVolumeClaim had no name", id="a claim without name"
        ),
    ],
)
def test_a_pod_whose_volumes_are_unclear_fails_with_their_name(pod: PodBuilder, told: str) -> None:
    cluster = harness(make_claim("p-data").obj(), with_limit("n", 1))

    with pytest.raises(VolumesUnclear, match=told):
        cluster.filter(pod.obj())


def test_a_volume_no_driver_understands_matters_only_where_drivers_are() -> None:
    assert answer(harness(), make_pod("p").volume(inline("aws://odd"))) is None


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(THERE.volume(inline("aws://odd")), id="no driver understands it"),
        pytest.param(THERE.claim("gone"), id="its claim is gone"),
        pytest.param(
            THERE.volume(Volume("data", ephemeral=EphemeralVolumeSource())),
            id="its claim is another's",
        ),
    ],
)
def test_an_odd_pod_on_a_node_disturbs_nobody(odd: PodBuilder) -> None:
    cluster = harness(*bound("there-data"), *bound("a"), with_limit("n", 1), pods=[odd])

    assert answer(cluster, make_pod("p").claim("a")) is None


# --- drivers that are not there ---

PREVENTS = make_csi_driver(DRIVER, prevents_pods=True)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([PREVENTS], NOT_INSTALLED, id="no csi node"),
        pytest.param([PREVENTS, with_limit("n", 1, "other")], NOT_INSTALLED, id="another driver"),
        pytest.param([PREVENTS, with_limit("n", None)], None, id="installed"),
        pytest.param([make_csi_driver(DRIVER)], None, id="does not ask for it"),
        pytest.param([make_csi_driver(DRIVER, prevents_pods=False)], None, id="says no"),
        pytest.param([], None, id="no such driver"),
    ],
)
def test_a_driver_may_keep_pods_from_where_it_does_not_run(
    objects: list[object], expected: Status | None
) -> None:
    assert answer(harness(*bound("a"), *objects), make_pod("p").claim("a")) == expected


def test_without_the_gate_missing_drivers_do_not_matter() -> None:
    cluster = harness(*bound("a"), PREVENTS, features={"VolumeLimitScaling": False})

    assert answer(cluster, make_pod("p").claim("a")) is None


def test_a_migrated_volume_needs_no_driver_without_csi_node() -> None:
    cluster = harness(PREVENTS, make_csi_node("n").driver("other").obj(), nodes=("n", "bare"))

    assert cluster.filter(make_pod("p").volume(inline("vol-1")).obj()) == {
        "n": NOT_INSTALLED,
        "bare": None,
    }


def test_a_missing_driver_is_named_before_a_full_one() -> None:
    cluster = harness(
        *bound("a", driver="other"), *bound("b"), PREVENTS, with_limit("n", 0, "other")
    )

    assert answer(cluster, make_pod("p").claim("a").claim("b")) == NOT_INSTALLED


# --- what-ifs and changes ---


def test_without_a_pod_its_volume_leaves_the_node() -> None:
    there = THERE.claim("a")
    cluster = harness(*bound("a"), *bound("b"), with_limit("n", 1), pods=[there])
    pod = make_pod("p").claim("b").obj()

    assert cluster.what_if(pod, "n") == FULL
    assert cluster.what_if(pod, "n", remove=[there.obj()]) is None


def test_a_promised_place_counts() -> None:
    cluster = harness(*bound("a"), *bound("b"), with_limit("n", 1))
    guest = make_pod("guest").claim("a").obj()

    assert cluster.what_if(make_pod("p").claim("b").obj(), "n", add=[guest]) == FULL


POD: Pod = make_pod("p").claim("b").obj()


def _full(cluster: PluginHarness) -> bool:
    return cluster.filter(POD)["n"] == FULL


def test_what_is_counted_follows_csi_nodes() -> None:
    cluster = harness(*bound("a"), *bound("b"), pods=[THERE.claim("a")])
    csi_nodes = cluster.informers.of("csinodes.v1.storage.k8s.io")

    assert not _full(cluster)
    csi_nodes.put(with_limit("n", 1))
    assert _full(cluster)
    csi_nodes.put(with_limit("n", 2))
    assert not _full(cluster)
    csi_nodes.put(with_limit("n", 1))
    csi_nodes.remove("n")
    assert not _full(cluster)


def test_what_is_counted_follows_claims_volumes_classes_and_attachments() -> None:
    informers: FakeInformers = knowing(*bound("b"), with_limit("n", 1))
    claims = informers.of("persistentvolumeclaims.v1")
    volumes = informers.of("persistentvolumes.v1")
    classes = informers.of("storageclasses.v1.storage.k8s.io")
    attachments = informers.of("volumeattachments.v1.storage.k8s.io")
    cluster = PluginHarness(
        NodeVolumeLimits,
        nodes=[make_node("n").obj()],
        pods=[THERE.claim("a").obj()],
        informers=informers,
    )

    assert not _full(cluster), "no claim"
    claims.put(waiting("a").obj())
    assert not _full(cluster), "no class"
    classes.put(CLASS)
    assert _full(cluster), "it will have a volume"
    claims.put(waiting("a").bound_to("pv").obj())
    assert _full(cluster), "its volume is not there yet"
    volumes.put(make_volume("pv").obj())
    assert not _full(cluster), "it is no driver's"
    volumes.put(make_volume("pv").csi(DRIVER, "h").obj())
    assert _full(cluster)
    claims.remove("default/a")
    assert not _full(cluster)
    attachments.put(make_attachment("at", driver=DRIVER, node="n", volume="pv"))
    assert _full(cluster)
    volumes.remove("pv")
    assert not _full(cluster)
    volumes.put(make_volume("pv").csi(DRIVER, "h").obj())
    attachments.remove("at")
    assert not _full(cluster)


def test_a_hint_about_a_volume_no_driver_understands_fails_so_that_the_pod_is_tried() -> None:
    event = ClusterEvent(EventResource.VOLUME_ATTACHMENT, ActionType.DELETE)
    gone = make_attachment("at", driver="other", node="n", volume="pv")

    with pytest.raises(CannotTranslate):
        harness().hint(event, make_pod("p").volume(inline("aws://odd")).obj(), old=gone)
