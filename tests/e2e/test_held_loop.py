"""The scheduling loop: what holds it is named and costs the leadership; urgent pods do not queue.

The figure of the loop's lag is a benchmark's (`make bench-lag`).
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pyscheduler.client.dispatcher import BIND_WINDOW
from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.waiting import eventually
from tests.e2e.claims import all_bound, assert_bound_once, witness_is_content
from tests.e2e.plugin_packages import write_package
from tests.e2e.providers.base import Provider, Release, Replica
from tests.e2e.takeover import Takeover

# -- a plugin that never answers ----------------------------------------------------------------

#: Loops for ever over one pod, in the first process that comes to it and finds the marker.
_PLUGIN = """
from pathlib import Path

from pyscheduler import framework as fwk

Endless = fwk.plugin("Endless")
MARKER = Path({marker!r})


@Endless.filter(events=[fwk.NODE_ADDED])
def never_answers(pod, node):
    if pod.labels.get("app") == "endless" and MARKER.exists():
        MARKER.unlink()
        while True:
            pass
    return None
"""

#: Shorter than kube-scheduler's, for the sake of the test's duration.
LEASE_DURATION_S, RENEW_DEADLINE_S, RETRY_PERIOD_S = 8, 5, 1

_CONFIGURATION = f"""
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: true
  resourceNamespace: pyscheduler
  resourceName: pyscheduler
  leaseDuration: {LEASE_DURATION_S}s
  renewDeadline: {RENEW_DEADLINE_S}s
  retryPeriod: {RETRY_PERIOD_S}s
profiles:
  - schedulerName: pyscheduler
    plugins:
      multiPoint:
        enabled:
          - name: Endless
"""

#: Seconds from the last renewal in which the standby must go on.
TAKEOVER_S = LEASE_DURATION_S + 2 * RETRY_PERIOD_S

#: Seconds after the renew deadline of a held loop in which a last renewal may still come: it takes
#: a while until the loop is held, and to see that it is.
_LAST_RENEWAL_S = 2.0


@pytest.fixture
def endless_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scheduler started now finds an installed package with the plugin Endless.

    Returns the marker that makes it loop.
    """
    marker = tmp_path / "loop"
    marker.touch()
    source = _PLUGIN.format(marker=str(marker))
    write_package(tmp_path, plugin="Endless", source=source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return marker


@pytest.mark.needs("fake_nodes", "installed_plugins", "audit_log", "disposable")
async def test_plugin_that_loops_for_ever_is_named_and_a_standby_takes_over(
    provider: Provider, endless_plugin: Path
) -> None:
    await provider.create_nodes(5)
    await provider.deploy(Release(replicas=2, configuration=_CONFIGURATION))
    held = await provider.leader()
    await _create(provider, *(load.pod_manifest(f"before-{index}") for index in range(20)))
    await all_bound(provider)

    asked_s = time.time()
    await _create(provider, load.pod_manifest("endless", labels={"app": "endless"}))
    await _create(provider, *(load.pod_manifest(f"after-{index}") for index in range(20)))
    ended = await _record(held, "scheduling loop was held for too long, ending this process")
    await all_bound(provider)

    assert not endless_plugin.exists()
    named = await _record(held, "scheduling loop is held")
    for record in (named, ended):
        assert record["plugin"] == "Endless"
        assert record["hook"] == "Filter"
        assert record["pod"] == f"{provider.test_namespace}/endless"
        assert "never_answers" in str(record["stack"])
    assert await _last_exit_code(provider, held) == 1

    successor = await provider.leader()
    assert successor.name != held.name
    takeover = Takeover.between(await provider.audit(), old=held.name, new=successor.name)
    assert takeover.last_renewal_s - asked_s < RENEW_DEADLINE_S + _LAST_RENEWAL_S
    assert takeover.first_binding_s - takeover.last_renewal_s < TAKEOVER_S
    await witness_is_content(provider, bound=41)
    await assert_bound_once(provider, pods=41)


async def _record(replica: Replica, message: str) -> dict[str, object]:
    """Returns the one line of the replica's log that says this, once it does."""

    async def found() -> list[dict[str, object]] | None:
        return [line for line in await replica.log_records() if line["msg"] == message] or None

    (record,) = await eventually(found, what=f"{message!r} in the log of {replica.name}")
    return record


async def _last_exit_code(provider: Provider, replica: Replica) -> int:
    """Returns with what the replica's last life ended, as its pod says."""
    path = f"/api/v1/namespaces/{provider.namespace}/pods/{replica.name}"

    async def exit_code() -> int | None:
        (status,) = (await provider.api.get(path))["status"]["containerStatuses"]
        code: int | None = status.get("lastState", {}).get("terminated", {}).get("exitCode")
        return code

    return await eventually(exit_code, what=f"the end of {replica.name}")


# -- an urgent pod ------------------------------------------------------------------------------

#: Some more than 5,000, for those that are bound while the urgent one is made.
WAITING, STILL_WAITING = 5_400, 5_000
PRIORITY_CLASS: Manifest = {"metadata": {"name": "urgent"}, "value": 1000}

#: Binds that may come before an urgent pod's: two windows that were full, one pod in its cycle.
BINDS_BEFORE = 2 * BIND_WINDOW + 1


@pytest_asyncio.fixture(loop_scope="session")
async def priority_class(provider: Provider) -> AsyncIterator[str]:
    """The name of a class of priority 1000."""
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    await provider.api.create(path, PRIORITY_CLASS)
    yield PRIORITY_CLASS["metadata"]["name"]
    await provider.api.delete(f"{path}/{PRIORITY_CLASS['metadata']['name']}")


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
async def test_urgent_pod_overtakes_5000_that_wait(provider: Provider, priority_class: str) -> None:
    pods = f"/api/v1/namespaces/{provider.test_namespace}/pods"
    await provider.create_nodes(60)
    little = functools.partial(load.pod_manifest, requests={"cpu": "10m", "memory": "16Mi"})
    await load.create_pods(
        provider.api, WAITING, namespace=provider.test_namespace, template=little
    )
    bound = await _watch_bound(provider)
    deploying = asyncio.create_task(provider.deploy())
    await anext(bound)

    before_s = time.time()
    urgent = load.pod_manifest("urgent", spec={"priorityClassName": priority_class})
    await provider.api.create(pods, urgent)
    after_s = time.time()
    async for event in bound:
        if event["object"]["metadata"]["name"] == "urgent":
            break
    await deploying

    audit = await provider.audit()
    (created,) = (
        entry
        for entry in audit.completed
        if (entry.verb, entry.resource, entry.subresource) == ("create", "pods", "")
        and before_s <= entry.received_s <= after_s
    )
    bindings = sorted(entry.received_s for entry in audit.bindings())
    (mine,) = audit.bindings_by_pod()[f"{provider.test_namespace}/urgent"]
    earlier = sum(received_s < created.time_s for received_s in bindings)
    between = sum(created.time_s <= received_s < mine.received_s for received_s in bindings)
    assert WAITING - earlier >= STILL_WAITING
    assert between <= BINDS_BEFORE


async def _watch_bound(provider: Provider) -> AsyncIterator[Manifest]:
    """Returns a watch, begun already, of pods that get a node."""
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods"
    version = await provider.api.resource_version(path)
    return provider.api.watch(path, resource_version=version, field_selector="spec.nodeName!=")


async def _create(provider: Provider, *pods: Manifest) -> None:
    await provider.api.create_all(f"/api/v1/namespaces/{provider.test_namespace}/pods", pods)
