"""Nobody who preempts is left behind: random crowds on full nodes, and what disturbs them.

A crowd is drawn from a seed. Its nodes are full of residents that take their grace period to leave;
preemptors of several priorities and sizes want their room, while promises to pods that are not to
go yet (gated ones with a nominated node) come and go, deletes are slow or refused, pods end that
keep nobody out, and nodes come and leave. Once that is over, whoever has room or can make it has
it soon, without the flush that would hide that nobody woke it.

The histories (``history.py``) are about everything that may happen; a preemptor behind its gate is
too rare there for what comes by in that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

import pytest

from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.queueing.unheard import Move
from pyscheduler.sim.exchange import Request
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.served_kinds import PRIORITY_CLASSES
from pyscheduler.sim.workload import make_node, make_pod
from tests.component import judge
from tests.component.world import World, is_status, refusal

COUNT = 40
STEPS = 14
#: Virtual seconds after the last disturbance: one after the other may have to wait for a grace
#: period and a backoff. Far from the five minutes of the flush.
SOON_S = 75.0

_NODE_CPUS = 4
_PRIORITIES = {"low": -10, "middle": 500, "high": 1000, "highest": 2000}
_GRACES_S = (5, 20, 30)
_PAUSES_S = (0.0, 0.5, 2.0, 5.0)


class Crowd:
    """Full nodes, those who want in, and what comes in between."""

    def __init__(self, seed: int) -> None:
        """Nothing happens before `live`."""
        self._rng = Random(seed)
        self._world = World(seed=seed, stop_delay_s=None)
        self._made = 0

    async def live(self) -> None:
        """Everything has happened, and has had its time; nobody is left behind.

        Raises:
            AssertionError: somebody is.
        """
        async with self._world as world:
            for name, priority in _PRIORITIES.items():
                body = {"metadata": {"name": name}, "value": priority}
                world.cluster.create(body, kind=PRIORITY_CLASSES)
            for _ in range(self._rng.randrange(2, 5)):
                self._node_comes()
            await world.run_for(3)
            scheduler = await world.start_scheduler()
            for _ in range(STEPS):
                weights = list(_HAPPENINGS.values())
                for happening in self._rng.choices(list(_HAPPENINGS), weights, k=3):
                    happening(self)
                await world.run_for(self._rng.choice(_PAUSES_S))
            world.calm()
            await world.run_for(SOON_S)
            left_behind = self._left_behind()
            assert not left_behind, f"left behind: {', '.join(left_behind)}"
            assert scheduler.metrics.scheduled_after_flush.value == 0
            world.assert_sound()

    def _left_behind(self) -> list[str]:
        """Those without node for whom there is room once all of lower priority have left."""
        return [
            f"{pod['metadata']['name']}, possible on {node}"
            for pod in self._world.cluster.pods()
            if not pod["spec"].get("nodeName") and not pod["spec"].get("schedulingGates")
            for node in self._possible_nodes(pod)
        ]

    def _possible_nodes(self, pod: JsonObject) -> Iterable[str]:
        for node in self._world.cluster.nodes():
            name: str = node["metadata"]["name"]
            stays = [
                other
                for other in self._world.cluster.pods()
                if other["metadata"]["uid"] != pod["metadata"]["uid"]
                and other["spec"]["priority"] >= pod["spec"]["priority"]
                and name in (other["spec"].get("nodeName"), _promise(other))
            ]
            if judge.fits(node, pod, stays):
                yield name

    # --- what happens

    def _node_comes(self) -> None:
        """It is full from the beginning, of pods that stand in the way and of one that does not."""
        node = self._name("node")
        self._world.create(make_node(node, cpu=str(_NODE_CPUS)))
        free = _NODE_CPUS
        while free:
            cpus = self._rng.randrange(1, free + 1)
            free -= cpus
            self._pod_comes("resident", ("low", "middle"), cpus=cpus, nodeName=node)
        self._pod_comes("idle", tuple(_PRIORITIES), cpus=0, nodeName=node)

    def _node_leaves(self) -> None:
        """Its pods are collected with it."""
        nodes = [node["metadata"]["name"] for node in self._world.cluster.nodes()]
        if len(nodes) > 1:
            gone = self._rng.choice(nodes)
            self._world.send("DELETE", f"/api/v1/nodes/{gone}", {})
            for pod in self._pods(lambda pod: pod["spec"].get("nodeName") == gone):
                self._world.delete_pod(pod, at_once=True)

    def _preemptor_comes(self) -> None:
        cpus = self._rng.randrange(1, _NODE_CPUS)
        self._pod_comes("preemptor", ("middle", "high", "highest"), cpus=cpus)

    def _preemptor_gives_up(self) -> None:
        self._end_one(lambda pod: pod["metadata"]["name"].startswith("preemptor"))

    def _promise_comes(self) -> None:
        """Somebody has nominated a pod that is not to go yet."""
        cpus = self._rng.randrange(1, _NODE_CPUS)
        gates = [{"name": "example.com/wait"}]
        name = self._pod_comes("promised", tuple(_PRIORITIES), cpus=cpus, schedulingGates=gates)
        self._promise(name)

    def _promise_changes(self) -> None:
        if names := self._pods(lambda pod: pod["spec"].get("schedulingGates")):
            self._promise(self._rng.choice(names))

    def _promise(self, name: str) -> None:
        nodes = [node["metadata"]["name"] for node in self._world.cluster.nodes()]
        node = self._rng.choice((*nodes, None))
        self._world.patch_pod(f"{name}/status", {"status": {"nominatedNodeName": node}})

    def _promise_goes(self) -> None:
        self._end_one(lambda pod: pod["spec"].get("schedulingGates"), at_once=True)

    def _gate_goes(self) -> None:
        if names := self._pods(lambda pod: pod["spec"].get("schedulingGates")):
            self._world.patch_pod(self._rng.choice(names), {"spec": {"schedulingGates": None}})

    def _idle_ends(self) -> None:
        self._end_one(lambda pod: pod["metadata"]["name"].startswith("idle"), at_once=True)

    def _idle_comes(self) -> None:
        self._pod_comes("idle", tuple(_PRIORITIES), cpus=0)

    def _resident_ends(self) -> None:
        self._end_one(lambda pod: pod["metadata"]["name"].startswith("resident"))

    def _evictions_are_slow(self) -> None:
        matches, delay_s = self._rng.choice((is_status, _is_delete)), self._rng.choice((0.4, 3.0))
        self._world.weather.there_s = lambda request: delay_s if matches(request) else 0.0

    def _answers_are_slow(self) -> None:
        matches, delay_s = self._rng.choice((is_status, _is_delete)), self._rng.choice((0.4, 3.0))
        self._world.weather.back_s = lambda request: delay_s if matches(request) else 0.0

    def _evictions_are_refused(self) -> None:
        matches = self._rng.choice((is_status, _is_delete))
        self._world.fail(matches, self._rng.choice(_REFUSALS), times=self._rng.randrange(1, 6))

    def _weather_clears(self) -> None:
        self._world.calm()

    # --- how

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"{kind}-{self._made}"

    def _pod_comes(self, kind: str, priorities: tuple[str, ...], *, cpus: int, **spec: Any) -> str:
        name = self._name(kind)
        self._world.create(
            make_pod(
                name,
                cpu=str(cpus) if cpus else None,
                priorityClassName=self._rng.choice(priorities),
                terminationGracePeriodSeconds=self._rng.choice(_GRACES_S),
                **spec,
            )
        )
        return name

    def _end_one(self, concerns: Callable[[JsonObject], object], *, at_once: bool = False) -> None:
        if names := self._pods(concerns):
            self._world.delete_pod(self._rng.choice(names), at_once=at_once)

    def _pods(self, concerns: Callable[[JsonObject], object]) -> list[str]:
        return [pod["metadata"]["name"] for pod in self._world.cluster.pods() if concerns(pod)]


_HAPPENINGS: Mapping[Callable[[Crowd], None], int] = {
    Crowd._preemptor_comes: 7,
    Crowd._preemptor_gives_up: 2,
    Crowd._promise_comes: 4,
    Crowd._promise_changes: 2,
    Crowd._promise_goes: 3,
    Crowd._gate_goes: 1,
    Crowd._idle_ends: 16,
    Crowd._idle_comes: 8,
    Crowd._resident_ends: 2,
    Crowd._node_comes: 1,
    Crowd._node_leaves: 1,
    Crowd._evictions_are_slow: 3,
    Crowd._answers_are_slow: 1,
    Crowd._evictions_are_refused: 2,
    Crowd._weather_clears: 2,
}
_REFUSALS = (
    refusal(403, "Forbidden", "not now"),
    refusal(409, "Conflict", "the object has been modified"),
    refusal(429, "TooManyRequests", "too many requests"),
    refusal(500, "InternalError", "etcdserver: leader changed"),
)


def _promise(pod: JsonObject) -> str:
    """Where the pod, which has no node, keeps room; "" for nowhere."""
    promised: str = pod["status"].get("nominatedNodeName") or ""
    return "" if pod["spec"].get("nodeName") else promised


def _is_delete(request: Request) -> bool:
    return request.method == "DELETE" and "/pods/" in request.path


@pytest.mark.parametrize("seed", range(1, COUNT + 1))
async def test_whoever_has_room_or_can_make_it_has_it_soon(seed: int) -> None:
    await Crowd(seed).live()


async def test_who_was_forgotten_behind_its_gate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that is asked in passing takes the pod for gone."""
    hear = SchedulingQueue._hear

    def asks_in_passing(queue: SchedulingQueue, uid: str, *moves: Move) -> None:
        entity = queue._pool.get(uid)
        if entity is not None and entity.is_gated:
            queue._pre_enqueue(entity.pod, entity.gating_plugin)
        hear(queue, uid, *moves)

    monkeypatch.setattr(SchedulingQueue, "_hear", asks_in_passing)

    async def all_live() -> None:
        for seed in range(1, COUNT + 1):
            await Crowd(seed).live()

    with pytest.raises(AssertionError, match="left behind: preemptor-"):
        await all_live()
