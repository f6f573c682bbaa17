"""Bound claims whose volumes are in zones, by the labels of today and of yesterday."""

from __future__ import annotations

from random import Random
from typing import Final

from pyscheduler.testing import NodeBuilder, make_claim, make_node, make_pod, make_volume
from tests.properties.scenes.scene import Scene

PLUGIN: Final = "VolumeZone"

_KEYS: Final = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
_CLAIMS: Final = ("one", "two")


def scene(rng: Random) -> Scene:
    """Up to six nodes and two volumes in some of two zones."""
    nodes = [_placed(rng, make_node(f"n{number}")) for number in range(rng.randrange(1, 7))]
    volumes = []
    for name in _CLAIMS:
        volume = make_volume(f"pv-{name}").bound_to(f"default/{name}")
        for key in rng.sample(_KEYS, rng.randrange(3)):
            volume = volume.label(key, rng.choice(["a", "b", "a__b", ""]))
        volumes.append(volume.obj())
    pod = make_pod("p")
    for name in rng.sample(_CLAIMS, rng.randrange(1, 3)):
        pod = pod.claim(name)
    return Scene(
        pod=pod.obj(),
        nodes=[node.obj() for node in nodes],
        objects={
            "persistentvolumeclaims.v1": [
                make_claim(name).bound_to(f"pv-{name}").obj() for name in _CLAIMS
            ],
            "persistentvolumes.v1": volumes,
        },
    )


def _placed(rng: Random, node: NodeBuilder) -> NodeBuilder:
    for key in rng.sample(_KEYS, rng.randrange(3)):
        node = node.label(key, rng.choice("ab"))
    return node
