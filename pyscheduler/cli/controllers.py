"""``pyscheduler controllers``: the operator for the custom resources of plugins."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import click


@click.command("controllers", short_help="Keep the status of PodGroups.")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="How to reach the cluster. Without it: in-cluster credentials, $KUBECONFIG, "
    "~/.kube/config, in that order.",
)
@click.option(
    "--liveness",
    metavar="URL",
    help="Where to serve the liveness probe, for example http://0.0.0.0:8080/healthz.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Least important lines to log.",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "console"]),
    help="How to log.  [default: console on a terminal, json otherwise]",
)
def command(
    kubeconfig: Path | None, liveness: str | None, log_level: str, log_format: str | None
) -> int:
    """Keep the status of PodGroups in step with their pods until SIGTERM or SIGINT.

    A process of its own beside the scheduler, which works without it. Needs the custom resource of
    manifests/crds/podgroups.yaml.
    """
    # Imported here: the command's help needs none of it.
    from pyscheduler.clock import SystemClock
    from pyscheduler.controllers.pod_groups import run_operator
    from pyscheduler.telemetry import logs

    logs.configure(
        log_level,
        format=None if log_format is None else ("json" if log_format == "json" else "console"),
        stream=sys.stderr,
        now=SystemClock.now,
    )

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_operator(kubeconfig=kubeconfig, liveness=liveness, clock=SystemClock(), stop=stop)

    asyncio.run(run())
    return 0
