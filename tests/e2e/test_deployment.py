"""The scheduler as its manifests deploy it: it runs, schedules what really runs, and stays.

Two replicas are deployed once and shared by the tests of this file, which leave them as they found
them: the rollouts come last. What needs real containers, kubelets or a node that stands still says
so; the rest holds on a control plane without them as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio
import yaml

from tests.controlplane.api_client import Manifest
from tests.e2e import sleepers
from tests.e2e.claims import metric, restarts, witness_is_content
from tests.e2e.providers.base import (
    CONFIG_KEY,
    MANIFESTS,
    ApiError,
    Capability,
    Provider,
    Release,
    eventually,
)

REPLICAS = Release(replicas=2)

#: Enough that every worker gets dozens, and few enough for two workers on a small machine.
PODS = 60

#: Seconds between the change that makes room and the binding of who waits for it. Timers would
#: take longer: the flush of the unschedulable pool looks after five minutes.
PROMPTLY_S = 20

#: What a filler leaves of a node's memory, and what asks for more than that.
LEFT, WANTED = Decimal(256 * 2**20), Decimal(512 * 2**20)

CELSIUS = "example.com/celsius"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def inhabited(cluster: Provider) -> AsyncIterator[Provider]:
    """The cluster with two workers at least; emptied after the last test."""
    if Capability.FAKE_NODES in cluster.capabilities:
        await cluster.create_nodes(2, prefix="worker")
    yield cluster
    await cluster.reset()


@pytest_asyncio.fixture(loop_scope="session")
async def workplace(inhabited: Provider) -> AsyncIterator[Provider]:
    """The cluster, whatever is deployed on it; the tests' pods go."""
    yield inhabited
    await inhabited.delete_workloads()


@pytest_asyncio.fixture(loop_scope="session")
async def provider(workplace: Provider) -> Provider:
    """The cluster with two ready replicas as the manifests make them; the tests' pods go."""
    await workplace.deploy(REPLICAS)
    return workplace


