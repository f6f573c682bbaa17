"""Rounds of runs: who runs a workload when, so that neighbours in time can be compared.

The order of the two schedulers alternates, because whoever comes second finds warmer servers. Each
outcome is handed on as soon as it is there. Called by: `benchmarks.run`, `benchmarks.figure_table`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from benchmarks.places.contest import Contest, contest
from benchmarks.places.contestants import OURS, RAW, RAW_WITH_EVENTS, THEIRS
from benchmarks.places.embedded import EMBEDDED, embedded_place
from benchmarks.places.outcome import Outcome
from benchmarks.places.place import Place
from benchmarks.places.real import REAL, real_place
from benchmarks.places.upstream_run import run_as_upstream
from benchmarks.workloads import Workload

PLACES = (EMBEDDED, REAL)

#: Label of workloads that use up what was laid out: pods are preempted. In a contest each run then
#: has a cluster of its own, and there is no plain client, which takes no node from anybody.
VICTIMS = "victims"

#: Label of workloads that kube-scheduler is never given: it could not read their configuration.
OURS_ALONE = "pyscheduler-only"

#: Pods of the run that nobody counts: it fills caches and opens etcd's file.
_WARM_UP_PODS = 200
#: Pods of the plain client's run that says how many pods take how long.
_PILOT_PODS = 1000
#: What a scheduler is to reach of the plain client's rate.
_SHARE_OF_RAW = 0.85

Progress: TypeAlias = Callable[[str], None]


@dataclass(slots=True)
class Rounds:
    """How often who runs, and what came of it so far.

    Attributes:
        runs: rounds with each scheduler.
        raw_runs: of them, those that end with the plain client.
        raw: how it is run then.
        pods: how many of the workload's measured pods there are in each run; None for all.
        seconds: instead of `pods`, how long this scheduler should have to bind them.
        profile: file for a flame graph of this scheduler, which then runs alone.
    """

    runs: int
    progress: Progress
    on_outcome: Callable[[Outcome], None]
    raw_runs: int = 1
    raw: tuple[str, ...] = (RAW, RAW_WITH_EVENTS)
    pods: int | None = None
    seconds: float | None = None
    profile: Path | None = None
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """The outcome counts."""
        self.outcomes.setdefault(outcome.contestant, []).append(outcome)
        self.on_outcome(outcome)

    @contextlib.asynccontextmanager
    async def place(self, name: str, workload: Workload) -> AsyncIterator[Place]:
        """Yields an empty cluster of that kind, fit for the workload."""
        self.progress(f"starting the {name} place")
        if name == EMBEDDED:
            async with embedded_place() as place:
                yield place
        else:
            async with real_place(feature_gates=workload.feature_gates) as place:
                yield place


def order(index: int) -> tuple[str, str]:
    """Returns the two schedulers as they take turns in a round, counted from 0."""
    return (OURS, THEIRS) if index % 2 == 0 else (THEIRS, OURS)


def schedulers(workload: Workload, rounds: Rounds, place: str, index: int) -> tuple[str, ...]:
    """Returns who takes part in a round, in order: this scheduler alone, or both."""
    if place != REAL or rounds.profile is not None or OURS_ALONE in workload.labels:
        return (OURS,)
    return order(index)


def pods_for(seconds: float, *, raw_pods_per_s: float, most: int) -> int:
    """Returns how many pods a scheduler as fast as promised binds in that time."""
    return max(1, min(most, round(seconds * raw_pods_per_s * _SHARE_OF_RAW)))


async def contests(workload: Workload, rounds: Rounds, *, place: str) -> None:
    """Everybody whom the place is for has bound the same pods, round after round.

    On the real one both schedulers and the plain client, each from its start on; on the embedded
    one this scheduler, after it has synchronised.
    """
    if VICTIMS in workload.labels:
        for index in range(rounds.runs):
            for name in schedulers(workload, rounds, place, index):
                async with _arena(workload, rounds, place) as arena:
                    await _turn(arena, rounds, place, index=index, name=name, pods=rounds.pods)
        return
    async with _arena(workload, rounds, place) as arena:
        pods = await _warm_up(arena, rounds) if place == REAL else rounds.pods
        for index in range(rounds.runs):
            names = schedulers(workload, rounds, place, index)
            raw = rounds.raw if index < rounds.raw_runs else ()
            if place == REAL and rounds.profile is None:
                names = (*names, *raw)
            for name in names:
                await _turn(arena, rounds, place, index=index, name=name, pods=pods)


@contextlib.asynccontextmanager
async def _arena(workload: Workload, rounds: Rounds, place: str) -> AsyncIterator[Contest]:
    async with (
        rounds.place(place, workload) as cluster,
        contest(cluster, workload, progress=rounds.progress) as arena,
    ):
        yield arena


async def _warm_up(arena: Contest, rounds: Rounds) -> int | None:
    """Returns how many pods a run is to have, after a run that nobody counts."""
    rounds.progress("warming up")
    if rounds.seconds is None:
        await arena.run(RAW_WITH_EVENTS, pods=_WARM_UP_PODS)
        return rounds.pods
    pilot = await arena.run(RAW_WITH_EVENTS, pods=_PILOT_PODS)
    rate = pilot.pace.recorded_pods_per_s
    return pods_for(rounds.seconds, raw_pods_per_s=rate, most=arena.most)


async def _turn(
    arena: Contest, rounds: Rounds, place: str, *, index: int, name: str, pods: int | None
) -> None:
    rounds.progress(f"round {index + 1} of {rounds.runs}: {name}")
    if place == REAL:
        rounds.add(await arena.run(name, pods=pods, profile=rounds.profile))
    else:
        rounds.add(await arena.run_synced(pods=pods, profile=rounds.profile))


async def as_upstream(workload: Workload, rounds: Rounds, *, place: str) -> None:
    """The workload has run in a place as upstream runs it, each time on a cluster of its own."""
    for index in range(rounds.runs):
        for name in schedulers(workload, rounds, place, index):
            async with rounds.place(place, workload) as cluster:
                rounds.progress(f"run {index + 1} of {rounds.runs}: {name}")
                rounds.add(await run_as_upstream(cluster, name, workload, progress=rounds.progress))
