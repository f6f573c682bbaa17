"""Pods that make room for themselves: whom they evict, and what goes on meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.app.assembly import in_tree_registry
from pyscheduler.intree.default_preemption import DefaultPreemption
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.object_store import Event
from pyscheduler.sim.served_kinds import PODS
from pyscheduler.sim.workload import make_node, make_pod
from pyscheduler.testing.profiles import registry_with
from tests.component.world import World, refusal

HOUR_S = 3600.0


class Witness:
    """What the API server saw happen to pods."""

    def __init__(self, world: World) -> None:
        #: names, in the order in which their deletion began
        self.deleted: list[str] = []
        #: of the pods that are being deleted: reason of the DisruptionTarget condition
        self.reasons: dict[str, str] = {}
        self.ended_s: dict[str, float] = {}
        self._world = world
        world.cluster.store.collection(PODS.collection).listen(self._observe)

    def _observe(self, event: Event) -> None:
        data = event.object.data
        name = data["metadata"]["name"]
        if event.type == "DELETED":
            self.ended_s[name] = self._world.clock.monotonic()
        if event.type != "DELETED" and not data["metadata"].get("deletionTimestamp"):
            return
        if name not in self.deleted:
            self.deleted.append(name)
        for condition in data["status"].get("conditions") or ():
            if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
                self.reasons[name] = condition["reason"]


def budget(name: str, labels: dict[str, str], *, min_available: int) -> JsonObject:
    return {
        "kind": "PodDisruptionBudget",
        "apiVersion": "policy/v1",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "minAvailable": min_available},
    }


def create_budget(world: World, body: JsonObject) -> None:
    world.send("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", body)


def low(name: str, on: str = "", *, cpu: str = "1", **more: Any) -> JsonObject:
    if on:
        more["nodeName"] = on
    return make_pod(name, cpu=cpu, **more)


def urgent(name: str, *, cpu: str = "2", priority_class: str = "high", **more: Any) -> JsonObject:
    return make_pod(name, cpu=cpu, priorityClassName=priority_class, **more)


def assert_nothing_is_left(world: World) -> None:
    """No preemption is under way or remembered, no nomination stands."""
    for scheduler in world.schedulers:
        assembly = scheduler.assembly
        plugin = assembly.algorithms["pyscheduler"].profile.plugins["DefaultPreemption"]
        assert isinstance(plugin, DefaultPreemption)
        executor = plugin._evaluator._executor
        assert len(executor) == len(executor.departures) == 0
        assert len(assembly.queue.nominator) == 0
        assembly.queue.validate()
        assembly.cache.validate()


def create_priority_classes(world: World) -> None:
    for name, priority in {"high": 1000, "middle": 500}.items():
        body = {"metadata": {"name": name}, "value": priority}
        world.send("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", body)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    """A cluster with priority classes, whose pods end soon after they were told."""
    async with World() as world:
        create_priority_classes(world)
        yield world


@pytest_asyncio.fixture
async def heedless() -> AsyncIterator[World]:
    """The same with pods that take all of their grace period to end."""
    async with World(stop_delay_s=None) as world:
        create_priority_classes(world)
        yield world


async def test_full_nodes_are_cleared_and_others_are_bound_meanwhile(world: World) -> None:
    full = [f"node-{n:02}" for n in range(20)]
    witness = Witness(world)
    world.create(*(make_node(name) for name in full))
    for node in full:
        for n in range(4):
            kind = "guarded" if n < 2 else "plain"
            world.create(low(f"{kind}-{n}-{node}", node, labels={"app": kind}))
    create_budget(world, budget("b", {"app": "guarded"}, min_available=40))
    taint = {"key": "batch", "effect": "NoSchedule"}
    world.create(*(make_node(f"batch-{n}", taints=[taint]) for n in range(5)))
    await world.run_for(5)
    await world.start_scheduler()

    tolerations = [{"key": "batch", "operator": "Exists"}]
    world.create(*(urgent(f"urgent-{n:02}") for n in range(20)))
    world.create(*(low(f"batch-{n:02}", tolerations=tolerations) for n in range(20)))
    await world.until_bound(limit_s=60)

    assert sorted(witness.deleted) == sorted(f"plain-{n}-{node}" for node in full for n in (2, 3))
    assert set(witness.reasons.values()) == {"PreemptionByScheduler"}
    assert sorted(witness.reasons) == sorted(witness.deleted)
    bound_s: dict[str, list[float]] = defaultdict(list)
    for binding in world.bindings:
        bound_s[binding.pod.split("/")[1].split("-")[0]].append(binding.at_s)
    assert max(bound_s["batch"]) < min(bound_s["urgent"])
    world.assert_sound()
    assert_nothing_is_left(world)


async def test_what_is_told_to_the_user(world: World) -> None:
    world.create(
        make_node("node-0"), make_node("tainted", taints=[{"key": "x", "effect": "NoSchedule"}])
    )
    world.create(low("victim", "node-0", cpu="3", terminationGracePeriodSeconds=5))
    await world.run_for(3)
    await world.start_scheduler()
    world.create(urgent("urgent"))
    await world.until(lambda: bool(world.message("urgent")))

    reason, note = world.events("urgent")[0]
    assert reason == "FailedScheduling"
    assert note == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s)."
        " preemption: found a potential placement for pod on node node-0, preempting 1 victims"
    )
    assert world.pod("urgent")["status"]["nominatedNodeName"] == "node-0"
    uid = world.pod("urgent")["metadata"]["uid"]
    await world.until_bound("urgent")
    await world.run_for(5)
    assert world.events("victim") == [("Preempted", f"Preempted by pod {uid} on node node-0")]
    assert not world.pod("urgent")["status"].get("nominatedNodeName")


async def test_where_preemption_does_not_help_the_message_says_why(world: World) -> None:
    taint = {"key": "x", "effect": "NoSchedule"}
    world.create(make_node("node-0"), urgent("equal", cpu="4", nodeName="node-0"))
    world.create(*(make_node(f"tainted-{n}", taints=[taint]) for n in range(2)))
    await world.start_scheduler()
    world.create(urgent("urgent"))
    await world.until(lambda: bool(world.message("urgent")))

    assert world.message("urgent") == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s)."
        " preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod,"
        " 2 Preemption is not helpful for scheduling."
    )


async def test_with_victims_that_take_their_time_another_node_that_frees_up_is_taken(
    heedless: World,
) -> None:
    world = heedless
    world.create(make_node("slow"), make_node("busy"))
    world.create(low("victim", "slow", cpu="4", terminationGracePeriodSeconds=300))
    world.create(urgent("equal", cpu="4", nodeName="busy"))
    await world.run_for(3)
    await world.start_scheduler()
    world.create(urgent("urgent"))
    await world.run_for(30)
    assert world.pod("urgent")["status"]["nominatedNodeName"] == "slow"
    assert world.pod("victim")["metadata"]["deletionTimestamp"]
    assert "found a potential placement for pod on node slow" in world.message("urgent")

    world.delete_pod("equal", at_once=True)
    took_s = await world.until_bound("urgent")

    assert world.node_of("default/urgent") == "busy"
    assert took_s < 2
    assert world.pod("victim")["metadata"]["name"] == "victim", "still terminating"
    await world.until(lambda: "default/victim" not in world.pod_keys(), limit_s=400)
    await world.run_for(1)
    assert_nothing_is_left(world)


async def test_the_room_is_kept_for_who_made_it(heedless: World) -> None:
    world = heedless
    witness = Witness(world)
    world.create(make_node("node-0"))
    world.create(low("first", "node-0", cpu="2", terminationGracePeriodSeconds=10))
    world.create(low("second", "node-0", cpu="2", terminationGracePeriodSeconds=60))
    await world.run_for(3)
    await world.start_scheduler()
    world.create(urgent("urgent", cpu="4"))
    await world.run_for(5)
    world.create(low("thief", cpu="2"))
    await world.run_for(30)
    assert "default/first" not in world.pod_keys()
    assert world.node_of("default/thief") == ""

    await world.until_bound("urgent", limit_s=60)

    assert world.node_of("default/thief") == ""
    assert world.bindings[-1].at_s - witness.ended_s["second"] < 0.5
    assert witness.deleted == ["first", "second"]
    assert_nothing_is_left(world)


async def test_a_higher_preemptor_takes_over_and_the_lower_looks_elsewhere(heedless: World) -> None:
    world = heedless
    witness = Witness(world)
    world.create(make_node("a"))
    world.create(low("victim-a", "a", cpu="4", terminationGracePeriodSeconds=60))
    await world.run_for(3)
    await world.start_scheduler()
    world.create(urgent("middle", cpu="4", priority_class="middle"))
    await world.run_for(2)
    assert world.pod("middle")["status"]["nominatedNodeName"] == "a"
    world.create(make_node("b"))
    world.create(low("victim-b", "b", cpu="4", terminationGracePeriodSeconds=30))
    world.create(urgent("highest", cpu="4", nodeSelector={"kubernetes.io/hostname": "a"}))
    await world.until_bound("middle", "highest", limit_s=120)

    assert world.node_of("default/highest") == "a"
    assert world.node_of("default/middle") == "b"
    assert sorted(witness.deleted) == ["victim-a", "victim-b"]
    assert_nothing_is_left(world)


async def test_who_is_through_its_gate_but_for_the_room_hears_of_the_room(heedless: World) -> None:
    """Events that concern others come by in between; the one that counts is not missed."""
    world = heedless
    witness = Witness(world)
    world.create(make_node("node-0"), make_node("elsewhere"))
    world.create(low("victim", "node-0", cpu="4", terminationGracePeriodSeconds=20))
    world.create(low("unrelated", "elsewhere", cpu="1"))
    world.create(low("promised", schedulingGates=[{"name": "wait"}]))
    nominated = {"status": {"nominatedNodeName": "elsewhere"}}
    world.send("PATCH", "/api/v1/namespaces/default/pods/promised/status", nominated)
    await world.run_for(3)
    await world.start_scheduler()
    world.weather.there_s = lambda request: 3.0 if is_delete(request) else 0.0
    world.create(urgent("urgent", cpu="4", nodeSelector={"kubernetes.io/hostname": "node-0"}))
    await world.run_for(1)
    world.delete_pod("unrelated", at_once=True)
    await world.run_for(1)
    assert not witness.reasons, "the victim is still to be told"
    await world.until(lambda: "victim" in witness.reasons)

    world.delete_pod("promised", at_once=True)  # lower, so it kept no room from the urgent one
    await world.until_bound("urgent", limit_s=60)

    assert world.bindings[-1].at_s - witness.ended_s["victim"] < 15, "no longer than a backoff"
    assert_nothing_is_left(world)


def is_delete(request: Request) -> bool:
    return request.method == "DELETE" and "/pods/" in request.path


def is_condition(request: Request) -> bool:
    return request.path.endswith("/status") and b"DisruptionTarget" in request.body


@pytest.mark.parametrize("what", [is_delete, is_condition], ids=["delete", "condition"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal(403, "Forbidden", "not now"), id="403"),
        pytest.param(refusal(500, "InternalError", "etcd is away"), id="500"),
        pytest.param(refusal(429, "TooManyRequests", "later"), id="429"),
        pytest.param(refusal(409, "Conflict", "changed"), id="409"),
    ],
)
async def test_a_refused_eviction_is_tried_again(
    world: World, what: Callable[[Request], bool], answer: Callable[[Request], Response]
) -> None:
    witness = Witness(world)
    world.create(make_node("node-0"))
    world.create(*(low(f"victim-{n}", "node-0") for n in range(4)))
    await world.run_for(3)
    await world.start_scheduler()
    world.fail(what, answer, times=8)
    world.create(urgent("urgent", cpu="3"))
    await world.until_bound("urgent", limit_s=120)

    assert len(witness.deleted) == 3
    await world.run_for(30)
    world.assert_sound()
    assert_nothing_is_left(world)


async def test_a_preemptor_that_is_deleted_leaves_nothing_behind(heedless: World) -> None:
    world = heedless
    world.create(make_node("node-0"))
    world.create(low("victim", "node-0", cpu="4", terminationGracePeriodSeconds=20))
    await world.run_for(3)
    await world.start_scheduler()
    world.create(urgent("urgent"), low("waiting", cpu="2"))
    await world.run_for(5)
    world.delete_pod("urgent", at_once=True)
    await world.until_bound("waiting", limit_s=60)
    assert_nothing_is_left(world)


async def test_a_nominated_node_that_is_deleted_is_forgotten(heedless: World) -> None:
    world = heedless
    world.create(make_node("node-0"))
    world.create(low("victim", "node-0", cpu="4", terminationGracePeriodSeconds=300))
    await world.run_for(3)
    await world.start_scheduler()
    world.create(urgent("urgent"))
    await world.run_for(5)
    world.send("DELETE", "/api/v1/nodes/node-0", {})
    world.create(make_node("node-1"), low("other", "node-1", cpu="4"))
    await world.run_for(1)
    world.delete_pod("other", at_once=True)
    await world.until_bound("urgent", limit_s=400)

    assert world.node_of("default/urgent") == "node-1"
    await world.run_for(301)
    assert_nothing_is_left(world)


class WaitsForever(fwk.PermitPlugin, fwk.Plugin[fwk.NoArgs]):
    """Holds pods of low priority back."""

    def permit(
        self, state: fwk.CycleState, pod: Pod, node_name: str
    ) -> tuple[fwk.Status | None, float]:
        return (None, 0.0) if pod.priority else (fwk.wait(), HOUR_S)


async def test_a_victim_that_waits_at_permit_is_taken_back_and_lives(world: World) -> None:
    witness = Witness(world)
    world.create(make_node("node-0"))
    scheduler = await world.start_scheduler(registry=registry_with(WaitsForever))
    world.create(low("waiting", cpu="4"))
    await world.until(lambda: scheduler.assembly.cache.assumed_count == 1)

    world.create(urgent("urgent"))
    took_s = await world.until_bound("urgent")

    assert took_s < 2
    assert witness.deleted == []
    assert world.node_of("default/waiting") == ""
    assert world.events("waiting")[0][1].endswith("on node node-0 (in kube-scheduler memory).")
    await world.run_for(30)
    assert scheduler.assembly.cache.assumed_count == 0
    assert_nothing_is_left(world)


async def test_preemption_is_counted_under_kube_schedulers_names(world: World) -> None:
    world.create(make_node("node-0"))
    world.create(*(low(f"victim-{n}", "node-0", labels={"app": "x"}) for n in range(4)))
    create_budget(world, budget("b", {"app": "x"}, min_available=3))
    await world.run_for(3)
    scheduler = await world.start_scheduler(registry=in_tree_registry())
    world.create(urgent("urgent", cpu="3"))
    await world.until_bound("urgent")

    metrics = scheduler.metrics
    assert metrics.preemption_attempts.value >= 1
    assert metrics.preemption_victims.count == 1
    assert metrics.preemption_pdb_violations.labels("pod").value == 2
    assert metrics.preemption_evaluation_duration.labels("pod", "Success").count == 1
    assert metrics.preemption_execution_duration.labels("pod", "success").count == 1
    assert metrics.preemption_goroutines_executed.labels("success").value == 1
