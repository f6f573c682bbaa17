"""How the demo talks: one protocol, and plain lines for pipes, logs and dumb terminals.

`demo_rich` is the other form, for terminals. The story (`demo_story`) says what; these say how.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TextIO

from pyscheduler.cli.demo_cluster import Progress

#: Lines longer than this are hard to read, however wide the terminal is.
MAX_WIDTH = 100
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    is_number: bool = False


class Display(Protocol):
    """What the story shows."""

    #: True when a person watches: then the story takes its time.
    is_live: bool

    def title(self, text: str, *, note: str) -> None:
        """Opens the demo."""

    def heading(self, text: str) -> None:
        """Opens a part."""

    def text(self, text: str) -> None:
        """Says one thing."""

    def progress(self, progress: Progress) -> None:
        """Shows how far it is; called ten times a second."""

    def end_progress(self) -> None:
        """The last figures stay; may be called twice."""

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """Shows figures."""

    def reason(self, who: str, why: str) -> None:
        """Shows why somebody waits."""

    def cause(self, text: str) -> None:
        """Something happens."""

    def effect(self, text: str, *, note: str) -> None:
        """And that came of it."""

    def command(self, command: str, *, purpose: str) -> None:
        """Shows a command to try."""


class PlainDisplay:
    """Plain lines, a line of progress a second at most."""

    is_live = False

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._width = min(MAX_WIDTH, shutil.get_terminal_size().columns)
        self._last: Progress | None = None
        self._next_line_s = 0.0

    def title(self, text: str, *, note: str) -> None:
        """Opens the demo."""
        self._line(text)
        self._line(note)

    def heading(self, text: str) -> None:
        """Opens a part, after an empty line."""
        self._line("")
        self._line(text)

    def text(self, text: str) -> None:
        """Says one thing, in as many lines as it takes."""
        self._line(text)

    def progress(self, progress: Progress) -> None:
        """Prints a line when a second has passed since the last one."""
        self._last = progress
        if progress.elapsed_s >= self._next_line_s:
            self._progress_line(progress)
            self._next_line_s = progress.elapsed_s + 1.0

    def end_progress(self) -> None:
        """Prints the last figures."""
        if self._last is not None:
            self._progress_line(self._last)
        self._last, self._next_line_s = None, 0.0

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """Prints columns, numbers to the right."""
        lines = [[column.title for column in columns], *rows]
        widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
        for line in lines:
            cells = [
                cell.rjust(width) if column.is_number else cell.ljust(width)
                for cell, width, column in zip(line, widths, columns, strict=True)
            ]
            self._line(_INDENT + _INDENT.join(cells).rstrip())

    def reason(self, who: str, why: str) -> None:
        """Prints who waits, and under it why."""
        self._line(_INDENT + who)
        for line in textwrap.wrap(why, self._width - 4):
            self._line(2 * _INDENT + line)

    def cause(self, text: str) -> None:
        """Prints what happens."""
        self._line(f"{_INDENT}{text}")

    def effect(self, text: str, *, note: str) -> None:
        """Prints what came of it."""
        self._line(f"{_INDENT}  -> {text}  ({note})" if note else f"{_INDENT}  -> {text}")

    def command(self, command: str, *, purpose: str) -> None:
        """Prints the command under its purpose, alone on its line so that it can be copied."""
        self._line(f"{_INDENT}# {purpose}")
        self._line(f"{_INDENT}{command}")

    def _progress_line(self, progress: Progress) -> None:
        queue = progress.queue
        self._line(
            f"{_INDENT}{progress.elapsed_s:4.1f} s  "
            f"bound {progress.bound:,} of {progress.total:,}  {progress.rate:,.0f} pods/s  "
            f"queue: active {queue.active:,}, backoff {queue.backoff:,}, "
            f"unschedulable {queue.unschedulable:,}, gated {queue.gated:,}"
        )

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()
