"""Two zones of two nodes each, and one node outside: what these tests place pods on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyscheduler.api.core_v1 import Namespace, Node, Pod
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from pyscheduler.intree.inter_pod_affinity import InterPodAffinity
from pyscheduler.testing import FakeInformers, PluginHarness, make_node

HOST = "kubernetes.io/hostname"
NODES = [
    make_node("a1").label("zone", "a").obj(),
    make_node("a2").label("zone", "a").obj(),
    make_node("b1").label("zone", "b").obj(),
    make_node("b2").label("zone", "b").obj(),
    make_node("outside").obj(),
]
NEAR = "node(s) didn't match pod affinity rules"
APART = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"


def cluster(
    *pods: Pod,
    args: Mapping[str, Any] | None = None,
    namespaces: Mapping[str, Mapping[str, str]] | None = None,
    nodes: Sequence[Node] = NODES,
) -> PluginHarness:
    """The plugin over ``nodes``, with these pods on them and namespaces of these labels."""
    informers = FakeInformers()
    for name, labels in (namespaces or {}).items():
        informers.of("namespaces.v1").put(namespace(name, labels))
    return PluginHarness(InterPodAffinity, args=args, nodes=nodes, pods=pods, informers=informers)


def namespace(name: str, labels: Mapping[str, str]) -> Namespace:
    return Namespace(metadata=ObjectMeta(name=name, labels=FrozenMap(labels)))


def expression(key: str, operator: str, values: Sequence[str] = ()) -> LabelSelector:
    requirement = LabelSelectorRequirement(key=key, operator=operator, values=tuple(values))
    return LabelSelector(match_expressions=(requirement,))
