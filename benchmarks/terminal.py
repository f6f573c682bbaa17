"""What a person sees while a benchmark runs: lines that stay, and one that tells what goes on."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Terminal:
    """Prints to a terminal or a file; on a terminal the last line is rewritten in place."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._is_terminal = self._stream.isatty()
        self._began_s = time.monotonic()
        self._last = ""

    def say(self, line: str = "") -> None:
        """The line stays."""
        self._clear()
        print(line, file=self._stream, flush=True)

    def progress(self, what: str) -> None:
        """This goes on now; a file gets it once, a terminal only until the next words."""
        elapsed = time.monotonic() - self._began_s
        if self._is_terminal:
            text = f"[{elapsed:4.0f} s] {what}".partition("\n")[0][:100]
            print(f"\r\x1b[K\x1b[2m{text}\x1b[0m", end="", file=self._stream, flush=True)
        elif what != self._last:
            print(f"[{elapsed:4.0f} s] {what}", file=self._stream, flush=True)
        self._last = what

    def _clear(self) -> None:
        if self._is_terminal and self._last:
            print("\r\x1b[K", end="", file=self._stream)
        self._last = ""
