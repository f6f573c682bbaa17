"""Configurations that kube-scheduler's documentation shows, at work: it happens what they say."""

from __future__ import annotations

from typing import Final

import pytest

from pyscheduler.sim.workload import make_node, make_pod
from tests.component.world import World

HEADER: Final = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
"""
GPU: Final = "example.com/gpu"


def with_resources(name: str, **resources: str) -> dict[str, object]:
    """A pod with an extended resource, which Kubernetes wants as a limit too."""
    pod = make_pod(name)
    (container,) = pod["spec"]["containers"]
    container["resources"] = {"requests": dict(resources), "limits": dict(resources)}
    return pod


def half_full(world: World) -> None:
    """Two nodes, of which ``busy`` has pods and ``idle`` none."""
    world.create(
        make_node("busy"),
        make_node("idle"),
        make_pod("old", cpu="2", memory="8Gi", scheduler_name="", nodeName="busy"),
    )


@pytest.mark.parametrize(
    ("strategy", "node"),
    [
        pytest.param("{type: LeastAllocated}", "idle", id="spreading"),
        pytest.param("{type: MostAllocated}", "busy", id="packing"),
        pytest.param(
            "{type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: "
            "[{utilization: 0, score: 0}, {utilization: 100, score: 10}]}}",
            "busy",
            id="ratio that packs",
        ),
        pytest.param(
            "{type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: "
            "[{utilization: 0, score: 10}, {utilization: 100, score: 0}]}}",
            "idle",
            id="ratio that spreads",
        ),
    ],
)
async def test_the_scoring_strategy_decides(world: World, strategy: str, node: str) -> None:
    half_full(world)
    await world.start_scheduler(
        configuration=f"{HEADER}"
        f"""\
profiles:
- plugins:
    score: {{disabled: [{{name: '*'}}], enabled: [{{name: NodeResourcesFit}}]}}
  pluginConfig:
  - name: NodeResourcesFit
    args: {{scoringStrategy: {strategy}}}
"""
    )
    world.create(make_pod("new", cpu="1", memory="4Gi"))

    await world.until_bound("new")

    assert world.bound_to("new") == [node]


async def test_profiles_decide_about_their_own_pods(world: World) -> None:
    half_full(world)
    await world.start_scheduler(
        configuration=HEADER
        + """\
profiles:
- schedulerName: spreading
- schedulerName: packing
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated}}
  plugins:
    multiPoint:
      disabled: [{name: NodeResourcesBalancedAllocation}]
"""
    )
    world.create(
        make_pod("spread", scheduler_name="spreading"),
        make_pod("packed", scheduler_name="packing"),
        make_pod("unclaimed", scheduler_name="pyscheduler"),
    )

    await world.until_bound("spread", "packed")

    assert (world.bound_to("spread"), world.bound_to("packed")) == (["idle"], ["busy"])
    assert world.bound_to("unclaimed") == []


async def test_added_affinity_binds_every_pod_of_its_profile(world: World) -> None:
    world.create(make_node("any"), make_node("pooled", labels={"pool": "batch"}))
    await world.start_scheduler(
        configuration=HEADER
        + """\
profiles:
- schedulerName: pyscheduler
- schedulerName: batch
  pluginConfig:
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
          - matchExpressions:
            - {key: pool, operator: In, values: [batch]}
"""
    )
    names = [f"job-{number}" for number in range(4)]
    world.create(*(make_pod(name, scheduler_name="batch") for name in names))

    await world.until_bound(*names)

    assert [world.bound_to(name) for name in names] == [["pooled"]] * 4


async def test_without_filters_a_taint_keeps_nobody_away(world: World) -> None:
    taint = {"key": "dedicated", "value": "batch", "effect": "NoSchedule"}
    world.create(make_node("tainted", taints=[taint]))
    await world.start_scheduler(
        configuration=HEADER
        + """\
profiles:
- schedulerName: careful
- schedulerName: careless
  plugins:
    filter:
      disabled: [{name: '*'}]
      enabled: [{name: NodeResourcesFit}]
"""
    )
    world.create(
        make_pod("kept", scheduler_name="careful"), make_pod("let", scheduler_name="careless")
    )

    await world.until_bound("let")
    await world.run_for(5)

    assert world.bound_to("kept") == []
    assert "1 node(s) had untolerated taint(s)." in world.message("kept")


async def test_a_weight_at_its_point_outweighs_the_others(world: World) -> None:
    half_full(world)
    world.patch_node("busy", {"metadata": {"labels": {"liked": "yes"}}})
    await world.start_scheduler(
        configuration=HEADER
        + """\
profiles:
- schedulerName: pyscheduler
- schedulerName: wilful
  plugins: {score: {enabled: [{name: NodeAffinity, weight: 100}]}}
"""
    )
    term = {"matchExpressions": [{"key": "liked", "operator": "Exists"}]}
    affinity = {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term}]
        }
    }
    world.create(make_pod("wilful", scheduler_name="wilful", affinity=affinity))

    await world.until_bound("wilful")

    assert world.bound_to("wilful") == ["busy"]


async def test_an_ignored_resource_is_not_counted(world: World) -> None:
    world.create(make_node("node-1"))
    await world.start_scheduler(
        configuration=HEADER
        + """\
profiles:
- pluginConfig:
  - name: NodeResourcesFit
    args: {ignoredResources: [example.com/gpu]}
"""
    )
    world.create(with_resources("ignored", **{GPU: "1"}), with_resources("asked", **{"a.b/c": "1"}))

    await world.until_bound("ignored")
    await world.run_for(5)

    assert "1 Insufficient a.b/c." in world.message("asked")
