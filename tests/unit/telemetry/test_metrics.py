from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pyscheduler.telemetry.exposition import Exposition
from pyscheduler.telemetry.metrics import SchedulerMetrics


@pytest.fixture
def metrics() -> SchedulerMetrics:
    return SchedulerMetrics()


def scraped(metrics: SchedulerMetrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample of a scrape by its name and labels."""
    body, _ = Exposition(metrics.registry, process_metrics=False).render()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_attempts_are_scraped_under_upstreams_name(metrics: SchedulerMetrics) -> None:
    metrics.bound("p").attempts_scheduled.inc()

    name = "scheduler_schedule_attempts_total"
    assert scraped(metrics)[key(name, result="scheduled", profile="p")] == 1


def test_histogram_is_scraped_cumulatively(metrics: SchedulerMetrics) -> None:
    metrics.bound("p").duration_scheduled.observe(0.0015)
    metrics.bound("p").duration_scheduled.observe(100)
    samples = scraped(metrics)

    name, labels = "scheduler_scheduling_attempt_duration_seconds", {"result": "scheduled"}
    assert samples[key(name + "_bucket", profile="p", le="0.001", **labels)] == 0
    assert samples[key(name + "_bucket", profile="p", le="0.002", **labels)] == 1
    assert samples[key(name + "_bucket", profile="p", le="16.384", **labels)] == 1
    assert samples[key(name + "_bucket", profile="p", le="+Inf", **labels)] == 2
    assert samples[key(name + "_count", profile="p", **labels)] == 2
    assert samples[key(name + "_sum", profile="p", **labels)] == pytest.approx(100.0015)


def test_gauge_is_scraped_as_it_is_then(metrics: SchedulerMetrics) -> None:
    waiting = [1]
    metrics.pending_pods.labels("active").read_from(lambda: len(waiting))
    waiting.append(2)

    assert scraped(metrics)[key("scheduler_pending_pods", queue="active")] == 2


def test_a_profile_is_bound_once(metrics: SchedulerMetrics) -> None:
    bound = metrics.bound("p")

    assert metrics.bound("p") is bound
    assert bound.extension_point("Filter") is bound.extension_point("Filter")
    assert bound.evaluation("A", "Filter") is metrics.plugin_evaluation.labels("A", "Filter", "p")
    assert bound.plugin_execution("A", "Score") is metrics.plugin_execution_duration.labels(
        "A", "Score", "Success"
    )
    assert bound.unschedulable_pods("A") is metrics.unschedulable_pods.labels("A", "p")


@pytest.mark.parametrize(
    ("attempts", "label"),
    [
        pytest.param(1, "1", id="first"),
        pytest.param(14, "14", id="last with a label of its own"),
        pytest.param(15, "15+", id="fifteenth"),
        pytest.param(99, "15+", id="many"),
    ],
)
def test_sli_is_kept_by_attempts(metrics: SchedulerMetrics, attempts: int, label: str) -> None:
    metrics.sli_for_attempts(attempts).observe(1)

    name = "scheduler_pod_scheduling_sli_duration_seconds_count"
    assert scraped(metrics)[key(name, attempts=label)] == 1


def test_metrics_of_the_process_are_there() -> None:
    body, content_type = Exposition(SchedulerMetrics().registry).render()

    assert b"process_cpu_seconds_total" in body
    assert content_type.startswith("text/plain")


def test_every_metric_is_upstreams_or_marked_as_ours(metrics: SchedulerMetrics) -> None:
    prefixes = ("scheduler_", "pyscheduler_", "leader_election_")

    assert all(family.name.startswith(prefixes) for family in metrics.registry)
    assert all(family.documentation for family in metrics.registry)
