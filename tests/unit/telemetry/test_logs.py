from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from pyscheduler.telemetry import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def configured(level: str = "info", style: logs.LogFormat = "json") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, format=style, stream=stream, now=lambda: 1_700_000_000.25)
    return stream


def json_line(stream: io.StringIO) -> dict[str, object]:
    (line,) = stream.getvalue().splitlines()
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_json_line_has_time_level_message_and_keys() -> None:
    stream = configured()
    logs.get_logger("pyscheduler.cycle").info("pod bound", pod="default/a", node="n1", score=3)

    assert json_line(stream) == {
        "ts": "2023-11-14T22:13:20.250000Z",
        "level": "info",
        "msg": "pod bound",
        "logger": "pyscheduler.cycle",
        "pod": "default/a",
        "node": "n1",
        "score": 3,
    }


def test_json_lines_of_a_file_are_there_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        logs.configure("info", format="json", stream=stream)
        logs.get_logger("x").info("größer", pod="default/a")
        logs.get_logger("x").info("odd", value="\udc00")

        first, second = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert json.loads(first)["msg"] == "größer"
    assert json.loads(second)["msg"] == "'odd'"


def test_console_line_is_for_people() -> None:
    stream = configured(style="console")
    logs.get_logger("x").warning("pod waits", pod="default/a")

    assert "2023-11-14T22:13:20.250000Z [warning" in stream.getvalue()
    assert "pod waits" in stream.getvalue()
    assert "pod=default/a" in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_less_important_lines_are_left_out(style: logs.LogFormat) -> None:
    stream = configured("warning", style)
    logs.get_logger("x").info("nothing")

    assert stream.getvalue() == ""


@pytest.mark.parametrize("style", ["json", "console"])
def test_exception_comes_with_its_traceback(style: logs.LogFormat) -> None:
    stream = configured(style=style)
    try:
        int("zone")
    except ValueError:
        logs.get_logger("x").exception("plugin failed", pod="default/a")

    assert "ValueError: invalid literal" in stream.getvalue()
    assert "Traceback (most recent call last)" in stream.getvalue()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(object(), id="no JSON type"),
        pytest.param({(1, 2): 3}, id="keys that are no text"),
        pytest.param("\udc00", id="no Unicode"),
        pytest.param(2**80, id="large number"),
        pytest.param(float("nan"), id="not a number"),
    ],
)
def test_json_line_is_never_lost_to_a_value(value: object) -> None:
    stream = configured()
    logs.get_logger("x").info("odd", value=value)

    assert "odd" in str(json_line(stream)["msg"])


def test_standard_library_loggers_take_the_same_way() -> None:
    stream = configured()
    logging.getLogger("aiohttp.server").error("cannot handle %s", "request")

    line = json_line(stream)
    assert (line["level"], line["logger"]) == ("error", "aiohttp.server")
    assert line["msg"] == "cannot handle request"


def test_standard_library_loggers_are_quiet_at_info() -> None:
    stream = configured("info")
    logging.getLogger("aiohttp.server").info("detail")

    assert stream.getvalue() == ""


def test_configuring_again_replaces_the_handler() -> None:
    configured()
    stream = configured()
    logging.getLogger("aiohttp").error("once")

    assert json_line(stream)["msg"] == "once"


def test_a_reader_that_went_away_is_no_fault() -> None:
    stream = configured()
    stream.close()

    logs.get_logger("x").info("unheard")


def test_format_is_for_machines_unless_on_a_terminal() -> None:
    assert logs.default_format(io.StringIO()) == "json"
