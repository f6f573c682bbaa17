"""The composition root: makes every part of the scheduler and hands each what it needs.

`assemble` is the only place that knows all packages. It takes what differs between a real process
and a replay (transport, clock, randomness) and returns an `Assembly`, which `app.server` runs
against a cluster and ``sim`` against the embedded one.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import structlog

from pyscheduler.api.codec import NODES, PODS, Interner, decoder
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.quantity import InvalidQuantity
from pyscheduler.api.resource_types import ResourceType
from pyscheduler.app.background_tasks import PluginTasks
from pyscheduler.app.observers import (
    CycleObserver,
    PreemptionObserver,
    QueueObserver,
    ReflectorObserver,
    WriteObserver,
)
from pyscheduler.app.plugin_parts import LateActivator, ProfileRecorders
from pyscheduler.app.refusals import RefusalWatch, failed_pods_of
from pyscheduler.app.resource_events import raise_registered_events
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.client.dispatcher import Dispatcher
from pyscheduler.client.extender_client import keeps_raw_node, keeps_raw_pod
from pyscheduler.client.informer import Informer
from pyscheduler.client.informers import SharedInformers
from pyscheduler.client.recorder import EventRecorder
from pyscheduler.client.reflector import Reflector
from pyscheduler.client.sink import Sink
from pyscheduler.client.transport import Transport
from pyscheduler.clock import Clock
from pyscheduler.config.configuration import Configuration, ProfileConfiguration
from pyscheduler.config.feature_gates import DEFAULT_GATES, PRE_QUEUEING_HINTS
from pyscheduler.cycle.binding import BindingCycle
from pyscheduler.cycle.event_handlers import NodeEvents, PodEvents
from pyscheduler.cycle.extenders import Extender, Extenders
from pyscheduler.cycle.failure import FailureHandler
from pyscheduler.cycle.loop import Scheduler
from pyscheduler.cycle.scheduling import SchedulingAlgorithm
from pyscheduler.framework.args import NoArgs
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.status import Status
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.queueing.flushing import keep_flushing
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.instrument import Instrument
from pyscheduler.runtime.profile import Profile
from pyscheduler.runtime.registry import Registry
from pyscheduler.runtime.waiting_pods import PodsInPreBindMap, WaitingPodsMap
from pyscheduler.runtime.what_if import WhatIfMaker
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics

_log = structlog.get_logger(__name__)

#: Pods that have ended take no room; when they end they arrive as DELETED.
_LIVE_PODS = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}


@dataclass(slots=True)
class Assembly:
    """All parts of one scheduler, and how to run them."""

    cache: SchedulerCache
    snapshot: Snapshot
    queue: SchedulingQueue
    scheduler: Scheduler
    algorithms: Mapping[str, SchedulingAlgorithm]
    pods: Informer[Pod]
    nodes: Informer[Node]
    informers: SharedInformers
    reflectors: tuple[Reflector[Any], ...]
    #: Run only while this process schedules; nothing waits for them.
    leader_reflectors: tuple[Reflector[Any], ...]
    #: Run only while this process schedules.
    tasks: PluginTasks
    dispatcher: Dispatcher
    clock: Clock

    async def follow(self) -> None:
        """Follows the cluster until cancelled.

        Raises:
            ClientError: the very first look was refused, or the server's certificate is wrong.
        """
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run())
            group.create_task(self.informers.run())

    async def wait_synced(self) -> None:
        """Returns once cache, queue and plugins know everything there was at the start."""
        await self.nodes.synced.wait()
        await self.pods.synced.wait()
        await self.informers.wait_synced()

    def missing(self) -> list[str]:
        """What `wait_synced` waits for, one line each."""
        ours = [("nodes", self.nodes.synced), ("pods", self.pods.synced)]
        return [
            *(name for name, synced in ours if not synced.is_set()),
            *self.informers.missing(),
        ]

    @property
    def is_synced(self) -> bool:
        """True when `wait_synced` has nothing to wait for."""
        return not self.missing()

    async def schedule(self) -> None:
        """Schedules until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.leader_reflectors:
                group.create_task(reflector.run())
            group.create_task(keep_flushing(self.queue, clock=self.clock))
            group.create_task(self.tasks.run())
            group.create_task(self.scheduler.run())

    async def drain(self, timeout_s: float) -> bool:
        """Finishes binds in flight and what is left to be written; False when time was short."""
        until = self.clock.monotonic() + timeout_s
        loop = asyncio.get_running_loop()
        binds = loop.create_task(self.scheduler.drain())
        time_is_up = loop.create_task(self.clock.sleep(timeout_s))
        try:
            await asyncio.wait((binds, time_is_up), return_when=asyncio.FIRST_COMPLETED)
            if not binds.done():
                return False
            binds.result()
        finally:
            for task in (binds, time_is_up):
                task.cancel()
            await asyncio.gather(binds, time_is_up, return_exceptions=True)
        return await self.dispatcher.drain(until - self.clock.monotonic())


