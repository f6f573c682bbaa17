"""Preemption on a real control plane: room for hundreds, and kube-scheduler's choice of victims.

What is evicted, and how, is what kube-apiserver's audit log and a watch of all pods say.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio

from tests.controlplane import load
from tests.controlplane.api_client import Manifest
from tests.controlplane.audit import Entry
from tests.e2e import scenes
from tests.e2e.claims import LOAD_TIMEOUT_S, assert_bound_once, restarts, scheduler_audit
from tests.e2e.preemption_scenes import SCENES
from tests.e2e.providers.base import Provider, eventually
from tests.e2e.scene_play import Outcome, Play, create_nodes
from tests.e2e.scenes import Scene
from tests.e2e.watch_recorder import WatchRecord, recording

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"

#: Full nodes, of which preemptors need each; and as many ordinary pods.
NODES = 300
#: Nobody looks after so many of them: who is deleted there terminates until the test ends it.
BARE_NODES = 100
#: Further full nodes of either kind that nobody needs: of pods that cost more, or too important.
BYSTANDERS = 10

LOW, DEARER, HIGH, UNTOUCHABLE = "low", "dearer", "high", "untouchable"
PRIORITIES: Mapping[str, int] = {LOW: 100, DEARER: 500, HIGH: 1000, UNTOUCHABLE: 2000}

WHOLE_NODE = {"cpu": "4", "memory": "1Gi"}
CRUMB = {"cpu": "1m", "memory": "1Mi"}
#: Room for all ordinary pods and for no preemptor.
ROOM_FOR_CRUMBS = {"cpu": "3", "pods": str(NODES)}
GRACE_S = 300
#: Bare nodes are found unreachable after a while, which is not what these tests are about.
TOLERATES_ALL: Sequence[Mapping[str, str]] = ({"operator": "Exists"},)

#: Seconds from the room to the binding; the queue's own timers take minutes.
PROMPTLY_S = 10


# --- whom kube-scheduler would evict ---


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def played(cluster: Provider) -> tuple[Mapping[str, Outcome], Mapping[str, Outcome]]:
    """Returns what kube-scheduler and this scheduler made of every scene, in that order."""
    classes = scenes.priority_classes(SCENES)
    await cluster.api.create_all(CLASSES, classes)
    await cluster.api.create(RUNTIME_CLASSES, scenes.sandbox_class())
    try:
        await create_nodes(cluster, SCENES)
        ours = await Play(cluster, SCENES, is_ours=True).outcomes()
        theirs = await Play(cluster, SCENES, is_ours=False).outcomes()
    finally:
        await cluster.reset()
        await cluster.api.delete(f"{RUNTIME_CLASSES}/{scenes.SANDBOX}")
        for manifest in classes:
            await cluster.api.delete(f"{CLASSES}/{manifest['metadata']['name']}")
    return theirs, ours


@pytest.mark.needs("fake_nodes", "kube_scheduler", "disposable")
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_victims_node_and_words_are_those_of_kube_scheduler(
    played: tuple[Mapping[str, Outcome], Mapping[str, Outcome]], scene: Scene
) -> None:
    theirs, ours = (outcomes[scene.name] for outcomes in played)

    assert theirs.victims == scene.victims, "the scene is not what it was meant to be"
    assert theirs.announced == dict.fromkeys(scene.victims, scene.node)
    assert (theirs.bound or theirs.nominated) == scene.node
    assert bool(theirs.bound) == scene.is_bound
    assert ("preemption: " in theirs.message) == (not scene.is_bound)
    assert theirs.nominations == scene.nominations
    if scene.our_last_words:
        assert ours.message.endswith(f" preemption: {scene.our_last_words}")
        assert replace(ours, message="") == replace(theirs, message="")
    else:
        assert ours == theirs


# --- how they are evicted ---


@pytest_asyncio.fixture(loop_scope="session")
async def priorities(provider: Provider) -> AsyncIterator[None]:
    """The classes of `PRIORITIES` exist; a first try may have left them."""
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    await provider.apply(
        [{**kind, "metadata": {"name": name}, "value": value} for name, value in PRIORITIES.items()]
    )
    yield
    for name in PRIORITIES:
        await provider.api.delete(f"{CLASSES}/{name}")


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
@pytest.mark.usefixtures("priorities")
async def test_hundreds_make_room_for_themselves_while_others_are_scheduled(
    provider: Provider,
) -> None:
    nodes = await provider.create_nodes(NODES - BARE_NODES)
    bare = await _create_bare_nodes(provider, BARE_NODES)
    victims = {f"on-{node}" for node in nodes + bare}
    await _fill(provider, nodes, LOW)
    await _fill(provider, bare, LOW, grace_s=GRACE_S)
    bystanders: set[str] = set()
    for kind in (DEARER, UNTOUCHABLE):
        full = await provider.create_nodes(BYSTANDERS, prefix=kind)
        bystanders |= {f"on-{node}" for node in full}
        await _fill(provider, full, kind)
    spare = await provider.create_nodes(1, prefix="spare", allocatable=ROOM_FOR_CRUMBS)

    async with recording(provider.api) as record:
        await provider.deploy()
        await _create(provider, *(_preemptor(f"preemptor-{index}") for index in range(NODES)))
        await _somebody_is_leaving(provider, victims)
        await _create(provider, *(_ordinary(f"ordinary-{index}") for index in range(NODES)))
        # those on bare nodes do not go before the ordinary pods are bound: preemption is not over
        await _bound(provider, "ordinary", count=NODES)
        assert await _count_waiting(provider, "preemptor") >= BARE_NODES
        await _end_terminating_until_all_are_bound(provider)

    pods = {pod["metadata"]["name"]: pod for pod in await provider.pods()}
    assert victims & pods.keys() == set()
    assert bystanders - pods.keys() == set()
    assert not any("deletionTimestamp" in pod["metadata"] for pod in pods.values())
    taken = [pod["spec"]["nodeName"] for name, pod in pods.items() if name.startswith("preemptor")]
    assert sorted(taken) == sorted(nodes + bare)
    elsewhere = {p["spec"]["nodeName"] for n, p in pods.items() if n.startswith("ordinary")}
    assert elsewhere == set(spare)
    _assert_told_before_they_left(record, victims)
    await _assert_evicted_once(provider, victims)
    await assert_bound_once(provider, pods=2 * NODES)
    assert await restarts(provider) == 0


@pytest.mark.needs("fake_nodes", "audit_log", "disposable")
@pytest.mark.usefixtures("priorities")
async def test_preemptor_takes_another_node_that_frees_up_while_its_victim_takes_its_time(
    provider: Provider,
) -> None:
    (slow,) = await _create_bare_nodes(provider, 1)
    (other,) = await provider.create_nodes(1)
    await _fill(provider, [slow], LOW, grace_s=GRACE_S)
    await _fill(provider, [other], DEARER)
    await provider.deploy()
    await _create(provider, _preemptor("preemptor-0"))

    waiting = await _waits_saying(
        provider,
        "preemptor-0",
        "0/2 nodes are available: 2 Insufficient cpu. "
        f"preemption: found a potential placement for pod on node {slow}, preempting 1 victims",
    )
    assert waiting["status"]["nominatedNodeName"] == slow
    await asyncio.sleep(1)  # time in which a mistake would show
    victim = await provider.api.get(_path(provider, f"on-{slow}"))
    dearer = await provider.api.get(_path(provider, f"on-{other}"))
    assert victim["metadata"]["deletionGracePeriodSeconds"] == GRACE_S
    assert "deletionTimestamp" not in dearer["metadata"]

    await provider.api.delete(_path(provider, f"on-{other}"))

    await _bound(provider, "preemptor", count=1, timeout_s=PROMPTLY_S)
    bound = await provider.api.get(_path(provider, "preemptor-0"))
    assert bound["spec"]["nodeName"] == other
    still_there = await provider.api.get(_path(provider, f"on-{slow}"))
    assert still_there["metadata"]["uid"] == victim["metadata"]["uid"]
    await _assert_evicted_once(provider, {f"on-{slow}"})


# --- the state ---


async def _create_bare_nodes(provider: Provider, count: int) -> list[str]:
    """Nodes that no kubelet and no kwok looks after; they were ready once."""
    nodes = [load.node_manifest(f"bare-{index}") for index in range(count)]
    for node in nodes:
        del node["metadata"]["annotations"][load.KWOK_ANNOTATION]
    await provider.api.create_all("/api/v1/nodes", nodes)
    return [node["metadata"]["name"] for node in nodes]


async def _fill(
    provider: Provider, nodes: Collection[str], priority: str, *, grace_s: int = 0
) -> None:
    """Each node has one pod that takes all of its CPU, named after it."""
    await _create(
        provider,
        *(
            _pod(
                f"on-{node}",
                priority,
                WHOLE_NODE,
                nodeName=node,
                tolerations=TOLERATES_ALL,
                terminationGracePeriodSeconds=grace_s,
            )
            for node in nodes
        ),
    )


def _preemptor(name: str) -> Manifest:
    return _pod(name, HIGH, WHOLE_NODE, tolerations=TOLERATES_ALL)


def _ordinary(name: str) -> Manifest:
    return _pod(name, LOW, CRUMB)


def _pod(name: str, priority: str, requests: Mapping[str, str], **spec: object) -> Manifest:
    """Returns a pod with the label `app`, its name's first word."""
    return load.pod_manifest(
        name,
        requests=requests,
        labels={"app": name.partition("-")[0]},
        spec={"priorityClassName": priority, **spec},
    )


