"""The plugins of kube-scheduler 1.37: what a file for it may mention, whatever there is here.

Apart from the catalogue, which knows the plugins that can be run. A name of this table that nobody
provides is "not available yet" instead of unknown; a point of this table that a plugin has no work
at here is no mistake.

Source: kube-scheduler 1.37.1, by enabling each of its plugins at each point and seeing which the
binary refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import Final

_JUDGING: Final = frozenset({"preFilter", "filter"})
_SCORING: Final = frozenset({"preScore", "score"})
_CHANGING: Final = frozenset({"reserve", "preBind"})

#: By plugin: the extension points it implements there, spelt as in a file.
UPSTREAM_POINTS: Final[Mapping[str, Set[str]]] = MappingProxyType(
    {
        "SchedulingGates": frozenset({"preEnqueue"}),
        "PrioritySort": frozenset({"queueSort"}),
        "NodeName": _JUDGING,
        "NodeUnschedulable": _JUDGING,
        "TaintToleration": _JUDGING | _SCORING,
        "NodeAffinity": _JUDGING | _SCORING,
        "NodePorts": _JUDGING,
        "NodeResourcesFit": _JUDGING | _SCORING | {"placementScore"},
        "VolumeRestrictions": _JUDGING,
        "NodeVolumeLimits": _JUDGING,
        "VolumeBinding": _JUDGING | _SCORING | _CHANGING,
        "VolumeZone": _JUDGING,
        "PodTopologySpread": _JUDGING | _SCORING,
        "InterPodAffinity": _JUDGING | _SCORING,
        "DynamicResources": _JUDGING
        | _CHANGING
        | {"preEnqueue", "postFilter", "score", "podGroupPostFilter"},
        "DefaultPreemption": frozenset({"preEnqueue", "postFilter", "podGroupPostFilter"}),
        "NodeResourcesBalancedAllocation": _SCORING,
        "ImageLocality": frozenset({"score"}),
        "DefaultBinder": frozenset({"bind"}),
        "NodeDeclaredFeatures": _JUDGING,
        # Off by default: they belong to features that are alpha or beta and off.
        "GangScheduling": frozenset({"preEnqueue", "permit"}),
        "TopologyPlacementGenerator": frozenset({"placementGenerate"}),
        "PodGroupPodsCount": frozenset({"placementScore"}),
        "DeferredPodScheduling": _JUDGING | {"permit"},
    }
)

#: Names of releases before, which version v1 of the file refuses wherever they are enabled.
REMOVED: Final = frozenset({"AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits"})
