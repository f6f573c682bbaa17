"""``pyscheduler config``: a configuration file checked, or written out with its defaults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pyscheduler.config.configuration import Configuration

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("config", short_help="Check or complete a configuration file.")
def command() -> None:
    """Check or complete a KubeSchedulerConfiguration."""


@command.command("check", short_help="Say what is wrong with a file, all of it.")
@click.argument("file", type=_FILE)
def check(file: Path) -> int:
    """Say what is wrong with FILE, one line for each problem, or what was read.

    The plugins it names are loaded for that, those of pluginFiles too. Nothing is started and no
    cluster is asked.
    """
    from pyscheduler.app.assembly import in_tree_registry
    from pyscheduler.config.load import load_config

    configuration = load_config(file, in_tree_registry())
    _warn(file, configuration)
    click.echo(f"{file}: {_summary(configuration)}")
    return 0


@command.command("print", short_help="Write out a configuration with all its defaults.")
@click.argument("file", type=_FILE, required=False)
def print_completed(file: Path | None) -> int:
    """Write out FILE with all its defaults, or the defaults alone.

    The layout is that of kube-scheduler --write-config-to; the result can be used as a file.
    """
    from pyscheduler.app.assembly import in_tree_registry
    from pyscheduler.config.completed import completed_yaml
    from pyscheduler.config.load import default_config, load_config

    registry = in_tree_registry()
    configuration = default_config(registry) if file is None else load_config(file, registry)
    if file is not None:
        _warn(file, configuration)
    click.echo(completed_yaml(configuration), nl=False)
    return 0


def _warn(file: Path, configuration: Configuration) -> None:
    for text in configuration.warnings:
        click.echo(f"warning: {file}: {text}", err=True)


def _summary(configuration: Configuration) -> str:
    names = [profile.scheduler_name for profile in configuration.profiles]
    plugins = {name for profile in configuration.profiles for name in profile.plugin_names()}
    parts = [
        f"{_counted(names, 'profile')} ({', '.join(names)})",
        _counted(tuple(plugins), "plugin"),
        *([_counted(configuration.extenders, "extender")] if configuration.extenders else []),
        _counted(configuration.warnings, "warning"),
    ]
    return ", ".join(parts)


def _counted(things: Sequence[object], name: str) -> str:
    return f"{len(things) or 'no'} {name}{'' if len(things) == 1 else 's'}"
