"""Every command that ``pyscheduler demo --serve`` prints, run as printed by a real kubectl."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from tests.controlplane.build import ensure_binaries

_TIMEOUT_S = 60


@dataclass
class Demo:
    """A demo that serves, and what it printed."""

    process: asyncio.subprocess.Process
    environment: dict[str, str]
    commands: list[str]

    async def run(self, command: str) -> str:
        """What the command prints; it must succeed."""
        running = await asyncio.create_subprocess_shell(
            command, env=self.environment, stdout=-1, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await asyncio.wait_for(running.communicate(), _TIMEOUT_S)
        assert running.returncode == 0, f"{command}: {out.decode()}"
        return out.decode()

    async def says(self, text: str) -> None:
        """The demo prints a line with this text."""
        assert self.process.stdout is not None
        while True:
            line = await asyncio.wait_for(self.process.stdout.readline(), _TIMEOUT_S)
            assert line, f"the demo ended without saying {text!r}"
            if text in line.decode():
                return


@pytest_asyncio.fixture(loop_scope="session")
async def demo(control_plane_programs: None, tmp_path: Path) -> AsyncIterator[Demo]:
    """``demo --serve`` up to its last heading, with a shell environment as it asks for."""
    kubectl = ensure_binaries(("kubectl",))["kubectl"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pyscheduler", "demo", "--serve", "--directory", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        environment = {**os.environ, "PATH": f"{kubectl.parent}:{os.environ['PATH']}"}
        commands = []
        while "What happens from now on" not in (
            line := (await asyncio.wait_for(process.stdout.readline(), _TIMEOUT_S)).decode()
        ):
            assert line, "the demo ended early"
            text = line.strip()
            if text.startswith("export KUBECONFIG="):
                environment["KUBECONFIG"] = shlex.split(text)[1].partition("=")[2]
            elif text.startswith("kubectl "):
                commands.append(text)
        yield Demo(process, environment, commands)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 0


async def test_each_printed_command_does_what_it_is_for(demo: Demo, tmp_path: Path) -> None:
    printed = iter(demo.commands)

    assert next(printed) == "kubectl get pods -o wide"
    wide = await demo.run("kubectl get pods -o wide")
    assert wide.split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert len(wide.splitlines()) == 61
    assert "SchedulingGated" in wide

    assert next(printed) == "kubectl get nodes"
    nodes = await demo.run("kubectl get nodes")
    assert nodes.count(" Ready ") == 12

    assert next(printed) == "kubectl describe pod giant"
    assert "FailedScheduling" in await demo.run("kubectl describe pod giant")

    assert next(printed) == "kubectl get pods -w"
    watched = await demo.run("timeout 5 kubectl get pods -w || test $? = 124")
    assert "giant" in watched

    assert next(printed) == f"kubectl create -f {tmp_path}/large-node.yaml"
    assert await demo.run(demo.commands[4]) == "node/node-large created\n"
    await demo.says("default/giant is bound to node-large")
    assert "node-large" in await demo.run("kubectl describe pod giant")

    assert next(printed) == "kubectl delete pod ingress-1"
    assert (await demo.run(demo.commands[5])).startswith('pod "ingress-1" deleted')
    await demo.says("default/ingress-4 is bound to edge-")

    assert next(printed) == f"kubectl create -f {tmp_path}/pod.yaml"
    assert await demo.run(demo.commands[6]) == "pod/mine created\n"
    await demo.says("default/mine is bound to ")

    assert next(printed) == "kubectl delete pod mine"
    assert (await demo.run(demo.commands[7])).startswith('pod "mine" deleted')
    await demo.says("default/mine is gone")

    assert next(printed, None) is None
