"""The pods of a ``createPods`` as manifests, and the volumes some of them come with.

Pure: nothing is written. Called by: ``workloads.pods``, ``workloads.execution``.

Source: getPodStrategy and CreatePodWithPersistentVolume of test/integration/scheduler_perf,
Kubernetes 1.37.1; it leaves names to the server, here they are the same in every run.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.workloads.operations import CreatePods
from benchmarks.workloads.templates import template_at
from tests.controlplane.api_client import Manifest

_RESOURCES = {"cpu": "100m", "memory": "500Mi"}
_PAUSE = "registry.k8s.io/pause:3.10.2"


def pod_manifest(operation: CreatePods, index: int, *, serial: int | None = None) -> Manifest:
    """Returns one pod of the operation.

    Args:
        operation: whose.
        index: which one; what templates see.
        serial: for its name, where one index is used for many pods; the index unless given.
    """
    pod = _rendered(operation, index)
    metadata = pod.setdefault("metadata", {})
    base = metadata.pop("generateName", "pod-")
    number = index if serial is None else serial
    metadata.setdefault("name", f"{base}{operation.position}-{number}")
    metadata["namespace"] = operation.target
    if operation.pod_template_path is not None:
        labels = metadata["labels"] = dict(metadata.get("labels") or {})
        labels["signature"] = f"signature-label-{index // operation.signature_batch_size}"
    if operation.persistent_volume_claim_template_path is not None:
        claim = {"claimName": _claim_name(number)}
        pod["spec"]["volumes"] = [{"name": "vol", "persistentVolumeClaim": claim}]
    return pod


@dataclass(frozen=True, slots=True)
class VolumePair:
    """A volume and the claim it is bound to."""

    volume: Manifest
    claim: Manifest


def volume_pair(operation: CreatePods, number: int) -> VolumePair | None:
    """Returns what a pod of the operation mounts; None if it mounts nothing."""
    volume_path = operation.persistent_volume_template_path
    claim_path = operation.persistent_volume_claim_template_path
    if volume_path is None or claim_path is None:
        return None
    namespace, claim_name = operation.target, _claim_name(number)
    volume_name = f"{namespace}-vol-{number}"
    volume = template_at(volume_path).render({"Index": number})
    claim = template_at(claim_path).render({"Index": number})
    volume.setdefault("metadata", {})["name"] = volume_name
    for source, handle in (("csi", "volumeHandle"), ("awsElasticBlockStore", "volumeID")):
        if source in volume["spec"]:
            volume["spec"][source][handle] = volume_name
    volume["spec"]["claimRef"] = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": namespace,
        "name": claim_name,
    }
    claim.setdefault("metadata", {}).update(name=claim_name, namespace=namespace)
    claim["spec"]["volumeName"] = volume_name
    volume["status"] = claim["status"] = {"phase": "Bound"}
    return VolumePair(volume, claim)


def _claim_name(number: int) -> str:
    return f"pvc-{number}"


def _rendered(operation: CreatePods, index: int) -> Manifest:
    if operation.pod_template_path is not None:
        values = {**operation.template_params, "Index": index, "Count": operation.count}
        return template_at(operation.pod_template_path).render(values)
    container = {
        "name": "pause",
        "image": _PAUSE,
        "ports": [{"containerPort": 80}],
        "resources": {"limits": dict(_RESOURCES), "requests": dict(_RESOURCES)},
    }
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}
