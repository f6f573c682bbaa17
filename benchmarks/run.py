"""Runs workloads against the embedded server or a real control plane, beside kube-scheduler there.

    python -m benchmarks.run --pods 1000                   # those of the figures, in both places
    python -m benchmarks.run --select SchedulingBasic/500Nodes --place real --runs 5
    python -m benchmarks.run --file .../test/integration/scheduler_perf --mode upstream --list

Two ways of running. `contest`: the measured pods are made while nobody schedules, so that the queue
is full from the first bind on. On a real control plane they wait for each scheduler in turn, which
is then started; the plain client that only sends follows. Against the embedded server this
scheduler has synchronised before, and stands still meanwhile. `upstream`: the scheduler runs, then
the operations are done and measured, whatever they are. Rates are from the first bind to the last
event; CPU is the process's, from its first write about a pod (real) or the first measured pod
(embedded).

Exit status: 0; 1 when a workload failed; 2 for what cannot be understood.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import RESULTS_FOLDER, save
from benchmarks.outcome_table import line, outcome_table
from benchmarks.places.real import REAL
from benchmarks.places.rounds import OURS_ALONE, PLACES, Rounds, as_upstream, contests
from benchmarks.places.upstream_run import NothingBoundError
from benchmarks.plot import MISSING, can_plot, draw
from benchmarks.profiling import functions_of
from benchmarks.selection import WORKLOADS, Selection, select
from benchmarks.terminal import Terminal
from benchmarks.workloads import Workload, WorkloadError
from tests.controlplane.api_client import ApiError
from tests.controlplane.build import ControlPlaneUnavailableError
from tests.controlplane.process import ProcessEndedError

CONTEST, UPSTREAM = "contest", "upstream"


class Runner:
    """Runs workload after workload; what one of them came to does not depend on another."""

    def __init__(self, options: argparse.Namespace, terminal: Terminal) -> None:
        self.failed: list[tuple[str, str]] = []
        self._options = options
        self._terminal = terminal

    async def run(self, workload: Workload, place: str) -> None:
        """The workload has run, its table is shown, its results and its plot are in files."""
        options, terminal = self._options, self._terminal
        mode = options.mode
        terminal.say(f"\n{workload.name} in the {place} place, {mode}")
        if place == REAL and OURS_ALONE in workload.labels:
            terminal.say("  kube-scheduler cannot run it, so pyscheduler runs alone")
        rounds = Rounds(
            runs=options.runs,
            raw_runs=options.runs,
            pods=options.pods,
            seconds=options.seconds,
            profile=options.profile,
            progress=terminal.progress,
            on_outcome=lambda outcome: terminal.say(line(outcome)),
        )
        try:
            if mode == CONTEST:
                await contests(workload, rounds, place=place)
            else:
                await as_upstream(workload, rounds, place=place)
        except (
            ApiError,
            NothingBoundError,
            ProcessEndedError,
            TimeoutError,
            ValueError,
            ExceptionGroup,
        ) as error:
            # The others are still worth running.
            self.failed.append((workload.name, str(error)))
            terminal.say(f"  failed: {error}")
        if rounds.outcomes:
            self._report(workload, place, mode, rounds)

    def _report(self, workload: Workload, place: str, mode: str, rounds: Rounds) -> None:
        terminal = self._terminal
        terminal.say("\n" + outcome_table(rounds.outcomes))
        if mode == UPSTREAM and workload.threshold is not None:
            terminal.say(f"the file demands an average of {workload.threshold:g} pods/s\n")
        if self._options.profile is not None:
            terminal.say(functions_of(self._options.profile) + "\n")
        name = f"{place}-{workload.name.replace('/', '-')}"
        path = save(
            name,
            {
                "workload": workload.name,
                "parameters": dict(workload.parameters),
                "place": place,
                "mode": mode,
                "runs": [o.as_json() for runs in rounds.outcomes.values() for o in runs],
            },
        )
        terminal.say(f"written to {path}")
        if can_plot():
            plot = self._options.plot or RESULTS_FOLDER / f"{name}.svg"
            draw(rounds.outcomes, plot, title=f"{workload.name}, {place} place")
            terminal.say(f"plotted in {plot}")


def listing(selection: Selection) -> str:
    """Returns what would run, and what is left out and why."""
    lines = [
        f"  {workload.name}  {' '.join(sorted(workload.labels))}".rstrip()
        for workload in selection.workloads
    ]
    skipped = [f"  {name}: {reason}" for name, reason in selection.skipped]
    return "\n".join([f"{len(lines)} workloads", *lines, f"{len(skipped)} left out", *skipped])


def parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    summary, _, rest = (__doc__ or "").partition("\n")
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument(
        "--file",
        type=Path,
        action="append",
        help="workload file, or a folder with some or with upstream's performance-config.yaml "
        f"below it; may be repeated (default: {WORKLOADS.relative_to(WORKLOADS.parents[1])})",
    )
    found.add_argument("--select", default="", metavar="REGEX", help="of Case/Workload")
    found.add_argument(
        "--labels",
        default=None,
        metavar="LABELS",
        help="comma-separated, -name forbids one (default: figures; none with --select or --file)",
    )
    found.add_argument("--place", choices=(*PLACES, "both"), default="both")
    found.add_argument("--mode", choices=(CONTEST, UPSTREAM), default=CONTEST)
    found.add_argument("--runs", type=_positive, default=3, help="rounds (default: 3)")
    found.add_argument("--pods", type=_positive, help="so many of the measured pods (contest)")
    found.add_argument(
        "--seconds", type=float, help="as many pods as take so long to bind (contest)"
    )
    found.add_argument(
        "--profile", type=Path, metavar="FILE", help=".svg: pyscheduler's flame graph (contest)"
    )
    found.add_argument("--plot", type=Path, metavar="FILE", help=".svg or .png")
    found.add_argument("--list", action="store_true", help="say what would run, and why some not")
    return found


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


async def run_all(options: argparse.Namespace, selection: Selection, terminal: Terminal) -> int:
    """Returns the exit status after everything that was selected has run."""
    runner = Runner(options, terminal)
    places = PLACES if options.place == "both" else (options.place,)
    for workload in selection.workloads:
        for place in places:
            await runner.run(workload, place)
    for name, reason in selection.skipped:
        terminal.say(f"left out: {name}: {reason}")
    for name, reason in runner.failed:
        terminal.say(f"failed: {name}: {reason.splitlines()[0] if reason else ''}")
    if not can_plot():
        terminal.say(MISSING)
    return 1 if runner.failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line says; returns the exit status."""
    command = parser()
    options = command.parse_args(arguments)
    if options.plot is not None and not can_plot():
        command.error(MISSING)
    labels = options.labels
    if labels is None:
        labels = "" if options.select or options.file else "figures"
    try:
        selection = select(options.file or [WORKLOADS], pattern=options.select, labels=labels)
    except (WorkloadError, re.error) as error:
        command.error(str(error))
    if options.list:
        print(listing(selection))
        return 0
    if not selection.workloads:
        command.error("no workload is meant; see --list")
    try:
        return asyncio.run(run_all(options, selection, Terminal()))
    except ControlPlaneUnavailableError as error:
        command.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
