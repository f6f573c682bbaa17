"""A day of a large cluster in virtual time: what a scheduler still holds after everything has gone.

    python -m benchmarks.soak [--hours 24] [--scale 1]

Pods, nodes, templates and namespaces come and go, pods that cannot be scheduled among them; every
node is replaced ten times. Two things are shown: the process is not larger after the last hour than
it was after the sixth part of the time (hour 4 of 24), and once the cluster is emptied every
internal count is what it was before the first pod came (`census`), caches of a fixed size apart.

Everything is drawn from a seed; virtual time passes as fast as the machine allows.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from benchmarks.census import census, remembered
from benchmarks.figures import save
from benchmarks.soak_outcome import (
    HOUR_S,
    NAMESPACES_SHARE,
    TEMPLATES_AT_ONCE,
    TICK_S,
    Outcome,
    Plan,
    Reading,
)
from pyscheduler.app.assembly import Assembly, assemble, in_tree_registry
from pyscheduler.config.load import default_config
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.json_objects import JsonObject, micro_timestamp
from pyscheduler.sim.object_store import Event
from pyscheduler.sim.served_kinds import EVENTS, NAMESPACES, PODS, PRIORITY_CLASSES
from pyscheduler.sim.virtual_clock import VirtualClock
from pyscheduler.sim.workload import make_node, make_pod
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics

#: Events that a watch of the embedded server can go back; its own memory is not what is measured.
_WINDOW = 2_000
#: kube-apiserver forgets events after an hour, and so does the cluster here.
_EVENTS_LIVE_S = 3600
#: Pods that nothing fits are given up after so long.
_GIVEN_UP_AFTER_S = 1800
#: After the emptying: longer than any series, backoff, flush or grace period lasts.
_REST_S = 1200
#: What comes and goes before the first census.
_REHEARSED_NODES = 10
_REHEARSED_MINUTES = 30
_REHEARSED_PODS = 5

_encode = msgspec.json.Encoder().encode


class Soak:
    """A cluster under churn and a scheduler on it; use as an async context manager."""

    def __init__(self, plan: Plan) -> None:
        """Nothing happens before `run`."""
        self._plan = plan
        self._rng = Random(plan.seed)
        self._clock = VirtualClock()
        self._cluster = EmbeddedCluster(
            clock=self._clock,
            seed=plan.seed,
            start_delay_s=2.0,
            stop_delay_s=3.0,
            window=_WINDOW,
        )
        registry = in_tree_registry()
        self._metrics = SchedulerMetrics()
        self._assembly: Assembly = assemble(
            default_config(registry),
            registry,
            transport=self._cluster.transport(),
            clock=self._clock,
            rng=Random(plan.seed),
            metrics=self._metrics,
            work=CurrentWork(),
            instance="soak",
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._made = Counter[str]()
        self._templates: deque[Callable[[str, str], JsonObject]] = deque()
        self._namespaces: deque[str] = deque()
        self._nodes: deque[str] = deque()
        #: namespace/name of pods that cannot be scheduled, with the time they are given up
        self._hopeless: deque[tuple[float, str]] = deque()
        self._pods_on: dict[str, dict[str, None]] = {}
        self._bound = 0
        self._preempted = 0
        self._cluster.store.collection(PODS.collection).listen(self._observe)

    async def __aenter__(self) -> Self:
        await self._cluster.__aenter__()
        assembly = self._assembly
        self._tasks.append(asyncio.create_task(assembly.follow()))
        await self._clock.run_until(lambda: assembly.is_synced, what="the initial sync")
        self._tasks.append(asyncio.create_task(assembly.schedule()))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._assembly.dispatcher.close()
        await self._cluster.__aexit__(exc_type, exc, traceback)

    async def run(self, *, report: Callable[[Reading], None] = lambda _: None) -> Outcome:
        """The time has passed and the cluster is empty again.

        Args:
            report: told once an hour what there is.
        """
        began = time.perf_counter()
        plan = self._plan
        self._cluster.create({"metadata": {"name": "urgent"}, "value": 1000}, kind=PRIORITY_CLASSES)
        before = await self._rehearse()
        self._populate(plan.nodes)
        readings = []
        per_reading = max(min(plan.ticks // 6, HOUR_S // TICK_S), 1)
        for tick in range(1, plan.ticks + 1):
            self._minute(tick)
            await self._clock.run_for(TICK_S)
            for task in self._tasks:
                if task.done():
                    task.result()
            if tick % per_reading == 0:
                readings.append(self._read(tick * TICK_S / HOUR_S))
                report(readings[-1])
        await self._empty()
        return Outcome(
            plan=plan,
            pods=self._made["pod"],
            bound=self._bound,
            unschedulable=self._made["hopeless"],
            preempted=self._preempted,
            before=before,
            after=self._census(),
            readings=tuple(readings),
            wall_s=time.perf_counter() - began,
        )

    # --- what happens

    async def _rehearse(self) -> Counter[str]:
        """A little of everything has come and gone; returns what that left: caches are warm."""
        self._populate(_REHEARSED_NODES)
        for _ in range(_REHEARSED_MINUTES):
            self._template_comes()
            self._replace_node()
            for _ in range(_REHEARSED_PODS):
                self._pod_comes()
            await self._clock.run_for(TICK_S)
        await self._empty()
        return self._census()

    def _populate(self, nodes: int) -> None:
        for _ in range(nodes):
            self._node_comes()
        self._namespace_comes()
        self._template_comes()

    def _minute(self, tick: int) -> None:
        """An even share of everything the plan names, with what else belongs to it."""
        plan = self._plan
        for _ in range(self._due(tick, plan.namespaces)):
            self._namespace_comes()
        for _ in range(self._due(tick, plan.templates)):
            self._template_comes()
        replacements = plan.nodes * plan.replacements_per_node
        evicted = sum(self._replace_node() for _ in range(self._due(tick, replacements)))
        self._give_up()
        # About two pods a node live; what was evicted comes back first, as from a controller.
        for number in range(self._due(tick, plan.pods)):
            if number >= evicted and len(self._pods()) > 2 * plan.nodes:
                self._delete(self._rng.choice(self._pods()))
            self._pod_comes()
        self._forget_events()

    def _due(self, tick: int, total: int) -> int:
        return total * tick // self._plan.ticks - total * (tick - 1) // self._plan.ticks

    def _template_comes(self) -> None:
        self._templates.append(self._new_template())
        if len(self._templates) > TEMPLATES_AT_ONCE:
            self._templates.popleft()

    def _namespace_comes(self) -> None:
        name = self._name("namespace")
        self._cluster.create({"metadata": {"name": name}}, kind=NAMESPACES)
        self._namespaces.append(name)
        if len(self._namespaces) > self._plan.namespaces // NAMESPACES_SHARE:
            gone = self._namespaces.popleft()
            for key in [key for key in self._pods() if key.startswith(f"{gone}/")]:
                self._delete(key)
            self._send("DELETE", f"/api/v1/namespaces/{gone}", {})

    def _node_comes(self) -> None:
        """A node that has something no node had before, of each sort."""
        name, rng = self._name("node"), self._rng
        serial = self._made["node"]
        node = make_node(
            name,
            cpu=rng.choice(("4", "8")),
            extended={f"example.com/device-{serial // 50}": "4"},
            labels={"pool": f"pool-{serial // 20}", f"example.com/batch-{serial // 50}": "yes"},
            taints=[
                {"key": "example.com/cost", "value": str(serial), "effect": "PreferNoSchedule"}
            ],
        )
        node["status"]["images"] = [
            {"names": [f"registry.example/app-{serial}:{tag}"], "sizeBytes": 1_000_000}
            for tag in range(2)
        ]
        self._cluster.create_node(node)
        self._nodes.append(name)

    def _replace_node(self) -> int:
        """The oldest node goes with its pods, and another one comes; how many pods that cost."""
        gone = self._nodes.popleft()
        keys = list(self._pods_on.get(gone, ()))
        for key in keys:
            self._delete(key, grace_s=0)
        self._send("DELETE", f"/api/v1/nodes/{gone}", {})
        self._node_comes()
        return len(keys)

    def _pod_comes(self) -> None:
        name = self._name("pod")
        namespace = self._rng.choice(self._namespaces)
        pod = self._rng.choice(self._templates)(name, namespace)
        self._cluster.create_pods([pod])
        if pod["metadata"]["labels"]["fits"] == "nowhere":
            self._made["hopeless"] += 1
            self._hopeless.append(
                (self._clock.monotonic() + _GIVEN_UP_AFTER_S, f"{namespace}/{name}")
            )

    def _give_up(self) -> None:
        now = self._clock.monotonic()
        while self._hopeless and self._hopeless[0][0] < now:
            key = self._hopeless.popleft()[1]
            if key in self._cluster.store.collection(PODS.collection).objects:
                self._delete(key)

    def _new_template(self) -> Callable[[str, str], JsonObject]:
        """What pods of a new workload are like; one in eight fits nowhere."""
        name, rng = self._name("template"), self._rng
        spec: dict[str, Any] = {}
        fits = "somewhere"
        if rng.random() < 1 / 8:
            fits = "nowhere"
            spec = rng.choice(
                (
                    {"nodeSelector": {f"example.com/{name}": "yes"}},
                    {"nodeSelector": {"pool": name}},
                    {"schedulingGates": [{"name": f"example.com/{name}"}]},
                    {"containers": [_container({f"example.com/{name}": "1"})]},
                )
            )
        elif rng.random() < 0.1:
            # No node is empty enough for it: some pods have to go.
            spec = {"priorityClassName": "urgent"}
            spec["containers"] = [_container({"cpu": "7700m"})]
        spec["tolerations"] = [{"key": f"example.com/{name}", "operator": "Exists"}]
        cpu = f"{rng.choice((500, 1000, 2000)) + self._made['template'] % 97}m"
        labels = {"app": name, "fits": fits}

        def make(pod: str, namespace: str) -> JsonObject:
            made = make_pod(pod, namespace=namespace, cpu=cpu, labels=labels, **spec)
            made["spec"]["containers"][0]["image"] = f"registry.example/{name}:1"
            return made

        return make

    def _forget_events(self) -> None:
        """Events older than an hour, oldest first."""
        oldest = micro_timestamp(self._clock.now() - _EVENTS_LIVE_S)
        events = self._cluster.store.collection(EVENTS.collection).objects
        gone = []
        for key, stored in events.items():
            if stored.data["eventTime"] > oldest:
                break
            gone.append(key)
        for key in gone:
            self._cluster.store.delete(EVENTS.collection, key)

    async def _empty(self) -> None:
        """Everything goes, and nothing more comes."""
        for key in self._pods():
            self._delete(key)
        await self._clock.run_for(TICK_S)
        for name in self._nodes:
            self._send("DELETE", f"/api/v1/nodes/{name}", {})
        # The last look at the cluster: it is empty.
        self._pod_comes()
        await self._clock.run_for(TICK_S)
        for name in self._namespaces:
            self._send("DELETE", f"/api/v1/namespaces/{name}", {})
        for gone in (self._nodes, self._namespaces, self._templates, self._hopeless):
            gone.clear()
        await self._clock.run_for(_REST_S)

    def _delete(self, key: str, *, grace_s: int = 1) -> None:
        namespace, _, name = key.partition("/")
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        self._send("DELETE", path, {"gracePeriodSeconds": grace_s})

    def _send(self, method: str, path: str, body: JsonObject) -> None:
        answer = self._cluster.server.handle(Request(method, path, body=_encode(body)))
        assert isinstance(answer, Response)
        assert answer.status < 400, answer.body

    # --- what is there

    def _name(self, sort: str) -> str:
        self._made[sort] += 1
        return f"{sort}-{self._made[sort]}"

    def _pods(self) -> list[str]:
        return list(self._cluster.store.collection(PODS.collection).objects)

    def _observe(self, event: Event) -> None:
        key, data, previous = event.object.key, event.object.data, event.previous
        node = data["spec"].get("nodeName")
        if event.type == "DELETED":
            conditions = data["status"].get("conditions") or ()
            self._preempted += any(each["type"] == "DisruptionTarget" for each in conditions)
            if node:
                self._pods_on[node].pop(key)
                if not self._pods_on[node]:
                    del self._pods_on[node]
        elif node and previous and not previous.data["spec"].get("nodeName"):
            self._bound += 1
            self._pods_on.setdefault(node, {})[key] = None

    def _census(self) -> Counter[str]:
        return census([self._assembly, self._metrics]) + remembered()

    def _read(self, hour: float) -> Reading:
        counts = self._census()
        return Reading(
            hour=hour,
            rss_bytes=_rss_bytes(),
            counts=counts,
            live_pods=len(self._pods()),
            waiting_pods=self._assembly.queue.counts().pending,
        )


def _container(amounts: JsonObject) -> JsonObject:
    return {"name": "main", "resources": {"requests": amounts, "limits": amounts}}


def _rss_bytes() -> int:
    """Resident memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def soak(plan: Plan, *, report: Callable[[Reading], None] = lambda _: None) -> Outcome:
    """The plan has been lived through."""
    async with Soak(plan) as lived:
        return await lived.run(report=report)


