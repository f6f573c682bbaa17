"""Small clusters: nodes in zones, and pods of an application on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector
from pyscheduler.intree.pod_topology_spread import PodTopologySpread
from pyscheduler.testing import NodeBuilder, PluginHarness, PodBuilder, make_node, make_pod

WEB = LabelSelector(match_labels=FrozenMap({"app": "web"}))
SOFT = "ScheduleAnyway"
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"

VIOLATED = fwk.unschedulable("node(s) didn't match pod topology spread constraints")
MISSING = fwk.unresolvable(
    "node(s) didn't match pod topology spread constraints (missing required label)"
)

#: Two nodes in each of two zones, and one in none.
ZONES = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "lost": None}


def node_in(zone: str | None, name: str) -> NodeBuilder:
    """A node of that zone; None: of none."""
    node = make_node(name)
    return node if zone is None else node.label("zone", zone)


def nodes_in(zones: Mapping[str, str | None]) -> list[Node]:
    """A node per name, in its zone."""
    return [node_in(zone, name).obj() for name, zone in zones.items()]


def web(name: str = "p") -> PodBuilder:
    """A pod of the application that is spread."""
    return make_pod(name).label("app", "web")


def webs(**counts: int) -> list[Pod]:
    """So many of its pods on each node."""
    return [
        web(f"{node}-{i}").node(node).obj() for node, count in counts.items() for i in range(count)
    ]


def spread_over(nodes: Iterable[Node], pods: Iterable[Pod] = (), **options: Any) -> PluginHarness:
    """The plugin over that cluster, with default arguments unless given."""
    return PluginHarness(PodTopologySpread, nodes=nodes, pods=pods, **options)
