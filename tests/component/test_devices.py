"""Devices on the embedded cluster: each is given out once, whatever goes wrong on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import msgspec
import pytest

from pyscheduler.client.errors import ServerUnreachable
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.devices import CLAIMS, DRIVER, claim, device_class, device_slice, user
from tests.component.world import World, is_binding, refusal


def cluster(world: World, *, nodes: int, devices: int) -> None:
    """Nodes with so many devices each."""
    world.create(device_class())
    for i in range(nodes):
        names = [f"gpu-{j}" for j in range(devices)]
        world.create(make_node(f"n{i}", cpu="64"), device_slice(f"n{i}", *names))


def stored_claims(world: World) -> list[JsonObject]:
    answer = world.handle(Request("GET", CLAIMS))
    items: list[JsonObject] = msgspec.json.decode(answer.body)["items"]
    return items


def given_out(world: World) -> Counter[tuple[str, str]]:
    """How often each device is given out, by pool and name."""
    return Counter(
        (result["pool"], result["device"])
        for stored in stored_claims(world)
        for result in stored.get("status", {})
        .get("allocation", {})
        .get("devices", {})
        .get("results", ())
    )


def assert_all_given_out_once(world: World, *, nodes: int, devices: int) -> None:
    expected = {(f"n{i}", f"gpu-{j}"): 1 for i in range(nodes) for j in range(devices)}
    assert given_out(world) == expected
    for stored in stored_claims(world):
        name = stored["metadata"]["name"]
        pod = world.pod(name.replace("claim", "pod"))
        (consumer,) = stored["status"]["reservedFor"]
        assert consumer["uid"] == pod["metadata"]["uid"]
        (result,) = stored["status"]["allocation"]["devices"]["results"]
        assert result["pool"] == pod["spec"]["nodeName"], "the pod is where its device is"


def demand(world: World, count: int) -> None:
    """So many pods with a claim each."""
    for i in range(count):
        world.create(claim(f"claim-{i}"), user(f"pod-{i}", f"claim-{i}", cpu="100m"))


def is_claim_write(request: Request) -> bool:
    return request.method == "PATCH" and request.path.startswith(CLAIMS)


async def test_every_device_is_given_out_once(world: World) -> None:
    cluster(world, nodes=10, devices=4)
    await world.start_scheduler()

    demand(world, 40)

    await world.until_bound()
    assert_all_given_out_once(world, nodes=10, devices=4)


async def test_who_comes_too_late_waits_for_a_device(world: World) -> None:
    cluster(world, nodes=1, devices=1)
    await world.start_scheduler()
    demand(world, 1)
    await world.until_bound("pod-0")

    world.create(claim("late"), user("late", "late"))
    await world.run_for(5)
    assert world.message("late").startswith(
        "0/1 nodes are available: 1 cannot allocate all claims."
    )

    world.delete_pod("pod-0", at_once=True)
    world.send("PATCH", f"{CLAIMS}/claim-0", {"metadata": {"finalizers": None}})
    world.send("DELETE", f"{CLAIMS}/claim-0", {})
    await world.until_bound("late", limit_s=20)


def _carried_out_without_an_answer(world: World) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        # whatever the server makes of it: one that is sent again may come too late
        world.handle(replace(request, content_type="application/merge-patch+json"))
        raise ServerUnreachable("connection reset")

    return answer


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(
            lambda world: refusal(409, "Conflict", "the object has been modified"), id="conflicts"
        ),
        pytest.param(lambda world: refusal(500, "InternalError", "broken"), id="breakdowns"),
        pytest.param(lambda world: refusal(403, "Forbidden", "no"), id="refusals"),
        pytest.param(_carried_out_without_an_answer, id="lost-answers"),
    ],
)
async def test_devices_are_given_out_once_when_writes_fail(
    world: World, trouble: Callable[[World], Callable[[Request], Response]]
) -> None:
    cluster(world, nodes=4, devices=4)
    rng = Random(7)

    def strikes(request: Request) -> bool:
        return is_claim_write(request) and rng.random() < 0.4

    world.fail(strikes, trouble(world), times=40)
    await world.start_scheduler()

    demand(world, 16)

    await world.until_bound(limit_s=2000)
    assert_all_given_out_once(world, nodes=4, devices=4)


@pytest.mark.parametrize("wanted", ["claim-0", "claim-1"], ids=["the-claim", "the-device"])
async def test_who_waits_for_what_another_has_in_memory_gets_it_when_that_one_fails(
    world: World, wanted: str
) -> None:
    cluster(world, nodes=1, devices=1)
    world.create(*(claim(f"claim-{i}") for i in range(2)))
    world.fail(is_claim_write, refusal(403, "Forbidden", "no"))
    world.weather.there_s = lambda request: 5.0 if is_claim_write(request) else 0.0
    await world.start_scheduler()
    world.create(user("first", "claim-0"))
    await world.run_for(1)

    world.create(user("second", wanted))
    await world.run_for(1)
    assert world.attempts("second") == 1

    # the first one fails after five seconds, and waits for its backoff; then there are two writes
    await world.until_bound("second", limit_s=15)


async def test_others_touch_claims_meanwhile(world: World) -> None:
    cluster(world, nodes=4, devices=4)
    world.weather.there_s = lambda request: 0.05 if is_claim_write(request) else 0.0
    await world.start_scheduler()

    demand(world, 16)
    for touch in range(3):
        await world.run_for(0.03)
        for i in range(16):
            label = {"metadata": {"labels": {"touched": str(touch)}}}
            world.send("PATCH", f"{CLAIMS}/claim-{i}", label)

    await world.until_bound(limit_s=2000)
    assert_all_given_out_once(world, nodes=4, devices=4)


@pytest.mark.parametrize("event_delay_s", [0.0, 3.0], ids=["watch-in-time", "watch-late"])
@pytest.mark.parametrize("writes", [0, 1, 7, 20, 31])
async def test_a_scheduler_that_dies_between_reserve_and_bind_leaves_no_device_behind(
    world: World, writes: int, event_delay_s: float
) -> None:
    cluster(world, nodes=4, devices=4)
    world.weather.event_delay_s = event_delay_s
    world.weather.there_s = lambda request: 0.01 if is_claim_write(request) else 0.0
    seen = 0

    def counts(request: Request) -> bool:
        nonlocal seen
        seen += is_claim_write(request)
        return False

    world.fail(counts, refusal(500, "InternalError", "never"))
    first = await world.start_scheduler()
    demand(world, 16)
    await world.until(lambda: seen >= writes, what=f"{writes} writes of claims")
    await first.kill()

    await world.start_scheduler()
    await world.until_bound(limit_s=2000)

    assert_all_given_out_once(world, nodes=4, devices=4)


async def test_a_pod_that_is_not_bound_after_all_gets_another_chance(world: World) -> None:
    cluster(world, nodes=2, devices=2)
    world.fail(is_binding, refusal(500, "InternalError", "broken"), times=200)
    await world.start_scheduler()
    demand(world, 4)
    await world.run_for(60)
    world.calm()

    await world.until_bound(limit_s=2000)
    assert_all_given_out_once(world, nodes=2, devices=2)


async def test_pods_that_share_a_claim_are_together(world: World) -> None:
    cluster(world, nodes=5, devices=2)
    await world.start_scheduler()
    world.create(claim("shared"))

    world.create(*(user(f"pod-{i}", "shared", cpu="100m") for i in range(6)))

    await world.until_bound(limit_s=700)
    assert len({world.node_of(f"default/pod-{i}") for i in range(6)}) == 1
    (stored,) = stored_claims(world)
    assert len(stored["status"]["reservedFor"]) == 6
    assert sum(given_out(world).values()) == 1


async def test_a_claim_of_no_use_anywhere_gets_other_devices(world: World) -> None:
    cluster(world, nodes=2, devices=1)
    world.create(claim("claim-0"))
    await world.start_scheduler()
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gone"]}]}
    result = {"request": "gpu", "driver": DRIVER, "pool": "gone", "device": "gpu-0"}
    allocation = {
        "devices": {"results": [result]},
        "nodeSelector": {"nodeSelectorTerms": [term]},
    }
    world.send("PATCH", f"{CLAIMS}/claim-0/status", {"status": {"allocation": allocation}})

    world.create(user("pod-0", "claim-0"))

    await world.until_bound("pod-0", limit_s=60)
    assert set(given_out(world)) <= {("n0", "gpu-0"), ("n1", "gpu-0")}


GPU_CONTAINERS = [
    {
        "name": "main",
        "image": "pause",
        "resources": {
            "requests": {"cpu": "100m", "example.com/gpu": "1"},
            "limits": {"example.com/gpu": "1"},
        },
    }
]


async def test_extended_resources_become_devices(world: World) -> None:
    world.create(device_class(extendedResourceName="example.com/gpu"))
    world.create(make_node("n0"), make_node("n1"), device_slice("n1", "gpu-0", "gpu-1"))
    await world.start_scheduler()

    world.create(*(make_pod(f"pod-{i}", containers=GPU_CONTAINERS) for i in range(2)))

    await world.until_bound(limit_s=60)
    assert given_out(world) == {("n1", "gpu-0"): 1, ("n1", "gpu-1"): 1}
    told = {
        world.pod(f"pod-{i}")["status"]["extendedResourceClaimStatus"]["resourceClaimName"]
        for i in range(2)
    }
    assert told == {stored["metadata"]["name"] for stored in stored_claims(world)}


TWO_PROFILES = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
  - schedulerName: pyscheduler
  - schedulerName: pyscheduler-too
"""


