"""Cluster states and pods to be judged on them, as plain data: from a seed, or from a file.

A `World` is a cluster state: objects as manifests have them, in the order in which they are made.
A `Case` is one incoming pod on a world. Worlds are drawn by themes (`tests/parity/themes`), each of
which furnishes nodes, resident pods, other objects and incoming pods for the sake of one plugin;
several themes meet in one world, and the same seed gives the same world on any machine.

`GROUND` is what every world stands on: namespaces and priority classes, which cannot be taken away
quickly. A string ``$uid(Kind/namespace/name)`` in a manifest becomes the uid of an object that was
made before it.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

#: A Kubernetes object as parsed JSON.
Manifest = dict[str, Any]

#: Where incoming pods and most residents live; the others are there for namespaceSelectors.
NAMESPACES: Mapping[str, Mapping[str, str]] = {
    "alpha": {
        "team": "red",
        "tier": "front",
        "resource.kubernetes.io/admin-access": "true",
    },
    "beta": {"team": "blue", "tier": "back"},
    "gamma": {"team": "red"},
}

#: Priority classes: name -> (value, preemption policy).
PRIORITIES: Mapping[str, tuple[int, str]] = {
    "lowest": (-1000, "PreemptLowerPriority"),
    "low": (10, "PreemptLowerPriority"),
    "middle": (100, "PreemptLowerPriority"),
    "high": (1000, "PreemptLowerPriority"),
    "higher": (2000, "PreemptLowerPriority"),
    "polite": (1000, "Never"),
}

GROUND: Sequence[Manifest] = (
    *(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {"kubernetes.io/metadata.name": name, **labels},
            },
        }
        for name, labels in NAMESPACES.items()
    ),
    *(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "preemptionPolicy": policy,
        }
        for name, (value, policy) in PRIORITIES.items()
    ),
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A pod to be judged.

    Attributes:
        pod: without schedulerName; each judge puts in its own.
        companions: objects that are there for this pod alone, since a verdict changes them: made
            before it, or, where they name its uid, before it may be tried.
        event: what happens while the pod waits, if it does: see `Event`.
    """

    pod: Manifest
    companions: Sequence[Manifest] = ()
    event: Event | None = None

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return key_of(self.pod)

    @property
    def may_preempt(self) -> bool:
        """Whether its priority is above that of any resident."""
        name = self.pod["spec"].get("priorityClassName", "")
        return PRIORITIES.get(name, (0, ""))[0] > min(value for value, _ in PRIORITIES.values())


@dataclass(frozen=True, slots=True)
class Event:
    """One change of the cluster, to see whether it wakes a waiting pod; it is undone afterwards.

    Attributes:
        verb: "create", "change" or "delete".
        manifest: the object: new, as it is after the change, or as the world has it.
    """

    verb: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class World:
    """A cluster state and the pods that are judged on it, one at a time."""

    name: str
    objects: Sequence[Manifest]
    incoming: Sequence[Incoming]
    #: pods that hold a nomination and wait at a gate; every scheduler gets its own, see `twins`
    nominated: Sequence[Manifest] = ()

    def twins(self, scheduler_name: str) -> list[Manifest]:
        """The nominated pods as one scheduler has them: only its own are heeded."""
        twins = []
        for pod in self.nominated:
            twin = duplicate(pod)
            twin["metadata"]["name"] += f"-{scheduler_name}"
            twin["spec"]["schedulerName"] = scheduler_name
            twins.append(twin)
        return twins

    def cases(self) -> Iterator[Case]:
        """One case for each incoming pod."""
        for incoming in self.incoming:
            yield Case(f"{self.name}/{incoming.key}", replace(self, incoming=(incoming,)), incoming)


@dataclass(frozen=True, slots=True)
class Case:
    """One incoming pod on a world that has no other."""

    name: str
    world: World
    incoming: Incoming
    #: what the oracle said, where it was recorded
    answer: Mapping[str, Any] = field(default_factory=dict)


def key_of(manifest: Manifest) -> str:
    """``namespace/name``, or the name of what has no namespace."""
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def reference_of(manifest: Manifest) -> str:
    """``Kind/namespace/name``, as ``$uid(...)`` names objects."""
    return f"{manifest['kind']}/{key_of(manifest)}"


def with_uids(manifest: Manifest, uids: Mapping[str, str]) -> Manifest:
    """The manifest with every ``$uid(...)`` replaced; one that nobody knows stays."""

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resolved(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [resolved(inner) for inner in value]
        if isinstance(value, str) and value.startswith("$uid(") and value.endswith(")"):
            return uids.get(value[5:-1], value)
        return value

    answer: Manifest = resolved(manifest)
    return answer


def to_data(world: World) -> dict[str, Any]:
    """The world as JSON has it."""
    return {
        "name": world.name,
        "objects": list(world.objects),
        "nominated": list(world.nominated),
        "incoming": [
            {
                "pod": incoming.pod,
                **({"companions": list(incoming.companions)} if incoming.companions else {}),
                **(
                    {"event": {"verb": incoming.event.verb, "manifest": incoming.event.manifest}}
                    if incoming.event
                    else {}
                ),
            }
            for incoming in world.incoming
        ],
    }


def from_data(data: Mapping[str, Any]) -> World:
    """The world that `to_data` gave."""
    return World(
        data["name"],
        data["objects"],
        [
            Incoming(
                entry["pod"],
                entry.get("companions", ()),
                Event(**entry["event"]) if entry.get("event") else None,
            )
            for entry in data["incoming"]
        ],
        data.get("nominated", ()),
    )


def save(path: Path, data: Any) -> None:
    """Writes JSON; compressed, and the same bytes for the same data, if the name ends in .gz."""
    text = json.dumps(data, indent=None if path.suffix == ".gz" else 1, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        path.write_text(text + "\n")


def load(path: Path) -> Any:
    """Reads what `save` wrote."""
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def duplicate(manifest: Manifest) -> Manifest:
    """A copy that may be written into."""
    return copy.deepcopy(manifest)
