"""``pyscheduler run``: options to `RunOptions`, then the server."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from pyscheduler.app.options import DEFAULT_BIND_ADDRESS, DEFAULT_PORT, RunOptions
from pyscheduler.cli.logging_options import LogFormat, configure_logs, log_options
from pyscheduler.config.feature_gates import parse_feature_gates

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("run", short_help="Schedule the pods of a cluster.")
@click.option(
    "--config",
    "config_file",
    type=_FILE,
    metavar="FILE",
    help="KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1). Without one, a single "
    "profile with the default plugins is used.",
)
@click.option(
    "--kubeconfig",
    type=_FILE,
    metavar="FILE",
    help="How to reach the cluster. Without it: in-cluster credentials, $KUBECONFIG, "
    "~/.kube/config, in that order.",
)
@click.option(
    "--scheduler-name",
    metavar="NAME",
    help="Schedule the pods with this spec.schedulerName (default: pyscheduler). Not together "
    "with --config, whose profiles have names.",
)
@click.option(
    "--leader-elect/--no-leader-elect",
    default=None,
    help="Schedule only while holding the Lease, or without one. Overrides the configuration.",
)
@click.option(
    "--feature-gates",
    "feature_gates",
    metavar="NAME=BOOL,...",
    multiple=True,
    help="Switch features on or off, by kube-scheduler's names, for example "
    "SchedulerPreQueueingHints=true; what can be set: docs/compatibility.md, Feature gates.",
)
@click.option(
    "--bind-address",
    metavar="ADDRESS",
    default=DEFAULT_BIND_ADDRESS,
    show_default=True,
    help="Where to serve /livez, /readyz and /metrics.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port for /livez, /readyz and /metrics, in plain HTTP; 0 serves nothing.",
)
@log_options
def command(
    config_file: Path | None,
    kubeconfig: Path | None,
    scheduler_name: str | None,
    leader_elect: bool | None,  # click passes options by name
    feature_gates: tuple[str, ...],
    bind_address: str,
    port: int,
    log_level: str,
    log_format: LogFormat | None,
) -> int:
    """Schedule the pods of a cluster until SIGTERM or SIGINT.

    The first signal finishes the binds in flight, releases the Lease and exits with status 0.
    """
    if config_file is not None and scheduler_name is not None:
        raise click.UsageError(
            "--scheduler-name cannot be given together with --config: name the profile there"
        )
    if scheduler_name == "":
        raise click.BadParameter("must not be empty", param_hint="--scheduler-name")
    try:
        gates = parse_feature_gates(",".join(feature_gates))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--feature-gates") from error
    # Imported here: the command's help needs none of it. What the imports make stays for good, so
    # the collector need not look at it: neither meanwhile nor when the caches have been filled.
    gc.disable()
    from pyscheduler.app.server import run as run_scheduler

    gc.freeze()
    gc.enable()
    configure_logs(log_level, log_format)
    return run_scheduler(
        RunOptions(
            config_file=config_file,
            kubeconfig=kubeconfig,
            scheduler_name=scheduler_name,
            leader_elect=leader_elect,
            feature_gates=gates,
            bind_address=bind_address,
            port=port,
        )
    )