def in_tree_registry() -> Registry:
    """Returns the registry that every scheduler starts from: what comes with it, and its order."""
    return Registry(IN_TREE, DEFAULT_PLUGINS)


def assemble(
    configuration: Configuration,
    registry: Registry,
    *,
    transport: Transport,
    clock: Clock,
    rng: Random,
    metrics: SchedulerMetrics,
    work: CurrentWork,
    instance: str,
    extenders: Sequence[Extender] = (),
    feature_gates: Mapping[str, bool] = DEFAULT_GATES,
) -> Assembly:
    """Makes the parts and connects them; nothing runs yet.

    Args:
        configuration: resolved and checked.
        registry: where plugin classes come from.
        transport: reaches the cluster.
        clock: all of the scheduler's time.
        rng: breaks ties and jitters retries.
        metrics: where figures go.
        work: told what the loop is doing, for the watchdog.
        instance: this process, for events.
        extenders: of the configuration, in its order; closed by whoever made them.
        feature_gates: every gate with its value.

    Raises:
        PySchedulerError: a plugin cannot be loaded or made.
    """
    if len(extenders) != len(configuration.extenders):
        raise ValueError("every extender of the configuration must be given")
    observer = CycleObserver(metrics)
    connection = configuration.client_connection
    dispatcher = Dispatcher(
        transport,
        qps=connection.qps if connection.qps and connection.qps > 0 else None,
        burst=connection.burst,
        clock=clock,
        rng=rng,
        metrics=WriteObserver(metrics),
    )
    recorder = _recorders(configuration, dispatcher, metrics, instance=instance, clock=clock)
    cache = SchedulerCache(on_malformed=functools.partial(_report_malformed, metrics))
    snapshot = Snapshot(cache)
    budget, nominator = Budget(clock), Nominator()
    what_ifs = WhatIfMaker(snapshot, nominator, budget)
    waiting_pods = WaitingPodsMap(clock, observer=observer.permit_waited)
    pods_in_pre_bind = PodsInPreBindMap()
    pods: Informer[Pod] = Informer(clock=clock)
    nodes: Informer[Node] = Informer(clock=clock)
    interner = Interner()
    informers = SharedInformers(
        transport,
        interner=interner,
        clock=clock,
        rng=rng,
        metrics=functools.partial(ReflectorObserver, metrics),
    )
    informers.share(PODS.name, pods)
    informers.share(NODES.name, nodes)
    all_extenders = Extenders(extenders, snapshot, may_bind=dispatcher.may_write)
    activator, tasks = LateActivator(), PluginTasks(clock=clock, rng=rng)
    nobodys = informers.for_plugin("a plugin")
    handle = Handle(
        snapshot=snapshot,
        what_ifs=what_ifs,
        writes=dispatcher,
        recorder=recorder,
        columns=snapshot,
        clock=clock,
        waiting_pods=waiting_pods,
        pods_in_pre_bind=pods_in_pre_bind,
        informers=nobodys,
        listers=nobodys.listers,
        nominator=nominator,
        activator=activator,
        metrics=metrics.plugins,
        tasks=tasks,
        rng=rng,
        preemption_observer=PreemptionObserver(metrics),
        features=feature_gates,
        extenders=all_extenders if extenders else None,
    )
    instrument = Instrument(work, clock, observer)
    profiles = {
        profile.scheduler_name: _profile(profile, registry, handle, informers, instrument)
        for profile in configuration.profiles
    }
    for profile in profiles.values():
        what_ifs.serve(profile)
        for column in profile.columns():
            snapshot.store.register(column)
    hints = {
        name: [*profile.hint_registrations(), *all_extenders.hint_registrations()]
        for name, profile in profiles.items()
    }
    queue = activator.queue = SchedulingQueue(
        clock=clock,
        sort_key=next(iter(profiles.values())).sort_key,
        pre_enqueue=_pre_enqueue(profiles),
        hints=hints,
        initial_backoff_s=configuration.pod_initial_backoff_s,
        max_backoff_s=configuration.pod_max_backoff_s,
        uses_pre_hints=feature_gates[PRE_QUEUEING_HINTS],
        nominator=nominator,
        metrics=QueueObserver(metrics),
    )
    algorithms = {
        profile.scheduler_name: SchedulingAlgorithm(
            profiles[profile.scheduler_name],
            snapshot,
            nominator,
            rng=rng,
            budget=budget,
            percentage_of_nodes_to_score=profile.percentage_of_nodes_to_score,
            extenders=all_extenders,
        )
        for profile in configuration.profiles
    }
    failures = FailureHandler(queue, dispatcher, recorder, current_pod=pods.get)
    binding = BindingCycle(
        cache,
        queue,
        recorder,
        failures,
        writes=dispatcher,
        waiting_pods=waiting_pods,
        pods_in_pre_bind=pods_in_pre_bind,
        extender_bind=all_extenders.bind if extenders else None,
    )
    pods.add_handler(PodEvents(cache, queue, profiles, assumed_pods=binding))
    nodes.add_handler(NodeEvents(cache, queue))
    raise_registered_events(profiles, hints, informers=informers, queue=queue)
    reflect = functools.partial(_reflector, transport, interner, metrics, clock=clock, rng=rng)
    keeps_node, keeps_pod = (
        keeps(configuration.extenders) for keeps in (keeps_raw_node, keeps_raw_pod)
    )
    refusals = RefusalWatch(functools.partial(_report_refusal, metrics))
    scheduler = Scheduler(
        cache=cache,
        snapshot=snapshot,
        queue=queue,
        algorithms=algorithms,
        binding=binding,
        failures=failures,
        recorder=recorder,
        writes=dispatcher,
        instrument=instrument,
        budget=budget,
        observer=observer,
        clock=clock,
        observed_version=lambda: pods.last_resource_version,
    )
    _connect_gauges(metrics, cache, queue, dispatcher, algorithms)
    return Assembly(
        cache=cache,
        snapshot=snapshot,
        queue=queue,
        scheduler=scheduler,
        algorithms=algorithms,
        pods=pods,
        nodes=nodes,
        informers=informers,
        reflectors=(
            reflect(NODES, nodes, keeps_raw=keeps_node),
            reflect(PODS, pods, params=_LIVE_PODS, keeps_raw=keeps_pod),
        ),
        leader_reflectors=tuple(
            reflect(PODS, refusals, params=failed_pods_of(name), name="failed pods")
            for name in profiles
        ),
        tasks=tasks,
        dispatcher=dispatcher,
        clock=clock,
    )


