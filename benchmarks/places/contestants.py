"""Who is measured: this scheduler, the real kube-scheduler, and a client that only sends binds.

All three are processes of their own, known to the server as the same user, so that priority and
fairness treats them alike. kube-scheduler gets qps and burst of 5000 and no leader election, and
its default log level, which writes no line per pod; this one logs each decision, as it comes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.metrics_endpoint import until_ready
from benchmarks.places.place import Access, Place
from benchmarks.workloads import Workload, gates_of_ours
from tests.controlplane import flags
from tests.controlplane.api_client import Manifests
from tests.controlplane.build import ensure_binaries
from tests.controlplane.ports import free_port
from tests.controlplane.process import Process
from tests.controlplane.scheduler_process import json_records

OURS, THEIRS = "pyscheduler", "kube-scheduler"
RAW, RAW_WITH_EVENTS = "plain binds", "plain binds + events"

#: schedulerName of pods that name none.
DEFAULT_SCHEDULER = "default-scheduler"

#: kube-scheduler's client-side limit; upstream's 50 would be the bottleneck.
_QPS = 5000


@dataclass(frozen=True, slots=True)
class Setup:
    """What a workload says of the scheduler that is to run it.

    Attributes:
        config: a KubeSchedulerConfiguration; None for the defaults.
    """

    config: Mapping[str, object] | None = None
    feature_gates: Mapping[str, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, workload: Workload, name: str) -> Setup:
        """Returns what the workload says for one of the two schedulers."""
        path = workload.scheduler_config
        config = None if path is None else _configuration(path)
        gates = gates_of_ours(workload) if name == OURS else workload.feature_gates
        return cls(config, gates)

    @property
    def gate_arguments(self) -> list[str]:
        """The command line's part, the same for both schedulers."""
        gates = ",".join(f"{name}={str(on).lower()}" for name, on in self.feature_gates.items())
        return [f"--feature-gates={gates}"] if gates else []


def _configuration(path: Path) -> dict[str, object]:
    """Returns what a file says, in a form that means the same in another folder."""
    config: dict[str, object] = yaml.safe_load(path.read_text())
    profiles = config.get("profiles")
    for profile in profiles if isinstance(profiles, list) else ():
        if files := profile.get("pluginFiles"):
            profile["pluginFiles"] = [str(path.parent.absolute() / file) for file in files]
    return config


@dataclass(frozen=True, slots=True)
class Contestant:
    """A process under measurement.

    Attributes:
        started_s: unix time.
        metrics_port: where its /metrics are; 0 when it has none.
        health_port: where it tells over TLS whether it is ready, if not there; 0 when it does not.
    """

    name: str
    process: Process
    started_s: float
    metrics_port: int = 0
    health_port: int = 0

    async def until_ready(self) -> None:
        """It knows everything that there was at its start, as far as it tells.

        Raises:
            ProcessEndedError: the process ended before that.
            TimeoutError: it did not come to it.
        """
        if self.metrics_port:
            await until_ready(self.process, self.metrics_port)
        elif self.health_port:
            await until_ready(self.process, self.health_port, scheme="https")

    async def stop(self) -> None:
        await self.process.terminate()

    def transport(self) -> str:
        """Returns what carries the writes, as this scheduler's log names it; "" of others."""
        return transport_of(self.process.log())


def transport_of(log: str) -> str:
    """Returns what carries the writes, as the log's first lines name it; "" if they do not."""
    return next(
        (str(line["writes"]) for line in json_records(log) if line.get("msg") == "starting"), ""
    )


