"""What happens in the demo, in which order.

nodes join, pods are submitted, progress    until every pod runs or waits for a change
where the pods went; why the rest wait
three changes, each of which wakes the pod it helps; with ``--serve`` they are left to the
user: the commands are printed, and what they bring about is told until Ctrl-C
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pyscheduler.cli.demo_cluster import DemoCluster, Waiting, pod_key
from pyscheduler.cli.demo_display import Column, Display
from pyscheduler.cli.demo_serving import follow_until_cancelled, offer_kubectl
from pyscheduler.cli.demo_workload import (
    GATED,
    GIANT,
    KINDS,
    demo_nodes,
    demo_pods,
    large_node,
)
from pyscheduler.errors import PySchedulerError
from pyscheduler.sim.workload import ZONE_LABEL
from pyscheduler.telemetry import logs

_SUBMIT_CHUNK = 25
_TICK_S = 0.1
_STUCK_S = 60.0
_PAUSE_S = 1.2
_REASONS_SHOWN = 8

LOG_NAME = "scheduler.log"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says."""

    nodes: int
    pods: int
    serve: bool = False
    port: int = 0
    #: a new temporary one when None
    directory: Path | None = None


def run_demo(options: DemoOptions, display: Display) -> int:
    """Runs the demo; returns the exit status.

    Raises:
        PySchedulerError: it could not start, or got stuck.
        KeyboardInterrupt: interrupted before it was over.
    """
    directory = _directory(options.directory)
    log_file = directory / LOG_NAME
    with log_file.open("w", encoding="utf-8") as log:
        logs.configure("info", format="json", stream=log)
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_Story(options, display, directory).tell())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            display.end_progress()
            if log.tell():
                display.heading(f"The scheduler's log: {log_file}")
    return 0


def _directory(wanted: Path | None) -> Path:
    try:
        if wanted is None:
            return Path(tempfile.mkdtemp(prefix="pyscheduler-demo-"))
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PySchedulerError(
            f"cannot make the directory {wanted}: {error.strerror or error}"
        ) from error
    return wanted


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


