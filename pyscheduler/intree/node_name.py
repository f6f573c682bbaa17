"""NodeName: a pod that names its node runs on no other.

PreFilter narrows the search to that node, so that preemption looks at no other; pods without
``spec.nodeName`` are skipped. Such pods have been placed already and are not queued, so that the
plugin speaks only to other callers, such as what-ifs. There is no state.

Source: kube-scheduler 1.37, ``plugins/nodename/node_name.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod

_REASON = "node(s) didn't match the requested node name"


class NodeName(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[fwk.NoArgs],
):
    """Rejects all nodes but ``spec.nodeName``, where that is set."""

    depends_on = (fwk.Aspect.IDENTITY,)
    signs_spec = True
    skips_unsigned = True

    def sign_pod(self, pod: Pod) -> tuple[str, ...]:
        """The name."""
        name = pod.spec.node_name
        return (name,) if name else ()

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.PreFilterResult | fwk.Status:
        """Narrows the search to the node; skips pods that name none: nearly all."""
        name = pod.spec.node_name
        return fwk.PreFilterResult(frozenset((name,))) if name else fwk.SKIP

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Compares the name."""
        wanted = pod.spec.node_name
        return None if not wanted or wanted == node.name else fwk.unresolvable(_REASON)

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """Rejects every row but one."""
        others = np.full(len(nodes), bool(pod.spec.node_name))
        row = nodes.row_of(pod.spec.node_name)
        if row is not None:
            others[row] = False
        return nodes.verdict().reject(others, _REASON, unresolvable=True)

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """A node that joins may be the one."""
        return [fwk.ClusterEventWithHint(fwk.NODE_ADDED)]
