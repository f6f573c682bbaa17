"""Themes of volumes: who may share one, how many a node takes, where they can be, and new ones.

Claims that a verdict changes (unbound ones of a class that waits for the pod) belong to one pod and
come and go with it. No volume controller is at work: a pod whose volumes are being bound has got
its node when that is announced.
"""

from __future__ import annotations

from typing import Any

from tests.parity.themes.base import HOSTNAME, REGION, ZONE, ZONES, Draft, Rng, Theme
from tests.parity.worlds import Manifest

DRIVER = "csi.example.com"
_EBS = "ebs.csi.aws.com"
_CLASSES = ("now", "later", "later", "local", "zonal", "absent")


def storage_class(name: str) -> Manifest:
    """One of the classes that worlds with volumes have."""
    made: Manifest = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner" if name == "local" else DRIVER,
        "volumeBindingMode": "Immediate" if name == "now" else "WaitForFirstConsumer",
    }
    if name == "zonal":
        made["allowedTopologies"] = [
            {"matchLabelExpressions": [{"key": ZONE, "values": ["za", "zb"]}]}
        ]
    return made


def claim(
    name: str, *, storage: str, size: str, modes: list[str], volume: str = ""
) -> dict[str, Any]:
    """A claim of namespace alpha; bound, if it has a volume."""
    made: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "alpha"},
        "spec": {
            "accessModes": modes,
            "storageClassName": storage,
            "resources": {"requests": {"storage": size}},
        },
        "status": {"phase": "Bound" if volume else "Pending"},
    }
    if volume:
        made["spec"]["volumeName"] = volume
        made["metadata"]["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    return made


def volume(
    rng: Rng, draft: Draft, name: str, *, storage: str, size: str, modes: list[str]
) -> dict[str, Any]:
    """A volume somewhere: on a host, in a zone, or anywhere; by affinity, labels or both."""
    made: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {}},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": modes,
            "storageClassName": storage,
            "persistentVolumeReclaimPolicy": "Retain",
            **rng.choice(
                (
                    {"csi": {"driver": DRIVER, "volumeHandle": name}},
                    {"csi": {"driver": DRIVER, "volumeHandle": name}},
                    {"awsElasticBlockStore": {"volumeID": f"vol-{rng.randrange(1 << 32):08x}"}},
                    {"hostPath": {"path": "/data"}},
                )
            ),
        },
        "status": {"phase": "Available"},
    }
    where = rng.random()
    if where < 0.35:
        made["spec"]["nodeAffinity"] = _only(ZONE, rng.sample(ZONES, k=rng.choice((1, 2))))
    elif where < 0.55:
        made["spec"]["nodeAffinity"] = _only(
            HOSTNAME, rng.sample(draft.node_names, k=min(2, len(draft.node_names)))
        )
    elif where < 0.8:
        labels = made["metadata"]["labels"]
        labels[ZONE] = rng.choice((*ZONES, "za__zb"))
        if rng.random() < 0.3:
            labels[REGION] = rng.choice(("ra", "rb"))
    return made


def _only(key: str, values: list[str]) -> Manifest:
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": values}]}
    return {"required": {"nodeSelectorTerms": [term]}}


def use(pod: Manifest, claim_name: str, *, read_only: bool = False) -> None:
    """The pod uses the claim."""
    pod["spec"].setdefault("volumes", []).append(
        {
            "name": f"v{len(pod['spec'].get('volumes', ()))}",
            "persistentVolumeClaim": {"claimName": claim_name, "readOnly": read_only},
        }
    )


class _Volumes(Theme):
    """What the themes share: classes, drivers, bound claims, and residents that use them."""

    modes: tuple[str, ...] = ("ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod")

    def node(self, draft: Draft, node: Manifest) -> None:
        if draft.rng.random() < 0.7:
            node["metadata"]["labels"][REGION] = draft.rng.choice(("ra", "rb"))

    def resident(self, draft: Draft, pod: Manifest) -> None:
        pod["metadata"]["namespace"] = "alpha"

    def furnish(self, draft: Draft) -> None:
        rng = draft.rng
        for name in ("now", "later", "local", "zonal"):
            draft.add_other(storage_class(name))
        bound = [f"{draft.name}-b{number}" for number in range(6)]
        if not draft.add_other(
            claim(bound[0], storage="later", size="1Gi", modes=["ReadWriteOnce"], volume=bound[0])
        ):
            return  # another of these themes has been here
        for name in bound:
            modes = [rng.choice(self.modes)]
            kind = rng.choice(("now", "later"))
            draft.add_other(
                claim(name, storage=kind, size="1Gi", modes=modes, volume=name), replace=True
            )
            if rng.random() < 0.92:  # else the claim has lost its volume
                made = volume(rng, draft, name, storage=kind, size="1Gi", modes=modes)
                made["spec"]["claimRef"] = {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": "alpha",
                    "name": name,
                    "uid": f"$uid(PersistentVolumeClaim/alpha/{name})",
                }
                made["status"] = {"phase": "Bound"}
                draft.add_other(made)
        for pod in draft.residents:
            if rng.random() < 0.5:
                use(pod, rng.choice(bound))

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        pod["metadata"]["namespace"] = "alpha"
        for number in rng.sample(range(6), k=rng.choice((1, 1, 2))):
            use(pod, f"{draft.name}-b{number}", read_only=rng.random() < 0.2)


