"""Outcomes as a person reads them: one line for each run, one table for each workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.figures import Spread, table
from benchmarks.places.contestants import OURS, RAW_WITH_EVENTS, THEIRS
from benchmarks.places.outcome import Comparison, Outcome

_HEAD = (
    "",
    "pods/s to last event",
    "to last bind",
    "CPU us/pod",
    "pods/CPU s",
    "CPU s from the start",
    "peak MB",
    "requests/pod",
    "s to 1st bind",
    "servers' CPU s",
)


def line(outcome: Outcome) -> str:
    """Returns one run in a line."""
    pace = outcome.pace
    return (
        f"  {outcome.contestant:21} {pace.bound:6,} pods, {pace.recorded_pods_per_s:5.0f}/s with "
        f"events ({pace.events:,}), {pace.pods_per_s:5.0f}/s bound, "
        f"CPU {outcome.cpu_us_per_pod:5.0f} us/pod, {outcome.peak_memory_bytes / 1e6:4.0f} MB, "
        f"first bind after {outcome.first_bind_s:.1f} s, last {outcome.last_bind_s:.1f} s"
    )


def outcome_table(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """Returns medians with their spread by contestant, and how ours compares."""

    def cells(name: str, runs: Sequence[Outcome]) -> list[str]:
        return [
            name,
            Spread.of([o.pace.recorded_pods_per_s for o in runs]).text(),
            Spread.of([o.pace.pods_per_s for o in runs]).text(),
            Spread.of([o.cpu_us_per_pod for o in runs]).text(),
            Spread.of([o.pods_per_cpu_s for o in runs]).text(),
            Spread.of([o.whole_cpu_s for o in runs]).text(1),
            Spread.of([o.peak_memory_bytes / 1e6 for o in runs]).text(),
            Spread.of([o.requests_per_pod for o in runs]).text(2),
            Spread.of([o.first_bind_s for o in runs]).text(1),
            Spread.of([o.server_cpu_s for o in runs]).text(1),
        ]

    lines = [table(_HEAD, [cells(name, runs) for name, runs in outcomes.items()]), ""]
    return "\n".join([*lines, *_remarks(outcomes)])


def _remarks(outcomes: Mapping[str, Sequence[Outcome]]) -> list[str]:
    ours, theirs = outcomes.get(OURS, ()), outcomes.get(THEIRS, ())
    lines = []
    if ours and theirs:
        ratios = Comparison.of(ours, theirs)
        lines.append(
            f"{OURS} / {THEIRS}: pods/s {ratios.rate.text(2)}, to the last bind "
            f"{ratios.bind_rate.text(2)}, CPU per pod {ratios.cpu.text(2)}, "
            f"peak memory {ratios.memory.text(2)}, start to last bind {ratios.duration.text(2)}"
        )
        if lost := sum(
            o.pace.bound - o.pace.events for o in theirs if o.pace.events < o.pace.bound
        ):
            lines.append(f"{THEIRS} left out {lost} events in all runs together")
    if ours and (raw := outcomes.get(RAW_WITH_EVENTS)):
        share = Comparison.of(ours, raw).rate
        lines.append(f"{OURS}, share of the raw limit (binds with an event each): {share.text(2)}")
    if ours:
        p99s = [o.algorithm_p99_s for o in ours if o.algorithm_p99_s is not None]
        p99 = f"; scheduling algorithm p99 <= {max(p99s) * 1e3:g} ms" if p99s else ""
        lines.append(f"transport of {OURS}'s writes: {ours[-1].transport}{p99}")
    averages = [
        f"{name} {Spread.of(found).text()}"
        for name, runs in outcomes.items()
        if (found := [o.throughput.average for o in runs if o.throughput is not None])
    ]
    if averages:
        lines.append(f"average throughput as upstream collects it: {', '.join(averages)}")
    return lines
