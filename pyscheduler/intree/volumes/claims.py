"""Which claims a pod's volumes are, and what is said about claims that cannot be used.

A volume of a pod becomes a claim in two ways: it names one, or it is a generic ephemeral volume,
whose claim is made for the pod, named ``<pod>-<volume>``, and must be controlled by it: a claim of
that name that somebody else made is not the pod's.

Not every plugin asks about both (`named_claims`, `claims`), and each follows upstream there.

Called by: the volume plugins. Source: kube-scheduler 1.37,
``component-helpers/storage/ephemeral/ephemeral.go``, ``apimachinery/pkg/api/errors``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.volumes_v1 import PersistentVolumeClaim

CLAIMS: Final = "persistentvolumeclaims.v1"
VOLUMES: Final = "persistentvolumes.v1"
STORAGE_CLASSES: Final = "storageclasses.v1.storage.k8s.io"
CSI_NODES: Final = "csinodes.v1.storage.k8s.io"
CSI_DRIVERS: Final = "csidrivers.v1.storage.k8s.io"
CSI_STORAGE_CAPACITIES: Final = "csistoragecapacities.v1.storage.k8s.io"
VOLUME_ATTACHMENTS: Final = "volumeattachments.v1.storage.k8s.io"

#: What the API calls one object of a resource where it is not found.
_SINGULAR: Final = {
    CLAIMS: "persistentvolumeclaim",
    VOLUMES: "persistentvolume",
    STORAGE_CLASSES: "storageclass.storage.k8s.io",
}

NO_NAME: Final = "PersistentVolumeClaim had no name"


@dataclass(frozen=True, slots=True)
class ClaimOfPod:
    """A claim that a pod's volume is."""

    namespace: str
    #: "" where the volume names none
    name: str
    #: made for the pod, which must control it
    is_ephemeral: bool = False

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


def claims(pod: Pod) -> Iterator[ClaimOfPod]:
    """The claims of the pod's volumes, in their order; ephemeral ones included."""
    namespace = pod.metadata.namespace
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            yield ClaimOfPod(namespace, volume.persistent_volume_claim.claim_name)
        elif volume.ephemeral is not None:
            yield ClaimOfPod(namespace, f"{pod.metadata.name}-{volume.name}", is_ephemeral=True)


def named_claims(pod: Pod) -> list[str]:
    """The names of the claims that the pod names itself."""
    return [
        volume.persistent_volume_claim.claim_name
        for volume in pod.spec.volumes
        if volume.persistent_volume_claim is not None
    ]


def has_claims(pod: Pod) -> bool:
    """True when a volume is a claim."""
    return any(
        volume.persistent_volume_claim is not None or volume.ephemeral is not None
        for volume in pod.spec.volumes
    )


def uses_claim(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """True when a volume of the pod is ``claim``, by its name."""
    return claim.namespace == pod.metadata.namespace and any(
        used.name == claim.name for used in claims(pod)
    )


def names_claim(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """True when the pod names ``claim`` itself."""
    return claim.namespace == pod.metadata.namespace and claim.name in named_claims(pod)


def is_controlled_by(claim: PersistentVolumeClaim, *, namespace: str, pod_uid: str) -> bool:
    """True when the claim was made for that pod."""
    return claim.namespace == namespace and any(
        owner.controller and owner.uid == pod_uid for owner in claim.metadata.owner_references
    )


def not_for_pod(claim: PersistentVolumeClaim, pod: Pod) -> str:
    """What is said of an ephemeral volume's claim that was not made for the pod; else ""."""
    if is_controlled_by(claim, namespace=pod.namespace, pod_uid=pod.uid):
        return ""
    return f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)"


def not_found(resource: str, name: str) -> str:
    """What the API says of an object that is not there."""
    return f'{_SINGULAR[resource]} "{name}" not found'
