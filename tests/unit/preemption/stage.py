"""A small cluster with everything that preemption reaches: real rows and filters, kept effects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, ObjectMeta
from pyscheduler.api.policy_v1 import (
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.clock import FakeClock
from pyscheduler.cycle.scheduling import NoFit, SchedulingAlgorithm
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.status import PostFilterResult, Status
from pyscheduler.preemption import Evaluator, Extend, SearchLimits
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.rejections import passed_filters
from pyscheduler.runtime.what_if import WhatIfMaker
from pyscheduler.testing import (
    FakeActivator,
    FakeInformer,
    FakeInformers,
    FakeRecorder,
    FakeTasks,
    FakeWrites,
    PodBuilder,
    fake_handle,
    make_pod,
)
from pyscheduler.testing.fakes import FakePreemptionObserver, FakeRng
from pyscheduler.testing.profiles import default_profile


def make_preemptor(name: str = "urgent", *, cpu: str, priority: int = 100) -> PodBuilder:
    """Starts a pod that this stage's scheduler is to place."""
    return make_pod(name).req({"cpu": cpu}).priority(priority).scheduler_name("pyscheduler")


def make_budget(
    name: str,
    selector: LabelSelector | Mapping[str, str] | None,
    *,
    allowed: int = 0,
    namespace: str = "default",
    disrupted: Iterable[str] = (),
) -> PodDisruptionBudget:
    """A budget as the disruption controller left it."""
    if selector is not None and not isinstance(selector, LabelSelector):
        selector = LabelSelector(match_labels=FrozenMap(selector))
    return PodDisruptionBudget(
        metadata=ObjectMeta(name=name, namespace=namespace),
        spec=PodDisruptionBudgetSpec(selector=selector),
        status=PodDisruptionBudgetStatus(
            disruptions_allowed=allowed,
            disrupted_pods=FrozenMap(dict.fromkeys(disrupted, "2026-01-01T00:00:00Z")),
        ),
    )


class RefusedError(PySchedulerError):
    """The API server said no."""


class Gate:
    """Holds awaited writes until it is opened, and refuses those that were asked to fail."""

    def __init__(self) -> None:
        self.closed: set[tuple[str, str]] = set()
        self.failing: set[tuple[str, str]] = set()
        self._moved = asyncio.Event()

    async def __call__(self, verb: str, pod: Pod) -> None:
        while (verb, pod.name) in self.closed or (verb, "*") in self.closed:
            self._moved.clear()
            await self._moved.wait()
        if (verb, pod.name) in self.failing or (verb, "*") in self.failing:
            raise RefusedError(f"{verb} {pod.key} was refused")

    def close(self, verb: str, name: str = "*") -> None:
        """From now on that write waits."""
        self.closed.add((verb, name))

    def open(self) -> None:
        """All writes go on."""
        self.closed.clear()
        self._moved.set()

    def fail(self, verb: str, name: str = "*") -> None:
        """That write is refused."""
        self.failing.add((verb, name))


