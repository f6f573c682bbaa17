"""What one contestant made of one workload, and how two of them compare.

Rates run from the first bind to the last *event*: a bind without its event is half the work. Rates
to the last bind stand beside them. CPU seconds are the kernel's figure for the process. `Outcome`
is made by `contest.py` and `upstream_run.py`; tables, files and plots are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.audit_tail import Pace
from benchmarks.figures import Spread, paired_ratio
from benchmarks.workloads import Throughput

#: Points of a curve that a result file keeps.
_CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run.

    Attributes:
        cpu_s: to the last event, from the first measured pod that the process sees; where it finds
            them at its start, from its first write about one, which may be a bind or a nomination.
        whole_cpu_s: from the start of the process to the last event.
        peak_memory_bytes: the process's largest resident size.
        server_cpu_s: of the place's servers, while cpu_s was used.
        requests: all that the process sent, watches apart.
        refused: bindings that the server did not take.
        first_bind_s: after the start of the process, the server's answer to its first bind.
        last_bind_s: the same of the last.
        bound_at_s: seconds from the first bind to each, in order.
        transport: what carried the writes, as the process says of itself.
        algorithm_p99_s: bucket of the scheduling algorithm's p99; None where it is not served.
        throughput: as upstream's collector has it; None in a contest.
    """

    contestant: str
    pace: Pace
    cpu_s: float
    whole_cpu_s: float
    peak_memory_bytes: int
    server_cpu_s: float
    requests: int
    refused: int
    first_bind_s: float
    last_bind_s: float
    bound_at_s: tuple[float, ...]
    transport: str
    algorithm_p99_s: float | None = None
    throughput: Throughput | None = None

    @property
    def cpu_us_per_pod(self) -> float:
        return self.cpu_s / self.pace.bound * 1e6

    @property
    def pods_per_cpu_s(self) -> float:
        """More than one for each tick of the kernel's clock cannot be told."""
        return self.pace.bound / max(self.cpu_s, 0.01)

    @property
    def requests_per_pod(self) -> float:
        return self.requests / self.pace.bound

    def as_json(self) -> dict[str, object]:
        """Returns the figures under names that carry their units, for a result file."""
        return {
            "contestant": self.contestant,
            "pods": self.pace.bound,
            "events": self.pace.events,
            "pods_per_s_to_last_event": round(self.pace.recorded_pods_per_s, 1),
            "pods_per_s_to_last_bind": round(self.pace.pods_per_s, 1),
            "cpu_s": round(self.cpu_s, 3),
            "whole_cpu_s": round(self.whole_cpu_s, 3),
            "pods_per_cpu_s": round(self.pods_per_cpu_s, 1),
            "peak_memory_mb": round(self.peak_memory_bytes / 1e6, 1),
            "server_cpu_s": round(self.server_cpu_s, 2),
            "requests_per_pod": round(self.requests_per_pod, 3),
            "refused": self.refused,
            "first_bind_s": round(self.first_bind_s, 3),
            "last_bind_s": round(self.last_bind_s, 3),
            "transport": self.transport,
            "algorithm_p99_s": self.algorithm_p99_s,
            "throughput_average": self.throughput and round(self.throughput.average, 1),
            "throughput_p50": self.throughput and round(self.throughput.perc50, 1),
            "throughput_p99": self.throughput and round(self.throughput.perc99, 1),
            "curve": [list(point) for point in curve(self.bound_at_s)],
        }


def curve(bound_at_s: Sequence[float], *, points: int = _CURVE_POINTS) -> list[tuple[float, int]]:
    """Returns (seconds, pods bound by then), thinned out evenly; the last pod is always there."""
    count = len(bound_at_s)
    step = max(1, -(-count // points))
    kept = sorted({*range(0, count, step), count - 1}) if count else []
    return [(round(bound_at_s[index], 3), index + 1) for index in kept]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One contestant over another, round by round; each figure is a ratio.

    Attributes:
        rate: pods/s to the last event.
        bind_rate: pods/s to the last bind.
        cpu: CPU seconds per pod.
        memory: peak memory.
        duration: from the start of the process to the last bind.
    """

    rate: Spread
    bind_rate: Spread
    cpu: Spread
    memory: Spread
    duration: Spread

    @classmethod
    def of(cls, left: Sequence[Outcome], right: Sequence[Outcome]) -> Comparison:
        """Returns left over right; a round that only one of them had is left out."""
        rounds = list(zip(left, right, strict=False))

        def ratio(name: str) -> Spread:
            return paired_ratio(
                [_figure(outcome, name) for outcome, _ in rounds],
                [_figure(outcome, name) for _, outcome in rounds],
            )

        return cls(*(ratio(name) for name in ("rate", "bind_rate", "cpu", "memory", "duration")))


def _figure(outcome: Outcome, name: str) -> float:
    figures: Mapping[str, float] = {
        "rate": outcome.pace.recorded_pods_per_s,
        "bind_rate": outcome.pace.pods_per_s,
        "cpu": outcome.cpu_us_per_pod,
        "memory": outcome.peak_memory_bytes,
        "duration": outcome.last_bind_s,
    }
    return figures[name]
