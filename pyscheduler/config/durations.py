"""Durations as Go writes them (``15s``, ``1m30s``, ``250ms``), in seconds."""

from __future__ import annotations

import re
from typing import Final

_UNITS_S: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")  # Go takes both


def parse_duration(text: str) -> float:
    """Return the seconds that a duration in Go's format stands for.

    Raises:
        ValueError: it is none.

    Source: Go's time.ParseDuration; results are floats, so below a microsecond they are rounded.
    """
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return 0.0
    total_s, position = 0.0, 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            break
        total_s += float(part[1]) * _UNITS_S[part[2]]
        position = part.end()
    if not rest or position < len(rest):
        raise ValueError(f'"{text}" is not a duration such as "15s" or "1m30s"')
    return sign * total_s


def format_duration(duration_s: float) -> str:
    """Return the duration as `parse_duration` reads it, the way Go prints one."""
    nanoseconds = round(abs(duration_s) * 1e9)
    sign = "-" if duration_s < 0 and nanoseconds else ""
    if 0 < nanoseconds < 1_000_000_000:
        unit, size = next(
            (unit, size)
            for unit, size in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1))
            if nanoseconds >= size
        )
        return f"{sign}{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, 1_000_000_000)}s"
    if hours:
        text = f"{hours}h{minutes}m{text}"
    elif minutes:
        text = f"{minutes}m{text}"
    return sign + text


def _decimal(nanoseconds: int, unit: int) -> str:
    """As many units, without zeros at the end of the fraction."""
    whole, fraction = divmod(nanoseconds, unit)
    digits = str(unit + fraction)[1:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