class GatedWrites(FakeWrites):
    """Remembers writes, after `Gate` let them through."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        #: asked for, whether or not it was let through
        self.asked: list[tuple[str, str]] = []

    async def patch_pod_condition(
        self, pod: Pod, *, condition_type: str, reason: str, message: str
    ) -> None:
        self.asked.append(("condition", pod.name))
        await self.gate("condition", pod)
        await super().patch_pod_condition(
            pod, condition_type=condition_type, reason=reason, message=message
        )

    async def delete_pod(self, pod: Pod) -> None:
        self.asked.append(("delete", pod.name))
        await self.gate("delete", pod)
        await super().delete_pod(pod)


class Tasks(FakeTasks):
    """Background tasks: begun by the test, as scheduling begins them."""

    def __init__(self) -> None:
        super().__init__()
        self._running: list[asyncio.Future[None]] = []

    def begin(self) -> None:
        self._running = [asyncio.ensure_future(function()) for function in self.started.values()]

    async def end(self) -> None:
        for task in self._running:
            task.cancel()
        for outcome in await asyncio.gather(*self._running, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError), outcome


@dataclass
class Bindable:
    """A pod at Permit or in PreBind that may be taken back, unless it is too late."""

    pod: Pod
    is_too_late: bool = False
    taken_back: str = ""
    node_name: str = ""
    pending_plugins: tuple[str, ...] = ()

    def allow(self, plugin: str) -> None:
        raise AssertionError("nobody is allowed by preemption")

    def reject(self, plugin: str, message: str) -> bool:
        raise AssertionError("a victim is preempted, not rejected")

    def preempt(self, plugin: str, message: str) -> bool:
        return self.cancel(f"{plugin}: {message}")

    def cancel(self, message: str) -> bool:
        if not self.is_too_late:
            self.taken_back = message
        return not self.is_too_late


class Bindables:
    """`WaitingPods` or `PodsInPreBind`."""

    def __init__(self) -> None:
        self.by_uid: dict[str, Bindable] = {}

    def put(self, pod: Pod, *, is_too_late: bool = False) -> Bindable:
        self.by_uid[pod.uid] = found = Bindable(pod, is_too_late)
        return found

    def get(self, uid: str) -> Bindable | None:
        return self.by_uid.get(uid)

    def reject(self, uid: str) -> bool:
        raise AssertionError("a victim is preempted, not rejected")

    def __len__(self) -> int:
        return len(self.by_uid)

    def __iter__(self) -> Iterator[Bindable]:
        return iter(tuple(self.by_uid.values()))


class Stage:
    """One cluster in one moment, and an evaluator on it."""

    def __init__(
        self,
        nodes: Iterable[Node],
        pods: Iterable[Pod] = (),
        *,
        budgets: Iterable[PodDisruptionBudget] = (),
        evaluator: type[Evaluator] = Evaluator,
        limits: SearchLimits | None = None,
        extend: Extend | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.cache = SchedulerCache()
        self.snapshot = Snapshot(self.cache)
        self.nominator = Nominator()
        self.writes = GatedWrites()
        self.recorder = FakeRecorder()
        informers = FakeInformers()
        #: what the watch says of pods
        self.watch: FakeInformer[Pod] = informers.of("pods.v1", Pod)
        known_budgets: FakeInformer[PodDisruptionBudget] = informers.of(
            "poddisruptionbudgets.v1.policy", PodDisruptionBudget
        )
        for known in budgets:
            known_budgets.put(known)
        self.tasks = Tasks()
        self.waiting_pods = Bindables()
        self.pods_in_pre_bind = Bindables()
        self.activator = FakeActivator()
        self.observed = FakePreemptionObserver()
        self.rng = FakeRng()
        for node in nodes:
            self.cache.add_node(node)
        for pod in pods:
            self.add(pod)
        budget = Budget(self.clock)
        what_ifs = WhatIfMaker(self.snapshot, self.nominator, budget)
        self._profile = default_profile(
            fake_handle(self.snapshot, what_ifs=what_ifs), without=("DefaultPreemption",)
        )
        what_ifs.serve(self._profile)
        self._algorithm = SchedulingAlgorithm(
            self._profile, self.snapshot, self.nominator, rng=Random(1), budget=budget
        )
        self.handle = fake_handle(
            self.snapshot,
            writes=self.writes,
            recorder=self.recorder,
            clock=self.clock,
            what_ifs=what_ifs,
            waiting_pods=self.waiting_pods,
            pods_in_pre_bind=self.pods_in_pre_bind,
            informers=informers,
            nominator=self.nominator,
            activator=self.activator,
            tasks=self.tasks,
            rng=self.rng,
            preemption_observer=self.observed,
        )
        self.evaluator = evaluator(
            self.handle,
            plugin="DefaultPreemption",
            limits=limits or SearchLimits(),
            extend=extend,
        )

    # what the watch says

    def add(self, pod: Pod) -> None:
        """``pod`` is there, or this is its newest state."""
        known = self.watch.get(pod.key)
        self.watch.put(pod)
        if known is not None and known.node_name:
            self.cache.update_pod(pod)
        elif pod.node_name:
            self.cache.add_pod(pod)

    def remove(self, pod: Pod) -> None:
        """``pod`` is gone."""
        known = self.known(pod.name)
        self.watch.remove(pod.key)
        if known.node_name:
            self.cache.remove_pod(known)

    def known(self, name: str) -> Pod:
        """That pod as the watch last showed it."""
        pod = self.watch.get(f"default/{name}")
        assert pod is not None
        return pod

    # what a cycle does

    async def preempt(self, pod: Pod) -> tuple[str | None, Status]:
        """One attempt of a pod that fits nowhere: the node it is nominated to now, and why.

        The nomination counts from here on, as after the cycle.
        """
        if self.watch.get(pod.key) is None:
            self.add(pod)
        found = await self.search(pod)
        result, status = await self.evaluator.preempt(found.state, pod, found.statuses)
        named = result.nominated_node_name if isinstance(result, PostFilterResult) else None
        if named is not None:
            self.nominator.add(pod, node_name=named)
        return named, status

    async def search(self, pod: Pod) -> NoFit:
        """Why ``pod`` fits nowhere in the cluster as it is now."""
        self.snapshot.refresh()
        found = await self._algorithm.schedule(QueuedEntity(pod, timestamp=0))
        assert isinstance(found, NoFit), f"the pod fits: {found}"
        return found

    async def state_of(self, pod: Pod) -> CycleState:
        """What Filter leaves for ``pod`` in the cluster as it is now."""
        self.snapshot.refresh()
        filtering = Filtering(self._profile, self.snapshot, Budget(self.clock))
        entry = await filtering.judge_all(pod)
        entry.state.passed_filters = passed_filters(entry)
        return entry.state

    # what happens in the background

    async def settle(self) -> None:
        """Whatever can happen without outside help has happened."""
        for _ in range(50):
            await asyncio.sleep(0)

    @property
    def activated(self) -> list[str]:
        """Names of the pods that were activated, in order."""
        return [pod.name for pod in self.activator.activated]

    @property
    def deleted(self) -> list[str]:
        """Names of the pods whose deletion was accepted, in order."""
        return [pod.name for pod in self.writes.deleted]

    @property
    def executor_is_idle(self) -> bool:
        """Nothing is under way and nothing is remembered of what was."""
        executor = self.evaluator._executor
        return not executor._under_way and not executor._evictions and executor._inbox.empty()