class VolumeRestrictions(_Volumes):
    """Disks that cannot be shared, and claims for one pod alone."""

    name = "VolumeRestrictions"
    weight = 1.5
    modes = ("ReadWriteOncePod", "ReadWriteOncePod", "ReadWriteOnce")

    def resident(self, draft: Draft, pod: Manifest) -> None:
        super().resident(draft, pod)
        if draft.rng.random() < 0.7:
            self._disk(draft.rng, pod)

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        if draft.rng.random() < 0.35:
            super().incoming(draft, pod)
        else:
            self._disk(draft.rng, pod)
        if draft.rng.random() < 0.15:
            pod["spec"]["priorityClassName"] = draft.rng.choice(("middle", "high"))

    @staticmethod
    def _disk(rng: Rng, pod: Manifest) -> None:
        read_only = rng.random() < 0.4
        which = rng.choice(("x", "y"))
        monitors = rng.sample(("m1", "m2", "m3"), k=2)
        disk = rng.choice(
            (
                {"gcePersistentDisk": {"pdName": which, "readOnly": read_only}},
                {"awsElasticBlockStore": {"volumeID": which, "readOnly": read_only}},
                {
                    "iscsi": {
                        "targetPortal": "10.0.0.9:3260",
                        "iqn": f"iqn.2026-01.com.example:{which}",
                        "lun": rng.choice((0, 1)),
                        "readOnly": read_only,
                    }
                },
                {
                    "rbd": {
                        "monitors": monitors,
                        "image": which,
                        "pool": rng.choice(("rbd", "pool")),
                        "readOnly": read_only,
                    }
                },
            )
        )
        volumes = pod["spec"].setdefault("volumes", [])
        volumes.append({"name": f"v{len(volumes)}", **disk})


class NodeVolumeLimits(_Volumes):
    """Nodes that take few volumes of a driver."""

    name = "NodeVolumeLimits"
    weight = 2.0
    modes = ("ReadWriteMany",)

    def furnish(self, draft: Draft) -> None:
        super().furnish(draft)
        rng = draft.rng
        if rng.random() < 0.5:
            draft.add_other(
                {
                    "apiVersion": "storage.k8s.io/v1",
                    "kind": "CSIDriver",
                    "metadata": {"name": DRIVER},
                    "spec": {"attachRequired": True, "storageCapacity": rng.random() < 0.3},
                }
            )
        for name in draft.node_names:
            if rng.random() < 0.85:
                drivers = [
                    {
                        "name": driver,
                        "nodeID": name,
                        "topologyKeys": [ZONE],
                        **(
                            {"allocatable": {"count": rng.choice((0, 1, 1, 2, 3))}}
                            if rng.random() < 0.85
                            else {}
                        ),
                    }
                    for driver in (DRIVER, _EBS)
                    if rng.random() < 0.8
                ]
                draft.add_other(
                    {
                        "apiVersion": "storage.k8s.io/v1",
                        "kind": "CSINode",
                        "metadata": {
                            "name": name,
                            "annotations": {
                                "storage.alpha.kubernetes.io/migrated-plugins": (
                                    "kubernetes.io/aws-ebs"
                                )
                            },
                        },
                        "spec": {"drivers": drivers},
                    }
                )
            if rng.random() < 0.4:
                attached = f"{draft.name}-b{rng.randrange(6)}"
                draft.add_other(
                    {
                        "apiVersion": "storage.k8s.io/v1",
                        "kind": "VolumeAttachment",
                        "metadata": {"name": f"{name}-attached"},
                        "spec": {
                            "attacher": DRIVER,
                            "nodeName": name,
                            "source": {"persistentVolumeName": attached},
                        },
                    }
                )

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        super().incoming(draft, pod)
        if draft.rng.random() < 0.3:
            use(pod, f"{draft.name}-b{draft.rng.randrange(6)}")


