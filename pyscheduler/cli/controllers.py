"""``pyscheduler controllers``: the operator for the custom resources of plugins."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from pyscheduler.cli.logging_options import LogFormat, configure_logs, log_options


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
@log_options
def command(
    kubeconfig: Path | None, liveness: str | None, log_level: str, log_format: LogFormat | None
) -> int:
    """Keep the status of PodGroups in step with their pods until SIGTERM or SIGINT.

    A process of its own beside the scheduler, which works without it. Needs the custom resource of
    manifests/crds/podgroups.yaml.
    """
    # Imported here: the command's help needs none of it.
    from pyscheduler.clock import SystemClock
    from pyscheduler.controllers.pod_groups import run_operator

    configure_logs(log_level, log_format)

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_operator(kubeconfig=kubeconfig, liveness=liveness, clock=SystemClock(), stop=stop)

    asyncio.run(run())
    return 0
