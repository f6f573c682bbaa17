"""A plugin that decides by a custom resource: what is watched for it, and what wakes its pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.app.assembly import in_tree_registry
from pyscheduler.intree.registry import DEFAULT_PLUGINS, IN_TREE
from pyscheduler.runtime.registry import Registry
from pyscheduler.sim.exchange import Request, Response
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.virtual_clock import NeverHappened
from pyscheduler.sim.workload import make_node, make_pod
from tests.component.world import World

LICENCES = "licences.v1.example.com"
PATH = "/apis/example.com/v1/licences"
CHANGED = fwk.ClusterEvent(LICENCES, fwk.ActionType.ADD | fwk.ActionType.UPDATE)
#: What every scheduler watches, whatever its plugins.
USUAL = {"/api/v1/nodes", "/api/v1/pods"}


class LicenceSpec(msgspec.Struct, frozen=True):
    seats: int = 0


class LicenceMeta(msgspec.Struct, frozen=True):
    name: str


class Licence(msgspec.Struct, frozen=True):
    metadata: LicenceMeta
    spec: LicenceSpec = LicenceSpec()


class ByStruct(fwk.PreFilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """Pods labelled with a licence need one that has seats."""

    name = "ByStruct"

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._licences = handle.listers.of(LICENCES, Licence)

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.PreFilterResult | fwk.Status | None:
        wanted = pod.labels.get("licence")
        if wanted is None:
            return None
        found = self._licences.get(wanted)
        if found is None or found.spec.seats == 0:
            return fwk.unresolvable(f"no seat of licence {wanted}")
        return None

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        return [fwk.ClusterEventWithHint(CHANGED, self.after_licence)]

    def after_licence(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        assert isinstance(new, Licence)
        helps = new.metadata.name == pod.labels.get("licence") and new.spec.seats > 0
        return fwk.QueueingHint.QUEUE if helps else fwk.QueueingHint.SKIP


class ByJson(fwk.PreFilterPlugin, fwk.EnqueueExtensions, fwk.Plugin[fwk.NoArgs]):
    """The same over the JSON, told of changes by a handler of its own."""

    name = "ByJson"

    def __init__(self, args: fwk.NoArgs, handle: fwk.Handle) -> None:
        super().__init__(args, handle)
        self._seats: dict[str, int] = {}
        handle.informers.of(LICENCES).add_handler(self)

    def on_add(self, added: fwk.JsonObject, initial: bool) -> None:
        self._seats[added["metadata"]["name"]] = added["spec"]["seats"]

    def on_update(self, old: fwk.JsonObject, new: fwk.JsonObject) -> None:
        self.on_add(new, False)

    def on_delete(self, deleted: fwk.JsonObject) -> None:
        del self._seats[deleted["metadata"]["name"]]

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.PreFilterResult | fwk.Status | None:
        wanted = pod.labels.get("licence")
        if wanted is None or self._seats.get(wanted):
            return None
        return fwk.unresolvable(f"no seat of licence {wanted}")

    def events_to_register(self) -> Sequence[fwk.ClusterEventWithHint]:
        return [fwk.ClusterEventWithHint(CHANGED, self.after_licence)]

    def after_licence(self, pod: Pod, old: object, new: object) -> fwk.QueueingHint:
        # asked after the handler was told
        helps = self._seats.get(pod.labels.get("licence", ""), 0) > 0
        return fwk.QueueingHint.QUEUE if helps else fwk.QueueingHint.SKIP


class Plain(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Registers nothing, so it hears of everything that is built in."""

    name = "Plain"

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None


def with_plugin(plugin: type[fwk.Plugin[Any]]) -> Registry:
    name = plugin.__name__
    return Registry({**IN_TREE, name: plugin}, (*DEFAULT_PLUGINS, (name, 0)), installed=())


def definition() -> JsonObject:
    seats = {"type": "object", "properties": {"seats": {"type": "integer"}}}
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "licences.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"plural": "licences", "kind": "Licence"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "properties": {"spec": seats}}
                    },
                }
            ],
        },
    }


def licence(name: str, *, seats: int) -> JsonObject:
    return {
        "kind": "Licence",
        "apiVersion": "example.com/v1",
        "metadata": {"name": name},
        "spec": {"seats": seats},
    }


def listen(world: World) -> list[str]:
    """Paths that schedulers read, as they come."""
    seen: list[str] = []

    def note(request: Request) -> bool:
        if request.method == "GET":
            seen.append(request.path)
        return False

    def never(request: Request) -> Response:
        raise AssertionError(request)

    world.fail(note, never)
    return seen


@pytest.mark.parametrize("plugin", [ByStruct, ByJson])
async def test_a_change_of_the_resource_wakes_the_pods_it_helps_and_no_other(
    world: World, plugin: type[fwk.Plugin[Any]]
) -> None:
    world.cluster.create(definition())
    world.cluster.create(licence("solver", seats=0))
    world.create(
        make_node("node-1"),
        make_pod("solve", labels={"licence": "solver"}),
        make_pod("render", labels={"licence": "renderer"}),
    )
    await world.start_scheduler(registry=with_plugin(plugin))
    await world.run_for(20)
    assert "no seat of licence solver" in world.message("solve")

    world.send("PATCH", f"{PATH}/solver", {"spec": {"seats": 2}})
    took_s = await world.until_bound("solve")
    assert took_s < 1
    assert world.attempts("render") == 1

    world.cluster.create(licence("renderer", seats=1))
    await world.until_bound("render")


async def test_the_resource_is_watched_only_for_who_asks(world: World) -> None:
    seen = listen(world)
    world.cluster.create(definition())
    await world.start_scheduler(registry=in_tree_registry())
    await world.run_for(1)
    usual = set(seen)
    seen.clear()
    await world.start_scheduler(registry=with_plugin(ByStruct), leads=False)
    await world.run_for(1)

    assert PATH not in usual
    assert usual >= USUAL
    assert set(seen) - usual == {PATH}
    assert seen.count(PATH) == 1


async def test_who_registers_nothing_hears_of_all_that_is_built_in(world: World) -> None:
    seen = listen(world)
    await world.start_scheduler(registry=with_plugin(Plain))

    assert "/api/v1/persistentvolumeclaims" in seen
    assert "/apis/resource.k8s.io/v1/deviceclasses" in seen


async def test_scheduling_waits_until_the_definition_is_installed(world: World) -> None:
    world.create(make_node("node-1"), make_pod("web"))
    starting = world.start_scheduler(registry=with_plugin(ByStruct))
    with pytest.raises(NeverHappened, match="initial sync"):
        await starting
    assembly = world.schedulers[0].assembly
    assert assembly.missing() == [f"{LICENCES} (for ByStruct): not served by the cluster"]
    assert world.node_of("default/web") == ""

    world.cluster.create(definition())
    await world.until(lambda: assembly.is_synced)
    world.lead(world.schedulers[0])
    await world.until_bound("web")
