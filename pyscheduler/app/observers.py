"""Where what happens in queue, cycle and client becomes metrics.

Each class here implements the small observer protocol of one package, so that none of them knows
about metrics.
"""

from __future__ import annotations

from pyscheduler.framework.cluster_events import QueueingHint
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.telemetry.instruments import Counter, Histogram
from pyscheduler.telemetry.metrics import SchedulerMetrics


class QueueObserver:
    """``queueing.observing.QueueMetrics``."""

    def __init__(self, metrics: SchedulerMetrics) -> None:
        self._metrics = metrics
        self._incoming: dict[tuple[str, str], Counter] = {}

    def incoming(self, queue: str, event_label: str) -> None:
        """An entity entered a tier."""
        child = self._incoming.get((queue, event_label))
        if child is None:
            child = self._metrics.queue_incoming_pods.labels(queue, event_label)
            self._incoming[queue, event_label] = child
        child.inc()

    def hint(self, plugin: str, event_label: str, result: QueueingHint, seconds: float) -> None:
        """A hint was asked."""
        duration = self._metrics.queueing_hint_duration
        duration.labels(plugin, event_label, result.value).observe(seconds)

    def pre_hint(self, plugin: str, result: str) -> None:
        """A pre-hint was asked."""
        self._metrics.pre_queueing_hint_evaluations.labels(plugin, result).inc()

    def unschedulable(self, plugin: str, scheduler_name: str, delta: int) -> None:
        """So many more (or fewer) entities are held by ``plugin``."""
        self._metrics.unschedulable_pods.labels(plugin, scheduler_name).inc(delta)


class WriteObserver:
    """``client.write_metrics.WriteMetrics``."""

    def __init__(self, metrics: SchedulerMetrics) -> None:
        self._metrics = metrics
        self._bound: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def wrote(self, kind: str, result: str, duration_s: float) -> None:
        """A write was answered, or given up."""
        bound = self._bound.get((kind, result))
        if bound is None:
            counter = self._metrics.writes.labels(kind, result)
            bound = self._bound[kind, result] = counter, self._metrics.write_duration.labels(kind)
        bound[0].inc()
        bound[1].observe(duration_s)

    def dropped_event(self, reason: str) -> None:
        """An event was given up."""
        self._metrics.dropped_events.labels(reason).inc()


class ReflectorObserver:
    """``client.reflector.ReflectorMetrics`` of one resource."""

    def __init__(self, metrics: SchedulerMetrics, resource: str) -> None:
        self._metrics = metrics
        self._resource = resource
        self._malformed = metrics.malformed_objects.labels(resource)
        self._expired = metrics.reflector_expired.labels(resource)

    def synced(self, mode: str) -> None:
        """A full synchronisation ended."""
        self._metrics.reflector_syncs.labels(self._resource, mode).inc()

    def expired(self) -> None:
        """Our version was gone (410)."""
        self._expired.inc()

    def reconnected(self, reason: str) -> None:
        """A watch was opened anew."""
        self._metrics.reflector_reconnects.labels(self._resource, reason).inc()

    def watch_event(self) -> None:
        """One event was read; too many of them to be worth a metric."""

    def malformed(self) -> None:
        """One object could not be read."""
        self._malformed.inc()


class CycleObserver:
    """``cycle.loop.AttemptObserver`` and ``runtime.instrument.HookObserver``."""

    def __init__(self, metrics: SchedulerMetrics) -> None:
        self._metrics = metrics

    def attempted(self, profile: str, result: str, seconds: float) -> None:
        """An attempt ended."""
        bound = self._metrics.bound(profile)
        if result == "scheduled":
            bound.attempts_scheduled.inc()
            bound.duration_scheduled.observe(seconds)
        elif result == "unschedulable":
            bound.attempts_unschedulable.inc()
            bound.duration_unschedulable.observe(seconds)
        else:
            bound.attempts_error.inc()
            bound.duration_error.observe(seconds)

    def algorithm_took(self, seconds: float) -> None:
        """A node was chosen, or none found."""
        self._metrics.algorithm_duration.observe(seconds)

    def bound(self, entity: QueuedEntity, sli_seconds: float) -> None:
        """A pod was bound."""
        self._metrics.sli_for_attempts(entity.attempts).observe(sli_seconds)
        self._metrics.pod_scheduling_attempts.observe(entity.attempts)
        if entity.was_flushed:
            self._metrics.scheduled_after_flush.inc()

    def permit_waited(self, result: str, seconds: float) -> None:
        """A pod's wait at Permit ended."""
        self._metrics.permit_wait_duration.labels(result).observe(seconds)

    def plugin_executed(self, plugin: str, point: str, seconds: float) -> None:
        """A timed call of a hook ended."""
        duration = self._metrics.plugin_execution_duration
        duration.labels(plugin, point, "Success").observe(seconds)

    def plugin_fault(self, plugin: str, hook: str) -> None:
        """A hook raised."""
        self._metrics.plugin_faults.labels(plugin, hook).inc()


class PreemptionObserver:
    """``framework.handle.PreemptionObserver``; the preemptor is always a pod."""

    def __init__(self, metrics: SchedulerMetrics) -> None:
        self._metrics = metrics

    def evaluated(self, result: str, seconds: float) -> None:
        """Victims were looked for."""
        self._metrics.preemption_attempts.inc()
        self._metrics.preemption_evaluation_duration.labels("pod", result).observe(seconds)

    def chose(self, victims: int, pdb_violations: int) -> None:
        """A node was chosen."""
        self._metrics.preemption_victims.observe(victims)
        if pdb_violations:
            self._metrics.preemption_pdb_violations.labels("pod").inc(pdb_violations)

    def executed(self, result: str, seconds: float) -> None:
        """All victims were told to go, or not."""
        metrics = self._metrics
        metrics.preemption_execution_duration.labels("pod", result).observe(seconds)
        metrics.preemption_goroutines_duration.labels(result).observe(seconds)
        metrics.preemption_goroutines_executed.labels(result).inc()
