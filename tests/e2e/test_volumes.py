"""Claims decide where pods can be: volumes that only some nodes have, or one pod at a time may use.

The volumes are made by hand, as a static provisioner for local disks does; kube-controller-manager
binds them to the claims once the scheduler has chosen. Where a claim is to be provisioned, the test
plays the provisioner.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.controlplane.api_client import ApiError, Manifest
from tests.controlplane.waiting import eventually
from tests.e2e import sleepers
from tests.e2e.claims import (
    assert_nothing_forbidden,
    metric,
    scheduler_audit,
    waits_saying,
)
from tests.e2e.providers.base import SCHEDULER_NAME, Provider

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"
SELECTED_NODE = "volume.kubernetes.io/selected-node"

#: Seconds; the queue's own timers take minutes.
PROMPTLY_S = 15


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
@pytest.mark.timeout(180)
async def test_a_stateful_set_lands_where_its_volumes_can_be(provider: Provider) -> None:
    names = await provider.create_nodes(6)
    with_disks = [names[1], names[3], names[4]]
    async with _storage(provider, "local", "kubernetes.io/no-provisioner", disks_on=with_disks):
        await provider.deploy()
        await _create_stateful_set(provider, "db", replicas=3, storage_class="local")

        pods = await _all_running(provider, 3)

        nodes = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods}
        assert sorted(nodes.values()) == sorted(with_disks), "one disk each"
        for name, node in nodes.items():
            volume = await _volume_of(provider, f"data-{name}")
            assert _nodes_of(volume) == [node]
        # there is no fourth disk, so a fourth member waits and says why
        await _scale(provider, "db", 4)
        await waits_saying(provider, "db-3", "didn't find available persistent volumes to bind")
        await provider.api.create(VOLUMES, _disk("one-more", "local", names[5]))
        assert await _node_of(provider, "db-3", timeout_s=PROMPTLY_S) == names[5]
        assert_nothing_forbidden(await scheduler_audit(provider))
        await _delete_stateful_set(provider, "db")


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
@pytest.mark.timeout(180)
async def test_a_claim_is_provisioned_for_the_node_chosen_and_the_pod_follows_it(
    provider: Provider,
) -> None:
    names = await provider.create_nodes(4)
    async with _storage(provider, "network", "example.com/disks", disks_on=[]):
        await provider.deploy()
        async with _provisioner(provider, "network"):
            await _create_stateful_set(provider, "db", replicas=4, storage_class="network")
            pods = await _all_running(provider, 4)
            for pod in pods:
                volume = await _volume_of(provider, f"data-{pod['metadata']['name']}")
                assert _nodes_of(volume) == [pod["spec"]["nodeName"]]
            # a member that comes back finds its volume where it was
            before = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods}
            await provider.api.delete(f"{_pods(provider)}/db-2", grace_period_s=0)
            after = await _all_running(provider, 4)
        assert {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in after} == before
        assert set(before.values()) <= set(names)
        assert_nothing_forbidden(await scheduler_audit(provider))
        await _delete_stateful_set(provider, "db")


@pytest.mark.needs("fake_nodes", "disposable")
async def test_a_claim_for_one_pod_is_waited_for_and_then_used(provider: Provider) -> None:
    names = await provider.create_nodes(3)
    async with _storage(
        provider,
        "local",
        "kubernetes.io/no-provisioner",
        disks_on=names[:1],
        access_mode="ReadWriteOncePod",
    ):
        await provider.deploy()
        claim = _claim("only-one", "local", access_mode="ReadWriteOncePod")
        await provider.api.create(_claims(provider), claim)
        await sleepers.create(provider, _pod_with_claim(provider, "first", "only-one"))
        assert await _node_of(provider, "first", timeout_s=60) == names[0]

        await sleepers.create(provider, _pod_with_claim(provider, "second", "only-one"))
        await waits_saying(
            provider, "second", "ReadWriteOncePod access mode already in-use by another pod"
        )
        await provider.api.delete(f"{_pods(provider)}/first", grace_period_s=0)

        assert await _node_of(provider, "second", timeout_s=PROMPTLY_S) == names[0]
        flushed = metric(await provider.metrics_text(), "scheduler_pod_scheduled_after_flush_total")
        assert flushed == 0, "woken by the pod that left, not by the safety net"
        await provider.delete_workloads()
        await provider.api.delete(f"{_claims(provider)}/only-one")


# --- storage ---


@contextlib.asynccontextmanager
async def _storage(
    provider: Provider,
    name: str,
    provisioner: str,
    *,
    disks_on: Sequence[str],
    access_mode: str = "ReadWriteOnce",
) -> AsyncIterator[None]:
    """A class whose claims wait for their pod, and a disk on each of these nodes."""
    await provider.api.create(
        CLASSES,
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": provisioner,
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
    try:
        for node in disks_on:
            disk = _disk(f"disk-of-{node}", name, node, access_mode=access_mode)
            await provider.api.create(VOLUMES, disk)
        yield
    finally:
        await provider.delete_workloads()
        await _delete_all(provider, _claims(provider))
        await _delete_all(provider, VOLUMES)
        await provider.api.delete(f"{CLASSES}/{name}")


async def _delete_all(provider: Provider, path: str) -> None:
    for known in await provider.api.list(path):
        with contextlib.suppress(ApiError):
            await provider.api.delete(f"{path}/{known['metadata']['name']}")

    async def gone() -> bool:
        return not await provider.api.list(path)

    await eventually(gone, what=f"nothing to be left at {path}", timeout_s=60)


def _disk(
    name: str, storage_class: str, node: str, *, access_mode: str = "ReadWriteOnce"
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": [access_mode],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": storage_class,
            "local": {"path": "/mnt/disk"},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {
                                    "key": "kubernetes.io/hostname",
                                    "operator": "In",
                                    "values": [node],
                                }
                            ]
                        }
                    ]
                }
            },
        },
    }


@contextlib.asynccontextmanager
async def _provisioner(provider: Provider, storage_class: str) -> AsyncIterator[None]:
    """Makes a volume for each claim that the scheduler has chosen a node for."""

    async def provision() -> None:
        made: set[str] = set()
        while True:
            for claim in await provider.api.list(_claims(provider)):
                uid = claim["metadata"]["uid"]
                node = claim["metadata"].get("annotations", {}).get(SELECTED_NODE)
                if node and uid not in made and not claim["spec"].get("volumeName"):
                    made.add(uid)
                    volume = _disk(f"pvc-{uid}", storage_class, node)
                    volume["spec"]["claimRef"] = {
                        "apiVersion": "v1",
                        "kind": "PersistentVolumeClaim",
                        "namespace": claim["metadata"]["namespace"],
                        "name": claim["metadata"]["name"],
                        "uid": uid,
                    }
                    await provider.api.create(VOLUMES, volume)
            await asyncio.sleep(0.2)

    task = asyncio.create_task(provision(), name="provisioner")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _claim(name: str, storage_class: str, *, access_mode: str = "ReadWriteOnce") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": [access_mode],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": "5Gi"}},
        },
    }


async def _volume_of(provider: Provider, claim: str) -> Manifest:
    """The volume that the claim is bound to, both ways."""
    found = await provider.api.get(f"{_claims(provider)}/{claim}")
    assert found["status"]["phase"] == "Bound", found["status"]
    volume = await provider.api.get(f"{VOLUMES}/{found['spec']['volumeName']}")
    assert volume["spec"]["claimRef"]["uid"] == found["metadata"]["uid"]
    return volume


def _nodes_of(volume: Manifest) -> list[str]:
    (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    (requirement,) = term["matchExpressions"]
    values: list[str] = requirement["values"]
    return values


def _claims(provider: Provider) -> str:
    return f"/api/v1/namespaces/{provider.test_namespace}/persistentvolumeclaims"


# --- pods ---


def _pods(provider: Provider) -> str:
    return f"/api/v1/namespaces/{provider.test_namespace}/pods"


def _pod_with_claim(provider: Provider, name: str, claim: str) -> Manifest:
    pod = sleepers.pod(provider, name)
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return pod


async def _create_stateful_set(
    provider: Provider, name: str, *, replicas: int, storage_class: str
) -> None:
    pod = sleepers.pod(provider, name)
    labels = {"app": name}
    await provider.api.create(
        _stateful_sets(provider),
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "serviceName": name,
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {**pod["spec"], "schedulerName": SCHEDULER_NAME},
                },
                "volumeClaimTemplates": [
                    {**_claim("data", storage_class), "metadata": {"name": "data"}}
                ],
            },
        },
    )


async def _scale(provider: Provider, name: str, replicas: int) -> None:
    path = f"{_stateful_sets(provider)}/{name}"
    await provider.api.patch(path, {"spec": {"replicas": replicas}})


async def _delete_stateful_set(provider: Provider, name: str) -> None:
    await provider.api.delete(f"{_stateful_sets(provider)}/{name}")


def _stateful_sets(provider: Provider) -> str:
    return f"/apis/apps/v1/namespaces/{provider.test_namespace}/statefulsets"


async def _all_running(provider: Provider, count: int) -> list[Manifest]:
    pods: list[Manifest] = []

    async def running() -> bool:
        pods[:] = [
            pod
            for pod in await provider.pods()
            if pod["status"].get("phase") == "Running"
            and "deletionTimestamp" not in pod["metadata"]
        ]
        return len(pods) == count

    await eventually(running, what=f"{count} running pods", timeout_s=90)
    return pods


async def _node_of(provider: Provider, name: str, *, timeout_s: float) -> str:
    """The node that the pod is bound to, once it is."""
    node = ""

    async def bound() -> bool:
        nonlocal node
        try:
            pod = await provider.api.get(f"{_pods(provider)}/{name}")
        except ApiError:
            return False
        node = pod["spec"].get("nodeName", "")
        return bool(node)

    await eventually(bound, what=f"pod {name} to be bound", timeout_s=timeout_s)
    return node
