"""Ours without a control plane: the same stage and judge, on the embedded API server.

    async with offline_judge() as judge:
        async for verdict in judge.judge_world(world):
            ...

Nothing is simulated but the API server: the scheduler is assembled as ``pyscheduler run`` assembles
it. What its log says is heard directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from pyscheduler.app.assembly import assemble
from pyscheduler.clock import SystemClock
from pyscheduler.config.load import parse_config
from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics
from pyscheduler.testing.profiles import registry_with
from tests.controlplane.api_client import ApiError
from tests.parity import ours
from tests.parity.live import LiveJudge, Notes
from tests.parity.stage import Api, Stage
from tests.parity.verdicts import Verdict
from tests.parity.worlds import Manifest, World

_CONFIG = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
percentageOfNodesToScore: 100
profiles: [{schedulerName: pyscheduler}]
"""

#: Modules whose lines are heard.
_HEARD = (
    "pyscheduler.cycle.explanation",
    "pyscheduler.cycle.loop",
    "pyscheduler.preemption.executor",
    "pyscheduler.queueing.scheduling_queue",
)

#: Seconds in which the process has seen what was made; nothing is on the way for longer.
_SETTLE_S = 0.02

#: How much slower the scheduler's time passes, so that no hook looks slow on a busy machine.
_PATIENCE = 100


@contextlib.asynccontextmanager
async def offline_judge() -> AsyncIterator[OfflineJudge]:
    """Yields ours at work on a stage of its own."""
    with _listening() as ear:
        async with EmbeddedCluster(live=False, clock=_PatientClock()) as cluster:
            assembly = assemble(
                parse_config(_CONFIG, registry_with(), source="parity"),
                registry_with(),
                transport=cluster.transport(),
                clock=cluster.clock,
                rng=Random(0),
                metrics=SchedulerMetrics(),
                work=CurrentWork(),
                instance="parity",
            )
            async with Stage.on(EmbeddedApi(cluster), settle_s=_SETTLE_S) as stage:
                before = asyncio.all_tasks()
                following = asyncio.create_task(assembly.follow())
                while not assembly.is_synced:
                    await asyncio.sleep(0.001)
                scheduling = asyncio.create_task(assembly.schedule())
                try:
                    yield OfflineJudge(stage, ear)
                finally:
                    started = (asyncio.all_tasks() - before) | {following, scheduling}
                    for task in started:
                        task.cancel()
                    await asyncio.gather(*started, return_exceptions=True)
                    await assembly.dispatcher.close()


class _PatientClock(SystemClock):
    """The system's clock, but that durations are measured as a small part of what they are."""

    __slots__ = ()

    @staticmethod
    def monotonic() -> float:
        return SystemClock.monotonic() / _PATIENCE


class OfflineJudge(LiveJudge):
    """Ours on the embedded API server."""

    def __init__(self, stage: Stage, ear: Ear) -> None:
        super().__init__(stage, scheduler_name=ours.SCHEDULER_NAME, log_path=Path("/dev/null"))
        self._ear = ear

    def note(self, line: str, notes_of: Callable[[str], Notes]) -> None:
        """Nothing: there is no file."""

    def notes(self, key: str) -> Notes:
        """What was heard of the pod so far."""
        for record in self._ear.take():
            ours.take(record, self._notes_of)
        return self._notes_of(key)

    async def judge_world(self, world: World) -> AsyncIterator[Verdict]:
        """Yields the verdict on each pod of the world."""
        try:
            await self.stage.build(world, world.twins(self.scheduler_name))
            await self.stage.settle()
            for case in world.cases():
                yield await self.judge(case.incoming)
        finally:
            await self.stage.clear()


class Ear:
    """Stands for the loggers of some modules."""

    def __init__(self) -> None:
        self._heard: list[Mapping[str, Any]] = []

    def is_enabled_for(self, level: int) -> bool:
        """Everything is wanted."""
        return level >= logging.DEBUG

    def bind(self) -> Ear:
        """The logger of an object hears what its module's does."""
        return self

    def info(self, event: str, **fields: Any) -> None:
        """Hears a line."""
        self._heard.append({"event": event, **fields})

    debug = warning = error = exception = info

    def take(self) -> list[Mapping[str, Any]]:
        """What was heard since the last time."""
        heard, self._heard = self._heard, []
        return heard


@contextlib.contextmanager
def _listening() -> Iterator[Ear]:
    ear = Ear()
    with contextlib.ExitStack() as stack:
        for module in _HEARD:
            stack.enter_context(mock.patch(f"{module}._log", ear))
        yield ear


class EmbeddedApi(Api):
    """The embedded API server as the stage wants one."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._transport = cluster.transport()

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """The answer's body; raises `ApiError` as the real one's client does."""
        answer = await self._transport.request(
            method,
            path,
            params=params,
            body=None if body is None else json.dumps(body).encode(),
            content_type=content_type,
        )
        if answer.status >= 400:  # HTTP
            raise ApiError(method, path, answer.status, answer.body.decode())
        parsed: Manifest = json.loads(answer.body)
        return parsed

    async def watch(self, path: str, *, resource_version: str) -> AsyncIterator[Manifest]:
        """Yields watch events."""
        params = {"watch": "true", "resourceVersion": resource_version}
        async with self._transport.stream(path, params) as stream:
            async for chunk in stream.chunks:
                for line in chunk.splitlines():
                    yield json.loads(line)