@pytest.mark.needs("real_containers")
async def test_every_container_runs_under_restricted_pod_security(provider: Provider) -> None:
    namespace = await provider.api.get(f"/api/v1/namespaces/{provider.namespace}")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = f"/api/v1/namespaces/{provider.namespace}/pods"
    privileged = sleepers.pod(provider, "privileged")
    privileged["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    with pytest.raises(ApiError, match="violates PodSecurity"):
        await provider.api.request("POST", pods, privileged, params={"dryRun": "All"})

    replicas = await provider.api.list(pods)

    assert len(replicas) == 2
    assert all(map(sleepers.is_running, replicas))
    assert await restarts(provider) == 0
    assert await provider.leader_identity()


async def test_deployment_of_60_runs_over_the_workers(provider: Provider) -> None:
    await sleepers.create_deployment(provider, "web", replicas=PODS)

    pods = await sleepers.all_running(provider, PODS)

    await witness_is_content(provider, bound=PODS)
    if Capability.DISPOSABLE in provider.capabilities:  # workers alike, with nothing else on them
        spread = sleepers.per_node(pods)
        workers = {node["metadata"]["name"] for node in await provider.workers()}
        assert set(spread) == workers
        assert min(spread.values()) >= PODS // len(workers) // 3, f"lopsided: {spread}"


@pytest.mark.needs("disposable")
async def test_web_app_waits_for_room_and_gets_it(provider: Provider) -> None:
    workers = [node["metadata"]["name"] for node in await provider.workers()]
    nodes = await provider.api.list("/api/v1/nodes")
    fillers = [
        await _filler(provider, node) for node in nodes if node["metadata"]["name"] in workers
    ]
    await sleepers.create(provider, *fillers)
    full = await sleepers.all_running(provider, len(workers))
    assert set(sleepers.per_node(full)) == set(workers)
    flushed = await _flushed(provider)

    await sleepers.create(
        provider, sleepers.pod(provider, "web-app", requests={"memory": str(WANTED)})
    )
    message = await sleepers.waits_saying(provider, "web-app")
    assert message.startswith(f"0/{len(nodes)} nodes are available: ")
    assert f"{len(workers)} Insufficient memory" in message
    gone = full[0]["metadata"]["name"]
    await provider.api.delete(f"/api/v1/namespaces/{provider.test_namespace}/pods/{gone}")
    async with asyncio.timeout(PROMPTLY_S):
        node = await sleepers.running_on(provider, "web-app")

    assert node == full[0]["spec"]["nodeName"]
    assert await _flushed(provider) == flushed


@pytest.mark.needs("real_containers")
async def test_metrics_are_scraped_through_the_service(provider: Provider) -> None:
    url = f"http://pyscheduler-metrics.{provider.namespace}.svc:10259/metrics"
    # Each request is a connection of its own, so that both replicas are met.
    script = (
        "import urllib.request as u\n"
        "for _ in range(30):\n"
        f"    print(u.urlopen({url!r}, timeout=10).read().decode())"
    )
    prober = sleepers.pod(provider, "prober", command=("python3", "-c", script))

    await sleepers.create(provider, prober)
    await provider.kubectl(
        *("-n", provider.test_namespace, "wait", "pod/prober"),
        "--for=jsonpath={.status.phase}=Succeeded",
        "--timeout=60s",
    )
    lines = (await provider.kubectl("-n", provider.test_namespace, "logs", "prober")).splitlines()

    leading = {line.split()[-1] for line in lines if line.startswith("leader_election_master_stat")}
    assert {float(value) for value in leading} == {0, 1}, "the leader and the standby answer"
    assert any(line.startswith("scheduler_schedule_attempts_total{") for line in lines)


async def test_scale_up_goes_on_when_the_leader_is_deleted(provider: Provider) -> None:
    leader = await provider.leader()
    before = _scheduled(await leader.metrics())
    await sleepers.create_deployment(provider, "web", replicas=30)

    async def amid() -> bool:
        return _scheduled(await leader.metrics()) > before

    await eventually(amid, what="the first pods to be bound", interval_s=0.05)
    await provider.api.delete(f"/api/v1/namespaces/{provider.namespace}/pods/{leader.name}")
    await sleepers.scale(provider, "web", replicas=40)
    await sleepers.all_running(provider, 40)

    successor = await provider.leader()
    assert successor.name != leader.name
    # the leader may have bound all of them before it heard of its end
    await sleepers.scale(provider, "web", replicas=44)
    pods = await sleepers.all_running(provider, 44)
    assert _scheduled(await successor.metrics()) > 0
    announced = await sleepers.scheduled_events(provider)
    assert max(announced[pod["metadata"]["uid"]] for pod in pods) == 1
    await witness_is_content(provider, bound=44, expect_events=False)
    await provider.rollout_done()


@pytest.mark.needs("drain_nodes", "disposable")
async def test_pods_of_a_drained_worker_move_and_may_come_back(provider: Provider) -> None:
    first, *others = [node["metadata"]["name"] for node in await provider.workers()]
    await sleepers.create_deployment(provider, "web", replicas=12)
    await sleepers.all_running(provider, 12)
    try:
        await provider.kubectl(
            *("drain", first, "--ignore-daemonsets", "--delete-emptydir-data", "--force"),
            "--timeout=100s",
        )
        moved = await sleepers.all_running(provider, 12)
        assert set(sleepers.per_node(moved)) <= set(others)
    finally:
        await provider.kubectl("uncordon", first)
    await sleepers.scale(provider, "web", replicas=24)

    pods = await sleepers.all_running(provider, 24)

    assert sleepers.per_node(pods)[first] > 0
    await provider.rollout_done()  # a replica that had to move is ready again


@pytest.mark.needs("pause_nodes", "disposable")
async def test_worker_that_stands_still_gets_no_pods_until_it_is_back(provider: Provider) -> None:
    """The leader is on it: the standby goes on meanwhile, and two leaders there are never."""
    leader = await provider.leader()
    workers = {node["metadata"]["name"] for node in await provider.workers()}
    lost = await _node_of(provider, leader.name)
    if lost not in workers:  # on the control plane, which is not to be paused
        lost = min(workers)
    await sleepers.create_deployment(provider, "web", replicas=6)
    await sleepers.all_running(provider, 6)
    left_behind = len(await _pods_on(provider, lost))

    await provider.pause_node(lost)
    try:
        await sleepers.scale(provider, "web", replicas=20)
        await sleepers.all_running(provider, 20 - left_behind, elsewhere_than=lost)
        assert len(await _pods_on(provider, lost)) == left_behind
    finally:
        await provider.resume_node(lost)
    await provider.rollout_done(timeout_s=180)
    await sleepers.scale(provider, "web", replicas=30)

    await sleepers.all_running(provider, 30)
    assert len(await _pods_on(provider, lost)) > left_behind
    await witness_is_content(provider, bound=30, expect_events=False)


async def test_changed_configuration_is_rolled_out_and_no_pod_is_lost(provider: Provider) -> None:
    config = yaml.safe_load((MANIFESTS / "base" / CONFIG_KEY).read_text())
    config["leaderElection"]["resourceNamespace"] = provider.namespace
    config["profiles"].append({"schedulerName": "pyscheduler-also"})
    (known,) = await sleepers.create(
        provider, sleepers.pod(provider, "hopeful", scheduler_name="pyscheduler-also")
    )
    rollout = asyncio.create_task(
        provider.deploy(Release(replicas=2, configuration=yaml.safe_dump(config)))
    )
    created = [known]
    while not rollout.done():
        name = f"during-{len(created)}"
        created += await sleepers.create(provider, sleepers.pod(provider, name))
        await asyncio.wait({rollout}, timeout=1)
    await rollout

    pods = await sleepers.all_running(provider, len(created))

    uids = {pod["metadata"]["uid"] for pod in created}
    assert {pod["metadata"]["uid"] for pod in pods} == uids
    announced = await sleepers.scheduled_events(provider)
    assert max(announced[uid] for uid in uids) == 1, "a pod was bound twice"
    assert await sleepers.running_on(provider, "hopeful")


@pytest.mark.needs("real_containers", "drain_nodes", "disposable")
async def test_plugin_from_an_image_layer_decides(workplace: Provider) -> None:
    provider = workplace
    overlay = MANIFESTS / "overlays" / "nodeheat"
    hot, cool, *_ = [node["metadata"]["name"] for node in await provider.workers()]
    try:
        await _heat(provider, hot, 90)
        await _heat(provider, cool, 20)
        await provider.deploy(Release(replicas=2, overlay=overlay))
        await sleepers.create(
            provider, *(sleepers.pod(provider, f"pod-{index}") for index in range(6))
        )
        pods = await sleepers.all_running(provider, 6)
        assert set(sleepers.per_node(pods)) == {cool}, "the filter keeps pods off the hot node"

        await _heat(provider, cool, 95)
        await sleepers.create(provider, sleepers.pod(provider, "waits"))
        assert "2 node(s) were too hot" in await sleepers.waits_saying(provider, "waits")
        await _heat(provider, hot, 30)
        async with asyncio.timeout(PROMPTLY_S):
            assert await sleepers.running_on(provider, "waits") == hot
    finally:
        for node in (hot, cool):
            await _heat(provider, node, None)


async def _filler(provider: Provider, node: Manifest) -> Manifest:
    """Returns a pod for that node which leaves `LEFT` of its memory."""
    name = node["metadata"]["name"]
    wanted = await sleepers.free(provider, node, "memory") - LEFT
    filler = sleepers.pod(provider, f"filler-{name}", requests={"memory": f"{wanted:.0f}"})
    filler["spec"]["nodeSelector"] = {"kubernetes.io/hostname": name}
    return filler


async def _heat(provider: Provider, node: str, celsius: int | None) -> None:
    """The node's annotation says so; None takes it away."""
    text = None if celsius is None else str(celsius)
    await provider.api.patch(
        f"/api/v1/nodes/{node}", {"metadata": {"annotations": {CELSIUS: text}}}
    )


def _scheduled(metrics: str) -> float:
    return metric(metrics, "scheduler_schedule_attempts_total", result="scheduled")


async def _flushed(provider: Provider) -> float:
    """Returns how many pods a timer woke, and not an event."""
    return metric(await provider.metrics_text(), "scheduler_pod_scheduled_after_flush_total")


async def _node_of(provider: Provider, replica: str) -> str:
    pod = await provider.api.get(f"/api/v1/namespaces/{provider.namespace}/pods/{replica}")
    return str(pod["spec"]["nodeName"])


async def _pods_on(provider: Provider, node: str) -> list[Manifest]:
    return [pod for pod in await provider.pods() if pod["spec"].get("nodeName") == node]
