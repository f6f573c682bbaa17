"""Disks that pods name themselves, and claims for one pod."""

from __future__ import annotations

from random import Random
from typing import Final

from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    GCEPersistentDiskVolumeSource,
    ISCSIVolumeSource,
    RBDVolumeSource,
    Volume,
)
from pyscheduler.testing import PodBuilder, make_claim, make_node, make_pod
from tests.properties.scenes.scene import Scene

PLUGIN: Final = "VolumeRestrictions"


def scene(rng: Random) -> Scene:
    """Up to five nodes, on which pods have some of few disks."""
    nodes = [make_node(f"n{number}").obj() for number in range(rng.randrange(1, 6))]
    pods = [
        _with_disks(rng, make_pod(f"{node.name}-{number}").node(node.name)).obj()
        for node in nodes
        for number in range(rng.randrange(3))
    ]
    claims = [make_claim(name).access_modes("ReadWriteOncePod").obj() for name in "ab"]
    return Scene(
        pod=_with_disks(rng, make_pod("p")).obj(),
        nodes=nodes,
        pods=pods,
        objects={"persistentvolumeclaims.v1": claims},
    )


def _with_disks(rng: Random, pod: PodBuilder) -> PodBuilder:
    for number in range(rng.randrange(3)):
        pod = pod.volume(_disk(rng, f"disk-{number}"))
    return pod.claim(rng.choice("abc")) if rng.random() < 0.3 else pod


def _disk(rng: Random, name: str) -> Volume:
    which, read_only = rng.choice("xy"), rng.random() < 0.5
    return rng.choice(
        [
            Volume(
                name, gce_persistent_disk=GCEPersistentDiskVolumeSource(which, read_only=read_only)
            ),
            Volume(
                name,
                aws_elastic_block_store=AWSElasticBlockStoreVolumeSource(
                    which, read_only=read_only
                ),
            ),
            Volume(name, iscsi=ISCSIVolumeSource("portal", which, read_only=read_only)),
            Volume(name, rbd=RBDVolumeSource(("m1", which), "image", read_only=read_only)),
        ]
    )