def start_pyscheduler(
    access: Access,
    folder: Path,
    *,
    setup: Setup | None = None,
    scheduler_name: str = DEFAULT_SCHEDULER,
    port: int = 0,
    program: Sequence[str] = ("-m", "pyscheduler"),
) -> Process:
    """Returns this scheduler, started as a user would start it."""
    setup = setup or Setup()
    arguments = [f"--scheduler-name={scheduler_name}"]
    if setup.config is not None:
        path = folder / "pyscheduler.yaml"
        path.write_text(yaml.safe_dump(dict(setup.config)))
        arguments = [f"--config={path}"]
    return Process.start(
        OURS,
        [
            sys.executable,
            *program,
            "run",
            f"--kubeconfig={access.kubeconfig}",
            *arguments,
            *setup.gate_arguments,
            "--no-leader-elect",
            "--bind-address=127.0.0.1",
            f"--port={port}",
            "--log-format=json",
        ],
        log_path=folder / f"{OURS}.log",
    )


def kube_scheduler_configuration(access: Access, setup: Setup) -> dict[str, object]:
    """Returns the workload's configuration with what every run of kube-scheduler has."""
    ours = flags.kube_scheduler_configuration(
        scheduler_name=DEFAULT_SCHEDULER, kubeconfig=access.kubeconfig, qps=_QPS, profile={}
    )
    fixed = {key: ours[key] for key in ("leaderElection", "clientConnection")}
    return {**ours, **(setup.config or {}), **fixed}


def start_kube_scheduler(
    access: Access, folder: Path, binary: Path, *, setup: Setup, health_port: int = 0
) -> Process:
    """Returns the real kube-scheduler."""
    path = folder / f"{THEIRS}.yaml"
    path.write_text(yaml.safe_dump(kube_scheduler_configuration(access, setup)))
    return Process.start(
        THEIRS,
        [
            binary,
            f"--config={path}",
            f"--secure-port={health_port}",
            "--bind-address=127.0.0.1",
            "-v=0",
            *setup.gate_arguments,
        ],
        log_path=folder / f"{THEIRS}.log",
        folder=folder,
    )


def start_plain_binder(
    access: Access, folder: Path, *, pods: Manifests, nodes: Sequence[str], events: bool
) -> Process:
    """Returns the client that binds from a list, dealing the pods over the nodes in turn."""
    work = {
        "server": access.server,
        "token": access.token,
        "ca": str(access.certificate_authority or ""),
        "events": events,
        "pods": [
            {
                "namespace": pod["metadata"]["namespace"],
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
                "node": nodes[index % len(nodes)],
            }
            for index, pod in enumerate(pods)
        ],
    }
    path = folder / "plain-binder.json"
    path.write_text(json.dumps(work))
    return Process.start(
        "plain-binder",
        [sys.executable, "-m", "benchmarks.plain_binder", path],
        log_path=folder / "plain-binder.log",
    )


def start_raw(place: Place, name: str, *, pods: Manifests, nodes: Sequence[str]) -> Contestant:
    """Returns the client that only sends, with an event for each bind or without."""
    began_s = time.time()
    process = start_plain_binder(
        place.access, place.folder, pods=pods, nodes=nodes, events=name == RAW_WITH_EVENTS
    )
    return Contestant(name, process, began_s)


async def start(
    place: Place,
    name: str,
    *,
    setup: Setup,
    program: Sequence[str] = (),
    tells_ready: bool = False,
) -> Contestant:
    """Returns one of the two schedulers by name.

    Args:
        tells_ready: kube-scheduler says when it is ready, which makes its start take longer, for it
            needs a certificate; this one always does.
        program: what runs in place of this scheduler's usual program, after the interpreter.
    """
    if name == THEIRS:
        binaries = await asyncio.to_thread(ensure_binaries, [THEIRS])
        began_s, port = time.time(), free_port() if tells_ready else 0
        process = start_kube_scheduler(
            place.access, place.folder, binaries[THEIRS], setup=setup, health_port=port
        )
        return Contestant(name, process, began_s, health_port=port)
    began_s, port = time.time(), free_port()
    process = start_pyscheduler(
        place.access,
        place.folder,
        setup=setup,
        port=port,
        program=program or ("-m", "pyscheduler"),
    )
    return Contestant(name, process, began_s, metrics_port=port)
