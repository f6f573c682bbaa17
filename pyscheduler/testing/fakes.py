"""Stand-ins for what a plugin reaches through its handle; they remember what was asked of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyscheduler.api.core_v1 import Pod
from pyscheduler.cache import Snapshot
from pyscheduler.clock import Clock, FakeClock
from pyscheduler.config.feature_gates import with_gates
from pyscheduler.framework.handle import (
    Activator,
    BackgroundTasks,
    Handle,
    PreemptionObserver,
    Rng,
)
from pyscheduler.framework.waiting import PodsInPreBind, WaitingPods
from pyscheduler.framework.what_if import WhatIfs
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.waiting_pods import PodsInPreBindMap, WaitingPodsMap
from pyscheduler.runtime.what_if import WhatIfMaker
from pyscheduler.telemetry.instruments import MetricRegistry
from pyscheduler.telemetry.plugin_metrics import PluginMetrics
from pyscheduler.testing.resources import FakeInformers
from pyscheduler.testing.tables import snapshot_of


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event as it was handed to the recorder."""

    regarding: Pod
    event_type: str
    reason: str
    action: str
    note: str
    related: Pod | None = None


@dataclass(frozen=True, slots=True)
class SetCondition:
    """One condition that was to become True."""

    pod: Pod
    condition_type: str
    reason: str
    message: str


class FakeRecorder:
    """Keeps events in order."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []

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
        """Remembers the event."""
        self.events.append(
            RecordedEvent(regarding, event_type, reason, action, note, related=related)
        )


class FakeWrites:
    """Accepts every write, or refuses them all with ``failure``."""

    def __init__(self, failure: Exception | None = None) -> None:
        #: raised by every awaited write while set
        self.failure = failure
        #: pod and node name of every accepted binding
        self.bindings: list[tuple[Pod, str]] = []
        #: pod, reason and message of every condition
        self.conditions: list[tuple[Pod, str, str]] = []
        #: pod and node of every nomination; an empty name clears it
        self.nominations: list[tuple[Pod, str]] = []
        self.deleted: list[Pod] = []
        #: conditions set to True, such as that of a victim
        self.set_conditions: list[SetCondition] = []
        #: method, path and body of every other write
        self.requests: list[tuple[str, str, Mapping[str, Any] | None]] = []
        #: what other writes are answered, by method and path; an empty object otherwise
        self.answers: dict[tuple[str, str], Any] = {}

    async def bind(self, pod: Pod, node_name: str) -> None:
        """Remembers the binding."""
        self._refuse()
        self.bindings.append((pod, node_name))

    def patch_pod_status(
        self,
        pod: Pod,
        *,
        reason: str,
        message: str,
        nominated_node_name: str | None = None,
    ) -> None:
        """Remembers the condition."""
        self.conditions.append((pod, reason, message))
        if nominated_node_name is not None:
            self.nominations.append((pod, nominated_node_name))

    async def delete_pod(self, pod: Pod) -> None:
        """Remembers the deletion."""
        self._refuse()
        self.deleted.append(pod)

    async def patch_pod_condition(
        self, pod: Pod, *, condition_type: str, reason: str, message: str
    ) -> None:
        """Remembers the condition."""
        self._refuse()
        self.set_conditions.append(SetCondition(pod, condition_type, reason, message))

    def nominate(self, pod: Pod, node_name: str) -> None:
        """Remembers the nomination."""
        self.nominations.append((pod, node_name))

    async def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Remembers the request."""
        self._refuse()
        self.requests.append((method, path, body))
        return self.answers.get((method, path), {})

    def _refuse(self) -> None:
        if self.failure is not None:
            raise self.failure


class FakeActivator:
    """Remembers who was to be activated."""

    def __init__(self) -> None:
        self.activated: list[Pod] = []

    def activate(self, pods: Iterable[Pod]) -> None:
        """Remembers the pods."""
        self.activated.extend(pods)


class FakeTasks:
    """Keeps tasks without running them; a test awaits those it wants to."""

    def __init__(self) -> None:
        #: functions by name
        self.started: dict[str, Callable[[], Awaitable[None]]] = {}

    def start(self, function: Callable[[], Awaitable[None]], *, name: str) -> None:
        """Remembers the function."""
        self.started[name] = function


class FakeRng:
    """Always draws the same: ``drawn``, or the highest number if that is lower."""

    def __init__(self, drawn: int = 0) -> None:
        self.drawn = drawn

    def randrange(self, stop: int, /) -> int:
        """``drawn``, as far as it is in 0..stop-1."""
        return min(self.drawn, stop - 1)


class FakePreemptionObserver:
    """Remembers what was counted; durations apart."""

    def __init__(self) -> None:
        #: results of the searches for victims
        self.evaluations: list[str] = []
        #: victims, and how many of them against their budget
        self.choices: list[tuple[int, int]] = []
        #: results of the evictions
        self.executions: list[str] = []

    def evaluated(self, result: str, seconds: float) -> None:
        """Remembers the result."""
        self.evaluations.append(result)

    def chose(self, victims: int, pdb_violations: int) -> None:
        """Remembers the numbers."""
        self.choices.append((victims, pdb_violations))

    def executed(self, result: str, seconds: float) -> None:
        """Remembers the result."""
        self.executions.append(result)


def fake_handle(
    snapshot: Snapshot | None = None,
    *,
    writes: FakeWrites | None = None,
    recorder: FakeRecorder | None = None,
    clock: Clock | None = None,
    what_ifs: WhatIfs | None = None,
    waiting_pods: WaitingPods | None = None,
    pods_in_pre_bind: PodsInPreBind | None = None,
    informers: FakeInformers | None = None,
    nominator: Nominator | None = None,
    activator: Activator | None = None,
    metrics: PluginMetrics | None = None,
    tasks: BackgroundTasks | None = None,
    rng: Rng | None = None,
    preemption_observer: PreemptionObserver | None = None,
    features: Mapping[str, bool] | None = None,
) -> Handle:
    """A handle over fakes and a real snapshot, an empty one unless given.

    Its what-ifs serve no profile unless ``what_ifs`` are given that do. ``features`` are the gates
    that differ from their defaults.

    Raises:
        ValueError: a gate is unknown, or cannot have that value.
    """
    snapshot = snapshot_of(()) if snapshot is None else snapshot
    clock = clock or FakeClock()
    budget = Budget(clock)
    if waiting_pods is None:  # one without pods is false, too
        waiting_pods = WaitingPodsMap(clock)
    if nominator is None:  # one that holds nothing is false, too
        nominator = Nominator()
    informers = informers or FakeInformers()
    return Handle(
        snapshot=snapshot,
        what_ifs=what_ifs or WhatIfMaker(snapshot, nominator, budget),
        writes=writes or FakeWrites(),
        recorder=recorder or FakeRecorder(),
        columns=snapshot,
        clock=clock,
        waiting_pods=waiting_pods,
        pods_in_pre_bind=PodsInPreBindMap() if pods_in_pre_bind is None else pods_in_pre_bind,
        informers=informers,
        listers=informers,
        nominator=nominator,
        activator=activator or FakeActivator(),
        metrics=metrics or PluginMetrics(MetricRegistry()),
        tasks=tasks or FakeTasks(),
        rng=rng or FakeRng(),
        preemption_observer=preemption_observer or FakePreemptionObserver(),
        features=with_gates(features or {}),
    )
