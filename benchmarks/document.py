"""Generated tables in the documents: each stands between two comments that name its command.

<!-- make bench-NAME ARGS=--write -->
| Plugin | Filter |
...
<!-- end of make bench-NAME -->
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns the table, its first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = [f"| {' | '.join(row)} |\n" for row in (head, *rows)]
    return "".join([lines[0], f"|{'|'.join(rule)}|\n", *lines[1:]])


def write_between(document: Path, name: str, text: str) -> None:
    """The document has the text between the comments of that command.

    Raises:
        ValueError: it has no such comments.
    """
    begin, end = f"<!-- make {name} ARGS=--write -->\n", f"<!-- end of make {name} -->\n"
    before, has_begin, rest = document.read_text().partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise ValueError(f"{document} has no place for {name}")
    document.write_text(f"{before}{begin}{text}{end}{after}")
