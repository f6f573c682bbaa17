"""The volumes of claims that are bound: a node must be able to reach them.

A volume of a driver that was once built in may have its topology under the CSI driver's labels: it
is judged by them on the nodes whose CSINode says that the plugin was migrated there.

The claims are gone through in the order of the pod's volumes, and the first that objects decides
for a node: its volume cannot be reached from there, or is not there at all.

Called by: ``plugin`` (Filter), ``waiting`` (`why_unreachable`).
Source: kube-scheduler 1.37, ``plugins/volumebinding/binder.go`` checkBoundClaims and
tryTranslatePVToCSI.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.selectors import InvalidSelector
from pyscheduler.api.storage_v1 import CSINode
from pyscheduler.api.volumes_v1 import PersistentVolume
from pyscheduler.framework.node_matching import matching_required
from pyscheduler.framework.status import BoolArray
from pyscheduler.intree.volumes.binding.reach import Reach, reach_of
from pyscheduler.intree.volumes.binding.reasons import NODE_CONFLICT, VOLUME_GONE
from pyscheduler.intree.volumes.migration import (
    MIGRATED_PLUGINS,
    CannotTranslate,
    of_volume,
    plugin_of,
)


@dataclass(frozen=True, slots=True)
class BoundVolume:
    """The volume of one claim."""

    reach: Reach
    #: where another rule is valid, for its driver was migrated there
    migrated_on: frozenset[str] = frozenset()
    migrated_reach: Reach | None = None


#: The volumes in the order of their claims; None for one that is not there.
BoundVolumes = Sequence[BoundVolume | None]


def bound_volume(volume: PersistentVolume, csi_nodes: Iterable[CSINode]) -> BoundVolume:
    """What is to be known of a bound volume.

    Raises:
        InvalidSelector: its node affinity cannot be understood.
        CannotTranslate: its topology cannot be put in its driver's terms, and a node needs that.
    """
    reach = reach_of(volume)
    plugin = plugin_of(volume.spec)
    if plugin is None or not plugin.is_migrated:
        return BoundVolume(reach)
    names = frozenset(node.name for node in csi_nodes if plugin.name in migrated_plugins(node))
    if not names:
        return BoundVolume(reach)
    return BoundVolume(reach, names, reach_of(_translated(volume)))


def migrated_plugins(csi_node: CSINode | None) -> Sequence[str]:
    """The names of the plugins whose volumes belong to CSI drivers on that node."""
    if csi_node is None:
        return ()
    return csi_node.metadata.annotations.get(MIGRATED_PLUGINS, "").split(",")


def objection(volumes: BoundVolumes, labels: Mapping[str, str], node_name: str) -> str:
    """Why the volumes keep the pod from one node; "" if they do not."""
    for volume in volumes:
        if volume is None:
            return VOLUME_GONE
        reach = volume.reach
        if volume.migrated_reach is not None and node_name in volume.migrated_on:
            reach = volume.migrated_reach
        if not reach.is_empty and not reach.matches(labels, ""):
            return NODE_CONFLICT
    return ""


def objections(volumes: BoundVolumes, nodes: fwk.NodeTable) -> tuple[BoolArray, BoolArray]:
    """(N,) bool each: the nodes that `NODE_CONFLICT` is said of, and `VOLUME_GONE`."""
    out_of_reach = np.zeros(len(nodes), dtype=np.bool_)
    for volume in volumes:
        if volume is None:
            return out_of_reach, ~out_of_reach
        out_of_reach |= ~_reaching(volume, nodes)
    return out_of_reach, np.zeros(len(nodes), dtype=np.bool_)


def why_unreachable(
    volume: PersistentVolume, labels: Mapping[str, str], csi_node: CSINode | None
) -> str:
    """What keeps the node from reaching the volume; "" if nothing does.

    Raises:
        CannotTranslate: as `bound_volume`.
    """
    plugin = plugin_of(volume.spec)
    if plugin is not None and plugin.is_migrated and plugin.name in migrated_plugins(csi_node):
        volume = _translated(volume)
    try:
        return "" if reach_of(volume).matches(labels, "") else "no matching NodeSelectorTerms"
    except InvalidSelector as error:
        return str(error)


def _reaching(volume: BoundVolume, nodes: fwk.NodeTable) -> BoolArray:
    reaching = matching_required(nodes, volume.reach)
    if volume.migrated_reach is None:
        return reaching
    migrated = np.array([name in volume.migrated_on for name in nodes.names], dtype=np.bool_)
    return np.where(migrated, matching_required(nodes, volume.migrated_reach), reaching)


def _translated(volume: PersistentVolume) -> PersistentVolume:
    try:
        return of_volume(volume)
    except CannotTranslate as error:
        raise CannotTranslate(f"could not translate pv: {error}") from error