def _recorders(
    configuration: Configuration,
    dispatcher: Dispatcher,
    metrics: SchedulerMetrics,
    *,
    instance: str,
    clock: Clock,
) -> ProfileRecorders:
    """Events of each profile's pods are reported in the name of its scheduler."""
    return ProfileRecorders(
        {
            profile.scheduler_name: EventRecorder(
                dispatcher,
                reporting_controller=profile.scheduler_name,
                reporting_instance=instance,
                clock=clock,
                on_dropped=lambda reason: metrics.dropped_events.labels(reason).inc(),
            )
            for profile in configuration.profiles
        }
    )


def _reflector(
    transport: Transport,
    interner: Interner,
    metrics: SchedulerMetrics,
    kind: ResourceType[Any],
    sink: Sink[Any],
    *,
    clock: Clock,
    rng: Random,
    params: Mapping[str, str] | None = None,
    keeps_raw: Callable[[Any], bool] | None = None,
    name: str = "",
) -> Reflector[Any]:
    """Follows one kind for ``sink``; metrics know it as ``name``, its plural by default."""
    return Reflector(
        transport,
        decoder(kind, interner, keeps_raw=keeps_raw),
        sink,
        params=params,
        clock=clock,
        rng=rng,
        metrics=ReflectorObserver(metrics, name or kind.plural),
    )


