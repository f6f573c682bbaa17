"""The ``pyscheduler`` command: its subcommands, and how it fails.

Subcommands are imported when they are used, so that ``--help`` and shell completion answer at
once. What the user can act on (`PySchedulerError`) becomes ``error: ...`` on stderr and status 1;
wrong usage is click's to explain, with status 2; a traceback means a bug.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from pyscheduler import __version__
from pyscheduler.errors import PySchedulerError

#: By name: the module that holds the command as ``command``, and its line in the help.
_COMMANDS = {
    "run": ("pyscheduler.cli.run", "Schedule the pods of a cluster."),
    "demo": ("pyscheduler.cli.demo", "Watch the scheduler at work on an embedded cluster."),
    "config": ("pyscheduler.cli.config", "Check or complete a configuration file."),
    "plugins": ("pyscheduler.cli.plugins", "Show the plugins there are."),
    "controllers": ("pyscheduler.cli.controllers", "Keep the status of PodGroups."),
    "completion": ("pyscheduler.cli.completion", "Print a shell completion script."),
}


class _LazyGroup(click.Group):
    """A group whose subcommands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="pyscheduler", message="%(prog)s %(version)s")
def cli() -> None:
    """A Kubernetes scheduler and scheduler-plugin framework in Python."""


def run_cli(args: Sequence[str]) -> int:
    """Run the command line and return the status to exit with."""
    try:
        status = cli.main(list(args), prog_name="pyscheduler", standalone_mode=False)
    except PySchedulerError as error:
        for line in str(error).splitlines():
            click.echo(f"error: {line}", err=True)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130  # as shells report a process that SIGINT ended
    return status if isinstance(status, int) else 0


def main() -> None:
    """Run the command line of this process and exit: the installed entry point."""
    sys.exit(run_cli(sys.argv[1:]))
