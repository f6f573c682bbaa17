"""The rig: one control plane, the oracle and ours beside each other on it, and a stage.

    async with Rig.start() as rig:
        async for judged in rig.judge_world(world):
            print(judged.case.name, judged.found)

There is no controller-manager: nothing changes a world but the rig. Both schedulers are told to
score all nodes and may write as fast as they like; each is the scheduler of its own pods.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from tests.controlplane import identities
from tests.controlplane.api_client import ApiError
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.scheduler_process import SchedulerProcess
from tests.parity import oracle, ours
from tests.parity.compare import Difference, differences
from tests.parity.live import LiveJudge
from tests.parity.oracle import KubeScheduler
from tests.parity.ours import PyScheduler
from tests.parity.stage import Stage
from tests.parity.verdicts import Verdict
from tests.parity.worlds import Case, Incoming, World

#: Admission that would need a controller at work, or add to pods what no case is about.
_WITHOUT_ADMISSION = "ServiceAccount,TaintNodesByCondition,StorageObjectInUseProtection"

#: Off by default; without them the API server drops fields that a pod may need a feature by.
_GATES = {"UserNamespacesHostNetworkSupport": True, "VolumeBindMountOptions": True}

_QPS = 5000.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A case and what became of it.

    Attributes:
        found: the differences that came again when both were asked once more.
        passing: those that did not: one of the two had not seen the state yet.
        refusal: why the API server does not take the pod; nobody judged it then.
    """

    case: Case
    theirs: Verdict
    ours: Verdict
    found: list[Difference] = field(default_factory=list)
    passing: list[Difference] = field(default_factory=list)
    refusal: str = ""


class Rig:
    """Everything that a live comparison needs."""

    def __init__(self, stage: Stage, theirs: LiveJudge, our: LiveJudge) -> None:
        self.stage = stage
        self.theirs = theirs
        self.ours = our

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls) -> AsyncIterator[Rig]:
        """Yields a rig whose schedulers are at work."""
        async with (
            ControlPlane.start(
                controller_manager=False,
                audit=False,
                apiserver_flags=[f"--disable-admission-plugins={_WITHOUT_ADMISSION}"],
            ) as plane,
            Stage.on(plane.api) as stage,
        ):
            their_log = await _start_oracle(plane)
            process = await _start_ours(plane)
            try:
                rig = cls(
                    stage,
                    KubeScheduler(stage, scheduler_name=oracle.SCHEDULER_NAME, log_path=their_log),
                    PyScheduler(
                        stage,
                        scheduler_name=ours.SCHEDULER_NAME,
                        log_path=process.process.log_path,
                    ),
                )
                yield rig
            finally:
                await process.kill()

    async def judge_world(self, world: World) -> AsyncIterator[Judged]:
        """Yields what both make of each pod of the world."""
        try:
            judges = (self.theirs, self.ours)
            twins = [twin for judge in judges for twin in world.twins(judge.scheduler_name)]
            await self.stage.build(world, twins)
            await self.stage.settle()
            for case in world.cases():
                try:
                    judged = await self.judge(case)
                except ApiError as error:
                    if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                        raise
                    yield Judged(case, Verdict(), Verdict(), refusal=str(error))
                else:
                    yield judged
        finally:
            await self.stage.clear()

    async def judge_alone(self, case: Case) -> Judged:
        """What both make of the case, on a stage that has only its world."""
        (judged,) = [judged async for judged in self.judge_world(case.world)]
        return judged

    async def judge(self, case: Case) -> Judged:
        """What both make of the case, whose world is on the stage."""
        theirs, our = await self._ask(case.incoming)
        found = differences(theirs, our)
        if not found:
            return Judged(case, theirs, our)
        await self.stage.settle()
        theirs, our = await self._ask(case.incoming)
        again = differences(theirs, our)
        return Judged(case, theirs, our, again, [] if again else found)

    async def _ask(self, incoming: Incoming) -> tuple[Verdict, Verdict]:
        return await self.theirs.judge(incoming), await self.ours.judge(incoming)


async def _start_oracle(plane: ControlPlane) -> Path:
    process = await plane.start_kube_scheduler(
        scheduler_name=oracle.SCHEDULER_NAME,
        qps=_QPS,
        profile={"percentageOfNodesToScore": 100},
        arguments=[f"--vmodule={oracle.VMODULE}"],
    )
    return process.log_path


async def _start_ours(plane: ControlPlane) -> SchedulerProcess:
    scheduler = SchedulerProcess.start(
        plane.folder,
        kubeconfig=plane.kubeconfig(identities.KUBE_SCHEDULER),
        config={
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "percentageOfNodesToScore": 100,
            "profiles": [{"schedulerName": ours.SCHEDULER_NAME}],
        },
        arguments=("--log-format=json", "--log-level=debug"),
    )
    await scheduler.ready()
    return scheduler
