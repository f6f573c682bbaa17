"""``--log-level`` and ``--log-format``, alike for every command that runs until it is told to stop.

Called by: ``run`` and ``controllers``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

LogFormat = Literal["json", "console"]


def log_options(function: F) -> F:
    """Adds both options; the command gets them as ``log_level`` and ``log_format``."""
    log_format = click.option(
        "--log-format",
        type=click.Choice(["json", "console"]),
        help="How to log.  [default: console on a terminal, json otherwise]",
    )
    log_level = click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        show_default=True,
        help="Least important lines to log.",
    )
    return log_level(log_format(function))


def configure_logs(level: str, log_format: LogFormat | None) -> None:
    """The process logs to stderr as the options say."""
    # Imported here: the commands' help needs none of it.
    from pyscheduler.clock import SystemClock
    from pyscheduler.telemetry import logs

    logs.configure(level, format=log_format, stream=sys.stderr, now=SystemClock.now)
