"""Runs one plugin over a small cluster: every hook, called as the runtime would call it.

    harness = PluginHarness(NodeHeat, args={"maxCelsius": 70}, nodes=[...], pods=[...])
    assert harness.feasible(make_pod("p").obj()) == ["cool"]

The plugin's other hooks find what its PreFilter left, per pod. What the plugin does to the world is
remembered by fakes: ``harness.writes``, ``recorder``, ``informers``, ``activator``, ``tasks``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache import Snapshot
from pyscheduler.clock import FakeClock
from pyscheduler.framework.args import Args
from pyscheduler.framework.cluster_events import ClusterEvent, QueueingHint
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.functions import FunctionPlugin
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.interface import (
    BindPlugin,
    EnqueueExtensions,
    PermitPlugin,
    Plugin,
    PostBindPlugin,
    PostFilterPlugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    QueueSortPlugin,
    ReservePlugin,
    SignPlugin,
)
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import (
    SKIP,
    PostFilterResult,
    PreBindPreFlightResult,
    PreFilterResult,
    Status,
    unschedulable,
)
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.waiting_pods import WaitingPodsMap
from pyscheduler.runtime.what_if import WhatIfMaker
from pyscheduler.testing.answers import (
    Form,
    filter_answers,
    filter_forms,
    score_answers,
    score_forms,
)
from pyscheduler.testing.fakes import (
    FakeActivator,
    FakeRecorder,
    FakeTasks,
    FakeWrites,
    fake_handle,
)
from pyscheduler.testing.profiles import profile_of
from pyscheduler.testing.resources import FakeInformers
from pyscheduler.testing.tables import snapshot_of

PluginT = TypeVar("PluginT", bound=Plugin[Any])
RoleT = TypeVar("RoleT")


def make_plugin(
    plugin_class: type[PluginT], args: Mapping[str, Any] | Args | None = None, *, handle: Handle
) -> PluginT:
    """The plugin, with arguments read as a configuration file's would be.

    Raises:
        pydantic.ValidationError: the arguments are not the plugin's.
    """
    if not isinstance(args, Args):
        args = plugin_class.args_model.model_validate_json(json.dumps(dict(args or {})))
    return plugin_class(args, handle)


class PluginHarness:
    """One plugin over a cluster of ``nodes`` with ``pods`` on them.

    A method whose hook the plugin does not have raises TypeError.
    """

    def __init__(
        self,
        plugin_class: type[Plugin[Any]] | FunctionPlugin,
        *,
        args: Mapping[str, Any] | Args | None = None,
        nodes: Iterable[Node] = (),
        pods: Iterable[Pod] = (),
        informers: FakeInformers | None = None,
        features: Mapping[str, bool] | None = None,
    ) -> None:
        """Makes the plugin.

        Args:
            plugin_class: a class, or a plugin of plain functions.
            args: as a configuration file has them.
            nodes: the cluster.
            pods: bound to ``nodes``.
            informers: other kinds of objects that the plugin looks for when it is made.
            features: feature gates that differ from their defaults.
        """
        if isinstance(plugin_class, FunctionPlugin):
            plugin_class = plugin_class.build()
        self.snapshot: Snapshot = snapshot_of(nodes, pods)
        self.clock = FakeClock()
        self.writes = FakeWrites()
        self.recorder = FakeRecorder()
        self.informers = informers or FakeInformers()
        self.activator = FakeActivator()
        self.tasks = FakeTasks()
        self.nominator = Nominator()
        budget = Budget(self.clock)
        self.waiting_pods = WaitingPodsMap(self.clock)
        self._what_ifs = WhatIfMaker(self.snapshot, self.nominator, budget)
        self.handle = fake_handle(
            self.snapshot,
            writes=self.writes,
            recorder=self.recorder,
            clock=self.clock,
            what_ifs=self._what_ifs,
            waiting_pods=self.waiting_pods,
            informers=self.informers,
            nominator=self.nominator,
            activator=self.activator,
            tasks=self.tasks,
            features=features,
        )
        self.plugin = make_plugin(plugin_class, args, handle=self.handle)
        self._served: set[str] = set()
        self._states: dict[str, CycleState] = {}

    @property
    def nodes(self) -> NodeTable:
        """All nodes."""
        return self.snapshot.nodes

    def refresh(self) -> None:
        """A new cycle begins: what ``handle.columns`` was told is seen, states are forgotten."""
        self.snapshot.refresh()
        self._states.clear()

    def state(self, pod: Pod) -> CycleState:
        """The pod's state as PreFilter left it, and as later hooks changed it."""
        state = self._states.get(pod.uid)
        if state is None:
            self._serve(pod.scheduler_name)
            state = self._states[pod.uid] = CycleState()
            if isinstance(self.plugin, PreFilterPlugin):
                self.plugin.pre_filter(state, pod, self.nodes)
        return state

    # --- before the cycle ---

    def pre_enqueue(self, pod: Pod) -> Status | None:
        """Whether the pod may enter the active queue."""
        return self._as(PreEnqueuePlugin).pre_enqueue(pod)

    def pop_order(self, pods: Sequence[Pod]) -> list[str]:
        """The names of ``pods``, which arrived in that order a second apart, as they are popped."""
        plugin = self._as(QueueSortPlugin)
        keys = {}
        for second, pod in enumerate(pods):
            arrived = float(second)
            entity = QueuedEntity(pod, timestamp=arrived, initial_attempt_timestamp=arrived)
            keys[pod.name] = plugin.sort_key(entity)
        return sorted(keys, key=keys.__getitem__)

    def sign(self, pod: Pod) -> tuple[Any, ...] | None:
        """What the answers for the pod depend on."""
        return self._as(SignPlugin).sign_pod(pod)

    # --- the scheduling cycle ---

    def pre_filter(self, pod: Pod) -> PreFilterResult | Status | None:
        """What PreFilter answers."""
        return self._as(PreFilterPlugin).pre_filter(CycleState(), pod, self.nodes)

    def filter(self, pod: Pod) -> dict[str, Status | None]:
        """What becomes of every node, by name; all None when PreFilter skips the pod.

        Raises:
            AssertionError: the two forms disagree.
        """
        answers = [
            filter_answers(self.plugin, pod, self.nodes, form)
            for form in filter_forms(self.plugin) or [Form.PER_NODE]
        ]
        assert all(answer == answers[0] for answer in answers), f"the forms disagree: {answers}"
        first = answers[0]
        if isinstance(first, Status):
            return dict.fromkeys(self.nodes.names, None if first is SKIP else first)
        return dict(zip(self.nodes.names, first, strict=True))

    def feasible(self, pod: Pod) -> list[str]:
        """The names of the nodes that pass."""
        return [name for name, status in self.filter(pod).items() if status is None]

    def what_if(
        self, pod: Pod, node_name: str, *, add: Sequence[Pod] = (), remove: Sequence[Pod] = ()
    ) -> Status | None:
        """Whether the pod would pass on that node with pods added to it and taken off."""
        what_if = self.handle.what_ifs.of(self.state(pod), pod, [node_name])
        for gone in remove:
            what_if.remove_pod(0, gone)
        for added in add:
            what_if.add_pod(0, added)
        (status,) = what_if.judge()
        # as the plugin itself said it: comparable with what `filter` gives
        return None if status is None else Status(status.code, status.reasons)

    async def post_filter(
        self, pod: Pod, statuses: NodeStatuses | None = None
    ) -> tuple[PostFilterResult | None, Status | None]:
        """What PostFilter makes of a pod that fits nowhere, every node being full unless given."""
        if statuses is None:
            statuses = NodeStatuses.alike(self.nodes, unschedulable("node(s) were full"))
        return await self._as(PostFilterPlugin).post_filter(self.state(pod), pod, statuses)

    def score(self, pod: Pod) -> dict[str, int]:
        """The normalised score of every node, by name; empty when PreScore skips the pod.

        Raises:
            AssertionError: the two forms disagree.
        """
        return self._scores(pod, normalized=True)

    def raw_score(self, pod: Pod) -> dict[str, int]:
        """The scores before normalisation.

        Raises:
            AssertionError: the two forms disagree.
        """
        return self._scores(pod, normalized=False)

    def reserve(self, pod: Pod, node_name: str) -> Status | None:
        """What Reserve answers."""
        return self._as(ReservePlugin).reserve(self.state(pod), pod, node_name)

    def unreserve(self, pod: Pod, node_name: str) -> None:
        """Undoes Reserve."""
        self._as(ReservePlugin).unreserve(self.state(pod), pod, node_name)

    def permit(self, pod: Pod, node_name: str) -> tuple[Status | None, float]:
        """What Permit answers, and for how many seconds at most the pod waits."""
        return self._as(PermitPlugin).permit(self.state(pod), pod, node_name)

    def wait(self, pod: Pod, node_name: str, *, timeout_s: float = 60.0) -> None:
        """The pod waits at Permit because of this plugin; needs a running event loop."""
        self.waiting_pods.add(pod, node_name, timeouts_s={self.plugin.name: timeout_s})

    # --- the binding cycle ---

    def pre_bind_pre_flight(
        self, pod: Pod, node_name: str
    ) -> PreBindPreFlightResult | Status | None:
        """Whether PreBind has work."""
        return self._as(PreBindPlugin).pre_bind_pre_flight(self.state(pod), pod, node_name)

    async def pre_bind(self, pod: Pod, node_name: str) -> Status | None:
        """What PreBind answers."""
        return await self._as(PreBindPlugin).pre_bind(self.state(pod), pod, node_name)

    async def bind(self, pod: Pod, node_name: str) -> Status | None:
        """What Bind answers."""
        return await self._as(BindPlugin).bind(self.state(pod), pod, node_name)

    async def post_bind(self, pod: Pod, node_name: str) -> None:
        """PostBind was told."""
        await self._as(PostBindPlugin).post_bind(self.state(pod), pod, node_name)

    # --- while it waits ---

    def hint(
        self, event: ClusterEvent, pod: Pod, *, old: object = None, new: object = None
    ) -> QueueingHint:
        """What the plugin makes of an event: QUEUE if one registration says so."""
        hints = [
            QueueingHint.QUEUE if known.hint is None else known.hint(pod, old, new)
            for known in self._as(EnqueueExtensions).events_to_register()
            if known.event.matches(event)
        ]
        return QueueingHint.QUEUE if QueueingHint.QUEUE in hints else QueueingHint.SKIP

    # --- inside ---

    def _serve(self, scheduler_name: str) -> None:
        """What-ifs are judged by the plugin alone, whatever the pod's scheduler is called."""
        if scheduler_name not in self._served:
            self._served.add(scheduler_name)
            self._what_ifs.serve(
                profile_of(self.plugin, self.handle, scheduler_name=scheduler_name)
            )

    def _as(self, role: type[RoleT]) -> RoleT:
        if not isinstance(self.plugin, role):
            raise TypeError(f"plugin {self.plugin.name} is no {role.__name__}")
        return self.plugin

    def _scores(self, pod: Pod, *, normalized: bool) -> dict[str, int]:
        answers = [
            score_answers(self.plugin, pod, self.nodes, form) for form in score_forms(self.plugin)
        ]
        found = [answer[normalized].tolist() for answer in answers if answer is not None]
        if not found:
            return {}
        assert all(scores == found[0] for scores in found), f"the forms disagree: {found}"
        return dict(zip(self.nodes.names, found[0], strict=True))
