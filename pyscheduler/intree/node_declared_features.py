"""NodeDeclaredFeatures: a pod that needs a feature of the kubelet runs where it is declared.

The rule: what a pod needs follows from its spec alone; a node serves it if
``status.declaredFeatures`` names all of it. Of the features that kubelets of 1.37 declare, three
are needed by a spec, the others only by updates of running pods or by other plugins:

===================================== ==========================================================
``RestartAllContainersOnContainerExits`` a restart rule with the action RestartAllContainers
``UserNamespacesHostNetworkSupport``     ``hostNetwork`` together with ``hostUsers: false``
``VolumeBindMountOptions``               a volume mount with ``bindMountOptions``
===================================== ==========================================================

PreFilter skips pods that need none, which is nearly all; otherwise it leaves the needed features as
bits, which Filter compares with the node's: in one column for all nodes at once. Names that are not
in the table do not matter.

Source: kube-scheduler 1.37, ``plugins/nodedeclaredfeatures/nodedeclaredfeatures.go``, and
``k8s.io/component-helpers/nodedeclaredfeatures/features``. Knowing difference: bind mount options
of ephemeral containers, which are alpha and added to pods that run, are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Container, Node, Pod

_REASON = "node(s) didn't match Pod's required features"


def _restarts_all_containers(pod: Pod) -> bool:
    return any(
        rule.action == "RestartAllContainers"
        for container in _containers(pod)
        for rule in container.restart_policy_rules
    )


def _has_own_users_on_host_network(pod: Pod) -> bool:
    return pod.spec.host_network and pod.spec.host_users is False


def _mounts_with_options(pod: Pod) -> bool:
    return any(
        mount.bind_mount_options
        for container in _containers(pod)
        for mount in container.volume_mounts
    )


#: name and who needs it; the position is the feature's bit
_FEATURES: Final[tuple[tuple[str, Callable[[Pod], bool]], ...]] = (
    ("RestartAllContainersOnContainerExits", _restarts_all_containers),
    ("UserNamespacesHostNetworkSupport", _has_own_users_on_host_network),
    ("VolumeBindMountOptions", _mounts_with_options),
)

NEEDED = fwk.StateKey[int]("NodeDeclaredFeatures.needed")


def _declared(node: Node) -> int:
    """The features of the table that the node declares, as bits."""
    names = node.status.declared_features
    return sum(1 << bit for bit, (name, _) in enumerate(_FEATURES) if name in names)


DECLARED = fwk.NodeColumn("NodeDeclaredFeatures.declared", np.int64, extract=_declared)


class NodeDeclaredFeatures(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[fwk.NoArgs],
):
    """Rejects nodes that do not declare a feature which the pod needs."""

    depends_on = (DECLARED,)
    signs_spec = True
    skips_unsigned = True

    def sign_pod(self, pod: Pod) -> tuple[int, ...]:
        """What the pod needs."""
        needed = _needed(pod)
        return (needed,) if needed else ()

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Skips pods that need no feature."""
        needed = _needed(pod)
        if not needed:
            return fwk.SKIP
        state.write(NEEDED, needed)
        return None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Compares with what the node declares."""
        is_lacking = state.read(NEEDED) & ~_declared(node.node)
        return fwk.unresolvable(_REASON) if is_lacking else None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes."""
        lacking = state.read(NEEDED) & ~nodes.column(DECLARED)
        return nodes.verdict().reject(lacking != 0, _REASON, unresolvable=True)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A node that joins or declares something else, or a pod that needs something else."""
        node_change = fwk.NODE_ADDED | fwk.NODE_DECLARED_FEATURES_CHANGED
        own_change = fwk.ClusterEvent(fwk.EventResource.TARGET_POD, fwk.ActionType.UPDATE)
        return [
            fwk.ClusterEventWithHint(node_change, self.after_node_change),
            fwk.ClusterEventWithHint(own_change, self.after_pod_change),
        ]

    def after_node_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the node is new or declares other features; which ones is not asked."""
        is_same = (
            isinstance(old, Node)
            and isinstance(new, Node)
            and old.status.declared_features == new.status.declared_features
        )
        return fwk.QueueingHint.SKIP if is_same else fwk.QueueingHint.QUEUE

    def after_pod_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the pod needs other features now."""
        is_same = isinstance(old, Pod) and isinstance(new, Pod) and _needed(old) == _needed(new)
        return fwk.QueueingHint.SKIP if is_same else fwk.QueueingHint.QUEUE


def _needed(pod: Pod) -> int:
    """The features that the pod's spec needs, as bits."""
    return sum(1 << bit for bit, (_, is_needed) in enumerate(_FEATURES) if is_needed(pod))


def _containers(pod: Pod) -> tuple[Container, ...]:
    return pod.spec.containers + pod.spec.init_containers
