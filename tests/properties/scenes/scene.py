"""What both forms of a plugin are asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.intree.registry import IN_TREE
from pyscheduler.testing import PluginHarness
from pyscheduler.testing.resources import FakeInformers


@dataclass(frozen=True, slots=True)
class Scene:
    """A cluster, and a pod that looks for a node."""

    pod: Pod
    nodes: Sequence[Node]
    #: bound to the nodes
    pods: Sequence[Pod] = ()
    args: Mapping[str, Any] = field(default_factory=dict)
    #: other kinds that the plugin looks up, by ``plural.version.group``
    objects: Mapping[str, Sequence[object]] = field(default_factory=dict)
    #: feature gates that differ from their defaults
    features: Mapping[str, bool] = field(default_factory=dict)

    def harness(self, plugin: str) -> PluginHarness:
        """The plugin over the cluster."""
        informers = FakeInformers()
        for resource, samples in self.objects.items():
            for sample in samples:
                informers.of(resource).put(sample)
        return PluginHarness(
            IN_TREE[plugin],
            args=self.args,
            nodes=self.nodes,
            pods=self.pods,
            informers=informers,
            features=self.features,
        )
