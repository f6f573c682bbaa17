from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.document import markdown_table, write_between

PAGE = """# Title
<!-- make bench-x ARGS=--write -->
old
<!-- end of make bench-x -->
<!-- make bench-y ARGS=--write -->
other
<!-- end of make bench-y -->
"""


def test_first_column_is_to_the_left_and_the_others_to_the_right() -> None:
    assert markdown_table(["a", "b", "c"], [["x", "1", "2"]]) == (
        "| a | b | c |\n|---|---:|---:|\n| x | 1 | 2 |\n"
    )


def test_only_the_text_of_its_own_command_is_replaced(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(PAGE)
    write_between(document, "bench-x", "new\n")
    assert document.read_text() == PAGE.replace("old", "new")


def test_a_document_without_a_place_is_refused_and_unchanged(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(PAGE)
    with pytest.raises(ValueError, match=r"page\.md has no place for bench-z"):
        write_between(document, "bench-z", "new\n")
    assert document.read_text() == PAGE
