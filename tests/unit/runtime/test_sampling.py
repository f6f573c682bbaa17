from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.keys import REGION, ZONE
from pyscheduler.clock import FakeClock
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.nodes import NodeInfo
from pyscheduler.framework.status import Diagnosis, Status
from pyscheduler.queueing.nominator import Nominator
from pyscheduler.runtime.class_cache import ClassEntry
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.narrowing import Narrowing
from pyscheduler.runtime.sampling import feasible_nodes_to_find, zone_order
from pyscheduler.testing import make_node, make_pod, snapshot_of
from tests.unit.cycle.rig import Rig, node, pod


class OddOnes(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Turns down nodes whose number is even; asked once per node."""

    asked: ClassVar[list[str]] = []

    def filter(self, state: CycleState, pod: Pod, node: NodeInfo) -> Status | None:
        self.asked.append(node.name)
        return None if int(node.name[1:]) % 2 else fwk.unschedulable("node is even")


@pytest.mark.parametrize(
    ("nodes", "percentage", "wanted"),
    [
        pytest.param(99, 0, 99, id="few nodes: all of them"),
        pytest.param(99, 10, 99, id="few nodes, whatever is configured"),
        pytest.param(100, 0, 100, id="never under a hundred"),
        pytest.param(1000, 0, 420, id="adaptive"),
        pytest.param(5000, 0, 500, id="adaptive, 5000"),
        pytest.param(15000, 0, 750, id="never under five percent"),
        pytest.param(1000, 30, 300, id="as configured"),
        pytest.param(1000, 1, 100, id="as configured, but a hundred"),
        pytest.param(1000, 100, 1000, id="all"),
    ],
)
def test_how_many_nodes_are_enough(nodes: int, percentage: int, wanted: int) -> None:
    assert feasible_nodes_to_find(nodes, percentage) == wanted


def test_zones_take_turns() -> None:
    places = ["a", "a", "a", "b", "", "b", "c"]
    nodes = [
        make_node(f"n{i}").label(ZONE, zone).label(REGION, "r").obj()
        if zone
        else make_node(f"n{i}").obj()
        for i, zone in enumerate(places)
    ]

    order = zone_order(snapshot_of(nodes).nodes).tolist()

    assert [places[row] for row in order] == ["a", "b", "", "c", "a", "b", "a"]
    assert sorted(order) == list(range(7))


def test_zones_of_an_empty_cluster() -> None:
    assert zone_order(snapshot_of(()).nodes).tolist() == []


class Search:
    """Filtering and narrowing of one rig's profile."""

    def __init__(self, rig: Rig, *, percentage: int = 0) -> None:
        rig.snapshot.refresh()
        self.nodes = rig.snapshot.nodes
        self.filtering = Filtering(rig.profile, rig.snapshot, rig.budget)
        self.narrowing = Narrowing(
            rig.profile,
            rig.snapshot,
            Nominator(),
            rig.budget,
            classes=self.filtering.classes,
            percentage_of_nodes_to_score=percentage,
        )

    async def names(self, judged: Pod) -> list[str]:
        entry = await self._entry(judged)
        rows = entry.feasible[: entry.n].nonzero()[0].tolist()
        assert len(rows) == entry.feasible_count
        return [self.nodes.node(row).name for row in rows]

    async def diagnosis(self, judged: Pod) -> Diagnosis:
        return self.filtering.diagnose(await self._entry(judged))

    async def _entry(self, judged: Pod) -> ClassEntry:
        return await self.narrowing.find_enough(await self.filtering.evaluate(judged, None), judged)


async def test_without_a_percentage_all_nodes_are_judged() -> None:
    rig = Rig()
    for i in range(300):
        rig.add_node(node(f"n{i}"))

    assert len(await Search(rig).names(pod("p"))) == 300


async def test_with_a_percentage_the_search_goes_on_where_it_ended() -> None:
    rig = Rig()
    for i in range(250):
        rig.add_node(node(f"n{i}"))
    search = Search(rig, percentage=40)

    first = await search.names(pod("p"))
    second = await search.names(pod("p"))
    third = await search.names(pod("p"))

    assert (len(first), len(second), len(third)) == (100, 100, 100)
    assert not set(first) & set(second)
    assert len(set(first) & set(third)) == 50, "the third search has come around"


async def test_a_plugin_is_asked_only_until_enough_nodes_are_found() -> None:
    rig = Rig(OddOnes)
    for i in range(1000):
        rig.add_node(node(f"n{i}"))
    OddOnes.asked = []

    found = await Search(rig, percentage=10).names(pod("p"))

    assert len(found) == 100
    assert all(int(name[1:]) % 2 for name in found)
    assert 200 <= len(OddOnes.asked) <= 256, "one chunk more than needed at most"


async def test_a_plugin_is_not_asked_about_nodes_that_others_turned_down() -> None:
    rig = Rig(OddOnes)
    rig.add_node(node("n1", cpu="500m"))
    rig.add_node(node("n3"))
    OddOnes.asked = []

    assert await Search(rig).names(pod("p")) == ["n3"]
    assert OddOnes.asked == ["n3"]


async def test_reasons_are_the_first_plugins_although_it_is_asked_last() -> None:
    rig = Rig(OddOnes)
    rig.add_node(node("n2"))
    rig.add_node(node("n4", cpu="500m"))
    search = Search(rig)

    diagnosis = await search.diagnosis(pod("p"))

    # OddOnes stands behind the default plugins in this profile
    assert diagnosis.reason_counts == {"node is even": 1, "Insufficient cpu": 1}


async def test_the_nominated_node_is_asked_about_first_and_alone() -> None:
    rig = Rig(OddOnes)
    for i in range(300):
        rig.add_node(node(f"n{i}"))
    OddOnes.asked = []
    rig.queue.nominator.add(pod("p"), node_name="n77")

    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.bound == {"p": "n77"}
    assert OddOnes.asked == ["n77"]


class OddOneOut(fwk.PreFilterPlugin, fwk.SignPlugin, OddOnes):
    """The same for pods that are like no other; has no say about all others."""

    name = "OddOneOut"
    depends_on = ()

    def sign_pod(self, pod: Pod) -> tuple[()] | None:
        return None if pod.metadata.labels else ()

    def pre_filter(self, state: CycleState, pod: Pod, nodes: fwk.NodeTable) -> Status | None:
        return None if pod.metadata.labels else fwk.SKIP


async def test_what_is_not_kept_of_a_pod_is_asked_per_node_although_others_are_kept() -> None:
    rig = Rig(OddOneOut)
    for i in range(1000):
        rig.add_node(node(f"n{i}"))
    OddOnes.asked = []
    search = Search(rig, percentage=10)

    found = await search.names(make_pod("p").label("like", "no-other").obj())

    assert len(found) == 100
    assert 200 <= len(OddOnes.asked) <= 256, "one chunk more than needed at most"
    assert rig.profile.sign(pod("q")) is not None, "other pods are kept"


class SlowOnes(OddOnes):
    """Searches for 2 ms per node."""

    name = "SlowOnes"

    def filter(self, state: CycleState, pod: Pod, node: NodeInfo) -> Status | None:
        assert isinstance(self.handle.clock, FakeClock)
        self.handle.clock.advance(0.002)
        return super().filter(state, pod, node)


async def test_a_plugin_that_searches_long_is_asked_about_fewer_nodes_at_a_time() -> None:
    rig = Rig(SlowOnes)
    for i in range(60):
        rig.add_node(node(f"n{i}"))
    OddOnes.asked = []
    search = asyncio.ensure_future(Search(rig).names(pod("p")))
    held_ms = []

    while not search.done():
        before = rig.clock.monotonic()
        await asyncio.sleep(0)
        held_ms.append(round((rig.clock.monotonic() - before) * 1000))

    assert len(search.result()) == 30
    assert max(held_ms) <= 12, "a few nodes, however many there are"
