"""This scheduler and kube-scheduler on the same nodes, whose kubelets refuse what does not fit.

Neither knows what the other decides until the watch tells it, so a node can be promised twice; the
kubelet then refuses one pod and its ReplicaSet makes another. What can be asked of a scheduler is
that each of its binds fitted what it could know, that it knew nearly all there was, and that it
counts what was refused.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import pytest
from kubernetes import client
from kubernetes.utils.quantity import parse_quantity
from prometheus_client.parser import text_string_to_metric_families

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.waiting import eventually
from tests.controlplane.witness import Amounts, effective_requests
from tests.e2e.claims import assert_nothing_forbidden, scheduler_audit
from tests.e2e.providers.base import SCHEDULER_NAME, Provider
from tests.e2e.watch_recorder import Change, WatchRecord, recording

NODES = 10

#: A hollow node has 1 CPU, room for ten of these; two Deployments leave four of a hundred free.
REQUESTS = {"cpu": "100m", "memory": "64Mi"}
REPLICAS = 48

#: Seconds for which our view of the pods may be behind when a bind is sent.
OLDEST_VIEW_S = 2.0


@pytest.mark.needs("hollow_nodes", "kube_scheduler", "audit_log", "disposable")
async def test_each_bind_beside_kube_scheduler_fitted_what_could_be_known(
    provider: Provider,
) -> None:
    names = await provider.start_hollow_nodes(NODES)
    async with recording(provider.api) as record:
        await provider.start_kube_scheduler()
        await provider.deploy()
        # All wait until there is room, and then both schedulers go for each node at once.
        await _set_unschedulable(provider, names, True)
        await _create_deployments(
            provider, {"ours": SCHEDULER_NAME, "theirs": provider.kube_scheduler_name}
        )
        await _all_wait(provider)
        await _set_unschedulable(provider, names, False)
        await _complete(provider, "ours")
        await _complete(provider, "theirs")
        await _refusals_are_counted(provider, record)
        theirs = record.refused(provider.kube_scheduler_name)
        assert theirs or record.refused(SCHEDULER_NAME), "the two never got in each other's way"
    decisions = await _decisions(provider)
    audit = await scheduler_audit(provider)
    sent_s = {entry.name: entry.received_s for entry in audit.binding_attempts()}
    assert {entry.status for entry in audit.binding_attempts()} == {201}
    assert len(decisions) == len(sent_s) >= REPLICAS
    assert_nothing_forbidden(audit)
    nodes = {
        node["metadata"]["name"]: _amounts(node["status"]["allocatable"])
        for node in await provider.api.list("/api/v1/nodes")
    }
    assert list(_binds_that_did_not_fit(decisions, record, nodes)) == []
    assert list(_binds_on_an_old_view(decisions, record, sent_s)) == []


@pytest.mark.needs("hollow_nodes", "disposable")
async def test_refusal_is_counted_when_the_pod_asks_for_this_scheduler(provider: Provider) -> None:
    (node,) = await provider.start_hollow_nodes(1)
    await provider.deploy()
    pods = f"/api/v1/namespaces/{provider.test_namespace}/pods"
    too_much = {"cpu": "2"}
    # Placed by hand: a refusal after a decision of ours takes two schedulers and bad luck.
    placed = {"nodeName": node}

    async with recording(provider.api) as record:
        for name, scheduler in (("ours", SCHEDULER_NAME), ("other", "default-scheduler")):
            pod = load.pod_manifest(name, scheduler_name=scheduler, requests=too_much, spec=placed)
            await provider.api.create(pods, pod)

        async def both_refused() -> bool:
            return bool(record.refused(SCHEDULER_NAME) and record.refused("default-scheduler"))

        await eventually(both_refused, what="the kubelet's refusals", timeout_s=60)
        assert list(record.refused(SCHEDULER_NAME).values()) == ["OutOfcpu"]
        await _refusals_are_counted(provider, record)


async def _set_unschedulable(provider: Provider, nodes: Sequence[str], value: object) -> None:
    for name in nodes:
        await provider.api.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": value}})


async def _all_wait(provider: Provider) -> None:
    """The pods of both Deployments have been tried in vain."""

    async def tried() -> bool:
        conditions = [
            condition["status"]
            for pod in await provider.pods()
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "PodScheduled"
        ]
        return conditions == ["False"] * 2 * REPLICAS

    await eventually(tried, what="all pods to wait", timeout_s=60)


async def _create_deployments(provider: Provider, scheduler_names: Mapping[str, str]) -> None:
    """Deployments of these names exist, made at the same time, each for another scheduler."""
    path = f"/apis/apps/v1/namespaces/{provider.test_namespace}/deployments"
    async with asyncio.TaskGroup() as group:
        for name, scheduler_name in scheduler_names.items():
            manifest = load.deployment_manifest(
                name, replicas=REPLICAS, scheduler_name=scheduler_name, requests=REQUESTS
            )
            group.create_task(provider.api.create(path, manifest))


async def _complete(provider: Provider, deployment: str) -> None:
    path = f"/apis/apps/v1/namespaces/{provider.test_namespace}/deployments/{deployment}"

    async def all_available() -> bool:
        status = (await provider.api.get(path))["status"]
        return bool(status.get("availableReplicas") == REPLICAS)

    await eventually(all_available, what=f"deployment {deployment}", timeout_s=180)


async def _refusals_are_counted(provider: Provider, record: WatchRecord) -> None:
    """Our metric has every refusal that was recorded, by reason, and no other."""
    told: tuple[object, object] = ({}, {})

    async def agree() -> bool:
        nonlocal told
        recorded = dict(Counter(record.refused(SCHEDULER_NAME).values()))
        counted = _counted_refusals(await provider.metrics_text())
        told = recorded, counted
        return recorded == counted

    try:
        await eventually(agree, what="refusals to be counted", timeout_s=10)
    except TimeoutError:
        raise AssertionError(f"refusals (recorded, counted): {told}") from None


def _counted_refusals(metrics: str) -> dict[str, float]:
    return {
        sample.labels["reason"]: sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "pyscheduler_kubelet_refusals_total" and sample.value
    }


class Decision:
    """What our log says of one decision: which pod, which node, what was known."""

    def __init__(self, record: Mapping[str, object]) -> None:
        self.pod = str(record["pod"])
        self.name = self.pod.partition("/")[2]
        self.uid = str(record["uid"])
        self.node = str(record["node"])
        self.resource_version = int(str(record["resource_version"]))


async def _decisions(provider: Provider) -> list[Decision]:
    (replica,) = await provider.replicas()
    records = await replica.log_records()
    return [Decision(record) for record in records if record["msg"] == "pod assigned"]


def _binds_that_did_not_fit(
    decisions: list[Decision], record: WatchRecord, nodes: Mapping[str, Amounts]
) -> Iterator[str]:
    """Yields each decision after which its node had too much, by what could be known then."""
    pods = {event.uid: event.object for event in record}
    requests = {uid: _requests(pod) for uid, pod in pods.items()}
    for index, decision in enumerate(decisions):
        known = record.state_at(decision.resource_version)
        there = {
            uid
            for uid, event in known.items()
            if event.is_live and event.object["spec"].get("nodeName") == decision.node
        }
        # Our own binds that the watch had not told of yet.
        there |= {
            earlier.uid
            for earlier in decisions[:index]
            if earlier.node == decision.node and _is_waiting(known[earlier.uid])
        }
        used: defaultdict[str, Decimal] = defaultdict(Decimal)
        for uid in {*there, decision.uid}:
            for resource, amount in requests[uid].items():
                used[resource] += amount
        for resource, amount in used.items():
            offered = nodes[decision.node].get(resource, Decimal(0))
            if amount > offered:
                yield (
                    f"{decision.pod} on {decision.node} at {decision.resource_version}: "
                    f"{amount} {resource} of {offered}"
                )


def _is_waiting(last: Change) -> bool:
    """Claims that, by the last event of it, the pod is there and has no node."""
    return last.is_live and not last.object["spec"].get("nodeName")


def _binds_on_an_old_view(
    decisions: list[Decision], record: WatchRecord, sent_s: Mapping[str, float]
) -> Iterator[str]:
    """Yields each decision that was sent too long after there was news that it did not know."""
    for decision in decisions:
        since_s = record.outdated_since(decision.resource_version)
        if since_s is not None and sent_s[decision.name] - since_s > OLDEST_VIEW_S:
            age_s = sent_s[decision.name] - since_s
            yield f"{decision.pod} at {decision.resource_version}: outdated for {age_s:.1f} s"


def _requests(pod: Manifest) -> Amounts:
    """Returns what a pod takes, by the official client's models."""
    typed = client.ApiClient().deserialize(json.dumps(pod), "V1Pod", "application/json")
    return effective_requests(typed) | {"pods": Decimal(1)}


def _amounts(quantities: Mapping[str, str]) -> Amounts:
    return {resource: parse_quantity(text) for resource, text in quantities.items()}
