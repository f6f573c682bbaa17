"""Reads the text that /metrics serves: single samples and histograms."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def samples(text: str, name: str) -> Iterator[tuple[Mapping[str, str], float]]:
    """Yields labels and value of each sample of that name."""
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is not None and match["name"] == name:
            yield dict(_LABEL.findall(match["labels"] or "")), float(match["value"])


def value(text: str, name: str, **labels: str) -> float:
    """Returns the sum of the samples that carry these labels; 0 when there is none."""
    return sum(v for found, v in samples(text, name) if labels.items() <= found.items())


def histogram(text: str, name: str) -> dict[float, float]:
    """Returns cumulative counts by upper bound, of all label sets together."""
    counts: dict[float, float] = {}
    for labels, count in samples(text, f"{name}_bucket"):
        bound = math.inf if labels["le"] == "+Inf" else float(labels["le"])
        counts[bound] = counts.get(bound, 0.0) + count
    return counts


def grown(before: Mapping[float, float], after: Mapping[float, float]) -> dict[float, float]:
    """Returns what a histogram took in between two looks at it."""
    return {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
