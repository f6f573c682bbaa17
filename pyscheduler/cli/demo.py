"""``pyscheduler demo``: the embedded cluster and the scheduler in one process, to be watched.

demo_workload   what is in the cluster
demo_cluster    the cluster and the scheduler, running, and what can be seen of them
demo_story      what happens, in which order
demo_display    how it is said: plain lines; demo_rich for terminals
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyscheduler.cli.demo_workload import MIN_NODES, MIN_PODS

if TYPE_CHECKING:
    from pyscheduler.cli.demo_display import Display


@click.command("demo", short_help="Watch the scheduler at work on an embedded cluster.")
@click.option(
    "--nodes",
    type=click.IntRange(min=MIN_NODES),
    help="Nodes of the cluster.  [default: 100; 12 with --serve]",
)
@click.option(
    "--pods",
    type=click.IntRange(min=MIN_PODS),
    help="Pods to submit.  [default: 2000; 60 with --serve]",
)
@click.option(
    "--serve",
    is_flag=True,
    help="Stay up on loopback afterwards, and say how to reach it with kubectl.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port for --serve to listen on.  [default: any free one]",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the scheduler's log and the kubeconfig go.  [default: a new temporary one]",
)
@click.option("--plain", is_flag=True, help="Print plain lines on a terminal too.")
def command(
    nodes: int | None,
    pods: int | None,
    serve: bool,
    port: int,
    directory: Path | None,
    plain: bool,
) -> int:
    """Start an embedded cluster and the scheduler, and watch a mixed workload being placed.

    Needs no Kubernetes, no container engine and no network: the API server, the nodes and the
    pods are simulated in this process; the scheduler is the real one.
    """
    if port and not serve:
        raise click.UsageError("--port is for --serve")
    # Imported here: the command's help needs none of it.
    from pyscheduler.cli.demo_story import DemoOptions, run_demo

    return run_demo(
        DemoOptions(
            nodes=nodes or (12 if serve else 100),
            pods=pods or (60 if serve else 2000),
            serve=serve,
            port=port,
            directory=directory,
        ),
        _display(plain=plain),
    )


def _display(*, plain: bool) -> Display:
    """The terminal's display where there is a terminal, and rich; plain lines otherwise."""
    from pyscheduler.cli.demo_display import PlainDisplay

    if not plain and sys.stdout.isatty():
        with contextlib.suppress(ImportError):
            from rich.console import Console

            from pyscheduler.cli.demo_rich import RichDisplay

            console = Console(highlight=False)
            if not console.is_dumb_terminal:
                return RichDisplay(console)
    return PlainDisplay(sys.stdout)
