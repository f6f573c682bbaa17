from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyscheduler.api.times import format_micro, format_seconds, parse_rfc3339


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-03-01T10:00:00Z", 1772359200.0),
        ("2026-03-01T10:00:00.250000Z", 1772359200.25),
        ("2026-03-01T12:00:00+02:00", 1772359200.0),
    ],
)
def test_parses_rfc3339(text: str, seconds: float) -> None:
    assert parse_rfc3339(text) == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "2026-03-01", "2026-03-01T10:00:00"])
def test_a_text_that_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="invalid time"):
        parse_rfc3339(text)


def test_micro_time_has_six_digits_and_round_trips() -> None:
    assert format_micro(1772359200.25) == "2026-03-01T10:00:00.250000Z"
    assert parse_rfc3339(format_micro(1772359200.123456)) == 1772359200.123456


@given(st.integers(0, 4_000_000_000_000_000))
def test_micro_time_is_what_datetime_makes_of_it(micro: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micro)

    assert format_micro(micro / 1e6) == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_time_is_cut_to_seconds() -> None:
    assert format_seconds(1772359200.99) == "2026-03-01T10:00:00Z"
