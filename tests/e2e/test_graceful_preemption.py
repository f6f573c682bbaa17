"""Preemption of containers that take their grace, on workers that are full.

The victim ignores SIGTERM, so its kubelet lets it run until its grace is over. Meanwhile the
preemptor has a nomination and no node, and nobody of lower priority takes the room.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal

import pytest
import pytest_asyncio

from tests.controlplane.api_client import Manifest
from tests.e2e import sleepers
from tests.e2e.providers.base import Provider, eventually
from tests.e2e.watch_recorder import WatchRecord, recording

pytestmark = pytest.mark.needs("real_containers", "real_kubelets", "disposable")

GRACE_S = 20
#: Seconds by which a kubelet may be late: two containers end and one starts on a busy machine.
LATENESS_S = 40
#: Times in the API are cut to seconds.
ROUNDING_S = 1

IGNORES_SIGTERM = ("sh", "-c", "trap '' TERM; exec sleep infinity")

#: Memory that a victim leaves: room for `SMALL`, not for a preemptor.
MUCH, LITTLE, SMALL = (Decimal(mib * 2**20) for mib in (200, 50, 100))

PRIORITIES = {"ordinary": 100, "urgent": 1000}
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


@pytest_asyncio.fixture(loop_scope="session")
async def workers(provider: Provider) -> AsyncIterator[list[tuple[str, Decimal]]]:
    """The workers' names and free memory, the fullest first; scheduler and priorities are there."""
    await provider.deploy()
    for name, value in PRIORITIES.items():
        await provider.api.create(CLASSES, _priority_class(name, value))
    yield await _free_memory(provider)
    for name in PRIORITIES:
        await provider.api.delete(f"{CLASSES}/{name}")
    await provider.api.delete_collection(_budgets(provider))


async def test_the_victim_without_a_budget_goes_and_has_its_grace(
    provider: Provider, workers: list[tuple[str, Decimal]]
) -> None:
    (fullest, least), (other, more) = workers
    async with recording(provider.api) as record:
        # without its budget the protected one would be the victim: its priority is lower
        guarded = _on(other, _occupant(provider, "guarded", more - LITTLE))
        await _run(provider, _guard(guarded))
        await _run(provider, _on(fullest, _occupant(provider, "victim", least - MUCH, "ordinary")))
        await _protect(provider)

        await sleepers.create(provider, _urgent(provider, least - LITTLE))
        await _nominated(provider, fullest)
        # fits beside the victim, and not beside the preemptor
        small = sleepers.pod(provider, "small", requests={"memory": str(SMALL)})
        await sleepers.create(provider, small)
        await sleepers.waits_saying(provider, "small")
        await _has_run_its_grace(provider, record, "victim")

        assert await sleepers.running_on(provider, "urgent") == fullest
        assert await sleepers.running_on(provider, "guarded") == other
        assert not any(_is_marked(pod) for pod in _lives(record, "guarded"))
        assert not any(pod["spec"].get("nodeName") for pod in _lives(record, "small"))


async def test_a_budget_is_broken_where_nothing_else_helps(
    provider: Provider, workers: list[tuple[str, Decimal]]
) -> None:
    (fullest, least), (other, more) = workers
    async with recording(provider.api) as record:
        await _run(provider, _guard(_on(fullest, _occupant(provider, "guarded", least - MUCH))))
        # as urgent as the preemptor: nobody's victim
        await _run(provider, _on(other, _occupant(provider, "equal", more - LITTLE, "urgent")))
        await _protect(provider)

        await sleepers.create(provider, _urgent(provider, least - LITTLE))
        await _nominated(provider, fullest)
        await _has_run_its_grace(provider, record, "guarded")

        assert await sleepers.running_on(provider, "urgent") == fullest
        assert await sleepers.running_on(provider, "equal") == other


# --- what is there -------------------------------------------------------------------------------


async def _free_memory(provider: Provider) -> list[tuple[str, Decimal]]:
    free = [
        (node["metadata"]["name"], await sleepers.free(provider, node, "memory"))
        for node in await provider.workers()
    ]
    return sorted(free, key=lambda each: each[1])


