"""Plays scenes on a provider's cluster and looks at what a scheduler makes of them.

The state is there before the scheduler starts. Two schedulers are compared by playing the same
scenes twice, on the same nodes, with pods that differ in `schedulerName` (and in name).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.controlplane.api_client import Manifest
from tests.e2e.providers.base import SCHEDULER_NAME, Provider, eventually
from tests.e2e.scenes import (
    PREEMPTOR,
    Resident,
    Scene,
    Waiting,
    budget_manifest,
    node_manifest,
    resident_manifest,
    waiting_manifest,
)

#: Seconds for a scene's state to be made, and for the decisions.
_STATE_TIMEOUT_S = 60
_DECISION_TIMEOUT_S = 60
#: Seconds after the last decision in which a mistake would show.
_QUIET_S = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scheduler made of a scene, in the end; names are those of the scene.

    Attributes:
        victims: residents that were made to leave.
        announced: what their events say: by victim, the node on which the preemptor needs room.
        bound: the preemptor's host, "" while it waits.
        nominated: the host that it waits for, if any.
        message: why it waits.
        nominations: of the others that wait.
    """

    victims: frozenset[str]
    announced: Mapping[str, str]
    bound: str
    nominated: str
    message: str
    nominations: Mapping[str, str]


async def create_nodes(provider: Provider, scenes: Sequence[Scene]) -> None:
    """The nodes of all scenes are ready; they are the same for everyone who plays the scenes."""
    nodes = [node_manifest(scene, name) for scene in scenes for name in scene.hosts]
    await provider.api.create_all("/api/v1/nodes", nodes)

    async def ready() -> bool:
        new = "node.kubernetes.io/not-ready"
        return not any(
            taint["key"] == new
            for node in await provider.api.list("/api/v1/nodes")
            for taint in node["spec"].get("taints", [])
        )

    await eventually(ready, what="nodes to be ready", timeout_s=_STATE_TIMEOUT_S)