def main() -> int:
    """Soaks and prints hour by hour; 1 where something was left over."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--scale", type=float, default=1, help="share of nodes, pods and the rest")
    given = parser.parse_args()
    logs_off = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=logs_off)
    began = time.perf_counter()

    def report(reading: Reading) -> None:
        print(
            f"hour {reading.hour:5.1f}: {reading.rss_bytes / 2**20:6.1f} MiB,"
            f" {reading.live_pods} pods, {reading.waiting_pods} waiting,"
            f" {sum(reading.counts.values())} entries held"
            f" ({time.perf_counter() - began:.0f} s so far)",
            flush=True,
        )

    plan = Plan.scaled(hours=given.hours, scale=given.scale)
    outcome = asyncio.run(soak(plan, report=report))
    print(
        f"{outcome.pods} pods came, {outcome.bound} bound, {outcome.unschedulable} fit nowhere,"
        f" {outcome.preempted} preempted; {outcome.wall_s:.0f} s; memory x{outcome.growth:.3f}"
    )
    for problem in outcome.problems:
        print(f"FAILED: {problem}")
    path = save("soak", _figures(outcome))
    print(f"written to {path}")
    return int(bool(outcome.problems))


def _figures(outcome: Outcome) -> dict[str, object]:
    return {
        "hours": outcome.plan.hours,
        "nodes": outcome.plan.nodes,
        "pods": outcome.pods,
        "bound": outcome.bound,
        "unschedulable": outcome.unschedulable,
        "preempted": outcome.preempted,
        "growth": outcome.growth,
        "rss_mib": [round(reading.rss_bytes / 2**20, 1) for reading in outcome.readings],
        "wall_s": outcome.wall_s,
        "problems": outcome.problems,
        "last_counts": dict(sorted(outcome.readings[-1].counts.items())),
        "after": dict(sorted(outcome.after.items())),
    }


if __name__ == "__main__":
    sys.exit(main())
