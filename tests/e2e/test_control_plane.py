"""The harness itself: a control plane starts, takes load, is watched, and survives a restart.

kube-scheduler does the scheduling, so that what fails here is the harness and not our scheduler.
"""

from __future__ import annotations

import pytest

from tests.controlplane import load
from tests.controlplane.audit import AuditLog
from tests.controlplane.waiting import eventually
from tests.controlplane.witness import examine
from tests.e2e.providers.base import Provider, Release

PODS = 100


@pytest.mark.needs("fake_nodes", "kube_scheduler", "audit_log", "restart_apiserver")
async def test_witness_and_audit_agree_with_kube_scheduler(provider: Provider) -> None:
    scheduler_name = provider.kube_scheduler_name
    nodes = await provider.create_nodes(10)
    await provider.start_kube_scheduler()
    await load.create_pods(
        provider.api,
        PODS,
        namespace=provider.test_namespace,
        template=lambda name: load.pod_manifest(name, scheduler_name=scheduler_name),
    )

    # not Running: kwok may be busy with what the test before left it to delete
    async def bound() -> bool:
        return sum("nodeName" in pod["spec"] for pod in await provider.pods()) == PODS

    await eventually(bound, what=f"{PODS} pods to be bound", timeout_s=120)
    await provider.stop_apiserver(kill=True)
    await provider.start_apiserver(feature_gates={"WatchList": False})

    async def all_with_events() -> bool:
        verdict = await examine(provider.kubeconfig, scheduler_name=scheduler_name)
        return verdict.problems == []

    await eventually(all_with_events, what="a witness without complaints", interval_s=1)
    audit = await provider.audit()

    bindings = audit.bindings_by_pod()
    assert len(bindings) == PODS
    assert all(len(of_pod) == 1 for of_pod in bindings.values())
    assert {entry.target_node for entry in audit.bindings()} <= set(nodes)
    assert audit.of_user("system:kube-scheduler").forbidden() == []
    assert _watches_that_ended(audit)


def _watches_that_ended(audit: AuditLog) -> list[float]:
    return [watch.duration_s for watch in audit.watches("pods") if watch.duration_s is not None]


@pytest.mark.needs("fake_nodes", "disposable")
async def test_witness_sees_what_is_wrong(provider: Provider) -> None:
    (node,) = await provider.create_nodes(1, allocatable={"cpu": "1"})
    too_much = {"cpu": "600m"}
    placed = {"nodeName": node}
    await load.create_pods(
        provider.api,
        2,
        namespace=provider.test_namespace,
        template=lambda name: load.pod_manifest(name, requests=too_much, spec=placed),
    )
    await load.create_pods(provider.api, 1, namespace=provider.test_namespace, prefix="waiting")

    verdict = await examine(provider.kubeconfig, scheduler_name="pyscheduler")

    problems = "; ".join(verdict.problems)
    assert f"nodes hold more than they can: {node} (1.2 cpu of 1)" in problems
    assert "1 pods without a node: default/waiting-0" in problems
    assert "2 bound pods without event Scheduled" in problems


@pytest.mark.needs("hollow_nodes")
async def test_hollow_kubelet_refuses_what_does_not_fit(provider: Provider) -> None:
    (name,) = await provider.start_hollow_nodes(1)
    pod = load.pod_manifest("large", requests={"cpu": "2"}, spec={"nodeName": name})
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods"
    await provider.api.create(path, pod)

    async def refused() -> str | None:
        status = (await provider.api.get(f"{path}/large"))["status"]
        return status.get("reason") if status["phase"] == "Failed" else None

    assert await eventually(refused, what="the kubelet's refusal") == "OutOfcpu"


@pytest.mark.needs("fake_nodes", "audit_log")
async def test_deployed_scheduler_binds_and_needs_no_more_than_its_roles(
    provider: Provider,
) -> None:
    await provider.create_nodes(3)
    await provider.deploy(Release(replicas=1))
    await load.create_pods(provider.api, 20, namespace=provider.test_namespace)

    async def content() -> bool:
        verdict = await examine(provider.kubeconfig, namespace=provider.test_namespace)
        return verdict.bound == 20 and verdict.problems == []

    await eventually(content, what="20 pods bound, with events", interval_s=1)
    account = f"system:serviceaccount:{provider.namespace}:pyscheduler"
    audit = (await provider.audit()).of_user(account)

    assert [len(of_pod) for of_pod in audit.bindings_by_pod().values()] == [1] * 20
    assert audit.forbidden() == []
