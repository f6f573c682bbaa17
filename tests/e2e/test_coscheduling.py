"""Two gangs compete for a cluster that has room for one: each is bound whole, one after the other.

The example plugin `plugins/coscheduling` with its custom resource and the operator that keeps the
groups' status, all deployed by `manifests/overlays/coscheduling`.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.controlplane.api_client import Manifest
from tests.e2e import sleepers
from tests.e2e.providers.base import MANIFESTS, Capability, Provider, Release, eventually

RELEASE = Release(overlay=MANIFESTS / "overlays" / "coscheduling")
LABEL = "scheduling.x-k8s.io/pod-group"
GROUPS = "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/{}/podgroups"
#: Members of a gang, and how many of the cluster's places two of them would need.
MEMBERS = 3

#: Seconds for an image to start, or for those that waited to be tried again after their backoff.
TIMEOUT_S = 120


@pytest.mark.needs("disposable", "drain_nodes")
async def test_two_gangs_are_bound_one_after_the_other(provider: Provider) -> None:
    if Capability.FAKE_NODES in provider.capabilities:
        await provider.create_nodes(2, allocatable={"cpu": "2"})
    await provider.deploy(RELEASE)
    request = await _share_of_a_node(provider)
    groups = GROUPS.format(provider.test_namespace)
    try:
        for gang in ("red", "blue"):
            await _create_group(provider, gang)
        # in turns, so that each could hold half of the cluster and wait for the other's half
        members = [
            _member(provider, gang, index, request)
            for index in range(MEMBERS)
            for gang in ("red", "blue")
        ]
        await sleepers.create(provider, *members)

        first = await _one_gang_runs(provider)
        second = "blue" if first == "red" else "red"
        await _phase(provider, first, "Running")
        await _phase(provider, second, "Scheduling")
        assert await _bound(provider) == {first: MEMBERS}

        for index in range(MEMBERS):
            path = f"/api/v1/namespaces/{provider.test_namespace}/pods/{first}-{index}"
            await provider.api.delete(path, grace_period_s=0)
        await _phase(provider, second, "Running")
        assert await _bound(provider) == {second: MEMBERS}

        status = await _phase(provider, first, "Pending")
        assert (status["members"], status["running"]) == (0, 0)
        (condition,) = status["conditions"]
        assert (condition["type"], condition["status"]) == ("Valid", "True")
    finally:
        await provider.api.delete_collection(groups)


@pytest.mark.needs("disposable", "drain_nodes")
async def test_members_that_differ_make_the_group_invalid(provider: Provider) -> None:
    if Capability.FAKE_NODES in provider.capabilities:
        await provider.create_nodes(1)
    await provider.deploy(RELEASE)
    groups = GROUPS.format(provider.test_namespace)
    try:
        await _create_group(provider, "mixed")
        stranger = _member(provider, "mixed", 1, "10m")
        stranger["spec"]["schedulerName"] = "somebody-else"
        await sleepers.create(provider, _member(provider, "mixed", 0, "10m"), stranger)

        async def invalid() -> Manifest | None:
            group = await provider.api.get(f"{groups}/mixed")
            conditions = group.get("status", {}).get("conditions", [])
            return group if any(each["status"] == "False" for each in conditions) else None

        group = await eventually(invalid, what="the group to be invalid", timeout_s=TIMEOUT_S)
        (condition,) = group["status"]["conditions"]
        assert condition["message"] == (
            "members differ in schedulerName: pyscheduler, somebody-else"
        )
        await _announced(provider, group)
        assert await _bound(provider) == {}, "two of three members are held back"
    finally:
        await provider.api.delete_collection(groups)


async def _share_of_a_node(provider: Provider) -> str:
    """CPU of which two pods fit on a worker, next to what runs there, and not three."""
    if Capability.FAKE_NODES in provider.capabilities:
        return "1"
    free = [await sleepers.free(provider, node, "cpu") for node in await provider.workers()]
    share = int(min(free) * 1000) // 2
    assert max(free) * 1000 // share == 2, f"workers differ too much: {free}"
    return f"{share}m"


def _member(provider: Provider, gang: str, index: int, cpu: str) -> Manifest:
    requests = {"cpu": cpu, "memory": "32Mi"}
    pod = sleepers.pod(provider, f"{gang}-{index}", requests=requests)
    pod["metadata"]["labels"] = {LABEL: gang}
    return pod


async def _create_group(provider: Provider, name: str) -> None:
    """The PodGroup exists; its resource may have been made a moment ago."""
    group = {
        "apiVersion": "scheduling.x-k8s.io/v1alpha1",
        "kind": "PodGroup",
        "metadata": {"name": name, "namespace": provider.test_namespace},
        "spec": {"minMember": MEMBERS, "scheduleTimeoutSeconds": 30},
    }
    await provider.api.create(GROUPS.format(provider.test_namespace), group)


async def _bound(provider: Provider) -> dict[str, int]:
    """How many members of each gang have a node."""
    pods = await provider.pods()
    return dict(Counter(p["metadata"]["labels"][LABEL] for p in pods if p["spec"].get("nodeName")))


async def _one_gang_runs(provider: Provider) -> str:
    """All of one gang have a node; until then, and then, nobody of the other has one."""

    async def whole() -> str | None:
        bound = await _bound(provider)
        assert len(bound) <= 1, f"both gangs hold places: {bound}"
        return next((gang for gang, count in bound.items() if count == MEMBERS), None)

    return await eventually(whole, what="one gang to be bound", timeout_s=TIMEOUT_S)


async def _phase(provider: Provider, name: str, phase: str) -> Manifest:
    """The operator says that the group is in that phase; returns its status."""
    path = f"{GROUPS.format(provider.test_namespace)}/{name}"

    async def in_phase() -> Manifest | None:
        status = (await provider.api.get(path)).get("status", {})
        return dict(status) if status.get("phase") == phase else None

    return await eventually(in_phase, what=f"{name} to be {phase}", timeout_s=TIMEOUT_S)


async def _announced(provider: Provider, group: Manifest) -> None:
    """The operator has told of what makes the group invalid by an event."""
    path = f"/api/v1/namespaces/{provider.test_namespace}/events"
    selector = f"involvedObject.uid={group['metadata']['uid']}"

    async def told() -> list[Manifest] | None:
        return await provider.api.list(path, field_selector=selector) or None

    events = await eventually(told, what=f"an event for {group['metadata']['name']}")
    said = {(event["type"], event["reason"], event["message"]) for event in events}
    (condition,) = group["status"]["conditions"]
    assert said == {("Warning", condition["reason"], condition["message"])}
