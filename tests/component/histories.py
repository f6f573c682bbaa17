"""Thousands of random histories, for ``make histories``: ``python -m tests.component.histories``.

Each is lived in a process of its own pool; one that fails is told with its seed, and the run goes
on, so that one run shows all there is to find.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

from tests.component.history import STEPS, History

#: Seconds of the machine's time after which a history hangs; one takes a tenth of a second.
_HANGS_AFTER_S = 60
_REPORT_EVERY = 100


class Hangs(Exception):  # noqa: N818  # what the history does
    """A history does not end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one history."""

    seed: int
    bindings: int
    victims: int
    #: empty where everything held
    problem: str = ""


def live(seed: int, *, steps: int = STEPS, log: list[bytes] | None = None) -> Outcome:
    """One history, from its beginning to its end.

    Args:
        seed: which one.
        steps: how long it is.
        log: gets what the scheduler sent.
    """
    history, problem = History(seed, steps=steps), ""
    try:
        asyncio.run(history.live())
    except AssertionError as error:
        problem = str(error)
    if log is not None:
        log += [b"history %d" % seed, *history.log]
    return Outcome(seed, history.bindings, len(history.victims), problem)


@contextmanager
def _time_limit(seed: int) -> Iterator[None]:
    """A loop that waits for nothing of the virtual clock would wait for ever."""

    def on_alarm(_signal: int, _frame: FrameType | None) -> None:
        raise Hangs(f"history {seed} hangs (again with: make histories SEED={seed} COUNT=1)")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(_HANGS_AFTER_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Lives the histories and prints what came of them; 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.component.histories")
    parser.add_argument("--count", type=int, default=5000, help="how many (default: 5000)")
    parser.add_argument("--seed", type=int, default=1, help="the first one's seed (default: 1)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of each (default: {STEPS})")
    parser.add_argument("--log", type=Path, help="file for all that was decided")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    given = parser.parse_args(arguments)
    _be_quiet()
    seeds = range(given.seed, given.seed + given.count)
    if given.log is not None:
        log: list[bytes] = []
        outcomes = [live(seed, steps=given.steps, log=log) for seed in seeds]
        given.log.write_bytes(b"\n".join(log))
        return _report(iter(outcomes), given.count)
    jobs = [(seed, given.steps) for seed in seeds]
    workers = min(given.workers, given.count)
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_be_quiet) as pool:
        return _report(pool.imap_unordered(_live_one, jobs, chunksize=4), given.count)


def _live_one(job: tuple[int, int]) -> Outcome:
    seed, steps = job
    try:
        with _time_limit(seed):
            return live(seed, steps=steps)
    except Hangs as error:
        return Outcome(seed, 0, 0, str(error))


def _report(outcomes: Iterator[Outcome], count: int) -> int:
    failed, bindings, victims = 0, 0, 0
    for number, outcome in enumerate(outcomes, start=1):
        bindings += outcome.bindings
        victims += outcome.victims
        if outcome.problem:
            failed += 1
            print(f"FAILED {outcome.problem}", flush=True)
        if number % _REPORT_EVERY == 0 or number == count:
            print(
                f"{number}/{count} histories, {bindings} bindings, {victims} preempted,"
                f" {failed} failed",
                flush=True,
            )
    return int(failed > 0)


def _be_quiet() -> None:
    """What histories do to a scheduler is worth thousands of warnings."""
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)


if __name__ == "__main__":
    sys.exit(main())
