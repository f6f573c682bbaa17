"""The demo's two halves running in one loop, and what can be seen of them from outside.

`DemoCluster` is the embedded cluster with a scheduler on it, as ``pyscheduler run`` assembles one.
Everything shown is read from the API server's store, as kubectl would see it; only the tiers of
the queue come from the scheduler itself.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Self

import msgspec

from pyscheduler.app.assembly import Assembly, assemble, in_tree_registry
from pyscheduler.clock import Clock, SystemClock
from pyscheduler.config.load import default_config
from pyscheduler.errors import PySchedulerError
from pyscheduler.queueing.observing import QueueCounts
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.json_objects import JsonObject, JsonView
from pyscheduler.sim.object_store import Event
from pyscheduler.sim.served_kinds import PODS
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics

#: Seconds over which the rate shown is taken.
_RATE_WINDOW_S = 1.0
#: From binding to Running, and from deletion to gone: what a small image takes, roughly.
_START_DELAY_S = 0.3
_STOP_DELAY_S = 0.05
#: Seconds that writes in flight get at the end.
_DRAIN_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the demo is."""

    elapsed_s: float
    total: int
    submitted: int
    bound: int
    running: int
    #: pods bound per second, over the last second
    rate: float
    queue: QueueCounts


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pod without a node, and what its PodScheduled condition says."""

    key: str
    app: str
    reason: str
    message: str


class PodTally:
    """Counts what happens to pods as the API server's store tells it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.submitted = self.bound = self.running = 0
        #: monotonic seconds of the first and the last binding; None before there is one
        self._first_bound_s: float | None = None
        self.last_bound_s = 0.0
        #: called with each pod that was bound
        self.on_bound: Callable[[JsonView], None] | None = None
        self._recent: deque[tuple[float, int]] = deque()

    def observe(self, event: Event) -> None:
        """Takes one event of the pods' collection."""
        now, before = event.object.data, event.previous.data if event.previous else None
        if event.type == "DELETED":
            # The pod was counted; what it had reached is taken back.
            self.submitted -= 1
            self.bound -= _is_bound(now)
            self.running -= _is_running(now)
            return
        self.submitted += before is None
        self.running += _is_running(now) - _is_running(before)
        if _is_bound(now) and not _is_bound(before):
            self.bound += 1
            self.last_bound_s = self._clock.monotonic()
            if self._first_bound_s is None:
                self._first_bound_s = self.last_bound_s
            if self.on_bound is not None:
                self.on_bound(now)

    @property
    def took_s(self) -> float:
        """Seconds from the first binding to the last."""
        return 0.0 if self._first_bound_s is None else self.last_bound_s - self._first_bound_s

    def average(self) -> float:
        """Pods bound per second, from the first binding to the last; 0 while that is unknown."""
        return self.bound / self.took_s if self.took_s > 0 else 0.0

    def rate(self) -> float:
        """Pods bound per second over the last second; to be asked several times a second."""
        now, recent = self._clock.monotonic(), self._recent
        recent.append((now, self.bound))
        while len(recent) > 2 and recent[1][0] <= now - _RATE_WINDOW_S:
            recent.popleft()
        since, bound = recent[0]
        return (self.bound - bound) / (now - since) if now > since else 0.0


