"""What the command line asks of one scheduler process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pyscheduler.config.feature_gates import DEFAULT_GATES

#: kube-scheduler's port; ours speaks plain HTTP there.
DEFAULT_PORT: Final = 10259
#: Probes and scrapes come from other hosts.
DEFAULT_BIND_ADDRESS: Final = "0.0.0.0"  # noqa: S104  # see above


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of ``pyscheduler run``; None means not given."""

    #: A KubeSchedulerConfiguration; the defaults apply without one.
    config_file: Path | None = None
    #: Wins over ``clientConnection.kubeconfig`` of the configuration.
    kubeconfig: Path | None = None
    #: The default profile's name; never given together with a configuration file.
    scheduler_name: str | None = None
    #: Wins over ``leaderElection.leaderElect`` of the configuration.
    leader_elect: bool | None = None
    #: Every gate with its value.
    feature_gates: Mapping[str, bool] = field(default_factory=lambda: DEFAULT_GATES)
    #: Where health checks and metrics are served.
    bind_address: str = DEFAULT_BIND_ADDRESS
    #: 0 serves nothing.
    port: int = DEFAULT_PORT
