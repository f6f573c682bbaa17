"""Metrics of plugins: theirs to name, served with the scheduler's own.

Names get the prefix ``scheduler_plugin_``, as upstream's plugins do it. A metric belongs to whoever
asks for it first; asking again, also by another plugin, gives the same one, if kind and labels
agree. The rule of `instruments` holds here, too: count on the event loop, not on a thread.

Called by: plugins, as ``handle.metrics``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

from pyscheduler.telemetry.instruments import Counter, Family, Gauge, Histogram, MetricRegistry

_PREFIX: Final = "scheduler_plugin_"
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class _Child:
    """One series; the child classes allow what their kind can do."""

    kind = ""

    def inc(self, amount: float = 1) -> None:
        """Add to a counter or gauge."""
        self._refuse("inc")

    def set(self, value: float) -> None:
        """Set a gauge."""
        self._refuse("set")

    def observe(self, value: float) -> None:
        """Count one observation of a histogram."""
        self._refuse("observe")

    def _refuse(self, method: str) -> NoReturn:
        raise TypeError(f"a {self.kind} has no {method}()")


class _CounterChild(_Child):
    kind = "counter"

    def __init__(self, child: Counter) -> None:
        self._child = child

    def inc(self, amount: float = 1) -> None:
        if amount < 0:
            raise ValueError(f"a counter only grows, not by {amount}")
        self._child.inc(amount)


class _GaugeChild(_Child):
    kind = "gauge"

    def __init__(self, child: Gauge) -> None:
        self._child = child

    def inc(self, amount: float = 1) -> None:
        self._child.inc(amount)

    def set(self, value: float) -> None:
        self._child.set(value)


class _HistogramChild(_Child):
    kind = "histogram"

    def __init__(self, child: Histogram) -> None:
        self._child = child

    def observe(self, value: float) -> None:
        self._child.observe(value)


class PluginMetrics:
    """``framework.PluginMetrics`` over the registry of the process."""

    def __init__(self, registry: MetricRegistry) -> None:
        self._registry = registry
        self._families: dict[str, Family[Counter] | Family[Gauge] | Family[Histogram]] = {}

    def counter(self, name: str, documentation: str, **labels: str) -> _Child:
        """Return a total that only grows; its name should end in ``_total``."""
        names = tuple(sorted(labels))
        family = self._family(
            name, "counter", labels, lambda full: self._registry.counter(full, documentation, names)
        )
        child = family.labels(*_values(labels))
        assert isinstance(child, Counter)
        return _CounterChild(child)

    def gauge(self, name: str, documentation: str, **labels: str) -> _Child:
        """Return a value that goes up and down."""
        names = tuple(sorted(labels))
        family = self._family(
            name, "gauge", labels, lambda full: self._registry.gauge(full, documentation, names)
        )
        child = family.labels(*_values(labels))
        assert isinstance(child, Gauge)
        return _GaugeChild(child)

    def histogram(
        self, name: str, documentation: str, *, buckets: Sequence[float], **labels: str
    ) -> _Child:
        """Return observations counted by bucket; `buckets` are ascending, inclusive bounds."""
        names = tuple(sorted(labels))
        family = self._family(
            name,
            "histogram",
            labels,
            lambda full: self._registry.histogram(full, documentation, names, buckets=buckets),
        )
        child = family.labels(*_values(labels))
        assert isinstance(child, Histogram)
        if tuple(child.bounds) != tuple(buckets):
            raise ValueError(f"metric {family.name} has the buckets {child.bounds}")
        return _HistogramChild(child)

    def _family(
        self,
        name: str,
        kind: str,
        labels: Mapping[str, str],
        define: Callable[[str], Family[Counter] | Family[Gauge] | Family[Histogram]],
    ) -> Family[Counter] | Family[Gauge] | Family[Histogram]:
        for text in (name, *labels):
            if not _NAME.fullmatch(text):
                raise ValueError(f"{text!r} is no name of a metric or label")
        full = f"{_PREFIX}{name}"
        family = self._families.get(full)
        if family is None:
            # one of the scheduler's own is not given away: the registry refuses the name
            family = self._families[full] = define(full)
        elif family.kind != kind or set(family.label_names) != set(labels):
            raise ValueError(
                f"metric {full} is a {family.kind} with the labels {family.label_names}"
            )
        return family


def _values(labels: Mapping[str, str]) -> list[str]:
    return [labels[name] for name in sorted(labels)]