class _Story:
    """One telling."""

    def __init__(self, options: DemoOptions, display: Display, directory: Path) -> None:
        self._options = options
        self._display = display
        self._directory = directory
        self._demo = DemoCluster(http=options.serve, port=options.port)

    async def tell(self) -> None:
        """From the title to the end."""
        _cancel_on_signals()
        options, display = self._options, self._display
        display.title(
            "pyscheduler demo",
            note=f"{options.nodes:,} simulated nodes in 3 zones, {options.pods:,} pods, "
            "and the real scheduler",
        )
        async with self._demo:
            await self._place()
            self._show_placement()
            self._show_waiting()
            if options.serve:
                offer_kubectl(self._demo, display, self._directory)
                await follow_until_cancelled(self._demo, display)
                return
            await self._change_things()

    # The first part: many pods

    async def _place(self) -> None:
        demo = self._demo
        demo.cluster.create_nodes(demo_nodes(self._options.nodes))
        # The watches of nodes and pods are two: the first pods would be tried too early.
        while demo.assembly.cache.node_count < self._options.nodes:
            demo.check()
            await demo.clock.sleep(_TICK_S / 10)
        began_s = demo.clock.monotonic()
        submitting = asyncio.create_task(self._submit())
        try:
            await self._watch_progress(submitting, began_s)
        finally:
            submitting.cancel()
            self._display.end_progress()
        self._display.heading(
            f"{demo.tally.bound:,} pods bound in {demo.tally.took_s:.1f} s, "
            f"{demo.tally.average():,.0f} pods/s"
        )

    async def _submit(self) -> None:
        pods = demo_pods(self._options.pods)
        while chunk := tuple(islice(pods, _SUBMIT_CHUNK)):
            self._demo.cluster.create_pods(chunk)
            await self._demo.clock.sleep(0)

    async def _watch_progress(self, submitting: asyncio.Task[None], began_s: float) -> None:
        demo, total = self._demo, self._options.pods
        moved_s, seen = began_s, (0, 0, 0)
        while True:
            demo.check()
            progress = demo.progress(total=total, since_s=began_s)
            if submitting.done():
                submitting.result()
                if demo.is_settled():
                    self._display.progress(replace(progress, rate=demo.tally.average()))
                    return
            self._display.progress(progress)
            now = (progress.submitted, progress.bound, progress.running)
            if now != seen:
                moved_s, seen = demo.clock.monotonic(), now
            elif demo.clock.monotonic() - moved_s > _STUCK_S:
                raise PySchedulerError(f"nothing has happened for {_STUCK_S:.0f} s: see the log")
            await demo.clock.sleep(_TICK_S)

    def _show_placement(self) -> None:
        display, pods = self._display, self._demo.cluster.pods()
        zones = {
            node["metadata"]["name"]: node["metadata"]["labels"].get(ZONE_LABEL, "")
            for node in self._demo.cluster.nodes()
        }
        names = sorted(set(zones.values()))
        submitted: Counter[str] = Counter()
        bound: Counter[tuple[str, str]] = Counter()
        per_node: Counter[str] = Counter(dict.fromkeys(zones, 0))
        nodes_of: dict[str, set[str]] = {kind.app: set() for kind in KINDS}
        for pod in pods:
            app, node = pod["metadata"]["labels"]["app"], pod["spec"].get("nodeName")
            submitted[app] += 1
            if node:
                bound[app, zones[node]] += 1
                per_node[node] += 1
                nodes_of[app].add(node)
        display.heading("Where the pods went")
        numbers = ("pods", "nodes", *names, "waiting")
        columns = [Column("app"), Column("with"), *(Column(n, is_number=True) for n in numbers)]
        rows = []
        for kind in KINDS:
            counts = [bound[kind.app, zone] for zone in names]
            figures = (submitted[kind.app], len(nodes_of[kind.app]), *counts)
            waiting = submitted[kind.app] - sum(counts)
            rows.append([kind.app, kind.feature, *map(_figure, (*figures, waiting))])
        display.table(columns, rows)
        busiest, quietest = max(per_node.values()), min(per_node.values())
        display.text(f"The fullest node runs {busiest:,} pods, the emptiest {quietest:,}.")

    def _show_waiting(self) -> None:
        groups: dict[tuple[str, str, str], list[Waiting]] = {}
        for pod in self._demo.waiting():
            groups.setdefault((pod.app, pod.reason, pod.message), []).append(pod)
        if not groups:
            return
        count = sum(len(pods) for pods in groups.values())
        who = "1 pod waits" if count == 1 else f"{count:,} pods wait"
        self._display.heading(f"Why {who}, as kubectl describe pod tells it")
        for (_, reason, message), pods in islice(groups.items(), _REASONS_SHOWN):
            more = f" and {len(pods) - 1:,} more" if len(pods) > 1 else ""
            self._display.reason(f"{pods[0].key}{more}", f"{reason}: {message}")
        if len(groups) > _REASONS_SHOWN:
            self._display.text(f"... and for {len(groups) - _REASONS_SHOWN} more reasons.")

    # The second part: changes

    async def _change_things(self) -> None:
        demo, display = self._demo, self._display
        waiting = {pod.key: pod for pod in demo.waiting()}
        display.heading("Three changes, and whom each of them wakes")
        if GIANT in waiting:
            await self._change(
                "A node with 128Gi of memory joins.",
                lambda: demo.cluster.create_nodes([large_node()]),
                wakes=GIANT,
            )
        if GATED in waiting:
            await self._change(
                f"The scheduling gate of {GATED} is lifted.",
                lambda: demo.lift_gates(GATED),
                wakes=GATED,
            )
        blocked = _first(key for key, pod in waiting.items() if pod.app == "ingress")
        holder = _first(
            pod_key(pod)
            for pod in demo.cluster.pods()
            if pod["metadata"]["labels"]["app"] == "ingress" and pod["spec"].get("nodeName")
        )
        if blocked and holder:
            await self._change(
                f"{holder} is deleted and frees its host port.",
                lambda: demo.delete_pod(holder),
                wakes=blocked,
            )

    async def _change(self, text: str, act: Callable[[], object], *, wakes: str) -> None:
        demo, display = self._demo, self._display
        if display.is_live:
            await demo.clock.sleep(_PAUSE_S)
        display.cause(text)
        bound = asyncio.Event()

        def observe(pod: object) -> None:
            del pod
            if demo.node_of(wakes):
                bound.set()

        demo.tally.on_bound = observe
        began_s = demo.clock.monotonic()
        act()
        try:
            async with asyncio.timeout(_STUCK_S):
                await bound.wait()
        except TimeoutError as error:
            raise PySchedulerError(f"{wakes} was not bound within {_STUCK_S:.0f} s") from error
        finally:
            demo.tally.on_bound = None
        took_ms = (demo.tally.last_bound_s - began_s) * 1000
        display.effect(f"{wakes} is bound to {demo.node_of(wakes)}", note=f"{took_ms:.0f} ms later")


def _cancel_on_signals() -> None:
    """SIGINT and SIGTERM cancel this task, so that everything is closed in order."""
    task = asyncio.current_task()
    if task is None or sys.platform == "win32":
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _first(keys: Iterable[str]) -> str | None:
    return next(iter(keys), None)


def _figure(count: int) -> str:
    return f"{count:,}" if count else "-"
