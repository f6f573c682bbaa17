"""``pyscheduler completion``: the script that lets a shell complete our command line."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_PYSCHEDULER_COMPLETE"


# \b keeps click from joining the lines that follow it.
_HELP = """Print the completion script of a shell.

\b
bash:  source <(pyscheduler completion bash)
zsh:   source <(pyscheduler completion zsh)
fish:  pyscheduler completion fish | source
"""


@click.command("completion", help=_HELP, short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root()
    click.echo(found(root.command, {}, "pyscheduler", _VARIABLE).source())
