"""Runs `pyscheduler` with a probe inside: the loop's lag as a second sampler sees it, or stacks.

    python -m benchmarks.instrumented --lag FILE run --kubeconfig ...
    python -m benchmarks.instrumented --stacks FILE run --kubeconfig ...

The lag sampler sets a timer on the scheduler's own loop every few milliseconds and keeps how late
each was called, with the time; it shares nothing with the scheduler's heartbeat. Whole stacks are
sampled by CPU time from SIGUSR1 on, see `benchmarks.sampling`. Files are written when the process
ends, at SIGTERM too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from benchmarks.sampling import Sampler
from pyscheduler.app import server
from pyscheduler.cli.main import main as run_pyscheduler

#: Between two samples, from the end of one to the due time of the next; not the heartbeat's 10 ms,
#: so that the two do not walk in step.
_SAMPLE_EVERY_S = 0.007


class LagSampler:
    """Keeps `(unix seconds, lateness in seconds)` of each timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.samples: list[tuple[float, float]] = []
        self._loop = loop
        self._due_s = 0.0

    def arm(self) -> None:
        """The next sample is due."""
        self._due_s = time.perf_counter() + _SAMPLE_EVERY_S
        self._loop.call_later(_SAMPLE_EVERY_S, self._sample)

    def _sample(self) -> None:
        self.samples.append((time.time(), max(0.0, time.perf_counter() - self._due_s)))
        self.arm()


def loop_factory(
    on_made: Callable[[asyncio.AbstractEventLoop], None],
) -> Callable[[], asyncio.AbstractEventLoop]:
    """Returns a factory as the server has one, whose loops are shown to `on_made` first."""

    def make() -> asyncio.AbstractEventLoop:
        loop = uvloop.new_event_loop()
        on_made(loop)
        return loop

    return make


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lag", type=Path, help="file for the lag samples")
    parser.add_argument("--stacks", type=Path, help="file for CPU seconds and sampled stacks")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of pyscheduler")
    options = parser.parse_args()
    lag: list[LagSampler] = []
    profile = Sampler()
    cpu_before_s = 0.0

    def probe(loop: asyncio.AbstractEventLoop) -> None:
        if options.lag is not None:
            lag.append(LagSampler(loop))
            lag[-1].arm()

    def begin(*_signal: object) -> None:
        nonlocal cpu_before_s
        cpu_before_s = time.process_time()
        profile.start()

    signal.signal(signal.SIGUSR1, begin if options.stacks is not None else signal.SIG_DFL)
    # There is no seam for this, and the scheduler should not grow one for a benchmark.
    server._loop_factory = lambda: loop_factory(probe)  # noqa: SLF001
    sys.argv = ["pyscheduler", *options.arguments]
    try:
        run_pyscheduler()
    finally:
        profile.stop()
        cpu_s = time.process_time() - cpu_before_s
        if options.stacks is not None:
            stacks = [[count, *stack] for stack, count in profile.stacks.items()]
            options.stacks.write_text(json.dumps({"cpu_s": cpu_s, "stacks": stacks}))
        if options.lag is not None:
            options.lag.write_text(json.dumps(lag[0].samples if lag else []))


if __name__ == "__main__":
    main()
