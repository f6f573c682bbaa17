"""A scheduling cycle with extenders in it, from the queue to the binding."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import msgspec
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.extender_v1 import ExtenderFilterResult
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.framework.scores import default_normalize
from pyscheduler.framework.status import Int64Array
from tests.unit.cycle.fake_extender import FakeExtender, config
from tests.unit.cycle.rig import Rig, node, pod


def rig_with(*extenders: FakeExtender, nodes: Sequence[str] = ("a", "b", "c")) -> Rig:
    rig = Rig(extenders=extenders)
    for name in nodes:
        rig.add_node(node(name))
    return rig


async def test_a_pod_goes_where_the_extender_lets_it() -> None:
    rig = rig_with(FakeExtender(config("filter"), keeps=lambda name: name == "b"))
    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.bound == {"p": "b"}


async def test_extenders_are_asked_about_nodes_that_pass_the_plugins() -> None:
    one = FakeExtender(config("filter"))
    rig = rig_with(one, nodes=["a", "b"])
    rig.add_node(node("small", cpu="100m"))
    rig.add_pod(pod("p"))
    await rig.settle()

    assert one.asked == [("filter", ["a", "b"])]


async def test_nobody_is_asked_when_no_node_passes_the_plugins() -> None:
    one = FakeExtender(config("filter"))
    rig = rig_with(one)
    rig.add_pod(pod("p", cpu="64"))
    await rig.settle()

    assert one.asked == []
    assert rig.messages["p"].startswith("0/3 nodes are available: 3 Insufficient cpu.")


async def test_reasons_of_plugins_and_extenders_stand_side_by_side() -> None:
    one = FakeExtender(config("filter"), failed={"a": "too busy"}, unresolvable={"b": "too old"})
    rig = rig_with(one, nodes=["a", "b"])
    rig.add_node(node("small", cpu="100m"))
    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.messages["p"].startswith(
        "0/3 nodes are available: 1 Insufficient cpu, 1 too busy, 1 too old."
    )
    entity = rig.queue.get(pod("p").uid)
    assert entity is not None
    assert entity.unschedulable_plugins == {"Extender", "NodeResourcesFit"}


async def test_nodes_left_out_in_silence_have_no_reason() -> None:
    rig = rig_with(FakeExtender(config("filter"), keeps=lambda name: False))
    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.messages["p"].startswith("0/3 nodes are available:")
    assert not rig.bound


async def test_each_pod_of_a_class_is_asked_about_and_the_kept_answers_stay_whole() -> None:
    one = FakeExtender(config("filter"), keeps=lambda name: name == "b")
    rig = rig_with(one)
    rig.add_pod(pod("first"))
    await rig.settle()
    one.keeps = lambda name: name == "c"
    rig.add_pod(pod("second"))
    await rig.settle()

    assert one.asked == [("filter", ["a", "b", "c"])] * 2
    assert rig.bound == {"first": "b", "second": "c"}


class Spread(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    """Gives the best node 100 and the others their share of it."""

    raw: ClassVar = {"a": 1, "b": 2, "c": 100}

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return self.raw[node.name]

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        return default_normalize(scores)


class LikesA(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    """Outweighs `Spread` for as long as that gives neither a nor b more than 2."""

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 30 if node.name == "a" else 0


async def test_scores_are_normalised_over_what_the_extender_left() -> None:
    one = FakeExtender(config("filter"), keeps=lambda name: name != "c")
    rig = Rig(Spread, LikesA, extenders=[one])
    for name in ("a", "b", "c"):
        rig.add_node(node(name))
    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.bound == {"p": "b"}


async def test_an_extender_that_fails_is_an_error_and_its_pod_is_tried_again() -> None:
    broken = FakeExtender(config("filter"), is_broken=True)
    rig = rig_with(broken)
    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.attempts.results == ["error"]
    assert rig.messages["p"] == "extender failed to filter: http://extender/: no answer in 5 s"
    broken.is_broken = False
    rig.clock.advance(2)
    rig.queue.flush_backoff()
    await rig.settle()

    assert set(rig.bound) == {"p"}


async def test_an_ignorable_extender_that_fails_holds_nothing_up() -> None:
    rig = rig_with(FakeExtender(config("filter", ignorable=True), is_broken=True))
    rig.add_pod(pod("p"))
    await rig.settle()

    assert set(rig.bound) == {"p"}


async def test_scores_of_extenders_outweigh_those_of_plugins() -> None:
    one = FakeExtender(config("prioritize", weight=100), scores=[("c", 10)])
    rig = rig_with(one)
    rig.add_pod(pod("p"))
    await rig.settle()

    assert one.asked == [("prioritize", ["a", "b", "c"])]
    assert rig.bound == {"p": "c"}


async def test_a_negative_score_never_chooses_an_infeasible_node() -> None:
    scores = [("a", -1000), ("b", -2000)]
    rig = rig_with(FakeExtender(config("prioritize"), scores=scores), nodes=["a", "b"])
    rig.add_node(node("small", cpu="100m"))
    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.bound == {"p": "a"}


async def test_nobody_is_asked_to_choose_from_one_node() -> None:
    filtering = FakeExtender(config("filter"), keeps=lambda name: name == "b")
    scoring = FakeExtender(config("prioritize"), scores=[("a", 10)])
    rig = rig_with(filtering, scoring)
    rig.add_pod(pod("p"))
    await rig.settle()

    assert scoring.asked == []
    assert rig.bound == {"p": "b"}


async def test_a_nominated_node_that_the_extender_rejects_is_not_the_end_of_the_search() -> None:
    one = FakeExtender(config("filter"), failed={"a": "no"})
    rig = rig_with(one)
    wanted = pod("p")
    nominated = msgspec.structs.replace(wanted.status, nominated_node_name="a")
    rig.add_pod(msgspec.structs.replace(wanted, status=nominated))
    await rig.settle()

    assert one.asked == [("filter", ["a"]), ("filter", ["a", "b", "c"])]
    assert rig.bound["p"] in ("b", "c")


async def test_a_nominated_node_that_the_extender_accepts_ends_the_search() -> None:
    one = FakeExtender(config("filter", "prioritize", weight=100), scores=[("c", 10)])
    rig = rig_with(one)
    wanted = pod("p")
    nominated = msgspec.structs.replace(wanted.status, nominated_node_name="a")
    rig.add_pod(msgspec.structs.replace(wanted, status=nominated))
    await rig.settle()

    assert one.asked == [("filter", ["a"])]
    assert rig.bound == {"p": "a"}


async def test_any_event_wakes_a_pod_that_an_extender_rejected() -> None:
    one = FakeExtender(config("filter"), failed={"a": "no"})
    rig = rig_with(one, nodes=["a"])
    rig.add_pod(pod("p"))
    await rig.settle()
    assert not rig.bound

    one.failed = {}
    old = node("a")
    labels = msgspec.structs.replace(old.metadata, labels=FrozenMap({"new": "label"}))
    rig.update_node(old, msgspec.structs.replace(old, metadata=labels))
    rig.clock.advance(2)
    rig.queue.flush_backoff()
    await rig.settle()

    assert rig.bound == {"p": "a"}


# --- what is awaited changes nothing ------------------------------------------------------------


class Recording(FakeExtender):
    """Remembers the nodes it was given."""

    async def filter(self, pod: Pod, nodes: Sequence[Node]) -> ExtenderFilterResult:
        self.given = list(nodes)
        return await super().filter(pod, nodes)


@pytest.mark.parametrize("change", ["updated", "deleted", "filled"])
async def test_what_happens_while_an_extender_is_awaited_changes_nothing_in_the_cycle(
    change: str,
) -> None:
    first = FakeExtender(config("filter"), gate=asyncio.Event())
    second = Recording(config("filter"))
    rig = rig_with(first, second, nodes=["a", "b"])
    rig.add_pod(pod("p"))
    entity = rig.queue.pop()
    assert entity is not None
    attempt = asyncio.create_task(rig.scheduler.schedule_one(entity))
    await rig.turns()
    assert first.asked
    assert not second.asked

    if change == "updated":
        rig.update_node(node("a"), node("a", cpu="100m"))
    elif change == "deleted":
        rig.delete_node(node("a"))
    else:
        taker = pod("taker", cpu="4")
        rig.add_pod(
            msgspec.structs.replace(taker, spec=msgspec.structs.replace(taker.spec, node_name="a"))
        )
    assert first.gate is not None
    first.gate.set()
    await attempt
    await rig.turns()

    # the second extender and the choice saw the nodes as they were when the cycle began
    assert second.given == [node("a"), node("b")]
    assert set(rig.bound) == {"p"}

    rig.add_pod(pod("q"))
    first.asked.clear()
    await rig.settle()
    assert first.asked == [("filter", ["b"])]


# --- bind ---------------------------------------------------------------------------------------


async def test_a_binding_extender_takes_the_place_of_the_plugins() -> None:
    binder = FakeExtender(config("bind"))
    rig = rig_with(binder, nodes=["a"])
    rig.add_pod(pod("p"))
    await rig.settle()

    assert binder.asked == [("bind", ["p", "a"])]
    assert rig.bound == {}
    assert [event.reason for event in rig.recorder.events] == ["Scheduled"]


async def test_a_bind_that_fails_gives_the_room_back() -> None:
    rig = rig_with(FakeExtender(config("bind"), is_broken=True), nodes=["a"])
    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.messages["p"] == "extender failed to bind: http://extender/: no answer in 5 s"
    assert rig.cache.assumed_count == 0


async def test_plugins_bind_when_an_ignorable_extender_fails_to() -> None:
    rig = rig_with(FakeExtender(config("bind", ignorable=True), is_broken=True), nodes=["a"])
    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.bound == {"p": "a"}
