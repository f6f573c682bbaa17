"""Two replicas: one leads, and when it is killed in the middle of its work the other goes on."""

from __future__ import annotations

import asyncio
import functools

import pytest

from tests.controlplane import load
from tests.controlplane.waiting import eventually
from tests.e2e.claims import all_bound, assert_bound_once, metric, witness_is_content
from tests.e2e.providers.base import Provider, Release
from tests.e2e.takeover import Takeover

NODES = 100
PODS = 2_000

#: Twenty of these, and no more than one beyond, fit a node of 4 CPU and 32Gi.
REQUESTS = {"cpu": "190m", "memory": "1500Mi"}

#: Pods that the first leader binds before it is killed.
PODS_BEFORE = 300

#: Seconds from the last renewal in which a standby must go on: the lease's duration and two retry
#: periods, as `manifests/` leaves them at kube-scheduler's.
TAKEOVER_S = 15 + 2 * 2


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
async def test_standby_goes_on_when_the_leader_is_killed(provider: Provider) -> None:
    await provider.create_nodes(NODES)
    await provider.deploy(Release(replicas=2))
    leader = await provider.leader()
    creating = asyncio.create_task(
        load.create_pods(
            provider.api,
            PODS,
            namespace=provider.test_namespace,
            template=functools.partial(load.pod_manifest, requests=REQUESTS),
        )
    )

    async def amid() -> bool:
        attempts = metric(
            await leader.metrics(), "scheduler_schedule_attempts_total", result="scheduled"
        )
        return attempts >= PODS_BEFORE

    await eventually(amid, what="the first pods to be bound", timeout_s=60, interval_s=0.05)
    await leader.kill()
    await creating
    await all_bound(provider)

    audit = await provider.audit()
    before = len(audit.of_pod(leader.name).bindings())
    assert PODS_BEFORE <= before < PODS, "the leader was not killed amid its work"
    successor = await provider.leader()
    assert successor.name != leader.name
    takeover = Takeover.between(audit, old=leader.name, new=successor.name)
    assert takeover.first_binding_s - takeover.last_renewal_s < TAKEOVER_S
    await assert_bound_once(provider, pods=PODS)
    # Events of the last pods that the first leader bound went down with it.
    await witness_is_content(provider, bound=PODS, expect_events=False)
