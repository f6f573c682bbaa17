"""What the scheduler offers to a plugin: small protocols, gathered in `Handle`.

Plugins get a `Handle` when they are made; what is behind each part is made by ``app.assembly``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import Clock
from pyscheduler.framework.columns import StateColumn
from pyscheduler.framework.informers import Informers, Listers
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.shared import SharedParts
from pyscheduler.framework.waiting import PodsInPreBind, WaitingPods
from pyscheduler.framework.what_if import WhatIfs


class Writes(Protocol):
    """Ordered, bounded writes to the API server."""

    def bind(self, pod: Pod, node_name: str) -> Awaitable[None]:
        """Binds; raises when the API server refused or could not be reached for long."""

    def patch_pod_status(
        self,
        pod: Pod,
        *,
        reason: str,
        message: str,
        nominated_node_name: str | None = None,
    ) -> None:
        """Sets PodScheduled=False in the background; dropped once the pod is bound."""

    def delete_pod(self, pod: Pod) -> Awaitable[None]:
        """Deletes that very pod (by uid); gone already counts as done."""

    def patch_pod_condition(
        self, pod: Pod, *, condition_type: str, reason: str, message: str
    ) -> Awaitable[None]:
        """Sets a condition of that very pod to True; gone already counts as done."""

    def nominate(self, pod: Pod, node_name: str) -> None:
        """Writes ``status.nominatedNodeName`` in the background; empty clears it."""

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Awaitable[Any]:
        """Any other write, for example a plugin's own resource; answers the decoded JSON.

        Args:
            method: ``POST``, ``PUT``, ``DELETE``, ``PATCH`` (a JSON merge patch), or ``GET`` for
                what the watch has not told yet, such as what a write was refused for.
            path: from ``/api`` or ``/apis`` on, without the server.
            body: the object or patch; None sends none.

        Raises:
            ClientError: the API server refused, or could not be reached for long.
        """


class EventRecorder(Protocol):
    """Kubernetes events (events.k8s.io/v1), written in the background."""

    def event(
        self,
        regarding: Pod,
        event_type: str,
        reason: str,
        action: str,
        note: str,
        *,
        related: Pod | None = None,
    ) -> None:
        """Records one event; equal ones are joined into a series."""


class SnapshotReader(Protocol):
    """The picture of the cluster that the current cycle sees."""

    @property
    def nodes(self) -> NodeTable:
        """All nodes."""


class ColumnWriter(Protocol):
    """Where plugins keep their own per-node values."""

    def set(self, column: StateColumn, node_name: str, value: Any) -> None:
        """Sets one node's value; cycles see it from their next refresh on."""


class Nominations(Protocol):
    """Which pending pod is promised which node."""

    def add(self, pod: Pod, *, node_name: str | None = None) -> None:
        """Replaces the pod's nomination in memory; None takes the node in its status."""

    def delete(self, uid: str) -> None:
        """Forgets the pod's nomination, if it has one."""

    def node_of(self, uid: str) -> str:
        """The node promised to that pod; empty when there is none."""

    def nominated_on(self, node_name: str) -> tuple[Pod, ...]:
        """The pods promised that node."""

    def any_at_least(self, priority: int) -> Iterable[tuple[str, Pod]]:
        """Node and pod of the promises that a pod of ``priority`` must respect; its own, too."""


class Activator(Protocol):
    """Brings waiting pods back at once."""

    def activate(self, pods: Iterable[Pod]) -> None:
        """Makes these pods ready without backoff; one in flight is tried again if it fails."""


class MetricChild(Protocol):
    """One series of a plugin's metric."""

    def inc(self, amount: float = 1) -> None:
        """Adds to a counter or gauge."""

    def set(self, value: float) -> None:
        """Sets a gauge."""

    def observe(self, value: float) -> None:
        """Counts one observation of a histogram."""


class PluginMetrics(Protocol):
    """Metrics of plugins, served with the scheduler's own at ``/metrics``.

    Names are given without a prefix and appear as ``scheduler_plugin_<name>``. Asking twice for one
    name gives the same metric.
    """

    def counter(self, name: str, documentation: str, **labels: str) -> MetricChild:
        """A total that only grows."""

    def gauge(self, name: str, documentation: str, **labels: str) -> MetricChild:
        """A value that goes up and down."""

    def histogram(
        self, name: str, documentation: str, *, buckets: Sequence[float], **labels: str
    ) -> MetricChild:
        """Observations counted by bucket."""


class BackgroundTasks(Protocol):
    """Where plugins keep tasks of their own, for example a poller."""

    def start(self, function: Callable[[], Awaitable[None]], *, name: str) -> None:
        """Runs ``function`` on the event loop while this process schedules.

        It begins with scheduling (at once if that has begun) and is cancelled when scheduling ends.
        One that raises is logged under ``name`` and begun again with backoff.
        """


class Rng(Protocol):
    """What is asked of a random generator; ``random.Random`` has it."""

    def randrange(self, stop: int, /) -> int:
        """An integer in 0..stop-1."""


class PreemptionObserver(Protocol):
    """Where preemption is counted, under kube-scheduler's names."""

    def evaluated(self, result: str, seconds: float) -> None:
        """Victims were looked for; ``result`` is a code's label."""

    def chose(self, victims: int, pdb_violations: int) -> None:
        """A node was chosen; so many pods have to leave, so many against their budget."""

    def executed(self, result: str, seconds: float) -> None:
        """All victims were told to go (``success``), or not (``error``)."""


class CandidateExtenders(Protocol):
    """HTTP extenders, as far as they have a say in who is preempted."""

    async def narrow_candidates(self, pod: Pod, candidates: Sequence[Any]) -> Sequence[Any]:
        """Those `preemption.Candidate` that they leave, with the victims that they leave.

        Raises:
            PySchedulerError: one that may not be ignored failed.
        """


@dataclass(frozen=True, slots=True)
class Handle:
    """A plugin's way to the scheduler."""

    snapshot: SnapshotReader
    what_ifs: WhatIfs
    writes: Writes
    recorder: EventRecorder
    columns: ColumnWriter
    clock: Clock
    waiting_pods: WaitingPods
    pods_in_pre_bind: PodsInPreBind
    informers: Informers
    listers: Listers
    nominator: Nominations
    activator: Activator
    metrics: PluginMetrics
    tasks: BackgroundTasks
    rng: Rng
    preemption_observer: PreemptionObserver
    #: every feature gate that is known, by kube-scheduler's name, with its value
    features: Mapping[str, bool]
    #: None when none is configured
    extenders: CandidateExtenders | None = None
    #: what the plugins of all profiles have in common
    shared: SharedParts = field(default_factory=SharedParts)
