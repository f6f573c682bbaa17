"""Measures the figures that are promised, row by row, and says which of them are reached.

    python -m benchmarks.figure_table                     # all rows: more than an hour
    python -m benchmarks.figure_table spread basic-500    # these
    python -m benchmarks.figure_table real --write        # and put the table into the document

Rows beside kube-scheduler are contests on one real control plane each: both schedulers bind the
same pods in alternating order, and after them so does the plain client, which is the raw limit.
Against the embedded server this scheduler runs alone, and what counts is its CPU time. Each row's
results are in a file of their own as soon as it is done.

Exit status: 0 when every figure is reached; 1 when one is missed; 2 for what cannot be understood.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks.document import markdown_table, write_between
from benchmarks.figures import Spread, save, table
from benchmarks.outcome_table import line
from benchmarks.places.contestants import OURS, RAW_WITH_EVENTS, THEIRS
from benchmarks.places.embedded import EMBEDDED
from benchmarks.places.outcome import Outcome
from benchmarks.places.real import REAL
from benchmarks.places.rounds import Rounds, contests
from benchmarks.promises import EMBEDDED_ROWS, REAL_ROWS, EmbeddedRow, Finding, RealRow, What
from benchmarks.selection import named
from benchmarks.terminal import Terminal
from tests.controlplane.build import ControlPlaneUnavailableError

DOCUMENT = Path("docs/performance.md")

Row: TypeAlias = RealRow | EmbeddedRow

_REAL_COLUMNS = (What.RATE, What.SHARE, What.CPU, What.MEMORY, What.FIRST_BIND)
_EMBEDDED_COLUMNS = (What.PODS_PER_CPU, What.ALGORITHM, What.GROWTH)


@dataclass(frozen=True, slots=True)
class Measured:
    """A row with what was found."""

    row: Row
    findings: tuple[Finding, ...]
    outcomes: Mapping[str, Sequence[Outcome]]

    @property
    def is_reached(self) -> bool:
        """Claims that every figure of the row is as wanted."""
        return all(finding.is_reached for finding in self.findings)

    def as_json(self) -> dict[str, object]:
        return {
            "row": self.row.name,
            "workload": self.row.workload,
            "figures": {str(finding.what): finding.as_json() for finding in self.findings},
            "reached": self.is_reached,
            "runs": [o.as_json() for runs in self.outcomes.values() for o in runs],
        }


class FigureTable:
    """Measures rows one after another and keeps what was found."""

    def __init__(
        self, terminal: Terminal, *, runs: int, seconds: float | None, scale: float
    ) -> None:
        """A table without rows.

        Args:
            seconds: how long this scheduler should bind in a contest; None for the rows' own pods.
            scale: of the rows' own pods.
        """
        self.measured: list[Measured] = []
        self.failed: list[tuple[str, str]] = []
        self._terminal = terminal
        self._runs = runs
        self._seconds = seconds
        self._scale = scale
        self._by_row: dict[str, Sequence[Outcome]] = {}

    async def measure(self, row: Row) -> None:
        """The row is measured, shown, and in a file."""
        terminal = self._terminal
        terminal.say(f"\n{row.name}: {row.title}, {row.nodes} nodes")
        rounds = Rounds(
            runs=self._runs,
            raw_runs=self._runs,
            raw=(RAW_WITH_EVENTS,),
            progress=terminal.progress,
            on_outcome=lambda outcome: terminal.say(line(outcome)),
        )
        try:
            findings = await self._findings(row, rounds)
        except ControlPlaneUnavailableError:
            raise
        except Exception as error:
            # Whatever became of this row, the others are still worth measuring.
            self.failed.append((row.name, f"{type(error).__name__}: {error}"))
            terminal.say(f"  failed: {type(error).__name__}: {error}")
            return
        self._by_row[row.name] = rounds.outcomes[OURS]
        measured = Measured(row, tuple(findings), rounds.outcomes)
        self.measured.append(measured)
        for finding in findings:
            terminal.say(f"    {finding.what}: {finding.text()}")
        terminal.say(f"    written to {save(f'figure-{row.name}', measured.as_json())}")

    async def _findings(self, row: Row, rounds: Rounds) -> list[Finding]:
        workload = named(row.workload)
        if isinstance(row, EmbeddedRow):
            await contests(workload, rounds, place=EMBEDDED)
            return row.findings(rounds.outcomes, baseline=self._by_row.get(row.baseline, ()))
        if self._seconds is not None and not row.takes_victims:
            rounds.seconds = self._seconds
        else:
            rounds.pods = max(1, round(row.pods * self._scale))
        await contests(workload, rounds, place=REAL)
        return row.findings(rounds.outcomes)

    @property
    def is_reached(self) -> bool:
        """Claims that every row was measured and is as wanted."""
        return not self.failed and all(measured.is_reached for measured in self.measured)


def real_cells(measured: Measured) -> list[str]:
    """Returns a row of the table beside kube-scheduler."""
    texts = {finding.what: finding.text() for finding in measured.findings}
    if What.DURATION in texts:
        texts[What.RATE] = f"{texts[What.DURATION]} (times shorter)"
    rates = [
        Spread.of([o.pace.recorded_pods_per_s for o in measured.outcomes[name]]).text()
        if name in measured.outcomes
        else ""
        for name in (OURS, THEIRS, RAW_WITH_EVENTS)
    ]
    return [
        measured.row.title,
        measured.row.nodes,
        *rates,
        *(texts.get(what, "") for what in _REAL_COLUMNS),
    ]


REAL_HEAD = (
    "Workload",
    "nodes",
    "pods/s",
    "kube-scheduler",
    "raw",
    *(str(what) for what in _REAL_COLUMNS),
)


def embedded_cells(measured: Measured) -> list[str]:
    """Returns a row of the table against the embedded server."""
    texts = {finding.what: finding.text() for finding in measured.findings}
    rate = Spread.of([o.pace.recorded_pods_per_s for o in measured.outcomes[OURS]])
    memory = Spread.of([o.peak_memory_bytes / 1e6 for o in measured.outcomes[OURS]])
    requests = Spread.of([o.requests_per_pod for o in measured.outcomes[OURS]])
    return [
        measured.row.title,
        measured.row.nodes,
        *(texts.get(what, "") for what in _EMBEDDED_COLUMNS),
        rate.text(),
        requests.text(2),
        memory.text(),
    ]


EMBEDDED_HEAD = (
    "Workload",
    "nodes",
    *(str(what) for what in _EMBEDDED_COLUMNS),
    "pods/s",
    "requests per pod",
    "peak MB",
)


def write(measured: Sequence[Measured]) -> None:
    """The document has the tables, each only if a row of it was measured."""
    real = [real_cells(m) for m in measured if isinstance(m.row, RealRow)]
    embedded = [embedded_cells(m) for m in measured if isinstance(m.row, EmbeddedRow)]
    for name, head, rows in (
        ("bench-full", REAL_HEAD, real),
        ("bench-embedded", EMBEDDED_HEAD, embedded),
    ):
        if rows:
            write_between(DOCUMENT, name, markdown_table(head, rows))


def report(found: FigureTable) -> str:
    """Returns both tables and what was missed."""
    real = [real_cells(m) for m in found.measured if isinstance(m.row, RealRow)]
    embedded = [embedded_cells(m) for m in found.measured if isinstance(m.row, EmbeddedRow)]
    parts = [table(REAL_HEAD, real)] if real else []
    parts += [table(EMBEDDED_HEAD, embedded)] if embedded else []
    missed = [
        f"missed: {measured.row.name}: {finding.what} {finding.text()}"
        for measured in found.measured
        for finding in measured.findings
        if not finding.is_reached
    ]
    missed += [f"failed: {name}: {reason.splitlines()[0]}" for name, reason in found.failed]
    return "\n\n".join([*parts, "\n".join(missed or ["every figure is reached"])])


def parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    summary, _, rest = (__doc__ or "").partition("\n")
    names = [row.name for row in (*REAL_ROWS, *EMBEDDED_ROWS)]
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.figure_table",
        description=summary,
        epilog=f"{rest}\nRows: {', '.join(names)}; real and embedded stand for all of a place.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("rows", nargs="*", metavar="ROW", help="(default: all)")
    found.add_argument("--runs", type=int, default=3, help="rounds of each row (default: 3)")
    found.add_argument(
        "--seconds",
        type=float,
        help="of binding for this scheduler in a contest, which sizes the pods by the raw limit "
        "(default: the rows' own pods)",
    )
    found.add_argument("--scale", type=float, default=1.0, help="of the rows' own pods")
    found.add_argument("--write", action="store_true", help=f"put the tables into {DOCUMENT}")
    return found


def rows_named(names: Sequence[str]) -> list[Row]:
    """Returns the rows of these names, in the order of the tables; all when there is no name.

    Raises:
        ValueError: there is no such row.
    """
    rows: list[Row] = [*REAL_ROWS, *EMBEDDED_ROWS]
    groups: dict[str, Sequence[Row]] = {"real": REAL_ROWS, "embedded": EMBEDDED_ROWS}
    wanted: set[str] = set()
    for name in names:
        group = groups.get(name) or [row for row in rows if row.name == name]
        if not group:
            raise ValueError(f"no such row: {name}")
        wanted |= {row.name for row in group}
    return [row for row in rows if not names or row.name in wanted]


def are_whole_tables(rows: Sequence[Row]) -> bool:
    """Claims that of each table there are all rows or none: a document has no half of one."""
    names = {row.name for row in rows}
    tables: tuple[Sequence[Row], ...] = (REAL_ROWS, EMBEDDED_ROWS)
    return all(
        names.isdisjoint(whole) or whole <= names
        for whole in ({row.name for row in rows_of_one} for rows_of_one in tables)
    )


async def measure_all(rows: Sequence[Row], found: FigureTable) -> None:
    """Every row is measured, in order."""
    for row in rows:
        await found.measure(row)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, saves, and writes the document if asked to; returns the exit status."""
    command = parser()
    options = command.parse_args(arguments)
    if options.runs < 1 or options.scale <= 0:
        command.error("--runs and --scale must be above 0")
    try:
        rows = rows_named(options.rows)
    except ValueError as error:
        command.error(str(error))
    if options.write and not are_whole_tables(rows):
        command.error("--write needs whole tables: real, embedded, or all rows")
    terminal = Terminal()
    found = FigureTable(terminal, runs=options.runs, seconds=options.seconds, scale=options.scale)
    try:
        asyncio.run(measure_all(rows, found))
    except ControlPlaneUnavailableError as error:
        command.error(str(error))
    except KeyboardInterrupt:
        terminal.say("interrupted: what was measured so far")
    terminal.say("\n" + report(found))
    if options.write:
        write(found.measured)
    return 0 if found.is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
