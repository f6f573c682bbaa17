from __future__ import annotations

import io

from benchmarks.terminal import Terminal


class _Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_each_progress_once() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    for what in ("nodes", "nodes", "pods"):
        terminal.progress(what)
    terminal.say("done")
    assert [line.partition("] ")[2] or line for line in stream.getvalue().splitlines()] == [
        "nodes",
        "pods",
        "done",
    ]


def test_on_a_terminal_progress_is_wiped_before_a_line_that_stays() -> None:
    stream = _Tty()
    terminal = Terminal(stream)
    terminal.progress("nodes")
    terminal.say("done")
    assert stream.getvalue().endswith("\r\x1b[Kdone\n")
