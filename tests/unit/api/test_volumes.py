"""Volumes, claims and storage objects, as the API writes them and as the structs have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyscheduler.api.codec import BUILT_IN, decoder, encode
from pyscheduler.api.core_v1 import Pod, Volume
from pyscheduler.api.interner import Interner
from pyscheduler.api.storage_v1 import (
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    StorageClass,
    VolumeAttachment,
)
from pyscheduler.api.volumes_v1 import CLASS_ANNOTATION, PersistentVolume, PersistentVolumeClaim
from pyscheduler.app.resource_events import RESOURCES
from pyscheduler.framework import EventResource
from pyscheduler.testing import make_claim, make_csi_node, make_volume

VOLUME_RESOURCES = (
    EventResource.PERSISTENT_VOLUME,
    EventResource.PERSISTENT_VOLUME_CLAIM,
    EventResource.CSI_NODE,
    EventResource.CSI_DRIVER,
    EventResource.VOLUME_ATTACHMENT,
    EventResource.CSI_STORAGE_CAPACITY,
    EventResource.STORAGE_CLASS,
)


def decoded(name: str, written: dict[str, Any]) -> Any:
    return decoder(BUILT_IN[name], Interner()).object(json.dumps(written).encode())


def test_every_storage_resource_that_raises_events_has_a_struct() -> None:
    structs = [BUILT_IN[RESOURCES[resource]].struct for resource in VOLUME_RESOURCES]

    assert structs == [
        PersistentVolume,
        PersistentVolumeClaim,
        CSINode,
        CSIDriver,
        VolumeAttachment,
        CSIStorageCapacity,
        StorageClass,
    ]


def test_a_claim_keeps_what_scheduling_asks_for() -> None:
    claim: PersistentVolumeClaim = decoded(
        "persistentvolumeclaims.v1",
        {
            "metadata": {
                "name": "data",
                "namespace": "shop",
                "uid": "u",
                "annotations": {"a": "b"},
            },
            "spec": {
                "accessModes": ["ReadWriteOncePod"],
                "resources": {"requests": {"storage": "10Gi"}},
                "storageClassName": "fast",
                "volumeMode": "Block",
                "volumeName": "pv-1",
                "volumeAttributesClassName": "gold",
                "selector": {"matchLabels": {"tier": "db"}},
                "dataSource": {"kind": "VolumeSnapshot", "name": "s"},
            },
            "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}},
        },
    )

    assert (claim.key, claim.uid, claim.class_name, claim.status.phase) == (
        "shop/data",
        "u",
        "fast",
        "Bound",
    )
    assert claim.spec.access_modes == ("ReadWriteOncePod",)
    assert claim.spec.resources.requests == {"storage": "10Gi"}
    assert (claim.spec.volume_mode, claim.spec.volume_name) == ("Block", "pv-1")
    assert claim.spec.volume_attributes_class_name == "gold"
    assert claim.spec.selector is not None
    assert claim.spec.selector.match_labels == {"tier": "db"}


def test_a_volume_keeps_what_scheduling_asks_for() -> None:
    volume: PersistentVolume = decoded(
        "persistentvolumes.v1",
        {
            "metadata": {"name": "pv-1", "labels": {"topology.kubernetes.io/zone": "a"}},
            "spec": {
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce"],
                "claimRef": {"namespace": "shop", "name": "data", "uid": "u"},
                "storageClassName": "fast",
                "volumeMode": "Filesystem",
                "csi": {"driver": "d", "volumeHandle": "h", "volumeAttributes": {"k": "v"}},
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "z", "operator": "In", "values": ["a"]}]}
                        ]
                    }
                },
                "persistentVolumeReclaimPolicy": "Delete",
            },
            "status": {"phase": "Bound"},
        },
    )

    assert volume.spec.claim_ref is not None
    assert (volume.spec.claim_ref.namespace, volume.spec.claim_ref.uid) == ("shop", "u")
    assert volume.spec.csi is not None
    assert (volume.spec.csi.driver, volume.spec.csi.volume_handle) == ("d", "h")
    assert volume.spec.node_affinity is not None
    assert volume.spec.node_affinity.required is not None
    [term] = volume.spec.node_affinity.required.node_selector_terms
    assert term.match_expressions[0].values == ("a",)
    assert volume.spec.capacity == {"storage": "10Gi"}


@pytest.mark.parametrize(
    ("written", "field", "name"),
    [
        ({"awsElasticBlockStore": {"volumeID": "v"}}, "aws_elastic_block_store", "volume_id"),
        ({"gcePersistentDisk": {"pdName": "v"}}, "gce_persistent_disk", "pd_name"),
        ({"cinder": {"volumeID": "v"}}, "cinder", "volume_id"),
        ({"azureDisk": {"diskURI": "v", "diskName": "d"}}, "azure_disk", "disk_uri"),
        ({"azureFile": {"shareName": "v", "secretName": "s"}}, "azure_file", "share_name"),
        ({"vsphereVolume": {"volumePath": "v"}}, "vsphere_volume", "volume_path"),
        ({"portworxVolume": {"volumeID": "v"}}, "portworx_volume", "volume_id"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_in_tree_sources_of_volumes_and_of_pods_are_kept(
    written: dict[str, Any], field: str, name: str
) -> None:
    volume: PersistentVolume = decoded(
        "persistentvolumes.v1", {"metadata": {"name": "pv"}, "spec": written}
    )
    pod: Pod = decoded(
        "pods.v1", {"metadata": {"name": "p"}, "spec": {"volumes": [{"name": "x", **written}]}}
    )

    assert getattr(getattr(volume.spec, field), name) == "v"
    assert getattr(getattr(pod.spec.volumes[0], field), name) == "v"


def test_a_volume_that_decides_nothing_is_dropped_from_pods() -> None:
    assert Volume("empty").decides_nothing


@pytest.mark.parametrize(
    ("field", "annotation", "expected"),
    [
        ("fast", None, "fast"),
        ("", None, ""),
        (None, None, ""),
        ("fast", "old", "old"),
        ("fast", "", ""),
    ],
    ids=["field", "no class wanted", "unset", "annotation first", "empty annotation first"],
)
def test_the_class_of_a_claim_is_the_annotation_or_else_the_field(
    field: str | None, annotation: str | None, expected: str
) -> None:
    claim = make_claim("data").storage_class(field)
    if annotation is not None:
        claim = claim.annotation(CLASS_ANNOTATION, annotation)

    assert claim.obj().class_name == expected


@pytest.mark.parametrize(
    ("annotation", "expected"), [(None, "fast"), ("old", "old")], ids=["field", "annotation first"]
)
def test_the_class_of_a_volume_is_the_annotation_or_else_the_field(
    annotation: str | None, expected: str
) -> None:
    volume = make_volume("pv").storage_class("fast")
    if annotation is not None:
        volume = volume.annotation(CLASS_ANNOTATION, annotation)

    assert volume.obj().class_name == expected


def test_a_csi_node_without_drivers_is_written_as_null() -> None:
    node: CSINode = decoded(
        "csinodes.v1.storage.k8s.io", {"metadata": {"name": "n"}, "spec": {"drivers": None}}
    )

    assert node.spec.drivers == ()


def test_a_csi_node_says_how_many_volumes_a_driver_can_attach() -> None:
    node: CSINode = decoded(
        "csinodes.v1.storage.k8s.io",
        {
            "metadata": {"name": "n"},
            "spec": {
                "drivers": [
                    {
                        "name": "a",
                        "nodeID": "i",
                        "topologyKeys": ["z"],
                        "allocatable": {"count": 3},
                    },
                    {"name": "b", "nodeID": "i", "topologyKeys": None, "allocatable": {}},
                    {"name": "c", "nodeID": "i", "topologyKeys": []},
                ]
            },
        },
    )

    assert [(driver.name, driver.limit) for driver in node.spec.drivers] == [
        ("a", 3),
        ("b", None),
        ("c", None),
    ]


def test_a_storage_class_says_where_and_when_volumes_are_made() -> None:
    found: StorageClass = decoded(
        "storageclasses.v1.storage.k8s.io",
        {
            "metadata": {"name": "fast"},
            "provisioner": "d",
            "parameters": {"type": "ssd"},
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowedTopologies": [{"matchLabelExpressions": [{"key": "z", "values": ["a", "b"]}]}],
            "reclaimPolicy": "Delete",
        },
    )

    [term] = found.allowed_topologies
    assert (found.name, found.provisioner, found.parameters) == ("fast", "d", {"type": "ssd"})
    assert found.volume_binding_mode == "WaitForFirstConsumer"
    assert term.match_label_expressions[0].values == ("a", "b")


def test_drivers_capacities_and_attachments_keep_what_scheduling_asks_for() -> None:
    driver: CSIDriver = decoded(
        "csidrivers.v1.storage.k8s.io",
        {
            "metadata": {"name": "d"},
            "spec": {"storageCapacity": True, "preventPodSchedulingIfMissing": False},
        },
    )
    capacity: CSIStorageCapacity = decoded(
        "csistoragecapacities.v1.storage.k8s.io",
        {
            "metadata": {"name": "c", "namespace": "kube-system"},
            "nodeTopology": {"matchLabels": {"z": "a"}},
            "storageClassName": "fast",
            "capacity": "10Gi",
            "maximumVolumeSize": "5Gi",
        },
    )
    attachment: VolumeAttachment = decoded(
        "volumeattachments.v1.storage.k8s.io",
        {
            "metadata": {"name": "a"},
            "spec": {
                "attacher": "d",
                "nodeName": "n",
                "source": {"persistentVolumeName": "pv-1"},
            },
            "status": {"attached": True},
        },
    )

    assert (driver.spec.storage_capacity, driver.spec.prevent_pod_scheduling_if_missing) == (
        True,
        False,
    )
    assert capacity.node_topology is not None
    assert (capacity.key, capacity.capacity, capacity.maximum_volume_size) == (
        "kube-system/c",
        "10Gi",
        "5Gi",
    )
    assert (attachment.spec.attacher, attachment.spec.node_name) == ("d", "n")
    assert attachment.spec.source.persistent_volume_name == "pv-1"


@pytest.mark.parametrize(
    ("name", "built"),
    [
        ("persistentvolumes.v1", make_volume("pv").csi("d", "h").bound_to("shop/data").obj()),
        ("persistentvolumeclaims.v1", make_claim("data").bound_to("pv").obj()),
        ("csinodes.v1.storage.k8s.io", make_csi_node("n").driver("d", limit=2).obj()),
    ],
    ids=["volume", "claim", "csi node"],
)
def test_what_builders_give_is_what_the_api_would_write(name: str, built: object) -> None:
    again = decoder(BUILT_IN[name], Interner()).object(encode(BUILT_IN[name], built))

    assert again == built