async def _create(provider: Provider, *pods: Manifest) -> None:
    await provider.api.create_all(f"/api/v1/namespaces/{provider.test_namespace}/pods", pods)


def _path(provider: Provider, name: str) -> str:
    return f"/api/v1/namespaces/{provider.test_namespace}/pods/{name}"


# --- what happens ---


async def _somebody_is_leaving(provider: Provider, victims: Collection[str]) -> None:
    async def leaving() -> bool:
        there = [pod for pod in await provider.pods() if pod["metadata"]["name"] in victims]
        return len(there) < len(victims) or any(map(_is_terminating, there))

    await eventually(leaving, what="a first victim", timeout_s=LOAD_TIMEOUT_S)


async def _count_waiting(provider: Provider, app: str) -> int:
    path = f"/api/v1/namespaces/{provider.test_namespace}/pods"
    return len(
        await provider.api.list(path, label_selector=f"app={app}", field_selector="spec.nodeName=")
    )


async def _bound(
    provider: Provider, app: str, *, count: int, timeout_s: float = LOAD_TIMEOUT_S
) -> None:
    """So many pods of that kind exist, and all are bound."""

    async def bound() -> bool:
        pods = await provider.pods(label_selector=f"app={app}")
        return len(pods) == count and all(pod["spec"].get("nodeName") for pod in pods)

    await eventually(bound, what=f"{app} pods to be bound", timeout_s=timeout_s)


