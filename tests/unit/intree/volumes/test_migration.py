"""What once was built in is some CSI driver's volume: its handle, its zones, its access modes."""

from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CinderVolumeSource,
    GCEPersistentDiskVolumeSource,
    PortworxVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from pyscheduler.api.core_v1 import Volume as VolumeOfPod
from pyscheduler.api.volumes_v1 import PersistentVolume
from pyscheduler.intree.volumes import migration
from pyscheduler.intree.volumes.migration import CannotTranslate, CSIVolume
from pyscheduler.testing import VolumeBuilder, make_volume

ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
BETA_ZONE = "failure-domain.beta.kubernetes.io/zone"
BETA_REGION = "failure-domain.beta.kubernetes.io/region"
VSPHERE_KEYS = "topology.csi.vmware.com"
EBS_ZONE = "topology.ebs.csi.aws.com/zone"

EBS = {"aws_elastic_block_store": AWSElasticBlockStoreVolumeSource(volume_id="vol-1")}
DISK = {"gce_persistent_disk": GCEPersistentDiskVolumeSource(pd_name="disk")}
VSPHERE = {"vsphere_volume": VsphereVirtualDiskVolumeSource(volume_path="[ds] x.vmdk")}


def share(secret: str = "azure-storage-account-acc-secret", **more: Any) -> dict[str, Any]:
    return {"azure_file": AzureFileVolumeSource(secret_name=secret, share_name="share", **more)}


