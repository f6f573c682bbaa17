"""The scheduler under test as a child process: started, asked, paused, killed.

scheduler = SchedulerProcess.start(folder, config=text, kubeconfig=path)
await scheduler.ready()
scheduler.pause()                    # SIGSTOP
scheduler.resume()
await scheduler.kill()               # or terminate(), which returns its exit code
scheduler = scheduler.start_again()  # same command, same log
for record in scheduler.records():   # its JSON log lines
    ...
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import yaml

from tests.controlplane.ports import free_port
from tests.controlplane.process import Process, Usage

#: Environment variable that names the folder of the service account's token in a pod.
SERVICE_ACCOUNT_VARIABLE = "PYSCHEDULER_SERVICE_ACCOUNT_DIR"

#: How the program is run from this checkout, in place of the installed `pyscheduler`.
PROGRAM = (sys.executable, "-m", "pyscheduler")

#: Of our own environment a scheduler sees only what it takes to run at all.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")


class SchedulerProcess:
    """One life of one scheduler."""

    def __init__(
        self,
        process: Process,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        http_address: str,
    ) -> None:
        self.process = process
        self.http_address = http_address
        self._command = tuple(command)
        self._environment = dict(environment)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        kubeconfig: Path,
        http_address: str | None = None,
        config: Mapping[str, object] | None = None,
        name: str = "pyscheduler",
        arguments: Sequence[str] = ("--log-format=json",),
        environment: Mapping[str, str] | None = None,
    ) -> SchedulerProcess:
        """Returns a started `pyscheduler run`; see `ready`.

        Args:
            folder: gets its configuration file and its log, both called by `name`.
            http_address: host:port for its health endpoints and metrics; None for a free port.
            config: a KubeSchedulerConfiguration; None runs it with the defaults.
            arguments: further ones of `pyscheduler run`.
            environment: added to the little that a scheduler inherits.
        """
        http_address = http_address or f"127.0.0.1:{free_port()}"
        command = [*PROGRAM, "run", f"--kubeconfig={kubeconfig}", *arguments]
        command += serving_arguments(http_address)
        if config is not None:
            config_path = folder / f"{name}.yaml"
            config_path.write_text(yaml.safe_dump(dict(config)))
            command.append(f"--config={config_path}")
        return cls.run(
            command,
            name=name,
            log_path=folder / f"{name}.log",
            http_address=http_address,
            environment=environment or {},
        )

    @classmethod
    def run(
        cls,
        command: Sequence[str],
        *,
        name: str,
        log_path: Path,
        http_address: str,
        environment: Mapping[str, str],
        folder: Path | None = None,
    ) -> SchedulerProcess:
        """Returns a process of any command, which by its arguments serves HTTP at that address."""
        whole = {key: value for key, value in os.environ.items() if key in _INHERITED}
        whole |= environment
        process = Process.start(name, command, log_path=log_path, environment=whole, folder=folder)
        return cls(process, command=command, environment=whole, http_address=http_address)

    def start_again(self) -> SchedulerProcess:
        """Returns the next life, after this one has ended: same command, same log file."""
        return self.run(
            self._command,
            name=self.process.name,
            log_path=self.process.log_path,
            http_address=self.http_address,
            environment=self._environment,
        )

    async def ready(self, *, timeout_s: float = 60) -> None:
        """/readyz answers 200.

        Raises:
            ProcessEndedError: the scheduler ended; the message has its last log lines.
        """

        async def answers() -> bool:
            return await self.status_of("/readyz") == 200

        await self.process.until(answers, what="ready", timeout_s=timeout_s)

    async def status_of(self, path: str) -> int:
        """Returns the HTTP status of an endpoint, 0 when nobody answers."""
        try:
            status, _ = await self._get(path)
        except (aiohttp.ClientError, TimeoutError):
            return 0
        return status

    async def metrics(self) -> str:
        """Returns the text of /metrics."""
        status, text = await self._get("/metrics")
        if status != 200:
            raise RuntimeError(f"{self.process.name}: /metrics answered {status}: {text[:200]}")
        return text

    async def _get(self, path: str) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{self.http_address}{path}") as response,
        ):
            return response.status, await response.text()

    @property
    def is_running(self) -> bool:
        return self.process.is_running

    def pause(self) -> None:
        """Stopped by SIGSTOP: alive, but standing still."""
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()

    async def kill(self) -> None:
        """Gone by SIGKILL: nothing was finished or released."""
        await self.process.kill()

    async def terminate(self, *, grace_s: float = 30) -> int:
        """Gone by SIGTERM; returns the exit code."""
        return await self.process.terminate(grace_s=grace_s)

    def usage(self) -> Usage:
        return self.process.usage()

    def log(self) -> str:
        return self.process.log()

    def records(self) -> list[dict[str, object]]:
        """Returns the JSON lines of its log, of all its lives; other lines are left out."""
        return json_records(self.log())


def serving_arguments(http_address: str) -> list[str]:
    """Returns the arguments of `pyscheduler run` with which it serves HTTP at host:port."""
    host, _, port = http_address.rpartition(":")
    return [f"--bind-address={host}", f"--port={port}"]


def json_records(log: str) -> list[dict[str, object]]:
    """Returns the lines that are JSON objects, parsed."""
    records = []
    for line in log.splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                records.append(record)
    return records
