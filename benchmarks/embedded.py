"""The embedded cluster and the scheduler in one process: pods/s, and where the time goes.

    python -m benchmarks.embedded [--nodes 5000] [--pods 10000] [--runs 3] [--profile]

Server and scheduler share one event loop and one core, through the in-process transport. All pods
are pending when scheduling begins. The time is from the first binding that the server answered to
the last, and to the last event, as the server's store shows them; not by the scheduler's log.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import uvloop

from benchmarks.figures import Spread, save
from benchmarks.sampling import Sampler
from pyscheduler.app.assembly import assemble
from pyscheduler.client.transport import Response, Stream, Transport
from pyscheduler.config.load import default_config
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.workload import make_node, make_pod
from pyscheduler.telemetry import logs
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics

#: Pods/s to reach.
WANTED = 1500


class Witness:
    """A transport in front of another: keeps the times of the writes that were answered 201."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.binds: list[float] = []
        self.events: list[float] = []

    @property
    def name(self) -> str:
        return self._inner.name

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        answer = await self._inner.request(
            method,
            path,
            params=params,
            body=body,
            content_type=content_type,
            timeout_s=timeout_s,
            headers=headers,
        )
        if answer.status == 201:
            (self.binds if path.endswith("/binding") else self.events).append(time.perf_counter())
        return answer

    def stream(self, path: str, params: Mapping[str, str]) -> AbstractAsyncContextManager[Stream]:
        return self._inner.stream(path, params)

    async def close(self) -> None:
        await self._inner.close()


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    bound: int
    binding_s: float
    recorded_s: float
    cpu_s: float

    @property
    def pods_per_s(self) -> float:
        return self.bound / self.binding_s

    @property
    def recorded_pods_per_s(self) -> float:
        return self.bound / self.recorded_s


async def measure(*, nodes: int, pods: int, live: bool, profile: Sampler | None = None) -> Result:
    """Returns the outcome of one run on a cluster of its own."""
    registry = Registry(IN_TREE, DEFAULT_PLUGINS)
    async with EmbeddedCluster(live=live) as cluster:
        cluster.create_nodes(make_node(f"node-{index}") for index in range(nodes))
        cluster.create_pods(make_pod(f"pod-{index}") for index in range(pods))
        witness = Witness(cluster.transport())
        assembly = assemble(
            default_config(registry, scheduler_name=None),
            registry,
            transport=witness,
            clock=cluster.clock,
            rng=Random(1),
            metrics=SchedulerMetrics(),
            work=CurrentWork(),
            instance="benchmark",
        )
        follow = asyncio.create_task(assembly.follow())
        await assembly.wait_synced()
        settle_memory()
        cpu_before = time.process_time()
        if profile is not None:
            profile.start()
        schedule = asyncio.create_task(assembly.schedule())
        deadline = time.monotonic() + 300
        while len(witness.binds) < pods or len(witness.events) < pods:
            await asyncio.sleep(0.05)
            if time.monotonic() > deadline or follow.done() or schedule.done():
                raise TimeoutError(f"{len(witness.binds)} of {pods} pods bound")
        if profile is not None:
            profile.stop()
        cpu_s = time.process_time() - cpu_before
        bound = sum(1 for pod in cluster.pods() if pod["spec"].get("nodeName"))
        for task in (schedule, follow):
            task.cancel()
        await asyncio.gather(schedule, follow, return_exceptions=True)
        await assembly.dispatcher.close()
    first = witness.binds[0]
    return Result(bound, witness.binds[-1] - first, witness.events[-1] - first, cpu_s)


def settle_memory() -> None:
    """Does what the scheduler's process does with the garbage collector after its first sync."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-live", action="store_true", help="no kubelets: pods stay bound")
    parser.add_argument(
        "--profile", action="store_true", help="one more run: costs per pod by function"
    )
    options = parser.parse_args()
    results = []
    with Path(os.devnull).open("w") as nowhere:
        logs.configure("info", format="json", stream=nowhere)  # lines are made as in a real process
        for index in range(options.runs):
            result = uvloop.run(
                measure(nodes=options.nodes, pods=options.pods, live=not options.no_live)
            )
            gc.unfreeze()
            results.append(result)
            print(
                f"run {index + 1}: {result.bound} bound, {result.pods_per_s:.0f} pods/s, "
                f"{result.recorded_pods_per_s:.0f} with events, CPU {result.cpu_s:.2f} s "
                f"({result.cpu_s / result.bound * 1e6:.0f} us per pod)",
                flush=True,
            )
        if options.profile:
            sampler = Sampler()
            result = uvloop.run(
                measure(
                    nodes=options.nodes,
                    pods=options.pods,
                    live=not options.no_live,
                    profile=sampler,
                )
            )
            print(sampler.report(pods=result.bound, cpu_s=result.cpu_s))
    rate = Spread.of([result.pods_per_s for result in results])
    recorded = Spread.of([result.recorded_pods_per_s for result in results])
    per_cpu = Spread.of([result.bound / result.cpu_s for result in results])
    print(f"\npods/s to the last bind: {rate.text()}; to the last event: {recorded.text()}")
    print(f"pods per CPU second: {per_cpu.text()}; wanted: {WANTED} pods/s")
    path = save(
        "embedded",
        {
            "nodes": options.nodes,
            "pods": options.pods,
            "live": not options.no_live,
            "pods_per_s": [round(result.pods_per_s, 1) for result in results],
            "recorded_pods_per_s": [round(result.recorded_pods_per_s, 1) for result in results],
            "cpu_s": [round(result.cpu_s, 2) for result in results],
        },
    )
    print(f"written to {path}")
    return 0 if rate.median >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
