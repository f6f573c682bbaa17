"""RFC 3339 times, as the API writes them, <-> seconds since the epoch.

Objects keep their times as text; they are parsed where somebody asks.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_rfc3339(text: str) -> float:
    """Returns seconds since the epoch, to the microsecond.

    Raises:
        ValueError: the text is no RFC 3339 time with an offset.
    """
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise ValueError(f"invalid time {text!r}") from error
    if moment.tzinfo is None or len(text) < len("2006-01-02T15:04:05Z"):
        raise ValueError(f"invalid time {text!r}")
    return (moment - _EPOCH) / timedelta(seconds=1)


def format_micro(timestamp: float) -> str:
    """Returns the moment with microseconds, as Lease and Event want it (`MicroTime`)."""
    seconds, micro = divmod(round(timestamp * 1e6), 1_000_000)
    return f"{_second(seconds)}.{micro:06d}Z"


def format_seconds(timestamp: float) -> str:
    """Returns the moment cut to whole seconds, as all other fields want it (`Time`)."""
    return f"{_second(int(timestamp))}Z"


@lru_cache(maxsize=8)  # the moments that are written down are those of the last second
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