def _occupant(
    provider: Provider, name: str, memory: Decimal, priority_class: str | None = None
) -> Manifest:
    """Returns a pod that takes so much of a node, and its time to go."""
    requests = {"memory": f"{memory:.0f}"}
    pod = sleepers.pod(provider, name, requests=requests, command=IGNORES_SIGTERM)
    pod["spec"]["terminationGracePeriodSeconds"] = GRACE_S
    if priority_class:
        pod["spec"]["priorityClassName"] = priority_class
    return pod


def _urgent(provider: Provider, memory: Decimal) -> Manifest:
    pod = _occupant(provider, "urgent", memory, "urgent")
    pod["spec"]["terminationGracePeriodSeconds"] = 0
    return pod


def _on(node: str, pod: Manifest) -> Manifest:
    pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    return pod


def _guard(pod: Manifest) -> Manifest:
    pod["metadata"]["labels"] = {"app": "guarded"}
    return pod


async def _run(provider: Provider, pod: Manifest) -> None:
    await sleepers.create(provider, pod)
    await sleepers.running_on(provider, pod["metadata"]["name"])


async def _protect(provider: Provider) -> None:
    """The guarded pod has a budget, which its controller says is used up."""
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "guard"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
    }
    path = _budgets(provider)
    await provider.api.create(path, budget)

    async def used_up() -> bool:
        status = (await provider.api.get(f"{path}/guard")).get("status", {})
        return (status.get("currentHealthy"), status.get("disruptionsAllowed")) == (1, 0)

    await eventually(used_up, what="the budget to allow no disruption", interval_s=0.5)


def _priority_class(name: str, value: int) -> Manifest:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
    }


def _budgets(provider: Provider) -> str:
    return f"/apis/policy/v1/namespaces/{provider.test_namespace}/poddisruptionbudgets"


# --- what becomes of it --------------------------------------------------------------------------


async def _nominated(provider: Provider, node: str) -> None:
    """The preemptor's status names that node, to which it is not bound."""
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods/urgent"

    async def named() -> Manifest | None:
        pod = await provider.api.get(path)
        return pod if pod["status"].get("nominatedNodeName") else None

    pod = await eventually(named, what="the preemptor's nomination")
    assert pod["status"]["nominatedNodeName"] == node
    assert "nodeName" not in pod["spec"]


async def _has_run_its_grace(provider: Provider, record: WatchRecord, name: str) -> None:
    """The victim's containers have ended, and all of it happened in its order.

    It was marked before it was deleted, ran until its grace was over, and only then the preemptor
    got the node for which it was nominated.
    """

    async def bound() -> bool:
        return any(pod["spec"].get("nodeName") for pod in _lives(record, "urgent"))

    what = "the preemptor to be bound"
    await eventually(bound, what=what, timeout_s=GRACE_S + LATENESS_S, interval_s=0.5)
    lives = _lives(record, name)
    marked = next(pod for pod in lives if _is_marked(pod))
    assert "deletionTimestamp" not in marked["metadata"]
    assert marked["status"]["phase"] == "Running"
    told = next(pod["metadata"] for pod in lives if "deletionTimestamp" in pod["metadata"])
    assert told["deletionGracePeriodSeconds"] == GRACE_S
    events = [(event.object["metadata"]["name"], event) for event in record]
    over = next(i for i, (pod, event) in enumerate(events) if pod == name and not event.is_live)
    (container,) = events[over][1].object["status"]["containerStatuses"]
    ended = container["state"]["terminated"]
    assert ended["exitCode"] == 137, "it heard SIGTERM and went on"
    assert _seconds(ended["finishedAt"]) >= _seconds(told["deletionTimestamp"]) - ROUNDING_S
    first_bound = next(
        index
        for index, (pod, event) in enumerate(events)
        if pod == "urgent" and event.object["spec"].get("nodeName")
    )
    assert over < first_bound


def _lives(record: WatchRecord, name: str) -> list[Manifest]:
    """Returns what the watch told of the pod, in its order."""
    return [event.object for event in record if event.object["metadata"]["name"] == name]


def _is_marked(pod: Manifest) -> bool:
    return any(
        (condition["type"], condition["status"], condition.get("reason"))
        == ("DisruptionTarget", "True", "PreemptionByScheduler")
        for condition in pod["status"].get("conditions", [])
    )


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
