"""Pods that are bound, wait, are woken by what helps them, and end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.world import World

TAINT = {"key": "dedicated", "value": "batch", "effect": "NoSchedule"}


async def test_a_pod_is_bound_runs_and_goes(world: World) -> None:
    world.create(make_node("node-1"), make_pod("web"))
    scheduler = await world.start_scheduler()

    await world.until(lambda: world.pod("web")["status"]["phase"] == "Running")
    assert world.bound_to("web") == ["node-1"]
    assert world.events("web") == [("Scheduled", "Successfully assigned default/web to node-1")]
    assert world.message("web") == ""

    world.delete_pod("web")
    await world.until(lambda: not world.pod_keys())
    await world.run_for(1)
    assert scheduler.assembly.cache.pod_count == 0
    assert scheduler.assembly.queue.counts().pending == 0


async def test_pods_before_and_after_the_start_are_bound_alike(world: World) -> None:
    world.create(*(make_node(f"node-{n}") for n in range(3)), make_pod("before"))
    await world.start_scheduler()
    world.create(make_pod("after"))

    await world.until_bound("before", "after")
    world.assert_sound()


async def test_pods_of_other_schedulers_are_left_alone_but_take_room(world: World) -> None:
    world.create(
        make_node("small", cpu="1"),
        make_pod("theirs", cpu="800m", scheduler_name="default-scheduler"),
        make_pod("static", cpu="100m", scheduler_name="", nodeName="small"),
    )
    await world.start_scheduler()
    await world.run_for(30)
    assert world.node_of("default/theirs") == ""

    world.bind_elsewhere("theirs", "small")
    world.create(make_pod("ours", cpu="200m"))
    await world.run_for(1)
    assert world.message("ours") == (
        "0/1 nodes are available: 1 Insufficient cpu."
        " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
    world.assert_sound()


async def test_higher_priority_goes_first(world: World) -> None:
    world.create(make_node("node-1"), *(make_pod(f"low-{n}", cpu="100m") for n in range(5)))
    world.send(
        "POST",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        {"metadata": {"name": "high"}, "value": 1000},
    )
    world.create(make_pod("high", priorityClassName="high"))
    await world.start_scheduler()

    await world.until_bound()
    assert world.bindings[0].pod == "default/high"


async def test_spreads_over_nodes_as_least_allocated_asks(world: World) -> None:
    world.create(
        *(make_node(f"node-{n}") for n in range(4)),
        *(make_pod(f"web-{n}", cpu="1", memory="4Gi") for n in range(8)),
    )
    await world.start_scheduler()

    await world.until_bound()
    nodes = [binding.node for binding in world.bindings]
    assert {node: nodes.count(node) for node in nodes} == {f"node-{n}": 2 for n in range(4)}


async def test_web_app_story(world: World) -> None:
    nodes = [make_node(f"node-{n}", cpu="940m", memory="2701500Ki") for n in range(3)]
    running = [
        make_pod(f"running-{n}", cpu="150m", memory="1536Mi", nodeName=f"node-{n}")
        for n in range(3)
    ]
    world.create(*nodes, *running)
    await world.start_scheduler()
    world.create(make_pod("web-app", cpu="300m", memory="1536Mi"))
    await world.until(lambda: bool(world.message("web-app")))
    await world.run_for(60)

    waits = "0/3 nodes are available: 3 Insufficient memory."
    assert world.message("web-app").startswith(waits)
    assert world.events("web-app")[0][0] == "FailedScheduling"
    assert world.events("web-app")[0][1].startswith(waits)
    assert world.attempts("web-app") == 1

    world.create(make_node("node-large", cpu="4", memory="8Gi"))
    took_s = await world.until_bound("web-app")
    assert world.node_of("default/web-app") == "node-large"
    assert took_s < 0.1
    assert [reason for reason, _ in world.events("web-app")] == ["FailedScheduling", "Scheduled"]
    world.assert_sound()


def _cordon(world: World, *, value: bool) -> None:
    world.patch_node("node-1", {"spec": {"unschedulable": value}})


WAKING: dict[str, tuple[JsonObject, JsonObject, str, Callable[[World], None]]] = {
    "node added": (
        make_node("node-1", cpu="1"),
        make_pod("waiter", cpu="2"),
        "1 Insufficient cpu",
        lambda world: world.create(make_node("node-2")),
    ),
    "node grows": (
        make_node("node-1", cpu="1"),
        make_pod("waiter", cpu="2"),
        "1 Insufficient cpu",
        lambda world: world.patch_node(
            "node-1", {"status": {"allocatable": {"cpu": "8"}}}, status=True
        ),
    ),
    "node is labelled": (
        make_node("node-1"),
        make_pod("waiter", nodeSelector={"disk": "ssd"}),
        "1 node(s) didn't match Pod's node affinity/selector",
        lambda world: world.patch_node("node-1", {"metadata": {"labels": {"disk": "ssd"}}}),
    ),
    "taint goes": (
        make_node("node-1", taints=[TAINT]),
        make_pod("waiter"),
        "1 node(s) had untolerated taint(s)",
        lambda world: world.patch_node("node-1", {"spec": {"taints": None}}),
    ),
    "node is uncordoned": (
        {**make_node("node-1"), "spec": {"unschedulable": True}},
        make_pod("waiter"),
        "1 node(s) were unschedulable",
        lambda world: _cordon(world, value=False),
    ),
    "gate is lifted": (
        make_node("node-1"),
        make_pod("waiter", schedulingGates=[{"name": "example.com/approval"}]),
        "Scheduling is blocked due to non-empty scheduling gates",
        lambda world: world.patch_pod("waiter", {"spec": {"schedulingGates": []}}),
    ),
}


@pytest.mark.parametrize(("node", "pod", "reason", "event"), WAKING.values(), ids=WAKING)
async def test_what_helps_a_waiting_pod_wakes_it_at_once(
    world: World,
    node: JsonObject,
    pod: JsonObject,
    reason: str,
    event: Callable[[World], None],
) -> None:
    world.create(node)
    await world.start_scheduler()
    world.create(pod)
    await world.run_for(30)
    assert reason in world.message("waiter")

    event(world)
    assert await world.until_bound("waiter") < 0.1


async def test_a_pod_that_ends_makes_room_for_one_that_waits(world: World) -> None:
    world.create(make_node("node-1", cpu="1"), make_pod("first", cpu="800m"))
    await world.start_scheduler()
    await world.until_bound("first")
    world.create(make_pod("second", cpu="800m"))
    await world.run_for(30)
    assert world.node_of("default/second") == ""

    world.delete_pod("first")
    # The pod's own second to stop, and none after that.
    assert await world.until_bound("second") < 1.1
    world.assert_sound()


async def test_a_host_port_is_held_until_its_pod_is_gone(world: World) -> None:
    def edge(name: str) -> JsonObject:
        pod = make_pod(name)
        pod["spec"]["containers"][0]["ports"] = [{"containerPort": 443, "hostPort": 443}]
        return pod

    world.create(make_node("node-1"), edge("first"))
    await world.start_scheduler()
    await world.until_bound("first")
    world.create(edge("second"))
    await world.run_for(30)
    assert "1 node(s) didn't have free ports" in world.message("second")

    world.delete_pod("first", at_once=True)
    assert await world.until_bound("second") < 0.1


UNRELATED: dict[str, Callable[[World], None]] = {
    "a node that is too small": lambda world: world.create(make_node("tiny", cpu="500m")),
    "a label": lambda world: world.patch_node("node-1", {"metadata": {"labels": {"a": "b"}}}),
    "a pod of another scheduler": lambda world: world.create(
        make_pod("theirs", scheduler_name="default-scheduler")
    ),
}


@pytest.mark.parametrize("event", UNRELATED.values(), ids=UNRELATED)
async def test_what_does_not_help_wakes_nobody(
    world: World, event: Callable[[World], None]
) -> None:
    world.create(make_node("node-1", cpu="1"))
    await world.start_scheduler()
    world.create(make_pod("waiter", cpu="2"))
    await world.run_for(30)

    event(world)
    await world.run_for(30)
    assert world.attempts("waiter") == 1


async def test_a_pod_nobody_wakes_is_tried_again_after_five_minutes(world: World) -> None:
    world.create(make_node("node-1", cpu="1"))
    await world.start_scheduler()
    world.create(make_pod("waiter", cpu="2"))
    await world.run_for(299)
    assert world.attempts("waiter") == 1

    await world.run_for(2)
    assert world.attempts("waiter") == 2


async def test_a_pod_woken_in_vain_waits_for_the_new_reason_too(world: World) -> None:
    world.create(make_node("node-1", cpu="1"))
    await world.start_scheduler()
    world.create(make_pod("waiter", cpu="2"))
    await world.run_for(30)
    world.create(make_node("node-2", taints=[TAINT]))
    await world.run_for(30)
    assert world.attempts("waiter") == 2
    assert "1 node(s) had untolerated taint(s)" in world.message("waiter")

    world.patch_node("node-2", {"spec": {"taints": None}})
    assert await world.until_bound("waiter") < 0.1


async def test_a_pod_made_again_under_its_name_is_another_pod(world: World) -> None:
    world.create(make_node("node-1", cpu="1"))
    await world.start_scheduler()
    world.create(make_pod("web", cpu="2"))
    await world.run_for(1)
    world.delete_pod("web")
    world.create(make_pod("web", cpu="500m"))

    assert await world.until_bound("web") < 0.1
    assert world.bound_to("web") == ["node-1"]


async def test_without_nodes_pods_wait_for_the_first_one(world: World) -> None:
    await world.start_scheduler()
    world.create(make_pod("web"))
    await world.run_for(10)
    assert "no nodes available to schedule pods" in world.message("web")

    world.create(make_node("node-1"))
    await world.until_bound("web", limit_s=15)


async def test_a_drained_node_gives_its_pods_room_elsewhere(world: World) -> None:
    world.create(*(make_node(f"node-{n}") for n in (1, 2)))
    world.create(*(make_pod(f"web-{n}") for n in range(6)))
    await world.start_scheduler()
    await world.until_bound()

    _cordon(world, value=True)
    for binding in [b for b in world.bindings if b.node == "node-1"]:
        world.delete_pod(binding.pod.partition("/")[2])
    world.create(*(make_pod(f"again-{n}") for n in range(3)))
    await world.until_bound(*(f"again-{n}" for n in range(3)))
    assert {world.node_of(f"default/again-{n}") for n in range(3)} == {"node-2"}
