from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import figure_table
from benchmarks.figure_table import (
    EMBEDDED_HEAD,
    REAL_HEAD,
    Measured,
    embedded_cells,
    main,
    real_cells,
    rows_named,
    write,
)
from benchmarks.places.contestants import OURS, THEIRS
from benchmarks.promises import EMBEDDED_ROWS, REAL_ROWS
from tests.unit.benchmarks.outcomes import outcome


def measured_real() -> Measured:
    row = next(row for row in REAL_ROWS if row.name == "basic-500")
    outcomes = {OURS: [outcome(seconds=1.0)], THEIRS: [outcome(THEIRS, seconds=2.0)]}
    return Measured(row, tuple(row.findings(outcomes)), outcomes)


def measured_embedded() -> Measured:
    row = EMBEDDED_ROWS[0]
    outcomes = {OURS: [outcome(pods=4000, cpu_s=1.0, algorithm_p99_s=0.001)]}
    return Measured(row, tuple(row.findings(outcomes)), outcomes)


def test_all_rows_are_meant_without_a_name() -> None:
    assert rows_named([]) == [*REAL_ROWS, *EMBEDDED_ROWS]


def test_rows_are_named_one_by_one_or_by_place_and_keep_their_order() -> None:
    assert [row.name for row in rows_named(["spread", "basic-500"])] == ["basic-500", "spread"]
    assert rows_named(["embedded"]) == list(EMBEDDED_ROWS)


def test_cells_fit_the_heads() -> None:
    assert len(real_cells(measured_real())) == len(REAL_HEAD)
    assert len(embedded_cells(measured_embedded())) == len(EMBEDDED_HEAD)


def test_a_row_without_the_raw_limit_has_empty_cells() -> None:
    cells = dict(zip(REAL_HEAD, real_cells(measured_real()), strict=True))
    assert cells["raw"] == ""
    assert cells["ratio"] == "2.00, >= 1.3"


def test_a_result_file_says_what_was_reached() -> None:
    assert measured_embedded().as_json()["reached"] is True
    assert measured_real().as_json()["reached"] is False  # as much CPU as theirs


def test_only_tables_with_a_row_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "performance.md"
    document.write_text(
        "<!-- make bench-full ARGS=--write -->\nold\n<!-- end of make bench-full -->\n"
        "<!-- make bench-embedded ARGS=--write -->\nkept\n"
        "<!-- end of make bench-embedded -->\n"
    )
    monkeypatch.setattr(figure_table, "DOCUMENT", document)
    write([measured_real()])
    assert "old" not in document.read_text()
    assert "| basic | 500 |" in document.read_text()
    assert "kept" in document.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["no-such-row"], id="unknown row"),
        pytest.param(["--runs", "0"], id="no run"),
        pytest.param(["spread", "--write"], id="half a table for the document"),
        pytest.param(["--no-such-option"], id="unknown option"),
    ],
)
def test_what_cannot_be_understood_ends_with_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
