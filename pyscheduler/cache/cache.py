"""SchedulerCache: every node and every pod on a node, and the pods we assumed to be there.

The one mutator of cluster state. Pods are keyed by uid:

    (unknown) --assume--> ASSUMED --add_pod (the watch confirms)--> ADDED
        |                    |                                        |
        |                 forget                                 remove_pod
        +--add_pod-----------+--------------> ADDED                   |
                             v                                        v
                         (unknown) <--------------------------- (unknown)

An assumed pod never expires: a bind whose confirmation is lost stays counted until the watch or a
re-list says otherwise. Pods of every scheduler count, as soon as they have a node.

While a cycle is under way (`begin_cycle` to `end_cycle`) changes are made to copies of the nodes,
so that what the cycle sees stands still.

Called by: ``cycle.event_handlers`` (watch), ``cycle.loop`` (assume, forget), ``snapshot``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cachetools import LRUCache

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.host_ports import host_ports
from pyscheduler.api.quantity import InvalidQuantity
from pyscheduler.api.resources import PodRequests, node_allocatable, pod_requests
from pyscheduler.cache.node_state import NodeState, PodUsage
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.columns import NODE_ASPECTS, Aspect

_NODE = int(NODE_ASPECTS)
#: Pods whose usage is remembered although they are on no node. A guess: nominations are fewer.
_REMEMBERED_USAGES = 1024
_NO_USAGE = PodUsage(PodRequests({}, non_zero_cpu=0, non_zero_memory=0), ports=())


class CacheError(PySchedulerError):
    """A transition that the state machine does not have; the message tells the pod's story."""


@dataclass(slots=True)
class _PodState:
    pod: Pod
    node_name: str
    usage: PodUsage
    #: True from assume until the watch confirms
    is_assumed: bool


def _ignore(_object: Pod | Node, _error: InvalidQuantity) -> None:
    """Default for ``on_malformed``."""