async def _end_terminating_until_all_are_bound(provider: Provider) -> None:
    """As a kubelet would: who has been deleted ends, until no preemptor waits."""

    async def all_bound() -> bool:
        await load.delete_pods(
            provider.api, [pod for pod in await provider.pods() if _is_terminating(pod)]
        )
        return await _count_waiting(provider, "preemptor") == 0

    await eventually(all_bound, what="all preemptors to be bound", timeout_s=LOAD_TIMEOUT_S)


async def _waits_saying(provider: Provider, name: str, message: str) -> Manifest:
    """Returns the pod once its condition has exactly that message."""
    said: list[str] = []

    async def says_so() -> Manifest | None:
        pod = await provider.api.get(_path(provider, name))
        conditions = pod["status"].get("conditions", [])
        said[:] = [c.get("message", "") for c in conditions if c["type"] == "PodScheduled"]
        return pod if said == [message] else None

    try:
        return await eventually(says_so, what="the message")
    except TimeoutError:
        raise AssertionError(f"{name} says {said}") from None


def _is_terminating(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]


# --- what was written ---


def _assert_told_before_they_left(record: WatchRecord, victims: Collection[str]) -> None:
    """Each victim had its condition when it began to terminate."""
    told: dict[str, tuple[str, ...]] = {}
    for event in record:
        if event.is_deletion or _is_terminating(event.object):
            (condition,) = [
                c for c in event.object["status"]["conditions"] if c["type"] == "DisruptionTarget"
            ]
            words = (condition["status"], condition["reason"], condition["message"])
            told.setdefault(event.object["metadata"]["name"], words)
    message = "pyscheduler: preempting to accommodate a higher priority pod"
    assert Counter(told.values()) == {("True", "PreemptionByScheduler", message): len(victims)}
    assert told.keys() == victims


async def _assert_evicted_once(provider: Provider, victims: Collection[str]) -> None:
    """The scheduler wrote each victim's status, then deleted it; and nobody else's pod."""
    writes: defaultdict[str, list[Entry]] = defaultdict(list)
    deleted: set[str] = set()
    for entry in (await scheduler_audit(provider)).completed:
        if entry.resource == "pods" and entry.namespace == provider.test_namespace:
            if entry.name in victims and entry.verb in ("patch", "update", "delete"):
                writes[entry.name].append(entry)
            if entry.verb.startswith("delete"):
                deleted.add(entry.name)
    assert deleted == victims
    steps = [("patch", "status", 200), ("delete", "", 200)]
    assert {
        name: [str(entry) for entry in entries]
        for name, entries in writes.items()
        if [(entry.verb, entry.subresource, entry.status) for entry in entries] != steps
        or entries[0].time_s > entries[1].received_s
    } == {}
