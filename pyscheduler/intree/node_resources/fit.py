"""NodeResourcesFit: what the pod asks for must be free, and how much stays free is the score.

The rule: a node takes the pod if one more pod is allowed and, of each resource, what the pod asks
for is at most what is allocatable less what the pods there ask for. All shortages are told; one
that even the empty node would have makes the node unresolvable. The score is that of the configured
strategy over its resources (``strategies``); CPU and memory count with defaults for containers that
ask for none, other resources only if the pod asks for them. There is nothing to normalize.

PreFilter leaves what the pod asks for, in the order in which shortages are told; PreScore what the
pod adds to each scored resource. Neither changes when pods come and go.

Of extended resources that a device class provides, a node that has none to allocate may still have
devices: these are left to DynamicResources, which knows nothing of this plugin nor this of it.

Source: kube-scheduler 1.37, ``plugins/noderesources/fit.go``. Knowing differences: deferred resizes
(alpha) are not handled, and a scoring strategy counts no devices: a resource that a node has only
as devices has no part in that node's score. A node that joins or grows wakes pods whatever it has
of ignored resources, which upstream's hint does not ignore.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.resource_v1 import DEVICE_CLASS_RESOURCE_PREFIX, DeviceClass
from pyscheduler.api.resources import (
    CPU,
    EPHEMERAL_STORAGE,
    MEMORY,
    PODS,
    node_allocatable,
    pod_requests,
)
from pyscheduler.framework.arithmetic import wrapped_int64
from pyscheduler.framework.extended_resources import ExtendedResources, is_extended_resource
from pyscheduler.framework.status import Int64Array
from pyscheduler.intree.node_resources.args import NodeResourcesFitArgs
from pyscheduler.intree.node_resources.kept_figures import FiguresByResources
from pyscheduler.intree.node_resources.pod_signature import signed_requests, without_pod_level
from pyscheduler.intree.node_resources.strategies import (
    EXACT_BELOW,
    LeastAllocated,
    Rest,
    Share,
    Shares,
    strategy_of,
)

_TOO_MANY_PODS = "Too many pods"

#: the order in which shortages are told
_FIRST = {CPU: 0, MEMORY: 1, EPHEMERAL_STORAGE: 2}

#: resource, how much of it the pod asks for, and what to say where it is short
Needs = tuple[tuple[str, int, str], ...]

#: resource, its weight, and how much of it the pod adds
Additions = tuple[tuple[str, int, int], ...]

NEEDS = fwk.StateKey[Needs]("NodeResourcesFit.needs")
ADDITIONS = fwk.StateKey[Additions]("NodeResourcesFit.additions")


class NodeResourcesFit(
    fwk.PreFilterPlugin,
    fwk.FilterPlugin,
    fwk.PreScorePlugin,
    fwk.ScorePlugin,
    fwk.SignPlugin,
    fwk.EnqueueExtensions,
    fwk.Plugin[NodeResourcesFitArgs],
):
    """Rejects nodes without room; ranks the others by the scoring strategy."""

    depends_on = (fwk.Aspect.ALLOCATABLE, fwk.Aspect.REQUESTED)
    judges_sums = True

    def __init__(self, args: NodeResourcesFitArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._strategy = strategy_of(args.scoring_strategy)
        self._ignored = frozenset(args.ignored_resources)
        self._ignored_groups = frozenset(args.ignored_resource_groups)
        self._extended = ExtendedResources(handle)
        self._kept = FiguresByResources(_node_figures, _table_figures)

    def sign_pod(self, pod: Pod) -> tuple[object, ...] | None:
        """The pod's requests; None if some of them may become devices."""
        if len(self._extended) and any(map(self._extended.class_of, pod_requests(pod).requests)):
            return None
        return signed_requests(pod)

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        """Adds up what the pod asks for."""
        state.write(NEEDS, self._needs(pod))
        return None

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        """Names every shortage; unresolvable if the node is too small even when empty."""
        reasons = []
        is_hopeless = False
        if len(node.pods) >= node.allocatable.get(PODS, 0):
            reasons.append(_TOO_MANY_PODS)
        for resource, request, reason in state.read(NEEDS):
            allocatable = node.allocatable.get(resource, 0)
            is_short = request > wrapped_int64(allocatable - node.requested.get(resource, 0))
            if is_short and not self._may_be_devices(resource, node.allocatable):
                reasons.append(reason)
                is_hopeless |= request > allocatable
        if not reasons:
            return None
        return fwk.unresolvable(*reasons) if is_hopeless else fwk.unschedulable(*reasons)

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        """The same for all nodes."""
        verdict = nodes.verdict().reject(nodes.pod_count >= nodes.max_pods, _TOO_MANY_PODS)
        for resource, request, reason in state.read(NEEDS):
            allocatable = nodes.allocatable(resource)
            is_short = allocatable - nodes.requested(resource) < request
            if self._extended.class_of(resource) is not None:
                is_short &= allocatable != 0
            if is_short.any():
                is_hopeless = is_short & (allocatable < request)
                verdict.reject(is_hopeless, reason, unresolvable=True)
                verdict.reject(is_short & ~is_hopeless, reason)
        return verdict

    def pre_score(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> fwk.Status | None:
        """Looks up what the pod adds to each resource that is scored.

        CPU and memory count even if the pod asks for none, with the usual defaults; of the others
        only what it asks for. As in 1.37.1, what the pod asks for as a whole does not count.
        """
        pod_request = pod_requests(without_pod_level(pod))
        additions = {
            **pod_request.requests,
            CPU: pod_request.non_zero_cpu,
            MEMORY: pod_request.non_zero_memory,
        }
        additions.setdefault(EPHEMERAL_STORAGE, 0)
        state.write(
            ADDITIONS,
            tuple(
                (resource.name, resource.weight, additions[resource.name])
                for resource in self.args.scoring_strategy.resources
                if resource.name in additions
            ),
        )
        return None

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        """What the strategy says of the node with the pod on it."""
        shares: list[Share] = [
            (
                weight,
                wrapped_int64(_requested_of(node, resource) + addition),
                node.allocatable.get(resource, 0),
            )
            for resource, weight, addition in state.read(ADDITIONS)
        ]
        return self._strategy.score(shares)

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """The same for all nodes."""
        additions = state.read(ADDITIONS)
        if isinstance(self._strategy, LeastAllocated) and additions and nodes.changes is not None:
            rests = self._rests(additions, nodes)
            if rests is not None:
                return self._strategy.score_rests(rests, len(nodes))
        shares: list[Shares] = [
            (weight, _requested(nodes, resource) + addition, nodes.allocatable(resource))
            for resource, weight, addition in additions
        ]
        return self._strategy.score_nodes(shares, len(nodes))

    def _rests(self, additions: Additions, nodes: fwk.NodeTable) -> list[Rest] | None:
        """What the pod leaves of each resource; None where floats will not do."""
        kept = self._kept.about(tuple([resource for resource, _, _ in additions]))
        figures = kept.of(nodes)
        farthest = max(kept.farthest, *(abs(addition) for _, _, addition in additions))
        if 2 * farthest >= EXACT_BELOW or min(has.min(initial=1) for has in figures[1::2]) <= 0:
            return None
        return [
            (weight, free - addition, allocatable)
            for (_, weight, addition), free, allocatable in zip(
                additions, figures[::2], figures[1::2], strict=True
            )
        ]

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        """Pods that leave or shrink, nodes that join or grow."""
        shrunk = fwk.ActionType.UPDATE_POD_SCALE_DOWN
        other_shrunk = fwk.ClusterEvent(fwk.EventResource.ASSIGNED_POD, shrunk)
        itself_shrunk = fwk.ClusterEvent(fwk.EventResource.TARGET_POD, shrunk)
        node_change = fwk.NODE_ADDED | fwk.NODE_ALLOCATABLE_CHANGED
        class_change = fwk.ClusterEvent(
            fwk.EventResource.DEVICE_CLASS, fwk.ActionType.ADD | fwk.ActionType.UPDATE
        )
        return [
            fwk.ClusterEventWithHint(fwk.ASSIGNED_POD_DELETED, self.after_pod_deleted),
            fwk.ClusterEventWithHint(node_change, self.after_node_change),
            fwk.ClusterEventWithHint(class_change, self.after_class_change),
            fwk.ClusterEventWithHint(other_shrunk, self.after_pod_shrunk),
            fwk.ClusterEventWithHint(itself_shrunk),
        ]

    def after_pod_deleted(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the pod that left held room, or was promised some."""
        if isinstance(old, Pod) and (old.node_name or old.status.nominated_node_name):
            return fwk.QueueingHint.QUEUE
        return fwk.QueueingHint.SKIP

    def after_pod_shrunk(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when a pod that has a node gave back what this one asks for."""
        if not isinstance(old, Pod) or not isinstance(new, Pod) or not new.node_name:
            return fwk.QueueingHint.SKIP
        before = pod_requests(old, use_status=True).requests
        after = pod_requests(new, use_status=True).requests
        gave_back = any(
            after.get(resource, 0) < before.get(resource, 0)
            for resource, request in pod_requests(pod).requests.items()
            if request
        )
        return fwk.QueueingHint.QUEUE if gave_back else fwk.QueueingHint.SKIP

    def after_node_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the empty node would do, and it is new or grew in what the pod needs."""
        if not isinstance(new, Node):
            return fwk.QueueingHint.SKIP
        allocatable = node_allocatable(new)
        needs = self._needs(pod)
        counted = [need for need in needs if not self._may_be_devices(need[0], allocatable)]
        if allocatable.get(PODS, 0) < 1 or any(
            request > allocatable.get(resource, 0) for resource, request, _ in counted
        ):
            return fwk.QueueingHint.SKIP
        if len(counted) == len(needs) and isinstance(old, Node):
            grew = _grew(needs, node_allocatable(old), allocatable)
            return fwk.QueueingHint.QUEUE if grew else fwk.QueueingHint.SKIP
        return fwk.QueueingHint.QUEUE

    def after_class_change(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        """QUEUE when the class now provides a resource that the pod asks for."""
        if not isinstance(new, DeviceClass):
            return fwk.QueueingHint.SKIP
        provided = new.spec.extended_resource_name
        names = {provided} if provided else set()
        if not isinstance(old, DeviceClass):
            names.add(DEVICE_CLASS_RESOURCE_PREFIX + new.metadata.name)
        elif old.spec.extended_resource_name == provided:
            return fwk.QueueingHint.SKIP
        asks = not names.isdisjoint(pod_requests(pod).requests)
        return fwk.QueueingHint.QUEUE if asks else fwk.QueueingHint.SKIP

    def _may_be_devices(self, resource: str, allocatable: Mapping[str, int]) -> bool:
        """True when DynamicResources has the say about the resource on such a node."""
        return not allocatable.get(resource, 0) and self._extended.class_of(resource) is not None

    def _needs(self, pod: Pod) -> Needs:
        requests = pod_requests(pod).requests
        return tuple(
            (resource, requests[resource], f"Insufficient {resource}")
            for resource in sorted(requests, key=lambda r: (_FIRST.get(r, 3), r))
            if requests[resource] > 0 and not self._is_ignored(resource)
        )

    def _is_ignored(self, resource: str) -> bool:
        """Only extended resources can be: names with a domain that is not Kubernetes' own."""
        if not is_extended_resource(resource):
            return False
        return resource in self._ignored or resource.partition("/")[0] in self._ignored_groups


def _node_figures(node: fwk.NodeInfo, resources: Sequence[str]) -> list[float]:
    """What is free of each resource on one node, and what there is of it, in turn."""
    figures: list[float] = []
    for resource in resources:
        allocatable = node.allocatable.get(resource, 0)
        requested = _requested_of(node, resource)
        figures += (wrapped_int64(allocatable - requested), allocatable)
    return figures


def _table_figures(nodes: fwk.NodeTable, resources: Sequence[str]) -> list[npt.NDArray[Any]]:
    """The same of all nodes."""
    figures: list[npt.NDArray[Any]] = []
    for resource in resources:
        allocatable = nodes.allocatable(resource)
        free = allocatable - _requested(nodes, resource)
        figures += (free.astype(np.float64), allocatable.astype(np.float64))
    return figures


def _requested_of(node: fwk.NodeInfo, resource: str) -> int:
    """What scoring counts as requested of one node."""
    if resource == CPU:
        return node.non_zero_cpu
    if resource == MEMORY:
        return node.non_zero_memory
    return node.requested.get(resource, 0)


def _requested(nodes: fwk.NodeTable, resource: str) -> Int64Array:
    """The same of all nodes."""
    if resource == CPU:
        return nodes.non_zero_cpu
    if resource == MEMORY:
        return nodes.non_zero_memory
    return nodes.requested(resource)


def _grew(needs: Needs, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    return any(
        after.get(resource, 0) > before.get(resource, 0)
        for resource in (PODS, *(resource for resource, _, _ in needs))
    )