def terms(volume: PersistentVolume) -> list[list[tuple[str, tuple[str, ...]]]]:
    """Keys and values of the node affinity, term by term."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return []
    return [
        [(requirement.key, requirement.values) for requirement in term.match_expressions]
        for term in affinity.required.node_selector_terms
    ]


@pytest.mark.parametrize(
    ("source", "driver", "handle"),
    [
        pytest.param(EBS, "ebs.csi.aws.com", "vol-1", id="ebs"),
        pytest.param(
            {"aws_elastic_block_store": AWSElasticBlockStoreVolumeSource("aws://us-1a/vol-2")},
            "ebs.csi.aws.com",
            "vol-2",
            id="ebs as a url",
        ),
        pytest.param(
            {"aws_elastic_block_store": AWSElasticBlockStoreVolumeSource("aws:///vol-3")},
            "ebs.csi.aws.com",
            "vol-3",
            id="ebs as a url without zone",
        ),
        pytest.param(
            DISK,
            "pd.csi.storage.gke.io",
            "projects/UNSPECIFIED/zones/UNSPECIFIED/disks/disk",
            id="gce disk",
        ),
        pytest.param(
            {"cinder": CinderVolumeSource("c")}, "cinder.csi.openstack.org", "c", id="cinder"
        ),
        pytest.param(
            {"azure_disk": AzureDiskVolumeSource("/subscriptions/d", kind="managed")},
            "disk.csi.azure.com",
            "/subscriptions/d",
            id="azure disk",
        ),
        pytest.param(
            share(), "file.csi.azure.com", "#acc#share#vol#shop", id="azure file of an account"
        ),
        pytest.param(
            share("other"), "file.csi.azure.com", "#other#share#vol#shop", id="azure file"
        ),
        pytest.param(VSPHERE, "csi.vsphere.vmware.com", "[ds] x.vmdk", id="vsphere"),
        pytest.param(
            {"portworx_volume": PortworxVolumeSource("px")}, "pxd.portworx.com", "px", id="portworx"
        ),
    ],
)
def test_a_source_in_a_pod_is_a_drivers_volume(
    source: dict[str, Any], driver: str, handle: str
) -> None:
    assert migration.of_pod(VolumeOfPod("vol", **source), "shop") == CSIVolume(driver, handle)


def test_a_volume_without_such_a_source_is_no_drivers() -> None:
    volume = make_volume("pv").csi("d", "h").obj()

    assert migration.of_pod(VolumeOfPod("vol"), "shop") is None
    assert migration.of_volume(volume) is volume


@pytest.mark.parametrize(
    ("source", "told"),
    [
        pytest.param(
            {"aws_elastic_block_store": AWSElasticBlockStoreVolumeSource("aws://us-1a/disk-2")},
            r"Invalid format for AWS volume \(aws://us-1a/disk-2\)",
            id="no ebs volume",
        ),
        pytest.param(
            {"aws_elastic_block_store": AWSElasticBlockStoreVolumeSource("aws://[/vol-1")},
            r"Invalid disk name \(aws://\[/vol-1\)",
            id="no url",
        ),
        pytest.param(
            {"azure_disk": AzureDiskVolumeSource("d", kind="Dedicated")},
            r"kind\(Dedicated\) is not supported in csi migration",
            id="unmanaged azure disk",
        ),
    ],
)
def test_a_source_no_driver_understands_is_named_with_its_value(
    source: dict[str, Any], told: str
) -> None:
    with pytest.raises(CannotTranslate, match=told):
        migration.of_pod(VolumeOfPod("vol", **source), "shop")
    with pytest.raises(CannotTranslate, match=told):
        migration.of_volume(make_volume("pv").spec(**source).obj())


@pytest.mark.parametrize(
    ("volume", "handle"),
    [
        pytest.param(make_volume("pv").spec(**EBS), "vol-1", id="ebs"),
        pytest.param(
            make_volume("pv").spec(**DISK),
            "projects/UNSPECIFIED/zones/UNSPECIFIED/disks/disk",
            id="disk somewhere",
        ),
        pytest.param(
            make_volume("pv").spec(**DISK).zone("us-central1-a"),
            "projects/UNSPECIFIED/zones/us-central1-a/disks/disk",
            id="disk in a zone",
        ),
        pytest.param(
            make_volume("pv").spec(**DISK).zone("other").label(BETA_ZONE, "us-central1-b"),
            "projects/UNSPECIFIED/zones/us-central1-b/disks/disk",
            id="the old label first",
        ),
        pytest.param(
            make_volume("pv").spec(**DISK).zone("us-central1-a__us-central1-b"),
            "projects/UNSPECIFIED/regions/us-central1/disks/disk",
            id="disk in a region",
        ),
        pytest.param(
            make_volume("pv").spec(**share(secret_namespace="safe")),
            "#acc#share#pv#safe",
            id="share with a namespace",
        ),
        pytest.param(
            make_volume("pv")
            .spec(**share())
            .kept_for("shop/data")
            .annotation("kubernetes.io/azure-file-resource-group", "rg"),
            "rg#acc#share#pv#shop",
            id="share of a claim",
        ),
        pytest.param(make_volume("pv").spec(**VSPHERE), "[ds] x.vmdk", id="vsphere"),
    ],
)
def test_a_persistent_volume_gets_the_drivers_handle(volume: VolumeBuilder, handle: str) -> None:
    translated = migration.of_volume(volume.obj())

    assert translated.spec.csi is not None
    assert translated.spec.csi.volume_handle == handle
    assert migration.plugin_of(translated.spec) is None


@pytest.mark.parametrize(
    ("volume", "told"),
    [
        pytest.param(
            make_volume("pv").spec(**DISK).zone("here__us-central1-a"),
            "zone in unexpected format.*got: here",
            id="no zone of a region",
        ),
        pytest.param(
            make_volume("pv").spec(**DISK).zone("us-central1-a__us-east1-b"),
            "multiple or no regions.*us-central1, us-east1",
            id="two regions",
        ),
        pytest.param(
            make_volume("pv").spec(**share()), "could not find a secret namespace", id="no claim"
        ),
    ],
)
def test_a_persistent_volume_no_driver_understands_is_told(
    volume: VolumeBuilder, told: str
) -> None:
    with pytest.raises(CannotTranslate, match=told):
        migration.of_volume(volume.obj())


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        pytest.param(make_volume("pv").spec(**EBS), [], id="nothing said"),
        pytest.param(
            make_volume("pv").spec(**EBS).zone("b__a"),
            [[(EBS_ZONE, ("a", "b"))]],
            id="zones of the label",
        ),
        pytest.param(
            make_volume("pv").spec(**EBS).zone("a").reachable_from("arch", "arm"),
            [[("arch", ("arm",)), (EBS_ZONE, ("a",))]],
            id="the label added to each term",
        ),
        pytest.param(
            make_volume("pv").spec(**EBS).zone("a").reachable_from(ZONE, "b"),
            [[(EBS_ZONE, ("b",))]],
            id="affinity before labels",
        ),
        pytest.param(
            make_volume("pv")
            .spec(**EBS)
            .reachable_from(BETA_ZONE, "b")
            .reachable_from(BETA_REGION, "r"),
            [[(EBS_ZONE, ("b",))], [(REGION, ("r",))]],
            id="old keys",
        ),
        pytest.param(
            make_volume("pv").spec(**EBS).label(BETA_ZONE, "a").reachable_from(REGION, "r"),
            [[(REGION, ("r",)), (EBS_ZONE, ("a",))]],
            id="old label",
        ),
        pytest.param(
            make_volume("pv").spec(**VSPHERE).zone("a").label(REGION, "r"),
            [
                [
                    ("topology.csi.vmware.com/zone", ("a",)),
                    ("topology.csi.vmware.com/region", ("r",)),
                ]
            ],
            id="vsphere has a region of its own",
        ),
        pytest.param(
            make_volume("pv")
            .spec(azure_disk=AzureDiskVolumeSource("d"))
            .zone("a")
            .reachable_from(ZONE, "a"),
            [[(ZONE, ("a",))]],
            id="azure keeps its topology",
        ),
    ],
)
def test_zones_stand_under_the_drivers_key(
    volume: VolumeBuilder, expected: list[list[tuple[str, tuple[str, ...]]]]
) -> None:
    assert terms(migration.of_volume(volume.obj())) == expected


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (("ReadWriteMany",), ("ReadWriteOnce",)),
        (("ReadWriteOnce", "ReadOnlyMany"), ("ReadWriteOnce",)),
        (("ReadOnlyMany",), ("ReadOnlyMany",)),
        (("ReadWriteOncePod",), ("ReadWriteOnce",)),
        ((), ()),
    ],
    ids=lambda modes: "+".join(modes) or "none",
)
def test_a_gce_disk_has_the_access_modes_its_driver_knows(
    modes: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    volume = make_volume("pv").spec(**DISK).access_modes(*modes).obj()

    assert migration.of_volume(volume).spec.access_modes == expected


def test_five_of_seven_plugins_count_as_migrated() -> None:
    migrated = {plugin.name for plugin in migration.IN_TREE if plugin.is_migrated}

    assert len(migration.IN_TREE) == 7
    assert {plugin.name for plugin in migration.IN_TREE} - migrated == {
        "kubernetes.io/azure-file",
        "kubernetes.io/vsphere-volume",
    }


def test_plugins_are_found_by_the_name_classes_give_them() -> None:
    found = migration.plugin_named("kubernetes.io/gce-pd")

    assert found is not None
    assert found.driver == "pd.csi.storage.gke.io"
    assert migration.plugin_named("ebs.csi.aws.com") is None
