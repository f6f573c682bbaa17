"""Claims that are bound, that find a volume, and that get one made where there is room."""

from __future__ import annotations

from random import Random
from typing import Final

from pyscheduler.testing import (
    NodeBuilder,
    make_claim,
    make_csi_driver,
    make_node,
    make_pod,
    make_storage_capacity,
    make_storage_class,
    make_volume,
)
from tests.properties.scenes.scene import Scene

PLUGIN: Final = "VolumeBinding"

_ZONE: Final = "zone"
_DRIVER: Final = "csi.example.com"
_SIZES: Final = ("1Gi", "5Gi", "20Gi")


def scene(rng: Random) -> Scene:
    """Up to six nodes in three zones, and a pod with some of three claims."""
    nodes = [_placed(rng, make_node(f"n{number}")) for number in range(rng.randrange(1, 7))]
    claims = {
        "bound": make_claim("bound").bound_to("pv-bound"),
        "finds": make_claim("finds").request(rng.choice(_SIZES)).storage_class("local"),
        "made": make_claim("made").request(rng.choice(_SIZES)).storage_class("fast"),
    }
    pod = make_pod("p")
    for name in rng.sample(sorted(claims), rng.randrange(1, 4)):
        pod = pod.claim(name)
    volumes = [
        make_volume("pv-bound").bound_to("default/bound").reachable_from(_ZONE, rng.choice("abc"))
    ]
    volumes += [
        make_volume(f"pv-{number}")
        .capacity(rng.choice(_SIZES))
        .storage_class("local")
        .reachable_from(_ZONE, rng.choice("abc"))
        for number in range(rng.randrange(3))
    ]
    fast = make_storage_class("fast").provisioner(_DRIVER).waits()
    if rng.random() < 0.5:
        fast = fast.allowed(_ZONE, *rng.sample("abc", 2))
    return Scene(
        pod=pod.obj(),
        nodes=[node.obj() for node in nodes],
        objects={
            "persistentvolumeclaims.v1": [claim.obj() for claim in claims.values()],
            "persistentvolumes.v1": [volume.obj() for volume in volumes],
            "storageclasses.v1.storage.k8s.io": [
                make_storage_class("local")
                .provisioner("kubernetes.io/no-provisioner")
                .waits()
                .obj(),
                fast.obj(),
            ],
            "csidrivers.v1.storage.k8s.io": [
                make_csi_driver(_DRIVER, storage_capacity=rng.random() < 0.7)
            ],
            "csistoragecapacities.v1.storage.k8s.io": [
                make_storage_capacity(
                    f"in-{zone}", "fast", rng.choice(_SIZES), node_labels={_ZONE: zone}
                )
                for zone in rng.sample("abc", rng.randrange(4))
            ],
        },
    )


def _placed(rng: Random, node: NodeBuilder) -> NodeBuilder:
    return node.label(_ZONE, rng.choice("abc")) if rng.random() < 0.9 else node
