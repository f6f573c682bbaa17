from __future__ import annotations

import pytest

from pyscheduler.config.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("15s", 15.0, id="seconds"),
        pytest.param("1m30s", 90.0, id="two units"),
        pytest.param("1h0m0.5s", 3600.5, id="fraction"),
        pytest.param("250ms", 0.25, id="milliseconds"),
        pytest.param("0", 0.0, id="zero without unit"),
        pytest.param("-2s", -2.0, id="negative"),
        pytest.param(".5s", 0.5, id="no leading digit"),
    ],
)
def test_parse_duration_reads_what_go_writes(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "15", "s", "1x", "1s ", "1 s", "-", "1s2"])
def test_parse_duration_refuses_anything_else(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (15.0, "15s"),
        (90.0, "1m30s"),
        (3600.5, "1h0m0.5s"),
        (0.25, "250ms"),
        (0.0, "0s"),
        (-2, "-2s"),
        (0.0005, "500µs"),
        (0.0000015, "1.5µs"),
        (59.9999999999, "1m0s"),
        (900, "15m0s"),
    ],
)
def test_format_duration_prints_as_go_does(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
    assert parse_duration(text) == pytest.approx(seconds)
