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
    if duration_s < 0:
        return "-" + format_duration(-duration_s)
    if 0 < duration_s < 1:
        return f"{duration_s * 1e3:.6g}ms"
    minutes, seconds = divmod(duration_s, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{seconds:.9g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