class DemoCluster:
    """The embedded cluster and a scheduler on it; use as an async context manager."""

    def __init__(self, *, http: bool = False, port: int = 0) -> None:
        """Nothing runs yet.

        Args:
            http: whether kubectl can reach it.
            port: to listen on; 0 for any free one.
        """
        self.clock = SystemClock()
        self.cluster = EmbeddedCluster(
            clock=self.clock,
            http=http,
            port=port,
            start_delay_s=_START_DELAY_S,
            stop_delay_s=_STOP_DELAY_S,
            heartbeat_s=10.0 if http else None,
        )
        self.tally = PodTally(self.clock)
        self._http, self._port = http, port
        registry = in_tree_registry()
        self.assembly: Assembly = assemble(
            default_config(registry, scheduler_name=None),
            registry,
            transport=self.cluster.transport(),
            clock=self.clock,
            rng=Random(),
            metrics=SchedulerMetrics(),
            work=CurrentWork(),
            instance="demo",
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.cluster)
            except OSError as error:
                # asyncio's own message names the address once more.
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise PySchedulerError(
                    f"cannot listen on 127.0.0.1:{self._port}: {reason.lower()}"
                ) from error
            stack.callback(
                self.cluster.store.collection(PODS.collection).listen(self.tally.observe)
            )
            stack.push_async_callback(self._stop)
            self._tasks.append(asyncio.create_task(self.assembly.follow()))
            await self.assembly.wait_synced()
            self._tasks.append(asyncio.create_task(self.assembly.schedule()))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _stop(self) -> None:
        """Binds in flight are written, then nothing runs any more."""
        for task in self._tasks[1:]:
            task.cancel()
        await self.assembly.drain(_DRAIN_TIMEOUT_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.assembly.dispatcher.close()

    def check(self) -> None:
        """Raises what ended the scheduler, if anything did."""
        for task in self._tasks:
            if task.done():
                task.result()

    # What is seen

    def progress(self, *, total: int, since_s: float) -> Progress:
        """How far it is, of so many pods, counted from that moment."""
        return Progress(
            elapsed_s=self.clock.monotonic() - since_s,
            total=total,
            submitted=self.tally.submitted,
            bound=self.tally.bound,
            running=self.tally.running,
            rate=self.tally.rate(),
            queue=self.assembly.queue.counts(),
        )

    def is_settled(self) -> bool:
        """True when every pod runs, or waits for something to change and says for what."""
        queue = self.assembly.queue.counts()
        if queue.active or queue.backoff or queue.in_flight:
            return False
        if self.tally.running < self.tally.bound:
            return False
        waiting = list(self.waiting())
        return len(waiting) == self.tally.submitted - self.tally.bound and all(
            pod.message for pod in waiting
        )

    def waiting(self) -> Iterator[Waiting]:
        """The pods without a node, in the order they were made."""
        for pod in self.cluster.pods():
            if not _is_bound(pod):
                condition = pod_scheduled(pod)
                yield Waiting(
                    pod_key(pod),
                    pod["metadata"].get("labels", {}).get("app", ""),
                    condition.get("reason", ""),
                    condition.get("message", ""),
                )

    def node_of(self, key: str) -> str:
        """Where that pod is bound; empty while it is not."""
        stored = self.cluster.store.get(PODS.collection, key)
        return "" if stored is None else stored.data["spec"].get("nodeName", "")

    # What is done

    def lift_gates(self, key: str) -> None:
        """The pod has no scheduling gate any more."""
        self._send("PATCH", key, {"spec": {"schedulingGates": []}})

    def delete_pod(self, key: str) -> None:
        """The pod ends, and is gone shortly."""
        self._send("DELETE", key, {})

    def _send(self, method: str, key: str, body: JsonObject) -> None:
        namespace, _, name = key.partition("/")
        answer = self.cluster.server.handle(
            Request(
                method,
                f"/api/v1/namespaces/{namespace}/pods/{name}",
                body=msgspec.json.encode(body),
                content_type="application/merge-patch+json"
                if method == "PATCH"
                else "application/json",
            )
        )
        if not isinstance(answer, Response) or answer.status >= 300:
            raise PySchedulerError(f"the embedded server refused to {method.lower()} pod {key}")


def pod_key(pod: JsonView) -> str:
    """The pod's ``namespace/name``."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _is_bound(pod: JsonView | None) -> bool:
    return pod is not None and bool(pod["spec"].get("nodeName"))


def _is_running(pod: JsonView | None) -> bool:
    return pod is not None and pod["status"].get("phase") == "Running"


def pod_scheduled(pod: JsonView) -> JsonView:
    """The pod's PodScheduled condition; empty while it has none."""
    conditions = pod["status"].get("conditions") or ()
    return next((entry for entry in conditions if entry["type"] == "PodScheduled"), {})
