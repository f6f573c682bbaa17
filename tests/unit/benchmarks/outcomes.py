"""Outcomes for tests of what is made of them."""

from __future__ import annotations

from benchmarks.audit_tail import Pace
from benchmarks.places.contestants import OURS
from benchmarks.places.outcome import Outcome


def outcome(
    contestant: str = OURS,
    *,
    pods: int = 101,
    seconds: float = 1.0,
    cpu_s: float = 1.0,
    memory_bytes: int = 100,
    last_bind_s: float = 3.0,
    algorithm_p99_s: float | None = None,
) -> Outcome:
    """Returns one whose last bind comes halfway to the last event."""
    return Outcome(
        contestant=contestant,
        pace=Pace(bound=pods, events=pods, binding_s=seconds / 2, recorded_s=seconds),
        cpu_s=cpu_s,
        whole_cpu_s=cpu_s + 1.0,
        peak_memory_bytes=memory_bytes,
        server_cpu_s=1.0,
        requests=2 * pods,
        refused=0,
        first_bind_s=1.5,
        last_bind_s=last_bind_s,
        bound_at_s=(0.0, seconds / 2),
        transport="aiohttp",
        algorithm_p99_s=algorithm_p99_s,
    )
