"""Which plugins come with the scheduler, and which of them run unless a profile says otherwise.

Source: kube-scheduler 1.37, what the binary's ``--write-config-to`` completes ``multiPoint`` to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pyscheduler.framework import Plugin
from pyscheduler.intree.default_binder import DefaultBinder
from pyscheduler.intree.default_preemption import DefaultPreemption
from pyscheduler.intree.dynamic_resources import DynamicResources
from pyscheduler.intree.image_locality import ImageLocality
from pyscheduler.intree.inter_pod_affinity import InterPodAffinity
from pyscheduler.intree.node_affinity import NodeAffinity
from pyscheduler.intree.node_declared_features import NodeDeclaredFeatures
from pyscheduler.intree.node_name import NodeName
from pyscheduler.intree.node_ports import NodePorts
from pyscheduler.intree.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from pyscheduler.intree.node_unschedulable import NodeUnschedulable
from pyscheduler.intree.pod_topology_spread import PodTopologySpread
from pyscheduler.intree.priority_sort import PrioritySort
from pyscheduler.intree.scheduling_gates import SchedulingGates
from pyscheduler.intree.taint_toleration import TaintToleration
from pyscheduler.intree.volumes import (
    NodeVolumeLimits,
    VolumeBinding,
    VolumeRestrictions,
    VolumeZone,
)

#: plugin class and default weight, in the order in which they run; 0: does not score
_DEFAULTS: tuple[tuple[type[Plugin[Any]], int], ...] = (
    (SchedulingGates, 0),
    (PrioritySort, 0),
    (NodeName, 0),
    (NodeUnschedulable, 0),
    (TaintToleration, 3),
    (NodeAffinity, 2),
    (NodePorts, 0),
    (NodeResourcesFit, 1),
    (VolumeRestrictions, 0),
    (NodeVolumeLimits, 0),
    (VolumeBinding, 0),
    (VolumeZone, 0),
    (PodTopologySpread, 2),
    (InterPodAffinity, 2),
    (DynamicResources, 2),
    (DefaultPreemption, 0),
    (NodeResourcesBalancedAllocation, 1),
    (ImageLocality, 1),
    (DefaultBinder, 0),
    (NodeDeclaredFeatures, 0),
)

#: every plugin of this package by name
IN_TREE: Mapping[str, type[Plugin[Any]]] = MappingProxyType(
    {plugin.name: plugin for plugin, _ in _DEFAULTS}
)

#: name and weight of the plugins that run by default, in order
DEFAULT_PLUGINS: Sequence[tuple[str, int]] = tuple(
    (plugin.name, weight) for plugin, weight in _DEFAULTS
)