class Play:
    """The scenes as one scheduler meets them.

    No pod has a name that another play uses: kwok deletes by name, and might be late.
    """

    def __init__(self, provider: Provider, scenes: Sequence[Scene], *, is_ours: bool) -> None:
        self._provider = provider
        self._scenes = scenes
        self._is_ours = is_ours
        self._pods = f"/api/v1/namespaces/{provider.test_namespace}/pods"
        self._budgets = f"/apis/policy/v1/namespaces/{provider.test_namespace}/poddisruptionbudgets"

    async def outcomes(self) -> dict[str, Outcome]:
        """Returns what the scheduler made of each scene, by name; no pod is left."""
        provider = self._provider
        try:
            await self._build()
            if self._is_ours:
                await provider.deploy()
            else:
                await provider.start_kube_scheduler()
            with contextlib.suppress(TimeoutError):  # the outcomes tell who did not decide
                await eventually(self._is_decided, what="decisions", timeout_s=_DECISION_TIMEOUT_S)
            await asyncio.sleep(_QUIET_S)
            return await self._look()
        finally:
            await provider.undeploy()
            await provider.delete_workloads()
            await provider.api.delete_collection(self._budgets)

    def _pod_name(self, scene: Scene, name: str) -> str:
        return f"{'ours' if self._is_ours else 'theirs'}-{scene.name}-{name}"

    # --- the state ---

    async def _build(self) -> None:
        api = self._provider.api
        budgets = [budget_manifest(scene, name) for scene in self._scenes for name in scene.budgets]
        residents = [
            resident_manifest(
                scene, resident, name=self._pod_name(scene, resident.name), host=host_name
            )
            for scene in self._scenes
            for host_name, host in scene.hosts.items()
            for resident in host.residents
        ]
        waiting = [
            self._waiting(scene, waiting) for scene in self._scenes for waiting in scene.waiting
        ]
        await api.create_all(self._budgets, budgets)
        await api.create_all(self._pods, residents)
        await eventually(self._all_run, what="residents to run", timeout_s=_STATE_TIMEOUT_S)
        for scene in self._scenes:
            for resident in scene.residents:
                await self._date(scene, resident)
        await api.create_all(self._pods, waiting)
        for scene in self._scenes:
            for pod in scene.waiting:
                if pod.nominated:
                    status = {"nominatedNodeName": f"{scene.name}-{pod.nominated}"}
                    await self._patch_status(scene, pod.name, status)
        await eventually(self._budgets_settled, what="budgets", timeout_s=_STATE_TIMEOUT_S)

    def _waiting(self, scene: Scene, waiting: Waiting) -> Manifest:
        scheduler_name = SCHEDULER_NAME if self._is_ours else self._provider.kube_scheduler_name
        name = self._pod_name(scene, waiting.name)
        return waiting_manifest(scene, waiting, name=name, scheduler_name=scheduler_name)

    async def _all_run(self) -> bool:
        bare = {
            f"{scene.name}-{name}"
            for scene in self._scenes
            for name, host in scene.hosts.items()
            if host.is_bare
        }
        return all(
            pod["status"]["phase"] == "Running" or pod["spec"]["nodeName"] in bare
            for pod in await self._provider.pods()
        )

    async def _date(self, scene: Scene, resident: Resident) -> None:
        """The resident started when the scene says, and is leaving if it does."""
        if resident.started:
            status: Manifest = {"startTime": f"2026-01-01T{resident.started}:00Z"}
            await self._patch_status(scene, resident.name, status)
        if resident.leaving == "preempted":
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                # of late, or a controller takes it back: nothing came of it, it would seem
                "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "reason": "PreemptionByScheduler",
                "message": "some scheduler: preempting to accommodate a higher priority pod",
            }
            await self._patch_status(scene, resident.name, {"conditions": [condition]})
        if resident.leaving:
            name = self._pod_name(scene, resident.name)
            await self._provider.api.delete(f"{self._pods}/{name}")

    async def _patch_status(self, scene: Scene, name: str, status: Manifest) -> None:
        path = f"{self._pods}/{self._pod_name(scene, name)}/status"
        await self._provider.api.patch(path, {"status": status})

    async def _budgets_settled(self) -> bool:
        """The controller has counted: each budget allows what the scene's numbers say."""
        found = {
            budget["metadata"]["name"]: budget.get("status", {}).get("disruptionsAllowed")
            for budget in await self._provider.api.list(self._budgets)
        }
        return found == {
            f"{scene.name}-{name}": sum(each.budget == name for each in scene.residents) - kept
            for scene in self._scenes
            for name, kept in scene.budgets.items()
        }

    # --- what came of it ---

    async def _is_decided(self) -> bool:
        outcomes = await self._look()
        return all(
            outcome.victims == outcome.announced.keys()
            and bool(outcome.bound if scene.is_bound else outcome.message)
            for scene, outcome in ((scene, outcomes[scene.name]) for scene in self._scenes)
        )

    async def _look(self) -> dict[str, Outcome]:
        provider = self._provider
        pods = {pod["metadata"]["name"]: pod for pod in await provider.pods()}
        path = f"/apis/events.k8s.io/v1/namespaces/{provider.test_namespace}/events"
        notes = {
            event["regarding"]["name"]: str(event["note"])
            for event in await provider.api.list(path)
            if event["reason"] == "Preempted"
        }
        return {scene.name: self._outcome(scene, pods, notes) for scene in self._scenes}

    def _outcome(
        self, scene: Scene, pods: Mapping[str, Manifest], notes: Mapping[str, str]
    ) -> Outcome:
        preemptor = pods[self._pod_name(scene, PREEMPTOR)]
        told = f"Preempted by pod {preemptor['metadata']['uid']} on node {scene.name}-"
        names = {
            resident.name: self._pod_name(scene, resident.name) for resident in scene.residents
        }
        return Outcome(
            victims=frozenset(
                resident.name
                for resident in scene.residents
                if not resident.leaving and _is_leaving(pods.get(names[resident.name]))
            ),
            announced={
                resident: notes[name].removeprefix(told)
                for resident, name in names.items()
                if name in notes
            },
            bound=str(preemptor["spec"].get("nodeName", "")).removeprefix(f"{scene.name}-"),
            nominated=_nominated(scene, preemptor),
            message=_message(preemptor),
            nominations={
                other.name: _nominated(scene, pods[self._pod_name(scene, other.name)])
                for other in scene.others
            },
        )


def _nominated(scene: Scene, pod: Manifest) -> str:
    return str(pod["status"].get("nominatedNodeName", "")).removeprefix(f"{scene.name}-")


def _is_leaving(pod: Manifest | None) -> bool:
    return pod is None or "deletionTimestamp" in pod["metadata"]


def _message(pod: Manifest) -> str:
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    return ""
