"""A scheduler without a cluster: real cache, queue, plugins and cycles; writes are remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.clock import FakeClock
from pyscheduler.cycle.binding import BindingCycle
from pyscheduler.cycle.event_handlers import NodeEvents, PodEvents
from pyscheduler.cycle.extenders import Extender, Extenders
from pyscheduler.cycle.failure import FailureHandler
from pyscheduler.cycle.loop import Scheduler
from pyscheduler.cycle.scheduling import SchedulingAlgorithm
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.interface import Plugin
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.instrument import Instrument
from pyscheduler.runtime.waiting_pods import PodsInPreBindMap, WaitingPodsMap
from pyscheduler.runtime.what_if import WhatIfMaker
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.testing import FakeRecorder, FakeWrites, fake_handle, make_node, make_pod
from pyscheduler.testing.profiles import default_profile


class Window:
    """Room for every bind, unless a test says otherwise."""

    bind_window = 32
    unsent_binds = 0


class Attempts:
    """Remembers how attempts ended."""

    def __init__(self) -> None:
        self.results: list[str] = []
        self.waits: list[tuple[str, float]] = []

    def permit_waited(self, result: str, seconds: float) -> None:
        self.waits.append((result, seconds))

    def attempted(self, profile: str, result: str, seconds: float) -> None:
        self.results.append(result)

    def algorithm_took(self, seconds: float) -> None: ...

    def bound(self, entity: QueuedEntity, sli_seconds: float) -> None: ...


class Faults(list[tuple[str, str]]):
    """Plugin and hook of each fault that was counted."""

    def plugin_executed(self, plugin: str, point: str, seconds: float) -> None: ...

    def plugin_fault(self, plugin: str, hook: str) -> None:
        self.append((plugin, hook))


class Rig:
    """One profile with the default plugins but preemption, and ``extra`` ones at their points."""

    def __init__(
        self,
        *extra: type[Plugin[Any]],
        writes: FakeWrites | None = None,
        extenders: Sequence[Extender] = (),
    ) -> None:
        self.clock = FakeClock()
        self.cache = SchedulerCache()
        self.snapshot = Snapshot(self.cache)
        self.writes = writes or FakeWrites()
        self.recorder = FakeRecorder()
        self.attempts = Attempts()
        self.window = Window()
        self.known: dict[str, Pod] = {}
        nominator = Nominator()
        budget = self.budget = Budget(self.clock)
        what_ifs = WhatIfMaker(self.snapshot, nominator, budget)
        self.waiting_pods = WaitingPodsMap(self.clock, observer=self.attempts.permit_waited)
        self.pods_in_pre_bind = PodsInPreBindMap()
        handle = fake_handle(
            self.snapshot,
            writes=self.writes,
            recorder=self.recorder,
            clock=self.clock,
            what_ifs=what_ifs,
            waiting_pods=self.waiting_pods,
            pods_in_pre_bind=self.pods_in_pre_bind,
        )
        self.faults = Faults()
        instrument = Instrument(CurrentWork(), self.clock, self.faults)
        # preemption has a stage of its own, and would add its clause to every message here
        self.profile = default_profile(
            handle, *extra, without=("DefaultPreemption",), instrument=instrument
        )
        what_ifs.serve(self.profile)
        name = self.profile.scheduler_name
        several = Extenders(extenders, self.snapshot)
        self.queue = SchedulingQueue(
            clock=self.clock,
            sort_key=self.profile.sort_key,
            pre_enqueue=self.profile.run_pre_enqueue,
            hints={name: [*self.profile.hint_registrations(), *several.hint_registrations()]},
            nominator=nominator,
        )
        failures = FailureHandler(
            self.queue, self.writes, self.recorder, current_pod=self.known.get
        )
        self.binding = BindingCycle(
            self.cache,
            self.queue,
            self.recorder,
            failures,
            writes=self.writes,
            waiting_pods=self.waiting_pods,
            pods_in_pre_bind=self.pods_in_pre_bind,
            extender_bind=several.bind,
        )
        self.scheduler = Scheduler(
            cache=self.cache,
            snapshot=self.snapshot,
            queue=self.queue,
            algorithms={
                name: SchedulingAlgorithm(
                    self.profile,
                    self.snapshot,
                    nominator,
                    rng=Random(1),
                    budget=budget,
                    extenders=several,
                )
            },
            binding=self.binding,
            failures=failures,
            recorder=self.recorder,
            writes=self.window,
            instrument=instrument,
            budget=budget,
            observer=self.attempts,
            clock=self.clock,
            observed_version=lambda: "42",
        )
        self._pods = PodEvents(self.cache, self.queue, [name], assumed_pods=self.binding)
        self._nodes = NodeEvents(self.cache, self.queue)

    # what the watch says

    def add_pod(self, pod: Pod) -> None:
        self.known[pod.key] = pod
        self._pods.on_add(pod, False)

    def update_pod(self, pod: Pod) -> None:
        old, self.known[pod.key] = self.known[pod.key], pod
        self._pods.on_update(old, pod)

    def delete_pod(self, pod: Pod) -> None:
        del self.known[pod.key]
        self._pods.on_delete(pod)

    def add_node(self, node: Node) -> None:
        self._nodes.on_add(node, False)

    def update_node(self, old: Node, new: Node) -> None:
        self._nodes.on_update(old, new)

    def delete_node(self, node: Node) -> None:
        self._nodes.on_delete(node)

    # what the loop does

    async def settle(self) -> None:
        """Every pod that is ready has had its attempt, and every binding cycle waits or is over."""
        while (entity := self.queue.pop()) is not None:
            await self.scheduler.schedule_one(entity)
        await self.turns()
        self.cache.validate()
        self.queue.validate()

    async def turns(self, count: int = 25) -> None:
        """Everything that was ready has run, and what that made ready, and so on."""
        for _ in range(count):
            await asyncio.sleep(0)

    @property
    def bound(self) -> dict[str, str]:
        return {pod.name: node for pod, node in self.writes.bindings}

    @property
    def messages(self) -> dict[str, str]:
        return {pod.name: message for pod, _, message in self.writes.conditions}


def node(name: str, *, cpu: str = "4", memory: str = "8Gi") -> Node:
    return make_node(name).capacity({"cpu": cpu, "memory": memory, "pods": "110"}).obj()


def pod(name: str, *, cpu: str = "1", memory: str = "1Gi") -> Pod:
    return make_pod(name).req({"cpu": cpu, "memory": memory}).scheduler_name("pyscheduler").obj()
