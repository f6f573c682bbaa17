"""How the demo looks on a terminal: progress in place, tables, few colours.

Needs rich (the extra ``demo``); imported only when it is there and a terminal is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pyscheduler.cli.demo_cluster import Progress
from pyscheduler.cli.demo_display import MAX_WIDTH, Column

_BAR_WIDTH = 36
_SPARKS = "▁▂▃▄▅▆▇█"
#: Samples of the rate that the line of sparks shows: at ten a second, the last three seconds.
_SPARK_COUNT = 30


class RichDisplay:
    """A terminal with a person in front of it."""

    is_live = True

    def __init__(self, console: Console) -> None:
        self._console = console
        if console.width > MAX_WIDTH:
            console.width = MAX_WIDTH
        self._live: Live | None = None
        self._rates: deque[float] = deque(maxlen=_SPARK_COUNT)
        self._bound = 0

    def title(self, text: str, *, note: str) -> None:
        """Opens the demo."""
        self._print("")
        self._print(Text(text, style="bold cyan"))
        self._print(Text(note, style="dim"))

    def heading(self, text: str) -> None:
        """Opens a part, after an empty line."""
        self._print("")
        self._print(Text(text, style="bold"))

    def text(self, text: str) -> None:
        """Says one thing."""
        self._print(Text(text))

    def progress(self, progress: Progress) -> None:
        """Draws the figures over those before."""
        if progress.bound != self._bound:
            self._bound = progress.bound
            self._rates.append(progress.rate)
        picture = Padding(_picture(progress, self._rates), (1, 2, 0, 2))
        if self._live is None:
            self._live = Live(picture, console=self._console, auto_refresh=False)
            self._live.start(refresh=True)
        else:
            self._live.update(picture, refresh=True)

    def end_progress(self) -> None:
        """Leaves the last figures where they are."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """Draws a table without lines."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column in columns:
            table.add_column(column.title, justify="right" if column.is_number else "left")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._print(table)

    def reason(self, who: str, why: str) -> None:
        """Shows who waits, and under it why."""
        self._print(Text(who, style="yellow"))
        self._console.print(Padding(Text(why), (0, 2, 0, 4)))

    def cause(self, text: str) -> None:
        """Shows what happens."""
        self._print("")
        self._print(Text.assemble(("● ", "cyan"), text))

    def effect(self, text: str, *, note: str) -> None:
        """Shows what came of it."""
        self._print(Text.assemble(("  → ", "green"), (text, "green"), (f"  {note}", "dim")))

    def command(self, command: str, *, purpose: str) -> None:
        """Shows the command under its purpose, alone on its line so that it can be copied."""
        self._print(Text(f"# {purpose}", style="dim"))
        # Not wrapped: what is copied must be one line.
        self._console.print(Text(f"  {command}"), soft_wrap=True)

    def _print(self, what: RenderableType) -> None:
        self._console.print(Padding(what, (0, 2)))


def _picture(progress: Progress, rates: Sequence[float]) -> RenderableType:
    bars = Table.grid(padding=(0, 2))
    bars.add_column(style="dim", width=9)
    bars.add_column(width=_BAR_WIDTH)
    bars.add_column(justify="right")
    for name, count, style in (
        ("submitted", progress.submitted, "blue"),
        ("bound", progress.bound, "cyan"),
        ("running", progress.running, "green"),
    ):
        bar = ProgressBar(
            max(progress.total, 1),
            count,
            width=_BAR_WIDTH,
            complete_style=style,
            finished_style=style,
        )
        bars.add_row(name, bar, f"{count:,} of {progress.total:,}")
    figures = Table.grid(padding=(0, 2))
    figures.add_column(style="dim", width=9)
    figures.add_column()
    queue = progress.queue
    tiers = Columns(
        Text.assemble((f"{name} ", "dim"), f"{count:<6,}")
        for name, count in (
            ("active", queue.active),
            ("backoff", queue.backoff),
            ("unschedulable", queue.unschedulable),
            ("gated", queue.gated),
        )
    )
    figures.add_row("queue", tiers)
    rate = Text.assemble(f"{progress.rate:,.0f}".ljust(7), (_sparks(rates), "cyan"))
    figures.add_row("pods/s", rate)
    return Group(bars, Text(""), figures)


def _sparks(rates: Sequence[float]) -> str:
    highest = max(rates, default=0.0)
    if highest <= 0:
        return ""
    top = len(_SPARKS) - 1
    return "".join(_SPARKS[min(top, int(rate / highest * top + 0.5))] for rate in rates)