async def test_profiles_give_no_device_out_twice(world: World) -> None:
    cluster(world, nodes=4, devices=4)
    world.weather.there_s = lambda request: 0.2 if is_claim_write(request) else 0.0
    await world.start_scheduler(configuration=TWO_PROFILES)

    for i in range(16):
        name = "pyscheduler-too" if i % 2 else "pyscheduler"
        pod = user(f"pod-{i}", f"claim-{i}", cpu="100m", scheduler_name=name)
        world.create(claim(f"claim-{i}"), pod)

    await world.until_bound(limit_s=60)
    assert_all_given_out_once(world, nodes=4, devices=4)


async def test_a_claim_made_for_a_pod_later_lets_it_in(world: World) -> None:
    cluster(world, nodes=1, devices=1)
    await world.start_scheduler()
    template = [{"name": "gpu", "resourceClaimTemplateName": "template"}]
    world.create(make_pod("pod-0", resourceClaims=template))
    await world.run_for(5)
    assert world.message("pod-0") == ""
    assert world.attempts("pod-0") == 0

    made = claim("claim-0")
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "pod-0", "controller": True}
    made["metadata"]["ownerReferences"] = [{**owner, "uid": world.pod("pod-0")["metadata"]["uid"]}]
    world.create(made)
    status = {"resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": "claim-0"}]}
    world.send("PATCH", "/api/v1/namespaces/default/pods/pod-0/status", {"status": status})

    await world.until_bound("pod-0", limit_s=20)
    assert_all_given_out_once(world, nodes=1, devices=1)


async def test_a_claim_that_a_dead_scheduler_made_is_replaced(world: World) -> None:
    world.create(device_class(extendedResourceName="example.com/gpu"))
    world.create(make_node("n0"), device_slice("n0", "gpu-0"))
    world.fail(is_claim_write, refusal(500, "InternalError", "broken"), times=1_000)
    first = await world.start_scheduler()
    world.create(make_pod("pod-0", containers=GPU_CONTAINERS))
    await world.until(lambda: len(stored_claims(world)) == 1, what="the claim")
    await first.kill()
    (left,) = stored_claims(world)
    assert "allocation" not in left.get("status", {})
    world.calm()

    await world.start_scheduler()

    await world.until_bound("pod-0", limit_s=30)
    assert given_out(world) == {("n0", "gpu-0"): 1}
    assert [stored["metadata"]["uid"] for stored in stored_claims(world)] != [
        left["metadata"]["uid"]
    ]
