"""Claims on the embedded cluster: bound where their pods go, by a small controller of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.served_kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.storage import (
    csi_driver,
    free_volume,
    late_class,
    of_claim,
    pending_claim,
    storage_capacity,
)
from tests.component.world import World

HOST = "kubernetes.io/hostname"
SELECTED = "volume.kubernetes.io/selected-node"


class VolumeController:
    """Does once a second what the controllers of volumes do upon events."""

    def __init__(self, world: World, *, cannot_make_on: frozenset[str] = frozenset()) -> None:
        self._world = world
        self._cannot_make_on = cannot_make_on
        #: claims whose selected node was taken off, with that node
        self.refused: list[tuple[str, str]] = []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._world.clock.sleep(1)
            for volume in self._all(PERSISTENT_VOLUMES.collection):
                if volume["status"]["phase"] == "Pending":
                    set_phase(self._world, volume["metadata"]["name"], "Available")
            for claim in self._all(PERSISTENT_VOLUME_CLAIMS.collection):
                if not claim["spec"].get("volumeName"):
                    self._help(claim)

    def _help(self, claim: JsonObject) -> None:
        uid = claim["metadata"]["uid"]
        for volume in self._all(PERSISTENT_VOLUMES.collection):
            if volume["spec"].get("claimRef", {}).get("uid") == uid:
                self._bind(claim, volume["metadata"]["name"])
                return
        node = claim["metadata"].get("annotations", {}).get(SELECTED)
        if node in self._cannot_make_on:
            self.refused.append((claim["metadata"]["name"], node))
            self._patch_claim(claim, {"metadata": {"annotations": {SELECTED: None}}})
        elif node is not None:
            name = f"made-for-{claim['metadata']['name']}"
            made = free_volume(name, node)
            made["spec"]["claimRef"] = {
                "namespace": "default",
                "name": claim["metadata"]["name"],
                "uid": uid,
            }
            self._world.create(made)
            self._bind(claim, name)

    def _bind(self, claim: JsonObject, volume: str) -> None:
        bound = {"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}}
        self._patch_claim(claim, {**bound, "spec": {"volumeName": volume}})
        set_phase(self._world, volume, "Bound")

    def _patch_claim(self, claim: JsonObject, body: JsonObject) -> None:
        name = claim["metadata"]["name"]
        path = f"/api/v1/namespaces/default/persistentvolumeclaims/{name}"
        self._world.send("PATCH", path, body)

    def _all(self, collection: str) -> list[JsonObject]:
        stored = self._world.cluster.store.collection(collection).objects.values()
        return [one.data for one in stored]


def set_phase(world: World, volume: str, phase: str) -> None:
    """The volume is in that phase."""
    path = f"/api/v1/persistentvolumes/{volume}/status"
    world.send("PATCH", path, {"status": {"phase": phase}})


@asynccontextmanager
async def controlled(controller: VolumeController) -> AsyncIterator[None]:
    task = asyncio.create_task(controller.run())
    try:
        yield
    finally:
        task.cancel()


def hosts(*names: str) -> list[JsonObject]:
    return [make_node(name, labels={HOST: name}) for name in names]


def volume_of(world: World, claim: str) -> JsonObject:
    claims = world.cluster.store.get(PERSISTENT_VOLUME_CLAIMS.collection, f"default/{claim}")
    assert claims is not None
    volume = world.cluster.store.get(
        PERSISTENT_VOLUMES.collection, claims.data["spec"]["volumeName"]
    )
    assert volume is not None
    return volume.data


def user(name: str, *claims: str) -> JsonObject:
    return make_pod(name, volumes=[of_claim(claim) for claim in claims])


async def test_pods_find_their_volumes_and_no_volume_is_given_twice(world: World) -> None:
    names = [f"n{number}" for number in range(6)]
    world.create(
        late_class("late"),
        *hosts(*names),
        *(free_volume(f"pv-{name}", name) for name in names),
        *(pending_claim(f"data-{number}") for number in range(6)),
    )
    async with controlled(VolumeController(world)):
        await world.start_scheduler()
        world.create(*(user(f"p-{number}", f"data-{number}") for number in range(6)))
        await world.until_bound(limit_s=60)

    nodes = set()
    for number in range(6):
        node = world.node_of(f"default/p-{number}")
        volume = volume_of(world, f"data-{number}")
        assert volume["metadata"]["name"] == f"pv-{node}"
        assert volume["spec"]["claimRef"]["name"] == f"data-{number}"
        nodes.add(node)
    assert nodes == {*names}
    world.assert_sound()


async def test_a_volume_is_made_for_the_node_that_was_selected(world: World) -> None:
    world.create(late_class("late", provisioner="csi.example.com"), *hosts("n1", "n2"))
    world.create(pending_claim("data"))
    async with controlled(VolumeController(world)):
        await world.start_scheduler()
        world.create(user("p", "data"))
        await world.until_bound("p", limit_s=60)

    assert volume_of(world, "data")["metadata"]["name"] == "made-for-data"
    world.assert_sound()


async def test_a_pod_is_tried_again_when_its_volume_could_not_be_made(world: World) -> None:
    world.create(late_class("late", provisioner="csi.example.com"), *hosts("n1", "n2"))
    world.create(pending_claim("data"))
    controller = VolumeController(world, cannot_make_on=frozenset({"n1"}))
    async with controlled(controller):
        await world.start_scheduler()
        # n2 is full at first, so that n1 is selected
        world.create(
            make_pod("holder", cpu="4", nodeName="n2", scheduler_name="somebody-else"),
        )
        await world.run_for(2)
        world.create(user("p", "data"))
        await world.run_for(3)
        assert ("data", "n1") in controller.refused
        world.delete_pod("holder", at_once=True)
        world.patch_node("n1", {"spec": {"unschedulable": True}})
        await world.until_bound("p", limit_s=120)

    assert world.node_of("default/p") == "n2"
    world.assert_sound()


_STORAGE = "/apis/storage.k8s.io/v1"
_ROOM = f"{_STORAGE}/namespaces/default/csistoragecapacities/room"
_DRIVER = f"{_STORAGE}/csidrivers/csi.example.com"
_LABEL: JsonObject = {"metadata": {"labels": {"some": "label"}}}


def _tracking() -> JsonObject:
    driver = csi_driver("csi.example.com", prevents_pods=False)
    driver["spec"]["storageCapacity"] = True
    return driver


def _only_in(host: str) -> JsonObject:
    requirement = {"key": HOST, "values": [host]}
    return {"allowedTopologies": [{"matchLabelExpressions": [requirement]}]}


def _made() -> JsonObject:
    return late_class("late", provisioner="csi.example.com")


@pytest.mark.parametrize(
    ("before", "in_vain", "helps"),
    [
        pytest.param(
            (),
            ("PATCH", "/api/v1/namespaces/default/persistentvolumeclaims/other", _LABEL),
            ("POST", f"{_STORAGE}/storageclasses", _made()),
            id="class added",
        ),
        pytest.param(
            ({**_made(), **_only_in("n2")},),
            ("PATCH", f"{_STORAGE}/storageclasses/late", _LABEL),
            ("PATCH", f"{_STORAGE}/storageclasses/late", _only_in("n1")),
            id="class allows more",
        ),
        pytest.param(
            (_made(), _tracking()),
            ("PATCH", _DRIVER, _LABEL),
            (
                "POST",
                f"{_STORAGE}/namespaces/default/csistoragecapacities",
                storage_capacity("room", "2Gi"),
            ),
            id="room published",
        ),
        pytest.param(
            (_made(), _tracking(), storage_capacity("room", "1Mi")),
            ("PATCH", _ROOM, {"capacity": "1Ki"}),
            ("PATCH", _ROOM, {"capacity": "2Gi"}),
            id="more room",
        ),
        pytest.param(
            (_made(), _tracking()),
            ("PATCH", _DRIVER, _LABEL),
            ("PATCH", _DRIVER, {"spec": {"storageCapacity": False}}),
            id="room no longer counted",
        ),
    ],
)
async def test_a_volume_is_made_once_it_can_be(
    world: World,
    before: tuple[JsonObject, ...],
    in_vain: tuple[str, str, JsonObject],
    helps: tuple[str, str, JsonObject],
) -> None:
    world.create(*hosts("n1"), pending_claim("data"), pending_claim("other"), *before)
    async with controlled(VolumeController(world)):
        await world.start_scheduler()
        inline = {"name": "inline", "csi": {"driver": "csi.example.com"}}
        world.create(make_pod("p", volumes=[of_claim("data"), inline]))
        await world.run_for(5)
        assert world.attempts("p") == 1

        world.send(*in_vain)
        await world.run_for(5)
        assert world.attempts("p") == 1

        world.send(*helps)
        assert await world.until_bound("p", limit_s=20) < 3, "at once, but for the controller"
    world.assert_sound()


@pytest.mark.parametrize("lost", ["the answer", "the request"])
async def test_a_write_that_is_lost_is_made_again(world: World, lost: str) -> None:
    world.create(late_class("late"), *hosts("n1"), free_volume("pv", "n1"), pending_claim("data"))
    async with controlled(VolumeController(world)):
        await world.start_scheduler()
        if lost == "the request":
            world.outage(3, matches=lambda request: "persistentvolumes" in request.path)
        else:
            world.outage(1, matches=lambda request: request.method == "PATCH")
        world.create(user("p", "data"))
        await world.until_bound("p", limit_s=120)

    assert volume_of(world, "data")["metadata"]["name"] == "pv"
    world.assert_sound()


async def test_without_a_controller_the_wait_ends_and_the_pod_says_so(world: World) -> None:
    world.create(late_class("late"), *hosts("n1"), free_volume("pv", "n1"), pending_claim("data"))
    set_phase(world, "pv", "Available")
    await world.start_scheduler()
    world.create(user("p", "data"))
    await world.run_for(599)
    assert world.node_of("default/p") == ""

    await world.run_for(3)

    (condition,) = world.pod("p")["status"]["conditions"]
    assert condition["message"].endswith("binding volumes: context deadline exceeded")
