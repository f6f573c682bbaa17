"""Claims, volumes and what drivers say, as a manifest has them."""

from __future__ import annotations

from pyscheduler.sim.json_objects import JsonObject

EBS = "ebs.csi.aws.com"


def inline(volume_id: str, name: str = "disk") -> JsonObject:
    """A volume of a pod that is an EBS volume by now."""
    return {"name": name, "awsElasticBlockStore": {"volumeID": volume_id}}


def of_claim(claim: str) -> JsonObject:
    """A volume of a pod that is a claim."""
    return {"name": claim, "persistentVolumeClaim": {"claimName": claim}}


def bound_claim(name: str, volume: str) -> JsonObject:
    """A claim, as the controller leaves it."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "",
            "volumeName": volume,
        },
    }


def csi_volume(name: str, claim: str, *, zone: str = "", driver: str = EBS) -> JsonObject:
    """A driver's volume, bound to a claim."""
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": "default", "name": claim},
            "csi": {"driver": driver, "volumeHandle": f"vol-{name}"},
        },
    }


def csi_node(name: str, limit: int, driver: str = EBS) -> JsonObject:
    """What a driver says of a node."""
    running = {
        "name": driver,
        "nodeID": name,
        "topologyKeys": None,
        "allocatable": {"count": limit},
    }
    return _of_storage("CSINode", name, {"drivers": [running]})


def csi_driver(name: str, *, prevents_pods: bool) -> JsonObject:
    """A driver, and whether pods must not go where it does not run."""
    return _of_storage("CSIDriver", name, {"preventPodSchedulingIfMissing": prevents_pods})


def attachment(name: str, node: str, volume: str, driver: str = EBS) -> JsonObject:
    """The wish that a volume be attached to a node."""
    spec = {"attacher": driver, "nodeName": node, "source": {"persistentVolumeName": volume}}
    return _of_storage("VolumeAttachment", name, spec)


def _of_storage(kind: str, name: str, spec: JsonObject) -> JsonObject:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def late_class(name: str, provisioner: str = "kubernetes.io/no-provisioner") -> JsonObject:
    """A class whose claims are bound where their first pod goes."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def pending_claim(name: str, storage_class: str = "late") -> JsonObject:
    """A claim that nobody has bound."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": storage_class,
        },
    }


def free_volume(name: str, node: str, storage_class: str = "late") -> JsonObject:
    """A volume of one node that is nobody's yet, and not yet said to be available."""
    reachable = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "csi": {"driver": "csi.example.com", "volumeHandle": f"vol-{name}"},
            "nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [reachable]}]}
            },
        },
    }


def reachable_from(volume: JsonObject, key: str, *values: str) -> JsonObject:
    """The volume, from nodes with such a label alone."""
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    return {**volume, "spec": {**volume["spec"], "nodeAffinity": affinity}}


def as_bound(volume: str) -> JsonObject:
    """A patch of a claim: the controller has bound it."""
    annotations = {"pv.kubernetes.io/bind-completed": "yes"}
    return {"metadata": {"annotations": annotations}, "spec": {"volumeName": volume}}


def migrated_on(node: str) -> JsonObject:
    """A node whose EBS volumes belong to the CSI driver."""
    body = _of_storage("CSINode", node, {"drivers": []})
    body["metadata"]["annotations"] = {
        "storage.alpha.kubernetes.io/migrated-plugins": "kubernetes.io/aws-ebs"
    }
    return body


def storage_capacity(name: str, room: str, storage_class: str = "late") -> JsonObject:
    """So much room for a class on every node."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIStorageCapacity",
        "metadata": {"name": name, "namespace": "default"},
        "storageClassName": storage_class,
        "nodeTopology": {},
        "capacity": room,
    }
