"""RFC 3339 times, as the API writes them, <-> seconds since the epoch.

Objects keep their times as text; they are parsed where somebody asks.
"""

from datetime import UTC, datetime, timedelta

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
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def format_seconds(timestamp: float) -> str:
    """Returns the moment cut to whole seconds, as all other fields want it (`Time`)."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
