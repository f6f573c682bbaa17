from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from pyscheduler.sim.embedded_cluster import EmbeddedCluster
from pyscheduler.sim.exchange import Request
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.served_kinds import DISRUPTION_BUDGETS
from pyscheduler.sim.virtual_clock import VirtualClock
from pyscheduler.sim.workload import make_node, make_pod

WEB = {"matchLabels": {"app": "web"}}


class Disrupted:
    """A cluster of four running pods labelled app=web."""

    def __init__(self, cluster: EmbeddedCluster, clock: VirtualClock) -> None:
        self.cluster = cluster
        self.clock = clock

    async def budget(self, **spec: Any) -> JsonObject:
        """The status of a new budget, once the controller has seen it."""
        body = {"metadata": {"name": "budget"}, "spec": {"selector": WEB, **spec}}
        self.cluster.create(body, kind=DISRUPTION_BUDGETS)
        return await self.status()

    async def status(self) -> JsonObject:
        await self.clock.settle()
        stored = self.cluster.store.get(DISRUPTION_BUDGETS.collection, "default/budget")
        assert stored is not None
        status: JsonObject = stored.data["status"]
        return status

    def send(self, method: str, path: str, body: JsonObject) -> None:
        encoded = msgspec.json.encode(body)
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self.cluster.server.handle(
            Request(method, f"/api/v1/namespaces/default{path}", body=encoded, content_type=kind)
        )


@pytest_asyncio.fixture
async def disrupted() -> AsyncIterator[Disrupted]:
    clock = VirtualClock()
    async with EmbeddedCluster(clock=clock, stop_delay_s=None) as cluster:
        cluster.create_node(make_node("n"))
        pods = [make_pod(f"web-{n}", labels={"app": "web"}, nodeName="n") for n in range(4)]
        cluster.create_pods([*pods, make_pod("other", labels={"app": "db"}, nodeName="n")])
        await clock.run_for(1)
        yield Disrupted(cluster, clock)


@pytest.mark.parametrize(
    ("spec", "desired", "allowed"),
    [
        pytest.param({"minAvailable": 3}, 3, 1, id="least"),
        pytest.param({"minAvailable": 9}, 9, 0, id="more than there are"),
        pytest.param({"minAvailable": "60%"}, 3, 1, id="least in percent is rounded up"),
        pytest.param({"maxUnavailable": 3}, 1, 3, id="most"),
        pytest.param({"maxUnavailable": "30%"}, 2, 2, id="most in percent is rounded up"),
        pytest.param({}, 0, 0, id="no bound allows nothing"),
    ],
)
async def test_bounds(disrupted: Disrupted, spec: JsonObject, desired: int, allowed: int) -> None:
    status = await disrupted.budget(**spec)

    assert (status["expectedPods"], status["currentHealthy"]) == (4, 4)
    assert (status["desiredHealthy"], status["disruptionsAllowed"]) == (desired, allowed)
    assert status["observedGeneration"] == 1
    assert status["conditions"][0]["status"] == ("True" if allowed else "False")


@pytest.mark.parametrize(
    ("selector", "covered"),
    [
        pytest.param(None, 0, id="none"),
        pytest.param({}, 5, id="empty"),
        pytest.param(
            {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}, 1, id="in"
        ),
        pytest.param(
            {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]},
            4,
            id="not in",
        ),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, 5, id="exists"),
        pytest.param(
            {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, 0, id="absent"
        ),
    ],
)
async def test_which_pods_are_covered(
    disrupted: Disrupted, selector: JsonObject | None, covered: int
) -> None:
    status = await disrupted.budget(selector=selector, minAvailable=1)

    assert status["expectedPods"] == covered


async def test_a_pod_that_goes_away_counts_no_more_at_once(disrupted: Disrupted) -> None:
    await disrupted.budget(minAvailable=2)

    disrupted.send("DELETE", "/pods/web-0", {})

    status = await disrupted.status()
    assert (status["currentHealthy"], status["disruptionsAllowed"]) == (3, 1)


async def test_a_pod_that_is_not_ready_is_expected_but_not_healthy(disrupted: Disrupted) -> None:
    await disrupted.budget(maxUnavailable=1)

    not_ready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    disrupted.send("PATCH", "/pods/web-0/status", not_ready)

    status = await disrupted.status()
    assert (status["expectedPods"], status["currentHealthy"]) == (4, 3)
    assert status["disruptionsAllowed"] == 0


async def test_relabelled_and_new_pods_are_counted(disrupted: Disrupted) -> None:
    await disrupted.budget(minAvailable=1)

    disrupted.send("PATCH", "/pods/other", {"metadata": {"labels": {"app": "web"}}})
    disrupted.send("PATCH", "/pods/web-0", {"metadata": {"labels": {"app": "db"}}})
    disrupted.cluster.create_pods([make_pod("web-9", labels={"app": "web"}, nodeName="n")])

    await disrupted.clock.run_for(1)
    status = await disrupted.status()
    assert (status["expectedPods"], status["currentHealthy"]) == (5, 5)


async def test_a_budget_that_changes_is_counted_anew_and_one_that_goes_is_left(
    disrupted: Disrupted,
) -> None:
    await disrupted.budget(minAvailable=1)
    path = f"{DISRUPTION_BUDGETS.root}/namespaces/default/poddisruptionbudgets/budget"
    body = msgspec.json.encode({"spec": {"minAvailable": 4}})
    patch = Request("PATCH", path, body=body, content_type="application/merge-patch+json")
    disrupted.cluster.server.handle(patch)
    changed = await disrupted.status()

    disrupted.cluster.server.handle(Request("DELETE", path))
    disrupted.send("DELETE", "/pods/web-0", {})
    await disrupted.clock.settle()

    assert (changed["disruptionsAllowed"], changed["observedGeneration"]) == (0, 2)
    assert not disrupted.cluster.store.collection(DISRUPTION_BUDGETS.collection).objects
