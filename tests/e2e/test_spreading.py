"""A Deployment spread over three zones, through scale-up, a drained node and a lost zone.

The scheduler says in its log which resourceVersion of the pods each decision was made at. A record
of the watches tells what was there then, and the constraint is computed anew from that, by the
rule: pods of the workload that are not terminating, counted per zone, over the zones that nodes
have. Whatever the scheduler had bound itself by then counts, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.waiting import eventually
from tests.e2e.claims import assert_nothing_forbidden, scheduler_audit
from tests.e2e.providers.base import Provider
from tests.e2e.watch_recorder import NODES, WatchRecord, recording

ZONE = "topology.kubernetes.io/zone"
MAX_SKEW = 1
NODE_COUNT = 9

SPREAD = {
    "maxSkew": MAX_SKEW,
    "topologyKey": ZONE,
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "web"}},
}


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
@pytest.mark.timeout(300)  # pods of lost nodes are collected after 40 s and more
async def test_each_bind_keeps_the_spread_through_scaling_drain_and_the_loss_of_a_zone(
    provider: Provider,
) -> None:
    async with recording(provider.api) as pods, recording(provider.api, NODES) as nodes:
        names = await provider.create_nodes(NODE_COUNT)
        await provider.deploy()
        await _create_deployment(provider, replicas=9)
        await _complete(provider, 9)
        await _scale(provider, 21)
        await _complete(provider, 21)
        await _drain(provider, names[0])
        await _complete(provider, 21)
        after_drain = await _pods_per_zone(provider)
        lost = load.ZONES[-1]
        for name in await _nodes_of(provider, lost):
            await provider.api.delete(f"{NODES}/{name}")
        await _complete(provider, 21, not_in=lost)
        after_loss = await _pods_per_zone(provider)
        decisions = await _decisions(provider)
    audit = await scheduler_audit(provider)

    assert sorted(after_drain.values()) == [7, 7, 7]
    assert sorted(after_loss.values()) == [10, 11]
    assert lost not in after_loss
    assert {entry.status for entry in audit.binding_attempts()} == {201}
    assert len(decisions) == len(audit.binding_attempts()) >= 21 + 7
    assert_nothing_forbidden(audit)
    assert list(_binds_beyond_the_skew(decisions, pods, nodes)) == []


# --- the workload ---


async def _create_deployment(provider: Provider, *, replicas: int) -> None:
    path = f"/apis/apps/v1/namespaces/{provider.test_namespace}/deployments"
    manifest = load.deployment_manifest(
        "web", replicas=replicas, spec={"topologySpreadConstraints": [SPREAD]}
    )
    await provider.api.create(path, manifest)


async def _scale(provider: Provider, replicas: int) -> None:
    path = f"/apis/apps/v1/namespaces/{provider.test_namespace}/deployments/web"
    await provider.api.patch(path, {"spec": {"replicas": replicas}})


async def _complete(provider: Provider, replicas: int, *, not_in: str = "") -> None:
    """So many pods are there and run, none ends, and none is in the zone ``not_in``."""
    path = f"/apis/apps/v1/namespaces/{provider.test_namespace}/deployments/web"

    async def is_complete() -> bool:
        status = (await provider.api.get(path))["status"]
        if status.get("availableReplicas") != replicas or status.get("replicas") != replicas:
            return False
        pods = await provider.pods()
        if len(pods) != replicas or any("deletionTimestamp" in p["metadata"] for p in pods):
            return False
        there = {node["metadata"]["name"] for node in await provider.api.list(NODES)}
        return all(pod["spec"].get("nodeName") in there for pod in pods) and not (
            not_in and not_in in await _pods_per_zone(provider)
        )

    await eventually(is_complete, what=f"{replicas} replicas", timeout_s=150, interval_s=0.5)


async def _drain(provider: Provider, node: str) -> None:
    await provider.kubectl(
        *("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force"),
        "--timeout=60s",
    )


async def _nodes_of(provider: Provider, zone: str) -> list[str]:
    return [
        node["metadata"]["name"]
        for node in await provider.api.list(NODES)
        if node["metadata"]["labels"].get(ZONE) == zone
    ]


async def _pods_per_zone(provider: Provider) -> Counter[str]:
    zones = _zones(await provider.api.list(NODES))
    return Counter(zones[pod["spec"]["nodeName"]] for pod in await provider.pods())


# --- what could be known ---


async def _decisions(provider: Provider) -> list[Mapping[str, object]]:
    (replica,) = await provider.replicas()
    return [record for record in await replica.log_records() if record["msg"] == "pod assigned"]


def _binds_beyond_the_skew(
    decisions: Sequence[Mapping[str, object]], pods: WatchRecord, nodes: WatchRecord
) -> Iterator[str]:
    """Yields each decision that broke the constraint, by what its resourceVersion had."""
    for index, decision in enumerate(decisions):
        version = int(str(decision["resource_version"]))
        known = {uid: c.object for uid, c in pods.state_at(version).items() if c.is_live}
        placed = {
            uid: str(pod["spec"]["nodeName"])
            for uid, pod in known.items()
            if pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]
        }
        # our own binds that the watch had not told of yet
        placed |= {
            str(earlier["uid"]): str(earlier["node"])
            for earlier in decisions[:index]
            if earlier["uid"] in known and not known[str(earlier["uid"])]["spec"].get("nodeName")
        }
        # nodes come by a watch of their own: somewhat ahead of the pods, or behind them
        views = {
            tuple(sorted(zones.items()))
            for shift in range(-_NODE_CHANGES, _NODE_CHANGES + 1)
            if (zones := _zones_near(nodes, version, shift)) is not None
        }
        skews = [_skew(dict(view), placed, str(decision["node"])) for view in views]
        if not any(skew is not None and skew <= MAX_SKEW for skew in skews):
            yield f"{decision['pod']} on {decision['node']} at {version}: skews {skews}"


#: So many changes of nodes the two watches may be apart.
_NODE_CHANGES = 3


def _zones_near(nodes: WatchRecord, version: int, shift: int) -> dict[str, str] | None:
    """The zone of each node, so many changes of nodes after ``version`` (before, if negative)."""
    changes = nodes.events
    upto = sum(change.resource_version <= version for change in changes) + shift
    if not 0 < upto <= len(changes):
        return None
    state = {change.uid: change for change in changes[:upto]}
    return _zones([change.object for change in state.values() if not change.is_deletion])


def _zones(nodes: Sequence[Manifest]) -> dict[str, str]:
    return {node["metadata"]["name"]: node["metadata"]["labels"][ZONE] for node in nodes}


def _skew(zones: Mapping[str, str], placed: Mapping[str, str], chosen: str) -> int | None:
    """Pods in the zone of ``chosen`` with one more, less those of the emptiest zone."""
    if chosen not in zones:
        return None
    counts = Counter(dict.fromkeys(zones.values(), 0))
    counts.update(zones[node] for node in placed.values() if node in zones)
    return counts[zones[chosen]] + 1 - min(counts.values())
