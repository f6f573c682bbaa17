"""NodePorts: a host port serves one pod per address and protocol.

Two ports exclude each other if number and protocol are equal, and the addresses are, too, or one of
them is 0.0.0.0, for which no address stands. Those of containers and of sidecars count. PreFilter
skips pods that take none; there is no state.

Whose ports they are does not matter, so that the whole-cluster form asks which nodes have a pod
with an excluding port: a tally of ports knows, by full address and by number and protocol alone.

Source: kube-scheduler 1.37, ``plugins/nodeports/node_ports.go``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.host_ports import ANY_IP, HostPort, any_conflict, host_ports

_REASON = "node(s) didn't have free ports for the requested pod ports"

#: a host port, or protocol and number of one whatever its address
_Key = HostPort | tuple[str, int]


def _keys(pod: Pod) -> Iterator[_Key]:
    for ip, protocol, number in host_ports(pod):
        yield ip, protocol, number
        yield protocol, number


def _excluding(pod: Pod) -> Iterator[_Key]:
    """What another pod must not have where ``pod`` is to run."""
    for ip, protocol, number in host_ports(pod):
        if ip == ANY_IP:
            yield protocol, number
        else:
            yield ip, protocol, number
            yield ANY_IP, protocol, number


PORTS: Final = fwk.PodTally("host ports", _keys)


class NodePorts(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[fwk.NoArgs],
):
    """Rejects nodes where a wanted host port is taken."""

    depends_on = (fwk.Aspect.HOST_PORTS, PORTS)
    signs_spec = True
    skips_unsigned = True
    judges_sums = True

    def sign_pod(self, pod: Pod) -> tuple[object, ...]:
        """The host ports."""
        return host_ports(pod)

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Skips pods without host ports."""
        return None if host_ports(pod) else fwk.SKIP

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Rejects the node if a port is taken."""
        if any_conflict(host_ports(pod), node.host_ports):
            return fwk.unschedulable(_REASON)
        return None

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes, by port."""
        taken = np.zeros(len(nodes), dtype=np.bool_)
        ports = nodes.tally(PORTS)
        for key in _excluding(pod):
            taken[ports.rows(key)] = True
        return nodes.verdict().reject(taken, _REASON)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A pod that gives up its ports, or a node that joins."""
        return [
            fwk.ClusterEventWithHint(fwk.ASSIGNED_POD_DELETED, self.after_pod_deleted),
            fwk.ClusterEventWithHint(fwk.NODE_ADDED),
        ]

    def after_pod_deleted(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the pod that left held a port, or was promised one, that this one wants."""
        if not isinstance(old, Pod) or not (old.node_name or old.status.nominated_node_name):
            return fwk.QueueingHint.SKIP
        if any_conflict(host_ports(pod), host_ports(old)):
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP
