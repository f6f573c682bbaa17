"""The scheduler dies, the API server goes away, the watch window is gone: nothing is bound twice.

In the two tests of the API server there is no leader election: a leader that cannot renew its Lease
ends itself, and what is to be seen here is that one process goes on.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence

import aiohttp
import pytest

from tests.controlplane import load
from tests.controlplane.api_client import ApiError, Manifest, in_parallel
from tests.controlplane.waiting import eventually
from tests.e2e.claims import (
    LOAD_TIMEOUT_S,
    all_bound,
    assert_bound_once,
    metric,
    restarts,
    scheduler_audit,
    witness_is_content,
)
from tests.e2e.providers.base import Provider, Release, Replica

PODS = 2_000
#: Twenty pods fill a node, and the pods fill all nodes.
NODES = 100
REQUESTS = {"cpu": "200m", "memory": "1600Mi"}

#: Bindings after which the fault comes: amid the pods, well before the last.
AMID = 500

#: How long the API server is away, as the project's goals say.
OUTAGE_S = 10

#: Bindings that the scheduler has under way at once, at most.
WRITE_WINDOW = 32

#: In the URI of the watch of all pods that are not over; others look for few of them.
_LIVE_PODS = "status.phase%21%3DSucceeded"

WITHOUT_ELECTION = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
profiles:
  - schedulerName: pyscheduler
"""


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
async def test_killed_scheduler_goes_on_where_it_was(provider: Provider) -> None:
    await provider.create_nodes(NODES)
    await provider.deploy()
    (replica,) = await provider.replicas()
    creation = asyncio.create_task(_create_persistently(provider, _pods(PODS)))
    await _has_bound(replica, AMID)

    await replica.kill()
    killed_s = time.time()
    await creation
    await all_bound(provider)

    bindings = (await scheduler_audit(provider)).bindings()
    assert 0 < sum(binding.received_s < killed_s for binding in bindings) < PODS
    await witness_is_content(provider, bound=PODS, expect_events=False)
    await assert_bound_once(provider, pods=PODS)


@pytest.mark.needs("fake_nodes", "audit_log", "disposable", "restart_apiserver")
async def test_goes_on_after_the_api_server_was_away(provider: Provider) -> None:
    await provider.create_nodes(NODES)
    await provider.deploy(Release(configuration=WITHOUT_ELECTION))
    (replica,) = await provider.replicas()
    creation = asyncio.create_task(_create_persistently(provider, _pods(PODS)))
    await _has_bound(replica, AMID)

    await provider.stop_apiserver(kill=True)
    await asyncio.sleep(OUTAGE_S)
    back_s = time.time()
    await provider.start_apiserver()
    await creation
    await all_bound(provider)

    bindings = (await scheduler_audit(provider)).bindings()
    assert any(binding.received_s < back_s for binding in bindings)
    assert any(binding.received_s > back_s for binding in bindings)
    said = {record.get("msg") for record in await replica.log_records()}
    assert said >= {"watch lost, trying again", "watch recovered"}
    assert await restarts(provider) == 0
    await witness_is_content(provider, bound=PODS, expect_events=False)
    await assert_bound_once(provider, pods=PODS, unrecorded=WRITE_WINDOW)


@pytest.mark.needs("fake_nodes", "audit_log", "disposable", "restart_apiserver", "pause_scheduler")
async def test_synchronises_anew_when_the_watch_window_is_gone(provider: Provider) -> None:
    running, waiting = 500, 100
    await provider.create_nodes(running // 20)
    await provider.deploy(Release(configuration=WITHOUT_ELECTION))
    (replica,) = await provider.replicas()
    await _create_persistently(provider, _pods(running))
    await all_bound(provider)
    await _create_persistently(provider, _pods(waiting, prefix="waiting"))
    await _has_waiting(replica, waiting)
    pods = await provider.pods(label_selector="app=load")
    bound = [pod for pod in pods if pod["spec"].get("nodeName")]

    await replica.pause()
    await _relabel(provider, bound)
    await provider.stop_apiserver(kill=True)
    await provider.start_apiserver()
    # No stream of before can tell of this, only a synchronisation; and after one more restart the
    # server itself knows of nothing before it.
    await load.delete_pods(provider.api, bound[:waiting])
    await provider.stop_apiserver(kill=True)
    await provider.start_apiserver()
    resumed_s = time.time()
    await replica.resume()
    await all_bound(provider)

    metrics = await replica.metrics()
    # once more, if the server was not ready to send everything at the first time
    assert metric(metrics, "pyscheduler_reflector_expired_total", resource="pods") >= 1
    assert metric(metrics, "scheduler_pod_scheduled_after_flush_total") == 0
    audit = (await scheduler_audit(provider)).since(resumed_s)
    # a server that has just started may forbid everything for a moment
    resumed, *anew = [
        watch for watch in audit.watches("pods") if _LIVE_PODS in watch.uri and watch.status == 200
    ]
    assert not resumed.is_watch_list
    assert resumed.duration_s is not None
    assert resumed.duration_s < 5, "it was asked to last for minutes"
    assert anew
    assert all(watch.is_watch_list for watch in anew)
    assert await restarts(provider) == 0
    await witness_is_content(provider, bound=running, expect_events=False)
    await assert_bound_once(provider, pods=running + waiting)


def _pods(count: int, *, prefix: str = "pod") -> list[Manifest]:
    return [load.pod_manifest(f"{prefix}-{index}", requests=REQUESTS) for index in range(count)]


async def _create_persistently(provider: Provider, pods: Sequence[Manifest]) -> None:
    """The pods exist, although the server may be away for a while."""
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods"

    async def create(pod: Manifest) -> Manifest:
        async def created() -> bool:
            try:
                await provider.api.create(path, pod)
            except ApiError as error:
                return error.reason == "AlreadyExists"
            except (aiohttp.ClientError, TimeoutError):
                return False
            return True

        await eventually(created, what="a pod to be created", timeout_s=120, interval_s=0.5)
        return pod

    await in_parallel([functools.partial(create, pod) for pod in pods])


async def _has_bound(replica: Replica, count: int) -> None:
    """The scheduler has bound at least that many pods, by its own count."""

    async def enough() -> bool:
        metrics = await replica.metrics()
        return metric(metrics, "pyscheduler_writes_total", kind="binding") >= count

    await eventually(enough, what=f"{count} bindings", timeout_s=LOAD_TIMEOUT_S, interval_s=0.1)


async def _has_waiting(replica: Replica, count: int) -> None:
    """That many pods are in the pool of those that fit nowhere."""

    async def enough() -> bool:
        metrics = await replica.metrics()
        return metric(metrics, "scheduler_pending_pods", queue="unschedulable") == count

    await eventually(enough, what=f"{count} pods to wait", timeout_s=LOAD_TIMEOUT_S)


async def _relabel(provider: Provider, pods: Sequence[Manifest]) -> None:
    change = {"metadata": {"labels": {"app": "changed"}}}
    await in_parallel(
        [functools.partial(provider.api.patch, load.pod_path(pod), change) for pod in pods]
    )
