from __future__ import annotations

from collections.abc import Callable

import pytest

from pyscheduler.framework.handle import MetricChild
from pyscheduler.framework.handle import PluginMetrics as Contract
from pyscheduler.telemetry.exposition import Exposition
from pyscheduler.telemetry.metrics import SchedulerMetrics


@pytest.fixture
def metrics() -> SchedulerMetrics:
    return SchedulerMetrics()


def served(metrics: SchedulerMetrics) -> list[str]:
    text, _ = Exposition(metrics.registry, process_metrics=False).render()
    prefix = "scheduler_plugin_heat"
    return [line for line in text.decode().splitlines() if line.startswith(prefix)]


def test_metrics_of_plugins_are_served_under_their_prefix(metrics: SchedulerMetrics) -> None:
    plugins: Contract = metrics.plugins
    plugins.counter("heat_polls_total", "Polls.", result="ok").inc()
    plugins.counter("heat_polls_total", "Polls.", result="late").inc(2)
    plugins.gauge("heat_nodes", "Hot nodes.").set(5)
    plugins.gauge("heat_nodes", "Hot nodes.").inc(-1)
    plugins.histogram("heat_celsius", "Heat.", buckets=(50, 80)).observe(60)

    assert served(metrics) == [
        'scheduler_plugin_heat_polls_total{result="ok"} 1.0',
        'scheduler_plugin_heat_polls_total{result="late"} 2.0',
        "scheduler_plugin_heat_nodes 4.0",
        'scheduler_plugin_heat_celsius_bucket{le="50.0"} 0.0',
        'scheduler_plugin_heat_celsius_bucket{le="80.0"} 1.0',
        'scheduler_plugin_heat_celsius_bucket{le="+Inf"} 1.0',
        "scheduler_plugin_heat_celsius_count 1.0",
        "scheduler_plugin_heat_celsius_sum 60.0",
    ]


def test_labels_may_be_given_in_any_order(metrics: SchedulerMetrics) -> None:
    metrics.plugins.counter("heat_total", "Heat.", zone="z", node="n").inc()
    metrics.plugins.counter("heat_total", "Heat.", node="n", zone="z").inc()

    assert served(metrics) == ['scheduler_plugin_heat_total{node="n",zone="z"} 2.0']


Ask = Callable[[Contract], MetricChild]


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        pytest.param(lambda m: m.gauge("heat", "x"), "is a counter", id="another kind"),
        pytest.param(
            lambda m: m.counter("heat", "x", node="n"), r"the labels \(\)", id="other labels"
        ),
        pytest.param(
            lambda m: m.histogram("celsius", "x", buckets=(1, 3)), "the buckets", id="other buckets"
        ),
        pytest.param(lambda m: m.counter("heat-total", "x"), "is no name", id="bad name"),
        pytest.param(
            lambda m: m.histogram("execution_duration_seconds", "x", buckets=(1,)),
            "defined twice",
            id="a name of the scheduler's own",
        ),
    ],
)
def test_what_contradicts_a_metric_is_refused(
    metrics: SchedulerMetrics, ask: Ask, reason: str
) -> None:
    metrics.plugins.counter("heat", "Heat.")
    metrics.plugins.histogram("celsius", "Heat.", buckets=(1, 2))

    with pytest.raises(ValueError, match=reason):
        ask(metrics.plugins)


def test_a_metric_does_only_what_its_kind_can(metrics: SchedulerMetrics) -> None:
    counter = metrics.plugins.counter("heat_total", "Heat.")

    with pytest.raises(TypeError, match=r"a counter has no set\(\)"):
        counter.set(1)
    with pytest.raises(TypeError, match=r"a gauge has no observe\(\)"):
        metrics.plugins.gauge("heat", "Heat.").observe(1)
    with pytest.raises(TypeError, match=r"a histogram has no inc\(\)"):
        metrics.plugins.histogram("celsius", "Heat.", buckets=(1,)).inc()
    with pytest.raises(ValueError, match="only grows"):
        counter.inc(-1)
