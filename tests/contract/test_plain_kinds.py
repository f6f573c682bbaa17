"""Kinds that plugins may follow: services, workloads, storage, devices, kept as they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api import Api, Json

_DRIVER = "csi.example.com"
_CAPACITY = {"storage": "1Gi"}
_LABELS = {"app": "web"}
_WORKLOAD = {
    "selector": {"matchLabels": _LABELS},
    "template": {
        "metadata": {"labels": _LABELS},
        "spec": {"containers": [{"name": "main", "image": "pause"}]},
    },
}
#: Answer their deletion as most kinds do; the others here answer with what was deleted.
_TOLD_BY_STATUS = frozenset({"CSIStorageCapacity", "DeviceTaintRule", "ReplicaSet", "StatefulSet"})

KINDS = [
    pytest.param(
        "/api/v1/namespaces/{namespace}/services",
        {"spec": {"clusterIP": "None", "selector": _LABELS}},
        id="Service",
    ),
    pytest.param(
        "/apis/apps/v1/namespaces/{namespace}/replicasets", {"spec": _WORKLOAD}, id="ReplicaSet"
    ),
    pytest.param(
        "/apis/apps/v1/namespaces/{namespace}/statefulsets",
        {"spec": {**_WORKLOAD, "serviceName": "web"}},
        id="StatefulSet",
    ),
    pytest.param(
        "/apis/storage.k8s.io/v1/storageclasses", {"provisioner": _DRIVER}, id="StorageClass"
    ),
    pytest.param(
        "/apis/storage.k8s.io/v1/csinodes",
        {"spec": {"drivers": [{"name": _DRIVER, "nodeID": "n1", "topologyKeys": ["zone"]}]}},
        id="CSINode",
    ),
    pytest.param("/apis/storage.k8s.io/v1/csidrivers", {"spec": {}}, id="CSIDriver"),
    pytest.param(
        "/apis/storage.k8s.io/v1/namespaces/{namespace}/csistoragecapacities",
        {"storageClassName": "fast", "capacity": "1Gi"},
        id="CSIStorageCapacity",
    ),
    pytest.param(
        "/apis/storage.k8s.io/v1/volumeattachments",
        {"spec": {"attacher": _DRIVER, "nodeName": "n1", "source": {"persistentVolumeName": "v"}}},
        id="VolumeAttachment",
    ),
    pytest.param(
        "/api/v1/persistentvolumes",
        {
            "spec": {
                "capacity": _CAPACITY,
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/data"},
            }
        },
        id="PersistentVolume",
    ),
    pytest.param(
        "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": _CAPACITY}}},
        id="PersistentVolumeClaim",
    ),
    pytest.param(
        "/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims",
        {
            "spec": {
                "devices": {
                    "requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]
                }
            }
        },
        id="ResourceClaim",
    ),
    pytest.param(
        "/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaimtemplates",
        {
            "spec": {
                "spec": {
                    "devices": {
                        "requests": [
                            {"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}
                        ]
                    }
                }
            }
        },
        id="ResourceClaimTemplate",
    ),
    pytest.param(
        "/apis/resource.k8s.io/v1/resourceslices",
        {
            "spec": {
                "driver": "gpu.example.com",
                "nodeName": "n1",
                "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
            }
        },
        id="ResourceSlice",
    ),
    pytest.param("/apis/resource.k8s.io/v1/deviceclasses", {"spec": {}}, id="DeviceClass"),
    pytest.param(
        "/apis/resource.k8s.io/v1/devicetaintrules",
        {
            "spec": {
                "deviceSelector": {"driver": "gpu.example.com"},
                "taint": {"key": "broken", "effect": "NoSchedule"},
            }
        },
        id="DeviceTaintRule",
    ),
]


def is_within(sent: Any, stored: Any) -> bool:
    """Whether all that was sent is there; the real server fills in defaults besides."""
    if isinstance(sent, dict):
        return all(name in stored and is_within(sent[name], stored[name]) for name in sent)
    if isinstance(sent, list):
        return len(sent) == len(stored) and all(map(is_within, sent, stored))
    return bool(sent == stored)


@pytest.mark.parametrize(("path", "body"), KINDS)
async def test_it_is_created_watched_patched_and_deleted(api: Api, path: str, body: Json) -> None:
    path = path.format(namespace=api.namespace)
    name = f"{api.namespace}-one"
    version = (await api.get(path))["metadata"]["resourceVersion"]
    async with api.watch(path, resourceVersion=version) as watch:
        created = (await api.ok("POST", path, {**body, "metadata": {"name": name}})).body
        labels = {"metadata": {"labels": {"a": "b"}}}
        patched = await api.patch(f"{path}/{name}", labels, "strategic")
        deleted = await api.ok("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})
        events = {"ADDED": 0, "MODIFIED": 0, "DELETED": 0}
        while not events["DELETED"]:
            event = await watch.next()
            if event["object"]["metadata"]["name"] == name:
                events[event["type"]] += 1
            if event["type"] == "MODIFIED" and "deletionTimestamp" in event["object"]["metadata"]:
                # The real server protects volumes in use with a finalizer; nobody here lifts it.
                await api.patch(f"{path}/{name}", {"metadata": {"finalizers": None}}, "merge")

    assert is_within(body, created)
    assert patched.body["metadata"]["labels"]["a"] == "b"
    assert events["ADDED"] == events["DELETED"] == 1
    told = "Status" if created["kind"] in _TOLD_BY_STATUS else created["kind"]
    assert deleted.body["kind"] == told
