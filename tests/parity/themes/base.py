"""How a world is drawn: plain nodes and pods, which themes then make interesting.

A `Theme` changes manifests in place and draws only from the generator it is given. A world has a
few themes; all of them see all nodes and residents, and each incoming pod is given to one or two.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.parity.worlds import Event, Incoming, Manifest, World, reference_of

ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
HOSTNAME = "kubernetes.io/hostname"

ZONES = ("za", "zb", "zc")
APPS = ("web", "db", "cache")
VERSIONS = ("v1", "v2")

#: What one container may ask for: usual, odd in notation, and nothing at all.
CPUS = ("100m", "250m", "500m", "1", "1.5", "0.333", "2", "1m", "750m", "0")
MEMORIES = ("128Mi", "256Mi", "512Mi", "1Gi", "1500M", "123456789", "2Gi", "1e9", "0", "64Ki")

Rng = random.Random


@dataclass(slots=True)
class Draft:
    """A world in the making."""

    name: str
    rng: Rng
    nodes: list[Manifest] = field(default_factory=list)
    residents: list[Manifest] = field(default_factory=list)
    #: before nodes and pods
    others: list[Manifest] = field(default_factory=list)
    #: after them
    later: list[Manifest] = field(default_factory=list)
    nominated: list[Manifest] = field(default_factory=list)
    companions: dict[str, list[Manifest]] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)

    def add_other(self, manifest: Manifest, *, replace: bool = False) -> bool:
        """The object will be there; False when one of its name was drawn before."""
        same = [one for one in self.others if reference_of(one) == reference_of(manifest)]
        if same and replace:
            self.others[self.others.index(same[0])] = manifest
        elif not same:
            self.others.append(manifest)
        return not same

    @property
    def node_names(self) -> list[str]:
        """Names of the nodes."""
        return [node["metadata"]["name"] for node in self.nodes]


class Theme:
    """What one plugin finds interesting; methods that a theme does not need do nothing."""

    #: as the plugin's
    name = ""
    #: how often the theme is drawn, relative to the others
    weight = 1.0

    def furnish(self, draft: Draft) -> None:
        """Adds other objects, once nodes and residents are there."""

    def node(self, draft: Draft, node: Manifest) -> None:
        """Changes a node."""

    def resident(self, draft: Draft, pod: Manifest) -> None:
        """Changes a pod that is there already."""

    def incoming(self, draft: Draft, pod: Manifest) -> None:
        """Changes a pod that is to be judged."""


def draw_world(seed: int, index: int, themes: Sequence[Theme], *, pods: int = 25) -> World:
    """The world of that number; the same for the same arguments."""
    rng = random.Random(f"parity/{seed}/{index}")
    chosen = _choose(rng, themes, rng.choice((1, 2, 2, 3)))
    draft = Draft(f"s{seed}w{index}", rng)
    for number in range(rng.choice((1, 2, 3, 4, 5, 6, 8, 8, 12))):
        draft.nodes.append(_plain_node(draft, number))
    for number in range(rng.choice((0, 3, 8, 15, 25))):
        draft.residents.append(_plain_resident(draft, number))
    for theme in chosen:
        for node in draft.nodes:
            theme.node(draft, node)
        for pod in draft.residents:
            theme.resident(draft, pod)
        theme.furnish(draft)
    incoming = []
    for number in range(pods):
        pod = _plain_pod(draft, f"p{number}")
        for theme in rng.sample(chosen, k=min(len(chosen), rng.choice((1, 1, 2)))):
            theme.incoming(draft, pod)
        name = pod["metadata"]["name"]
        incoming.append(Incoming(pod, draft.companions.get(name, ()), draft.events.get(name)))
    objects = [*draft.others, *draft.nodes, *draft.residents, *draft.later]
    return World(draft.name, objects, incoming, draft.nominated)


def _choose(rng: Rng, themes: Sequence[Theme], count: int) -> list[Theme]:
    left = list(themes)
    chosen: list[Theme] = []
    while left and len(chosen) < count:
        (theme,) = rng.choices(left, [theme.weight for theme in left])
        left.remove(theme)
        chosen.append(theme)
    return chosen


# --- plain objects ---


def _plain_node(draft: Draft, number: int) -> Manifest:
    rng = draft.rng
    name = f"{draft.name}-n{number}"
    offered = {
        "cpu": rng.choice(("4", "2", "8", "3500m", "940m", "16", "32")),
        "memory": rng.choice(("8Gi", "4Gi", "2701500Ki", "32Gi", "16Gi")),
        "ephemeral-storage": rng.choice(("10Gi", "50Gi")),
        "pods": rng.choice(("110", "20", "10")),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                HOSTNAME: name,
                "kubernetes.io/os": "linux",
                ZONE: rng.choice(ZONES),
            },
        },
        "spec": {},
        "status": {
            "capacity": dict(offered),
            "allocatable": offered,
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready"}
            ],
        },
    }


def plain_labels(rng: Rng) -> dict[str, str]:
    """Labels of a pod."""
    labels = {"app": rng.choice(APPS)}
    if rng.random() < 0.5:
        labels["version"] = rng.choice(VERSIONS)
    return labels


def container(rng: Rng, name: str) -> dict[str, Any]:
    """A container that asks for something, or for nothing."""
    requests: dict[str, str] = {}
    if rng.random() < 0.8:
        requests["cpu"] = rng.choice(CPUS)
    if rng.random() < 0.75:
        requests["memory"] = rng.choice(MEMORIES)
    return {"name": name, "image": "registry.invalid/none", "resources": {"requests": requests}}


def _plain_resident(draft: Draft, number: int) -> Manifest:
    pod = _plain_pod(draft, f"r{number}")
    pod["spec"]["nodeName"] = draft.rng.choice(draft.node_names)
    pod["spec"]["schedulerName"] = "nobody"
    pod["spec"]["priorityClassName"] = draft.rng.choice(("lowest", "low", "middle"))
    return pod


def _plain_pod(draft: Draft, name: str) -> Manifest:
    rng = draft.rng
    spec: dict[str, Any] = {
        "containers": [container(rng, f"c{i}") for i in range(rng.choice((1, 1, 1, 2)))],
        "terminationGracePeriodSeconds": 0,
        # who is judged pushes nobody out, unless a theme is about that
        "priorityClassName": "lowest",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": rng.choice(("alpha", "alpha", "alpha", "beta", "gamma")),
            "labels": plain_labels(rng),
        },
        "spec": spec,
    }
