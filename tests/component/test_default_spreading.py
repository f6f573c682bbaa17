"""Pods without constraints are spread with the pods of their Service, as the watch tells of it."""

from __future__ import annotations

from collections import Counter

import pytest

from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.world import World

LABELS = {"app": "web"}
#: Alone it would take all of them: there is so much room that a pod hardly shows.
LARGE = make_node("large", cpu="1k", memory="4000Gi")
SMALL = make_node("small", cpu="8", memory="32Gi")
SERVICE: JsonObject = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"clusterIP": "None", "selector": LABELS},
}


@pytest.mark.parametrize(
    ("has_service", "expected"),
    [
        pytest.param(True, {"large": 3, "small": 3}, id="service"),
        pytest.param(False, {"large": 6}, id="no-service"),
    ],
)
async def test_a_services_pods_are_spread_over_nodes(
    world: World, has_service: bool, expected: dict[str, int]
) -> None:
    world.create(LARGE, SMALL)
    if has_service:
        world.send("POST", "/api/v1/namespaces/default/services", SERVICE)
    await world.start_scheduler()
    world.create(*(make_pod(f"web-{i}", cpu="1", labels=LABELS) for i in range(6)))

    await world.run_for(5)

    placed = Counter(world.pod(f"web-{i}")["spec"].get("nodeName") for i in range(6))
    assert placed == expected
