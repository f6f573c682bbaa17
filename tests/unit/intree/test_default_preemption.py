"""DefaultPreemption: what it makes of the library's answers."""

from __future__ import annotations

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.status import PostFilterResult
from pyscheduler.intree.default_preemption import DefaultPreemption
from pyscheduler.preemption.dry_run import CHUNK
from pyscheduler.testing import fake_handle, make_node, make_plugin, make_pod
from pyscheduler.testing.fakes import FakeTasks
from tests.unit.preemption.stage import Stage, make_preemptor


def full_node() -> Stage:
    node = make_node("n0").capacity({"cpu": "4"}).obj()
    return Stage([node], [make_pod("low").node("n0").req({"cpu": "4"}).obj()])


async def post_filter(
    stage: Stage, plugin: DefaultPreemption, pod: Pod
) -> tuple[PostFilterResult | None, fwk.Status]:
    stage.add(pod)
    found = await stage.search(pod)
    return await plugin.post_filter(found.state, pod, found.statuses)


async def test_a_pod_is_nominated_and_its_condition_says_what_is_under_way() -> None:
    stage = full_node()
    plugin = make_plugin(DefaultPreemption, handle=stage.handle)

    result, status = await post_filter(stage, plugin, make_preemptor(cpu="1").obj())

    assert result == PostFilterResult("n0")
    assert status.is_success
    assert status.message == (
        "preemption: found a potential placement for pod on node n0, preempting 1 victims"
    )


async def test_a_pod_that_cannot_be_helped_is_told_so_and_loses_its_nomination() -> None:
    stage = full_node()
    plugin = make_plugin(DefaultPreemption, handle=stage.handle)

    result, status = await post_filter(stage, plugin, make_preemptor(cpu="1", priority=0).obj())

    assert result == PostFilterResult("")
    assert status.code is fwk.Code.UNSCHEDULABLE
    assert status.message == (
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


async def test_a_preemptor_is_gated_while_its_victims_are_told_and_nobody_else_is() -> None:
    stage = full_node()
    plugin = make_plugin(DefaultPreemption, handle=stage.handle)
    pod = make_preemptor(cpu="1").obj()
    assert plugin.pre_enqueue(pod) is None

    await post_filter(stage, plugin, pod)

    assert plugin.pre_enqueue(pod) == fwk.unresolvable(
        "waiting for the preemption for this pod to be finished"
    )
    assert plugin.pre_enqueue(make_preemptor("other", cpu="1").obj()) is None
    stage.tasks.begin()
    await stage.settle()
    assert plugin.pre_enqueue(pod) is None
    await stage.tasks.end()


@pytest.mark.parametrize(
    ("absolute", "tried"), [(1, CHUNK), (CHUNK + 1, 2 * CHUNK)], ids=["few", "more"]
)
async def test_its_arguments_say_how_many_candidates_are_enough(absolute: int, tried: int) -> None:
    nodes = [make_node(f"n{i:03}").capacity({"cpu": "4"}).obj() for i in range(200)]
    pods = [
        make_pod(f"p{i:03}").node(f"n{i:03}").req({"cpu": "4"}).priority(200 - i).obj()
        for i in range(200)
    ]
    stage = Stage(nodes, pods)
    args = {"minCandidateNodesPercentage": 0, "minCandidateNodesAbsolute": absolute}
    plugin = make_plugin(DefaultPreemption, args, handle=stage.handle)

    result, _ = await post_filter(stage, plugin, make_preemptor(cpu="1", priority=999).obj())

    # the later the node the lower its victim's priority: the last one tried is the best
    assert result == PostFilterResult(f"n{tried - 1:03}")


def test_the_end_of_a_pod_is_news_but_whether_it_helps_others_must_say() -> None:
    plugin = make_plugin(DefaultPreemption, handle=fake_handle())
    victim = make_pod("victim").node("n0").obj()

    (known,) = plugin.events_to_register()

    assert known.event == fwk.ASSIGNED_POD_DELETED
    assert known.hint is not None
    assert known.hint(make_preemptor(cpu="1").obj(), victim, None) is fwk.QueueingHint.SKIP


def test_it_runs_in_the_background_from_the_start_of_scheduling_on() -> None:
    tasks = FakeTasks()

    make_plugin(DefaultPreemption, handle=fake_handle(tasks=tasks))

    assert list(tasks.started) == ["DefaultPreemption: preemption"]