class SchedulerCache:
    """The live picture; cycles read it through a `Snapshot`."""

    def __init__(
        self, *, on_malformed: Callable[[Pod | Node, InvalidQuantity], None] = _ignore
    ) -> None:
        self._nodes: dict[str, NodeState] = {}
        self._pods: dict[str, _PodState] = {}
        self._assumed = 0
        #: nodes whose rows must be written by the next refresh
        self._changed: dict[str, NodeState] = {}
        self._removed: dict[str, None] = {}
        self._in_cycle = False
        #: nodes already copied in this cycle
        self._copied: set[str] = set()
        self._on_malformed = on_malformed
        #: of pods that are not counted, such as nominated ones, by uid
        self._usages: LRUCache[str, tuple[Pod, PodUsage]] = LRUCache(_REMEMBERED_USAGES)

    # --- nodes ---

    def add_node(self, node: Node) -> None:
        """The node exists, with pods that may have been known before it."""
        self._put_node(node, _NODE)

    def update_node(self, old: Node, new: Node) -> None:
        """The node changed; rows are written for what really differs."""
        self._put_node(new, _changed_aspects(old, new))

    def remove_node(self, name: str) -> None:
        """The node is gone; its pods stay counted on a ghost until they go, too."""
        state = self._nodes.get(name)
        if state is None or not state.exists:
            return
        state = self._for_change(state)
        state.exists = False
        self._changed.pop(name, None)
        if state.row >= 0:
            # else no refresh has seen it, as in a standby: nothing is to be given up
            self._removed[name] = None
        self._drop_if_empty(state)

    def _put_node(self, node: Node, aspects: int) -> None:
        state = self._nodes.get(node.metadata.name)
        if state is None:
            state = self._nodes[node.metadata.name] = NodeState(node.metadata.name)
        state = self._for_change(state)
        if aspects & int(Aspect.ALLOCATABLE):
            try:
                state.allocatable = node_allocatable(node)
            except InvalidQuantity as error:
                # nothing fits on a node whose size cannot be read
                state.allocatable = {}
                self._on_malformed(node, error)
        state.node = node
        if not state.exists:
            state.exists = True
            aspects |= _NODE
        state.dirty |= aspects
        if state.dirty:
            self._changed[state.name] = state

    # --- pods ---

    def assume(self, pod: Pod, node_name: str) -> None:
        """Counts ``pod`` on ``node_name`` before the API server knows.

        Raises:
            CacheError: the pod is on a node already.
        """
        known = self._pods.get(pod.uid)
        if known is not None:
            raise CacheError(
                f"pod {pod.key} cannot be assumed on {node_name}: it is on {known.node_name}"
                f" ({'assumed' if known.is_assumed else 'confirmed'})"
            )
        self._place(pod, node_name, is_assumed=True)
        self._assumed += 1

    def forget(self, pod: Pod) -> bool:
        """Undoes `assume`; False when the watch has confirmed the pod meanwhile, or it is gone."""
        known = self._pods.get(pod.uid)
        if known is None or not known.is_assumed:
            return False
        self._take_away(pod.uid)
        return True

    def add_pod(self, pod: Pod) -> None:
        """The watch says that ``pod`` is on its node: confirms an assumed one, or counts it in."""
        known = self._pods.get(pod.uid)
        if known is None:
            self._place(pod, pod.spec.node_name, is_assumed=False)
            return
        if known.is_assumed:
            known.is_assumed = False
            self._assumed -= 1
        self._replace(known, pod)

    def update_pod(self, pod: Pod) -> None:
        """The watch says that a pod on a node changed."""
        self.add_pod(pod)

    def remove_pod(self, pod: Pod) -> None:
        """The pod is gone, or has ended; harmless when it was never known."""
        if pod.uid in self._pods:
            self._take_away(pod.uid)

    def is_assumed(self, uid: str) -> bool:
        """True between assume and its confirmation or undoing."""
        known = self._pods.get(uid)
        return known is not None and known.is_assumed

    def node_of(self, uid: str) -> str | None:
        """The node a pod is counted on."""
        known = self._pods.get(uid)
        return None if known is None else known.node_name

    # --- what others ask ---

    def usage_of(self, pod: Pod) -> PodUsage:
        """What ``pod`` takes from a node; computed once for an object that is asked for often."""
        known = self._pods.get(pod.uid)
        if known is not None and known.pod is pod:
            return known.usage
        remembered = self._usages.get(pod.uid)
        if remembered is None or remembered[0] is not pod:
            remembered = self._usages[pod.uid] = pod, self._usage(pod)
        return remembered[1]

    @property
    def node_count(self) -> int:
        """Nodes that exist."""
        return sum(state.exists for state in self._nodes.values())

    @property
    def pod_count(self) -> int:
        """Pods on nodes, assumed ones included."""
        return len(self._pods)

    @property
    def assumed_count(self) -> int:
        """Pods assumed and not confirmed yet."""
        return self._assumed

    def nodes(self) -> Iterator[NodeState]:
        """The live nodes, ghosts left out."""
        return (state for state in self._nodes.values() if state.exists)

    # --- cycles ---

    def begin_cycle(self) -> None:
        """From here on, changes leave what the snapshot holds alone."""
        self._in_cycle = True

    def end_cycle(self) -> None:
        """The snapshot is no longer being read."""
        self._in_cycle = False
        self._copied.clear()

    def mark_state(self, node_name: str) -> None:
        """A StateColumn's value of the node changed."""
        state = self._nodes.get(node_name)
        if state is not None and state.exists:
            state = self._for_change(state)
            state.dirty |= int(Aspect.STATE)
            self._changed[node_name] = state

    def take_changes(self) -> tuple[list[NodeState], list[str]]:
        """Changed and removed nodes since the last call, for the snapshot's refresh."""
        changed, removed = list(self._changed.values()), list(self._removed)
        self._changed, self._removed = {}, {}
        return changed, removed

    def validate(self) -> None:
        """Checks every invariant against the pods themselves.

        Raises:
            CacheError: a sum, a count or an index is wrong; the message says which.
        """
        fresh: dict[str, NodeState] = {}
        for uid, known in self._pods.items():
            if uid not in self._nodes[known.node_name].pods:
                raise CacheError(f"pod {known.pod.key} is not on its node {known.node_name}")
            state = fresh.setdefault(known.node_name, NodeState(known.node_name))
            state.add(known.pod, self._usage(known.pod))
        for name, state in self._nodes.items():
            expected = fresh.get(name, NodeState(name))
            for field in ("non_zero_cpu", "non_zero_memory", "host_ports"):
                if getattr(state, field) != getattr(expected, field):
                    raise CacheError(
                        f"node {name}: {field} is {getattr(state, field)},"
                        f" its pods add up to {getattr(expected, field)}"
                    )
            requested = {k: v for k, v in state.requested.items() if v}
            if requested != {k: v for k, v in expected.requested.items() if v}:
                raise CacheError(f"node {name}: requested is {requested}, not {expected.requested}")
            if set(state.pods) != set(expected.pods):
                raise CacheError(f"node {name}: pods differ from the pod index")
        assumed = sum(known.is_assumed for known in self._pods.values())
        if assumed != self._assumed:
            raise CacheError(f"{self._assumed} pods counted as assumed, {assumed} are")

    # --- inside ---

    def _for_change(self, state: NodeState) -> NodeState:
        """The node itself, or its copy while a cycle looks at it."""
        if not self._in_cycle or state.name in self._copied or state.row < 0:
            return state
        self._copied.add(state.name)
        copy = self._nodes[state.name] = state.clone()
        if state.name in self._changed:
            self._changed[state.name] = copy
        return copy

    def _usage(self, pod: Pod) -> PodUsage:
        try:
            return PodUsage(pod_requests(pod, use_status=True), host_ports(pod))
        except InvalidQuantity as error:
            # it runs, so it is counted as a pod; what it takes cannot be known
            self._on_malformed(pod, error)
            return _NO_USAGE

    def _place(self, pod: Pod, node_name: str, *, is_assumed: bool) -> None:
        state = self._nodes.get(node_name)
        if state is None:
            state = self._nodes[node_name] = NodeState(node_name)
        state = self._for_change(state)
        usage = self._usage(pod)
        self._pods[pod.uid] = _PodState(pod, node_name, usage, is_assumed)
        state.add(pod, usage)
        if state.exists:
            self._changed[node_name] = state

    def _take_away(self, uid: str) -> None:
        known = self._pods.pop(uid)
        if known.is_assumed:
            self._assumed -= 1
        state = self._for_change(self._nodes[known.node_name])
        state.remove(uid, known.usage)
        if state.exists:
            self._changed[known.node_name] = state
        self._drop_if_empty(state)

    def _replace(self, known: _PodState, pod: Pod) -> None:
        """Swaps the object of a counted pod; touches the sums only if they differ."""
        usage = self._usage(pod)
        if known.node_name == pod.spec.node_name and usage == known.usage:
            known.pod = pod
            state = self._for_change(self._nodes[known.node_name])
            state.replace(pod)
            if state.exists:
                self._changed[known.node_name] = state
            return
        self._take_away(pod.uid)
        self._place(pod, pod.spec.node_name, is_assumed=False)

    def _drop_if_empty(self, state: NodeState) -> None:
        if not state.exists and not state.pods:
            self._nodes.pop(state.name, None)


def _changed_aspects(old: Node, new: Node) -> int:
    aspects = Aspect(0)
    if old.metadata.labels != new.metadata.labels:
        aspects |= Aspect.LABELS
    if old.spec.taints != new.spec.taints:
        aspects |= Aspect.TAINTS
    if old.spec.unschedulable != new.spec.unschedulable:
        aspects |= Aspect.UNSCHEDULABLE
    if (
        old.status.allocatable != new.status.allocatable
        or old.status.capacity != new.status.capacity
    ):
        aspects |= Aspect.ALLOCATABLE
    if old.status.images != new.status.images:
        aspects |= Aspect.IMAGES
    if (
        aspects
        or old.metadata.annotations != new.metadata.annotations
        or old.spec != new.spec
        or old.status != new.status
    ):
        aspects |= Aspect.OBJECT
    return int(aspects)
