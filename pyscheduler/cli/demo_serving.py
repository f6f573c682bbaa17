"""The part of the demo that stays: a kubeconfig, commands to try, and what they bring about."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from pyscheduler.cli.demo_cluster import DemoCluster, pod_key, pod_scheduled
from pyscheduler.cli.demo_display import Display
from pyscheduler.cli.demo_workload import large_node
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.json_objects import JsonObject, JsonView
from pyscheduler.sim.object_store import Event
from pyscheduler.sim.served_kinds import NODES, PODS
from pyscheduler.sim.workload import make_pod

_TICK_S = 0.25
#: Lines printed per tick; what happens beyond that is counted.
_LINES_PER_TICK = 8


@dataclass(frozen=True, slots=True)
class KubectlCommand:
    """A command for the user to try."""

    purpose: str
    command: str


def kubectl_commands(directory: Path) -> tuple[KubectlCommand, ...]:
    """The commands that the demo offers, in an order that makes sense."""
    node_file = shlex.quote(str(directory / "large-node.yaml"))
    pod_file = shlex.quote(str(directory / "pod.yaml"))
    return (
        KubectlCommand("where everything runs", "kubectl get pods -o wide"),
        KubectlCommand("the nodes", "kubectl get nodes"),
        KubectlCommand("why a pod waits", "kubectl describe pod giant"),
        KubectlCommand("follow the pods, in a second terminal", "kubectl get pods -w"),
        KubectlCommand("a larger node joins: giant is bound", f"kubectl create -f {node_file}"),
        KubectlCommand(
            "a host port becomes free: ingress-4 is bound", "kubectl delete pod ingress-1"
        ),
        KubectlCommand("a pod of your own", f"kubectl create -f {pod_file}"),
        KubectlCommand("and away with it", "kubectl delete pod mine"),
    )


def offer_kubectl(demo: DemoCluster, display: Display, directory: Path) -> None:
    """The files are written and the commands shown."""
    kubeconfig = demo.cluster.kubeconfig(directory / "kubeconfig")
    _write_yaml(directory / "large-node.yaml", large_node())
    _write_yaml(directory / "pod.yaml", make_pod("mine"))
    display.heading(f"The API server listens on {demo.cluster.url}. Try, in another terminal:")
    display.command(f"export KUBECONFIG={shlex.quote(str(kubeconfig))}", purpose="once")
    for offered in kubectl_commands(directory):
        display.command(offered.command, purpose=offered.purpose)
    if shutil.which("kubectl") is None:
        display.text("kubectl is not on the PATH here: see https://kubernetes.io/docs/tasks/tools/")
    display.heading("What happens from now on (Ctrl-C ends it)")


async def follow_until_cancelled(demo: DemoCluster, display: Display) -> None:
    """Tells of every pod that is bound or begins to wait; returns when cancelled."""
    feed = _Feed(demo.cluster)
    try:
        while True:
            demo.check()
            feed.flush(display)
            await demo.clock.sleep(_TICK_S)
    except asyncio.CancelledError:
        # This is how a person ends it: all is well.
        return
    finally:
        feed.close()


class _Feed:
    """What happened to pods and nodes since the last look, a line each."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._lines: list[str] = []
        self._stop = [
            cluster.store.collection(kind.collection).listen(listener)
            for kind, listener in ((PODS, self._on_pod), (NODES, self._on_node))
        ]

    def close(self) -> None:
        """Nothing is noted any more."""
        for stop in self._stop:
            stop()

    def flush(self, display: Display) -> None:
        """What was noted has been shown."""
        lines, self._lines = self._lines, []
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        for line in lines[:_LINES_PER_TICK]:
            display.text(f"{now}  {line}")
        if len(lines) > _LINES_PER_TICK:
            display.text(f"{now}  and {len(lines) - _LINES_PER_TICK:,} more changes")

    def _on_pod(self, event: Event) -> None:
        pod, before = event.object.data, event.previous.data if event.previous else None
        key, node = pod_key(pod), pod["spec"].get("nodeName")
        if event.type == "DELETED":
            self._lines.append(f"{key} is gone")
        elif node:
            if before is None or not before["spec"].get("nodeName"):
                self._lines.append(f"{key} is bound to {node}")
        elif (message := _message(pod)) and (before is None or message != _message(before)):
            self._lines.append(f"{key} waits: {message}")

    def _on_node(self, event: Event) -> None:
        name = event.object.data["metadata"]["name"]
        if event.type == "ADDED":
            self._lines.append(f"node {name} joins")
        elif event.type == "DELETED":
            self._lines.append(f"node {name} leaves")


def _message(pod: JsonView) -> str:
    message: str = pod_scheduled(pod).get("message", "")
    return message


def _write_yaml(path: Path, document: JsonObject) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
