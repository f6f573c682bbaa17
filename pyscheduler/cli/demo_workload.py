"""What the demo's cluster is made of: its nodes, its pods, and what each kind of pod shows.

`mixed_nodes` and `mixed_pods` are the bulk; the rest makes one point each: host ports that run
out, a gate, and (within the bulk) a pod larger than any node. All live in ``default``, where
kubectl looks first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import ZONE_LABEL, make_node, make_pod, mixed_nodes, mixed_pods

#: Fewer would leave no room for one pod of each kind.
MIN_NODES = 4
MIN_PODS = 16

_EDGE_ZONES = ("zone-a", "zone-b", "zone-c")
#: One more than there are nodes to expose a port on.
_INGRESS_PODS = len(_EDGE_ZONES) + 1

GIANT = "default/giant"
GATED = "default/release"
LARGE_NODE = "node-large"


@dataclass(frozen=True, slots=True)
class PodKind:
    """One kind of pod of the workload, as tables name it."""

    #: the value of the ``app`` label
    app: str
    #: what is special about it
    feature: str


KINDS = (
    PodKind("web", "small requests"),
    PodKind("database", "nodeSelector"),
    PodKind("batch", "toleration"),
    PodKind("ingress", "host port"),
    PodKind("release", "scheduling gate"),
    PodKind("giant", "64Gi of memory"),
)


def demo_nodes(count: int) -> Iterator[JsonObject]:
    """So many nodes over three zones: plain, with an SSD, dedicated to batch work, and the edge."""
    yield from mixed_nodes(count - len(_EDGE_ZONES))
    for number, zone in enumerate(_EDGE_ZONES, start=1):
        yield make_node(f"edge-{number}", labels={ZONE_LABEL: zone, "pool": "edge"})


def demo_pods(count: int) -> Iterator[JsonObject]:
    """So many pods, of every kind in `KINDS`."""
    for number in range(1, _INGRESS_PODS + 1):
        yield _ingress(f"ingress-{number}")
    yield make_pod(
        GATED.partition("/")[2],
        labels={"app": "release"},
        schedulingGates=[{"name": "example.com/approval"}],
    )
    yield from mixed_pods(count - _INGRESS_PODS - 1)


def large_node() -> JsonObject:
    """A node on which the giant fits."""
    return make_node(LARGE_NODE, cpu="16", memory="128Gi", labels={ZONE_LABEL: "zone-b"})


def _ingress(name: str) -> JsonObject:
    pod = make_pod(name, labels={"app": "ingress"}, nodeSelector={"pool": "edge"})
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": 443, "hostPort": 443}]
    return pod
