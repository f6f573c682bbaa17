"""A `MetricRegistry` as text for Prometheus: the only module that imports prometheus_client.

Apart from the definitions, so that the scheduling core can count without importing a client of
anything. Used by the metrics endpoint, on its own thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from pyscheduler.telemetry.instruments import Counter, Family, Gauge, Histogram, MetricRegistry


class Exposition(Collector):
    """Renders the metrics of a process: ours, and those of the process itself."""

    def __init__(self, registry: MetricRegistry, *, process_metrics: bool = True) -> None:
        self._registry = registry
        self._collectors = CollectorRegistry(auto_describe=False)
        self._collectors.register(self)
        if process_metrics:
            ProcessCollector(registry=self._collectors)
            PlatformCollector(registry=self._collectors)
            GCCollector(registry=self._collectors)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the text of all metrics and its content type, as the Accept header prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._collectors), content_type

    def describe(self) -> Iterable[Metric]:
        """Return nothing: names are checked where they are defined."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield each family with its children as they are now."""
        for family in self._registry:
            yield _metric(family)


def _metric(family: Family[Counter] | Family[Gauge] | Family[Histogram]) -> Metric:
    name, text, labels = family.name, family.documentation, family.label_names
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(name, text, labels=labels)
        for values, child in family.children():
            assert isinstance(child, Histogram)
            counts = list(accumulate(child.counts))
            bounds = [*map(floatToGoString, child.bounds), "+Inf"]
            histogram.add_metric(values, list(zip(bounds, counts, strict=True)), child.sum)
        return histogram
    metric: CounterMetricFamily | GaugeMetricFamily
    if family.kind == "counter":
        metric = CounterMetricFamily(name, text, labels=labels)
    else:
        metric = GaugeMetricFamily(name, text, labels=labels)
    for values, child in family.children():
        assert isinstance(child, Counter | Gauge)
        metric.add_metric(values, child.value)
    return metric