def _profile(
    configuration: ProfileConfiguration,
    registry: Registry,
    handle: Handle,
    informers: SharedInformers,
    instrument: Instrument,
) -> Profile:
    plugins = {}
    for name in configuration.plugin_names():
        its = informers.for_plugin(name)
        plugins[name] = registry.make(
            name,
            configuration.args.get(name, NoArgs()),
            replace(handle, informers=its, listers=its.listers),
        )
    points = {
        point: [(entry.name, entry.weight) for entry in entries]
        for point, entries in configuration.plugins.items()
    }
    return Profile(configuration.scheduler_name, plugins, points, instrument=instrument)


def _pre_enqueue(profiles: Mapping[str, Profile]) -> Callable[[Pod, str], Status | None]:
    def run(pod: Pod, first: str) -> Status | None:
        return profiles[pod.scheduler_name].run_pre_enqueue(pod, first)

    return run


def _report_malformed(
    metrics: SchedulerMetrics, malformed: Pod | Node, error: InvalidQuantity
) -> None:
    is_pod = isinstance(malformed, Pod)
    metrics.malformed_objects.labels("pods" if is_pod else "nodes").inc()
    key = malformed.key if isinstance(malformed, Pod) else malformed.name
    _log.warning("malformed object", **{"pod" if is_pod else "node": key}, reason=str(error))


def _report_refusal(metrics: SchedulerMetrics, pod: Pod) -> None:
    metrics.kubelet_refusals.labels(pod.status.reason).inc()
    _log.warning("kubelet refused a pod", pod=pod.key, node=pod.node_name, reason=pod.status.reason)


def _connect_gauges(
    metrics: SchedulerMetrics,
    cache: SchedulerCache,
    queue: SchedulingQueue,
    dispatcher: Dispatcher,
    algorithms: Mapping[str, SchedulingAlgorithm],
) -> None:
    pending = metrics.pending_pods
    pending.labels("active").read_from(lambda: queue.counts().active)
    pending.labels("backoff").read_from(lambda: queue.counts().backoff)
    pending.labels("unschedulable").read_from(lambda: queue.counts().unschedulable)
    pending.labels("gated").read_from(lambda: queue.counts().gated)
    metrics.inflight_events.labels("PodPopped").read_from(lambda: queue.counts().in_flight)
    metrics.cache_size.labels("nodes").read_from(lambda: cache.node_count)
    metrics.cache_size.labels("pods").read_from(lambda: cache.pod_count)
    metrics.cache_size.labels("assumed_pods").read_from(lambda: cache.assumed_count)
    for kind in dispatcher.pending():
        metrics.writes_pending.labels(kind).read_from(
            functools.partial(lambda kind: dispatcher.pending()[kind], kind)
        )
    for name, algorithm in algorithms.items():
        metrics.bound(name).pod_classes.read_from(
            functools.partial(lambda a: a.class_count, algorithm)
        )
