"""A cluster to measure schedulers on, whatever it is made of.

`real.py` makes one of etcd and kube-apiserver, `embedded.py` one of the embedded server in a
process of its own. Both speak HTTP and JSON, both keep an audit log, and no scheduler is part of
either: `contestants.py` starts those. `runs.py` and `contest.py` know nothing but this.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.api_client import ApiClient
from tests.controlplane.process import Process


@dataclass(frozen=True, slots=True)
class Access:
    """How a scheduler gets to the API server.

    Attributes:
        token: a bearer token; "" where nobody asks for one.
        certificate_authority: None where the server speaks plain HTTP.
    """

    server: str
    kubeconfig: Path
    token: str = ""
    certificate_authority: Path | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster that runs.

    Attributes:
        api: for whoever lays out nodes and pods, never for a scheduler.
        folder: for logs and configuration files; gone with the cluster.
        audit_path: what the server answered, as it grows.
        servers: the processes that the cluster consists of.
    """

    name: str
    api: ApiClient
    folder: Path
    audit_path: Path
    access: Access
    servers: tuple[Process, ...]