class VolumeZone(_Volumes):
    """Bound volumes in zones and regions."""

    name = "VolumeZone"
    weight = 1.5
    modes = ("ReadWriteMany",)


class VolumeBinding(_Volumes):
    """Claims that are missing, lost, being deleted, unbound; volumes to choose from or to make."""

    name = "VolumeBinding"
    weight = 2.0

    def furnish(self, draft: Draft) -> None:
        super().furnish(draft)
        rng = draft.rng
        lost = claim("lost", storage="now", size="1Gi", modes=["ReadWriteOnce"], volume="gone")
        lost["status"]["phase"] = "Lost"
        draft.add_other(lost)
        draft.add_other(claim("unbound", storage="now", size="1Gi", modes=["ReadWriteOnce"]))
        if rng.random() < 0.6:
            draft.add_other(
                {
                    "apiVersion": "storage.k8s.io/v1",
                    "kind": "CSIDriver",
                    "metadata": {"name": DRIVER},
                    "spec": {"attachRequired": True, "storageCapacity": True},
                }
            )
            for zone in ZONES:
                if rng.random() < 0.7:
                    draft.add_other(
                        {
                            "apiVersion": "storage.k8s.io/v1",
                            "kind": "CSIStorageCapacity",
                            "metadata": {"name": f"capacity-{zone}", "namespace": "alpha"},
                            "storageClassName": rng.choice(("later", "zonal")),
                            "capacity": rng.choice(("3Gi", "10Gi", "100Gi")),
                            "nodeTopology": {"matchLabels": {ZONE: zone}},
                            **(
                                {"maximumVolumeSize": rng.choice(("1Gi", "4Gi"))}
                                if rng.random() < 0.3
                                else {}
                            ),
                        }
                    )

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        rng = draft.rng
        kind = rng.random()
        if kind < 0.25:
            super().incoming(draft, pod)
            return
        pod["metadata"]["namespace"] = "alpha"
        if kind < 0.4:
            use(pod, rng.choice(("lost", "unbound", "no-such-claim")))
            return
        if kind < 0.55:
            self._ephemeral(draft, pod)
            return
        name = pod["metadata"]["name"]
        own = draft.companions.setdefault(name, [])
        for number in range(rng.choice((1, 1, 2))):
            storage = rng.choice(_CLASSES)
            made = claim(
                f"{name}-c{number}",
                storage=storage,
                size=rng.choice(("1Gi", "2Gi", "5Gi", "20Gi")),
                modes=[rng.choice(("ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"))],
            )
            if rng.random() < 0.1:
                made["metadata"]["annotations"] = {
                    "volume.kubernetes.io/selected-node": rng.choice(draft.node_names)
                }
            own.append(made)
            use(pod, f"{name}-c{number}")
            for candidate in range(rng.choice((0, 1, 2, 3))):
                own.append(
                    volume(
                        rng,
                        draft,
                        f"{draft.name}-{name}-v{number}{candidate}",
                        storage=storage,
                        size=rng.choice(("1Gi", "3Gi", "5Gi", "50Gi")),
                        modes=["ReadWriteOnce", "ReadWriteMany"]
                        if rng.random() < 0.8
                        else ["ReadWriteOncePod"],
                    )
                )

    @staticmethod
    def _ephemeral(draft: Draft, pod: Manifest) -> None:
        """A volume of the pod's own, whose claim a controller makes: has made, or not yet."""
        rng, name = draft.rng, pod["metadata"]["name"]
        volumes = pod["spec"].setdefault("volumes", [])
        own = f"own{len(volumes)}"
        made = claim(
            f"{name}-{own}",
            storage=rng.choice(("later", "later", "zonal", "now")),
            size=rng.choice(("1Gi", "5Gi")),
            modes=["ReadWriteOnce"],
        )
        template = {"spec": made["spec"]}
        volumes.append({"name": own, "ephemeral": {"volumeClaimTemplate": template}})
        whose = rng.random()
        if whose < 0.7:
            made["metadata"]["ownerReferences"] = [
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": name,
                    "uid": f"$uid(Pod/alpha/{name})",
                    "controller": True,
                }
            ]
        if whose < 0.85:  # else the claim is not there yet
            draft.companions.setdefault(name, []).append(made)


VOLUME_THEMES = (VolumeRestrictions(), NodeVolumeLimits(), VolumeZone(), VolumeBinding())
