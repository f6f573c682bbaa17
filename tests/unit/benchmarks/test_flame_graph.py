"""A flame graph is read as it was drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.flame_graph import Frame, beneath, costs, read

#: name, depth, first sample, samples: two roots, and a function that calls itself
DRAWN = [
    ("all", 0, 0, 100),
    ("start (a.py:1)", 1, 0, 30),
    ("loop (a.py:5)", 1, 30, 70),
    ("decode (b.py:1)", 2, 30, 20),
    ("walk (b.py:9)", 2, 50, 40),
    ("walk (b.py:9)", 3, 60, 30),
]


def _svg(path: Path) -> Path:
    groups = "".join(
        f'<g><title>{name} ({samples} samples, 1.00%)</title><rect y="{52 + 16 * depth}"'
        f' fg:x="{begin}" fg:w="{samples}"/><text x="1"></text></g>'
        for name, depth, begin, samples in DRAWN
    )
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:fg="http://github.com/jonhoo/inferno">'
        f'<g><text>Reset Zoom</text></g><svg id="frames">{groups}</svg></svg>'
    )
    return path


def test_frames_are_read_with_their_place(tmp_path: Path) -> None:
    assert read(_svg(tmp_path / "graph.svg")) == [Frame(*drawn) for drawn in DRAWN]


def test_a_file_without_frames_is_none(tmp_path: Path) -> None:
    path = tmp_path / "graph.svg"
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    with pytest.raises(ValueError, match="holds no frames"):
        read(path)


def test_own_time_is_without_callees_and_recursion_counts_once() -> None:
    found = costs([Frame(*drawn) for drawn in DRAWN])
    assert found.samples == 100
    assert found.own == {
        "start (a.py:1)": 30,
        "loop (a.py:5)": 10,
        "decode (b.py:1)": 20,
        "walk (b.py:9)": 40,
    }
    assert found.total["walk (b.py:9)"] == 40
    assert found.total["loop (a.py:5)"] == 70


def test_what_lies_beneath_a_function_leaves_out_the_rest() -> None:
    found = costs(beneath([Frame(*drawn) for drawn in DRAWN], "loop (a.py"))
    assert found.samples == 70
    assert "start (a.py:1)" not in found.total
    assert beneath([Frame(*drawn) for drawn in DRAWN], "nobody") == []
