"""The metrics of this scheduler: what is measured, under which name, with which labels.

Those under ``scheduler_`` have the names, labels and buckets of kube-scheduler, so that its
dashboards and alerts work; those under ``pyscheduler_`` are our own and are described in
``docs/operations.md``. Families that need no labels are given as their only child. The scheduling
path asks `SchedulerMetrics.bound` once per profile and keeps the children it gets.

Every child has one writing thread: the main loop's, except where a comment says otherwise.
"""

from __future__ import annotations

from typing import Final

from pyscheduler.telemetry.instruments import (
    Counter,
    Family,
    Gauge,
    Histogram,
    MetricRegistry,
    exponential_buckets,
)
from pyscheduler.telemetry.plugin_metrics import PluginMetrics

# Bucket layouts of kube-scheduler 1.37.
_ATTEMPT_BUCKETS: Final = exponential_buckets(0.001, 2, 15)
_SLI_BUCKETS: Final = exponential_buckets(0.01, 2, 20)
_EXTENSION_POINT_BUCKETS: Final = exponential_buckets(0.0001, 2, 12)
_PLUGIN_BUCKETS: Final = exponential_buckets(0.00001, 1.5, 20)
_ATTEMPT_COUNT_BUCKETS: Final = exponential_buckets(1, 2, 5)
_VICTIM_COUNT_BUCKETS: Final = exponential_buckets(1, 2, 7)
_PREEMPTION_BUCKETS: Final = exponential_buckets(0.001, 2, 16)
#: Dense around the 20 ms that the loop's lag should stay below at p99.
_LOOP_LAG_BUCKETS: Final = (
    *(0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.0175, 0.02),
    *(0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
#: Attempts from this number on share one label value of the SLI histogram, as upstream.
_MANY_ATTEMPTS: Final = 15


class SchedulerMetrics:
    """Every metric of one scheduler process.

    Args:
        registry: where the families are defined; a new one when none is given.

    Attributes:
        plugins: where plugins define metrics of their own, in the same registry.
    """

    def __init__(self, registry: MetricRegistry | None = None) -> None:
        self.registry = MetricRegistry() if registry is None else registry
        self.plugins = PluginMetrics(self.registry)
        self._profiles: dict[str, ProfileMetrics] = {}
        self._define_scheduling(self.registry)
        self._define_preemption(self.registry)
        self._define_queue_and_cache(self.registry)
        self._define_client(self.registry)
        self._define_process(self.registry)
        self._sli_by_attempts = [
            self.sli_duration.labels(_attempts_label(attempts))
            for attempts in range(_MANY_ATTEMPTS + 1)
        ]

    def bound(self, profile: str) -> ProfileMetrics:
        """Return the children of one profile, the same object each time."""
        bound = self._profiles.get(profile)
        if bound is None:
            bound = self._profiles[profile] = ProfileMetrics(self, profile)
        return bound

    def sli_for_attempts(self, attempts: int) -> Histogram:
        """Return the SLI histogram for pods bound at their `attempts`-th attempt."""
        return self._sli_by_attempts[min(attempts, _MANY_ATTEMPTS)]

    def _define_scheduling(self, r: MetricRegistry) -> None:
        self.schedule_attempts: Family[Counter] = r.counter(
            "scheduler_schedule_attempts_total",
            "Attempts to schedule pods, by result: scheduled, unschedulable or error.",
            ("result", "profile"),
        )
        self.attempt_duration: Family[Histogram] = r.histogram(
            "scheduler_scheduling_attempt_duration_seconds",
            "From pop to the end of binding, or to the end of the cycle when it failed.",
            ("result", "profile"),
            buckets=_ATTEMPT_BUCKETS,
        )
        self.algorithm_duration: Histogram = r.histogram(
            "scheduler_scheduling_algorithm_duration_seconds",
            "Time to choose a node: filtering, scoring and picking.",
            buckets=_ATTEMPT_BUCKETS,
        ).labels()
        self.sli_duration: Family[Histogram] = r.histogram(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "From the pod's first entry into the active queue until it was bound, gates apart.",
            ("attempts",),
            buckets=_SLI_BUCKETS,
        )
        self.pod_scheduling_attempts: Histogram = r.histogram(
            "scheduler_pod_scheduling_attempts",
            "Attempts it took to schedule a pod.",
            buckets=_ATTEMPT_COUNT_BUCKETS,
        ).labels()
        self.extension_point_duration: Family[Histogram] = r.histogram(
            "scheduler_framework_extension_point_duration_seconds",
            "Time to run all plugins of one extension point for one pod.",
            ("extension_point", "status", "profile"),
            buckets=_EXTENSION_POINT_BUCKETS,
        )
        self.plugin_execution_duration: Family[Histogram] = r.histogram(
            "scheduler_plugin_execution_duration_seconds",
            "Time of one plugin at one extension point, for a sample of the cycles.",
            ("plugin", "extension_point", "status"),
            buckets=_PLUGIN_BUCKETS,
        )
        self.plugin_evaluation: Family[Counter] = r.counter(
            "scheduler_plugin_evaluation_total",
            "Times a plugin was run and not skipped at an extension point.",
            ("plugin", "extension_point", "profile"),
        )
        self.permit_wait_duration: Family[Histogram] = r.histogram(
            "scheduler_permit_wait_duration_seconds",
            "Time pods waited on Permit, by result.",
            ("result",),
            buckets=_ATTEMPT_BUCKETS,
        )
        self.goroutines: Family[Gauge] = r.gauge(
            "scheduler_goroutines",
            "Concurrent work by operation (upstream's name; here tasks of the event loop).",
            ("operation",),
        )
        self.plugin_faults: Family[Counter] = r.counter(
            "pyscheduler_plugin_faults_total",
            "Faults of plugins: exceptions, odd answers, calls that held the event loop too long.",
            ("plugin", "hook"),
        )
        self.pod_classes: Family[Gauge] = r.gauge(
            "pyscheduler_pod_classes",
            "Distinct classes of pods whose verdicts and scores are kept.",
            ("profile",),
        )

    def _define_preemption(self, r: MetricRegistry) -> None:
        self.preemption_attempts: Counter = r.counter(
            "scheduler_preemption_attempts_total",
            "Times a pod that fits nowhere looked for victims.",
        ).labels()
        self.preemption_victims: Histogram = r.histogram(
            "scheduler_preemption_victims",
            "Victims chosen for one pod.",
            buckets=_VICTIM_COUNT_BUCKETS,
        ).labels()
        self.preemption_evaluation_duration: Family[Histogram] = r.histogram(
            "scheduler_preemption_evaluation_duration_seconds",
            "Time to choose the node and its victims, by the resulting status code.",
            ("preemptor", "result"),
            buckets=_PREEMPTION_BUCKETS,
        )
        self.preemption_execution_duration: Family[Histogram] = r.histogram(
            "scheduler_preemption_execution_duration_seconds",
            "Time until all victims were told to go, by result; others are scheduled meanwhile.",
            ("preemptor", "result"),
            buckets=_PREEMPTION_BUCKETS,
        )
        self.preemption_pdb_violations: Family[Counter] = r.counter(
            "scheduler_preemption_pdb_violations_total",
            "Victims that were chosen although their disruption budget was exhausted.",
            ("preemptor",),
        )
        self.preemption_goroutines_duration: Family[Histogram] = r.histogram(
            "scheduler_preemption_goroutines_duration_seconds",
            "The same as preemption_execution_duration_seconds, under its deprecated name.",
            ("result",),
            buckets=_SLI_BUCKETS,
        )
        self.preemption_goroutines_executed: Family[Counter] = r.counter(
            "scheduler_preemption_goroutines_execution_total",
            "Preemptions that were carried out in the background, by result.",
            ("result",),
        )

    def _define_queue_and_cache(self, r: MetricRegistry) -> None:
        self.pending_pods: Family[Gauge] = r.gauge(
            "scheduler_pending_pods",
            "Pending pods by queue: active, backoff, unschedulable or gated.",
            ("queue",),
        )
        self.queue_incoming_pods: Family[Counter] = r.counter(
            "scheduler_queue_incoming_pods_total",
            "Pods that entered a queue, by queue and the event that put them there.",
            ("queue", "event"),
        )
        self.unschedulable_pods: Family[Gauge] = r.gauge(
            "scheduler_unschedulable_pods",
            "Waiting pods by the plugin that rejected them; a pod counts for each such plugin.",
            ("plugin", "profile"),
        )
        self.queueing_hint_duration: Family[Histogram] = r.histogram(
            "scheduler_queueing_hint_execution_duration_seconds",
            "Time of one queueing hint, by its answer: Queue, QueueSkip or Error.",
            ("plugin", "event", "hint"),
            buckets=_PLUGIN_BUCKETS,
        )
        self.pre_queueing_hint_evaluations: Family[Counter] = r.counter(
            "scheduler_pre_queueing_hint_evaluations_total",
            "Pre-queueing hints asked, by what they left to be looked at: narrowed or all_pods.",
            ("plugin", "result"),
        )
        self.inflight_events: Family[Gauge] = r.gauge(
            "scheduler_inflight_events",
            "Events kept for the pods being scheduled; PodPopped counts those pods.",
            ("event",),
        )
        self.scheduled_after_flush: Counter = r.counter(
            "scheduler_pod_scheduled_after_flush_total",
            "Pods scheduled after the periodic flush woke them: a hint or event is missing.",
        ).labels()
        self.cache_size: Family[Gauge] = r.gauge(
            "scheduler_cache_size",
            "Nodes, pods and assumed_pods in the cache.",
            ("type",),
        )
        self.event_handling_duration: Family[Histogram] = r.histogram(
            "scheduler_event_handling_duration_seconds",
            "Time to apply one cluster event to cache and queue.",
            ("event",),
            buckets=_EXTENSION_POINT_BUCKETS,
        )

    def _define_client(self, r: MetricRegistry) -> None:
        self.reflector_syncs: Family[Counter] = r.counter(
            "pyscheduler_reflector_syncs_total",
            "Full synchronisations of a resource, by mode: watchlist or list.",
            ("resource", "mode"),
        )
        self.reflector_expired: Family[Counter] = r.counter(
            "pyscheduler_reflector_expired_total",
            "Watches that ended because their resourceVersion was gone (410).",
            ("resource",),
        )
        self.reflector_reconnects: Family[Counter] = r.counter(
            "pyscheduler_reflector_reconnects_total",
            "Watches opened anew where the last one ended, by why it ended.",
            ("resource", "reason"),
        )
        self.malformed_objects: Family[Counter] = r.counter(
            "pyscheduler_malformed_objects_total",
            "Objects from the API server that could not be understood and were left out.",
            ("resource",),
        )
        self.writes: Family[Counter] = r.counter(
            "pyscheduler_writes_total",
            "Writes to the API server by result and kind"
            " (binding, condition, delete, request, status, event).",
            ("kind", "result"),
        )
        self.write_duration: Family[Histogram] = r.histogram(
            "pyscheduler_write_duration_seconds",
            "From sending a write to its answer, retries included.",
            ("kind",),
            buckets=_ATTEMPT_BUCKETS,
        )
        self.writes_pending: Family[Gauge] = r.gauge(
            "pyscheduler_writes_pending",
            "Writes accepted and not yet answered.",
            ("kind",),
        )
        self.dropped_events: Family[Counter] = r.counter(
            "pyscheduler_dropped_events_total",
            "Event objects given up, by reason.",
            ("reason",),
        )
        self.kubelet_refusals: Family[Counter] = r.counter(
            "pyscheduler_kubelet_refusals_total",
            "Pods this scheduler bound and the kubelet refused, by reason (OutOfcpu, ...).",
            ("reason",),
        )

    def _define_process(self, r: MetricRegistry) -> None:
        self.loop_lag: Histogram = r.histogram(
            "pyscheduler_loop_lag_seconds",
            "How late a timer of the scheduling loop fires, sampled.",
            buckets=_LOOP_LAG_BUCKETS,
        ).labels()
        # Written by the watchdog's thread.
        self.loop_held: Counter = r.counter(
            "pyscheduler_loop_held_total",
            "Times one call held the scheduling loop for longer than a second.",
        ).labels()
        self.leader_election_status: Family[Gauge] = r.gauge(
            "leader_election_master_status",
            "1 while this process holds the lease of that name, else 0.",
            ("name",),
        )
        self.build_info: Family[Gauge] = r.gauge(
            "pyscheduler_build_info",
            "Always 1; the version of this program.",
            ("version",),
        )


class ProfileMetrics:
    """The children of one profile, bound beforehand where their labels are known."""

    __slots__ = (
        "_extension_points",
        "_metrics",
        "attempts_error",
        "attempts_scheduled",
        "attempts_unschedulable",
        "duration_error",
        "duration_scheduled",
        "duration_unschedulable",
        "pod_classes",
        "profile",
    )

    def __init__(self, metrics: SchedulerMetrics, profile: str) -> None:
        self.profile = profile
        self.attempts_scheduled: Counter = metrics.schedule_attempts.labels("scheduled", profile)
        self.attempts_unschedulable: Counter = metrics.schedule_attempts.labels(
            "unschedulable", profile
        )
        self.attempts_error: Counter = metrics.schedule_attempts.labels("error", profile)
        self.duration_scheduled: Histogram = metrics.attempt_duration.labels("scheduled", profile)
        self.duration_unschedulable: Histogram = metrics.attempt_duration.labels(
            "unschedulable", profile
        )
        self.duration_error: Histogram = metrics.attempt_duration.labels("error", profile)
        self.pod_classes: Gauge = metrics.pod_classes.labels(profile)
        self._metrics = metrics
        self._extension_points: dict[tuple[str, str], Histogram] = {}

    def extension_point(self, point: str, status: str = "Success") -> Histogram:
        """Return the duration histogram of one extension point and outcome."""
        key = (point, status)
        child = self._extension_points.get(key)
        if child is None:
            child = self._metrics.extension_point_duration.labels(point, status, self.profile)
            self._extension_points[key] = child
        return child

    def plugin_execution(self, plugin: str, point: str, status: str = "Success") -> Histogram:
        """Return the duration histogram of one plugin at one point with one outcome."""
        return self._metrics.plugin_execution_duration.labels(plugin, point, status)

    def evaluation(self, plugin: str, point: str) -> Counter:
        """Return the counter of one plugin's runs at one point; keep it, do not ask per pod."""
        return self._metrics.plugin_evaluation.labels(plugin, point, self.profile)

    def unschedulable_pods(self, plugin: str) -> Gauge:
        """Return the gauge of the waiting pods that one plugin rejected."""
        return self._metrics.unschedulable_pods.labels(plugin, self.profile)


def _attempts_label(attempts: int) -> str:
    return f"{_MANY_ATTEMPTS}+" if attempts >= _MANY_ATTEMPTS else str(max(attempts, 1))
