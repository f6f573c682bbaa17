"""Structured log lines: one JSON object per line for machines, aligned columns for people.

`configure` is called once by whoever starts the process; every module then takes its logger from
`get_logger`. Lines name what they are about under the same keys everywhere: ``pod``
(``namespace/name``) and ``node``. The message is constant text, what varies goes into keys.

The path of a JSON line is short on purpose (one per pod bound): level check, one dict, one encode,
one write. It is flushed line by line: what happened last before a crash is in the log. Messages of
the standard library's loggers (aiohttp, asyncio) take the same way out.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, TextIO, TypeAlias, cast

import msgspec
import structlog

LogFormat = Literal["json", "console"]
LEVELS: Final = ("debug", "info", "warning", "error")

EventDict = MutableMapping[str, Any]
_Stream: TypeAlias = "TextIO | BinaryIO | _AsText"
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module; `name` (its ``__name__``) appears under ``logger``."""
    # get_logger is typed as returning Any; `configure` makes the bound loggers filtering ones.
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(name))


def default_format(stream: TextIO) -> LogFormat:
    """Return ``console`` when people read the stream, else ``json``."""
    return "console" if stream.isatty() else "json"


def configure(
    level: str = "info",
    *,
    format: LogFormat | None = None,  # noqa: A002  # the word users know the option by
    stream: TextIO | None = None,
    now: Callable[[], float] | None = None,
) -> None:
    """Send the lines of all loggers, from `level` up, to `stream` in the given format.

    Args:
        level: one of `LEVELS`.
        format: ``json`` or ``console``; chosen by `default_format` when not given.
        stream: where lines go; stderr when not given.
        now: wall time in seconds since the Unix epoch; the machine's when not given.
    """
    out = sys.stderr if stream is None else stream
    chosen = default_format(out) if format is None else format
    stamp = _Timestamp(now or _wall_time_s)
    processors: list[structlog.typing.Processor]
    if chosen == "json":
        processors = [_JsonLine(stamp)]
        # the line is bytes by then: as text it would be decoded only to be encoded again
        writers = _LineWriterFactory(getattr(out, "buffer", None) or _AsText(out))
    else:
        processors = [stamp, _level, _ConsoleLine(colours=out.isatty())]
        writers = _LineWriterFactory(out)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=writers,
        cache_logger_on_first_use=True,
    )
    _adopt_standard_loggers(threshold)


class _LineWriter:
    """Writes finished lines; what structlog calls the logger.

    Lines of several threads never mix: each is one write under one lock.
    """

    __slots__ = ("_flush", "_lock", "_write", "name")

    def __init__(self, name: str, stream: _Stream, lock: threading.Lock) -> None:
        self.name = name
        # what the renderer gives is what the stream takes: `configure` chooses both
        self._write: Callable[[Any], object] = stream.write
        self._flush = stream.flush
        self._lock = lock

    def msg(self, line: str | bytes) -> None:
        with self._lock:
            try:
                self._write(line)
                self._flush()
            except (OSError, ValueError):
                # Nobody reads our log any more (broken pipe, closed stream): not a reason to stop
                # scheduling, and there is no place left to say so.
                return

    debug = info = warning = warn = error = err = critical = fatal = exception = msg


class _LineWriterFactory:
    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, name: str = "") -> _LineWriter:
        return _LineWriter(name, self._stream, self._lock)


class _AsText:
    """Takes bytes for a stream that has no place for them, one in memory."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.flush = stream.flush

    def write(self, line: bytes) -> int:
        return self._stream.write(line.decode())


class _Timestamp:
    """RFC 3339 in UTC with microseconds; the text of the second is made once per second."""

    __slots__ = ("_now", "_second", "_text")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._second = -1
        self._text = ""

    def text(self) -> str:
        now_s = self._now()
        second = int(now_s)
        if second != self._second:
            # Text before number: another thread must not pair the new second with the old text.
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            self._second = second
        return f"{self._text}{int((now_s - second) * 1e6):06d}Z"

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        event["timestamp"] = self.text()
        return event


class _JsonLine:
    """Renders a line as JSON: time, level and message first, then the keys as they were given."""

    __slots__ = ("_encode", "_stamp")

    def __init__(self, stamp: _Timestamp) -> None:
        self._stamp = stamp
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def __call__(self, logger: _LineWriter, method: str, event: EventDict) -> bytes:
        line = {
            "ts": self._stamp.text(),
            "level": method,
            "msg": event.pop("event", ""),
            "logger": logger.name,
            **event,
        }
        if "exc_info" in line:
            line["exception"] = _traceback_text(line.pop("exc_info"))
        try:
            return self._encode(line) + b"\n"
        except (TypeError, ValueError, msgspec.MsgspecError):
            # A key that is no text, or text that is no Unicode: slower, but never lost.
            return json.dumps({str(k): repr(v) for k, v in line.items()}).encode() + b"\n"


class _ConsoleLine:
    """Renders a line for people; structlog's renderer, with a plain traceback below it."""

    def __init__(self, *, colours: bool) -> None:
        self._render = structlog.dev.ConsoleRenderer(
            colors=colours,
            exception_formatter=structlog.dev.plain_traceback,
            pad_event_to=40,
            sort_keys=False,
        )

    def __call__(self, logger: object, method: str, event: EventDict) -> str:
        if "exc_info" in event:
            event["exc_info"] = _exc_info(event["exc_info"])
        return str(self._render(logger, method, event)) + "\n"


class _StandardHandler(logging.Handler):
    """Hands records of the standard library's loggers to ours."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = get_logger(record.name)
        keys: dict[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
        logger.log(record.levelno, record.getMessage(), **keys)


def _adopt_standard_loggers(threshold: int) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _StandardHandler):
            root.removeHandler(handler)
    root.addHandler(_StandardHandler())
    # Libraries say at info what only their authors want to know.
    root.setLevel(max(threshold, logging.WARNING) if threshold > logging.DEBUG else threshold)
    logging.captureWarnings(capture=True)


def _level(_logger: object, method: str, event: EventDict) -> EventDict:
    event["level"] = method
    return event


def _wall_time_s() -> float:
    return datetime.now(UTC).timestamp()


def _exc_info(value: object) -> _ExcInfo | None:
    """Return the triple for what a caller passed as ``exc_info``."""
    if isinstance(value, BaseException):
        return (type(value), value, value.__traceback__)
    if isinstance(value, tuple) and len(value) == 3 and isinstance(value[1], BaseException):
        return (type(value[1]), value[1], value[2])
    current = sys.exc_info() if value else (None, None, None)
    return None if current[0] is None else current


def _traceback_text(value: object) -> str:
    triple = _exc_info(value)
    return "" if triple is None else "".join(traceback.format_exception(*triple)).rstrip("\n")
