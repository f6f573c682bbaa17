"""Where the API serves each kind that worlds are made of."""

from __future__ import annotations

from collections.abc import Mapping

from tests.parity.worlds import Manifest

#: Kind -> (root, plural, whether it has a namespace).
_KINDS: Mapping[str, tuple[str, str, bool]] = {
    "Namespace": ("/api/v1", "namespaces", False),
    "Node": ("/api/v1", "nodes", False),
    "Pod": ("/api/v1", "pods", True),
    "Service": ("/api/v1", "services", True),
    "ReplicationController": ("/api/v1", "replicationcontrollers", True),
    "PersistentVolume": ("/api/v1", "persistentvolumes", False),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims", True),
    "ReplicaSet": ("/apis/apps/v1", "replicasets", True),
    "StatefulSet": ("/apis/apps/v1", "statefulsets", True),
    "PriorityClass": ("/apis/scheduling.k8s.io/v1", "priorityclasses", False),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets", True),
    "RuntimeClass": ("/apis/node.k8s.io/v1", "runtimeclasses", False),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses", False),
    "CSINode": ("/apis/storage.k8s.io/v1", "csinodes", False),
    "CSIDriver": ("/apis/storage.k8s.io/v1", "csidrivers", False),
    "CSIStorageCapacity": ("/apis/storage.k8s.io/v1", "csistoragecapacities", True),
    "VolumeAttachment": ("/apis/storage.k8s.io/v1", "volumeattachments", False),
    "ResourceClaim": ("/apis/resource.k8s.io/v1", "resourceclaims", True),
    "ResourceClaimTemplate": ("/apis/resource.k8s.io/v1", "resourceclaimtemplates", True),
    "ResourceSlice": ("/apis/resource.k8s.io/v1", "resourceslices", False),
    "DeviceClass": ("/apis/resource.k8s.io/v1", "deviceclasses", False),
}

#: Kinds whose status a POST does not keep, so that it is written on its own.
_STATUS_ON_ITS_OWN = frozenset(
    {
        "Pod",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "VolumeAttachment",
        "ResourceClaim",
    }
)


def collection_path(manifest: Manifest) -> str:
    """The path that a POST of the object goes to."""
    root, plural, is_namespaced = _KINDS[manifest["kind"]]
    if not is_namespaced:
        return f"{root}/{plural}"
    return f"{root}/namespaces/{manifest['metadata']['namespace']}/{plural}"


def object_path(manifest: Manifest) -> str:
    """The object's own path."""
    return f"{collection_path(manifest)}/{manifest['metadata']['name']}"


def status_of(manifest: Manifest) -> Manifest | None:
    """The merge patch that gives the object its status, if a POST does not."""
    if manifest["kind"] in _STATUS_ON_ITS_OWN and manifest.get("status"):
        return {"status": manifest["status"]}
    return None
