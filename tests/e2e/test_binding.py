"""Thousands of pods, each bound exactly once, and no node beyond what it offers.

Four pods fill a node and the pods fill all nodes, so a single wrong sum leaves a pod without a
node or a node with too much.
"""

from __future__ import annotations

import functools

import pytest

from tests.controlplane import load
from tests.e2e.claims import (
    all_bound,
    assert_bound_once,
    metric,
    scheduler_audit,
    witness_is_content,
)
from tests.e2e.providers.base import Provider

NODES = 500
PODS = 2_000

#: Four of these fill a node of 4 CPU and 32Gi.
REQUESTS = {"cpu": "900m", "memory": "7Gi"}


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
async def test_binds_each_of_2000_pods_once(provider: Provider) -> None:
    await _bind_everything(provider)

    audit = await scheduler_audit(provider)
    assert [watch.is_watch_list for watch in audit.watches("pods")][:1] == [True]
    assert audit.lists("pods") == []


@pytest.mark.needs("fake_nodes", "audit_log", "disposable", "restart_apiserver")
async def test_binds_each_of_2000_pods_once_without_watch_list(provider: Provider) -> None:
    await provider.stop_apiserver(kill=True)
    await provider.start_apiserver(feature_gates={"WatchList": False})

    await _bind_everything(provider)

    metrics = await provider.metrics_text()
    syncs = functools.partial(metric, metrics, "pyscheduler_reflector_syncs_total")
    assert syncs(mode="list") > 0
    assert syncs(mode="watchlist") == 0
    assert (await scheduler_audit(provider)).lists("pods") != []


async def _bind_everything(provider: Provider) -> None:
    """Nodes are full of pods that were created while the scheduler ran, each bound once."""
    await provider.create_nodes(NODES)
    await provider.deploy()
    pods = await load.create_pods(
        provider.api,
        PODS,
        namespace=provider.test_namespace,
        template=functools.partial(load.pod_manifest, requests=REQUESTS),
    )
    assert all(pod["spec"]["volumes"] for pod in pods), "admission adds each account's token"

    await all_bound(provider)
    await witness_is_content(provider, bound=PODS)
    await assert_bound_once(provider, pods=PODS)
