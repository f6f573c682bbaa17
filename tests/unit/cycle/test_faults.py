"""Whatever goes wrong costs one pod one attempt: no room is lost, no pod, and never the loop."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.interface import Plugin
from pyscheduler.testing import make_pod
from tests.unit.cycle.rig import Rig, node, pod


class NoVerdict(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Forgets to return its verdict."""

    def filter_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Any:
        nodes.verdict()


class SomeNodes(fwk.FilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Judges fewer nodes than it was given."""

    def filter_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Any:
        return nodes.select(np.array([0])).verdict()


class Floats(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    """Scores with fractions."""

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Any:
        return np.full(len(nodes), 0.5)


class OneScore(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    """Gives one score for all."""

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Any:
        return np.array([7])


class Text(fwk.PreFilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Answers a text where a status belongs."""

    def pre_filter(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Any:
        return "no"


class Listed(fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Signs with something that cannot be hashed."""

    depends_on = ()

    def filter(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> fwk.Status | None:
        return None

    def sign_pod(self, pod: Pod) -> Any:
        return ([pod.name],)


class BarePermit(fwk.PermitPlugin, fwk.Plugin[fwk.NoArgs]):
    """Forgets how long to wait."""

    def permit(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Any:
        return None


class OddPermit(fwk.PermitPlugin, fwk.Plugin[fwk.NoArgs]):
    """Answers a text where a status belongs."""

    def permit(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Any:
        return "no", 0.0


class TextBind(fwk.PreBindPlugin, fwk.Plugin[fwk.NoArgs]):
    """Answers a text where a status belongs."""

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Any:
        return "no"


class Cancelled(fwk.PreFilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Looks at the result of something that was cancelled."""

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        poll: asyncio.Future[fwk.Status] = asyncio.get_running_loop().create_future()
        poll.cancel()
        return poll.result()


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        pytest.param(
            NoVerdict,
            "plugin NoVerdict failed in Filter: answered NoneType instead of NodeVerdict",
            id="no verdict",
        ),
        pytest.param(
            SomeNodes, "plugin SomeNodes failed in Filter: judged 1 of 8 nodes", id="too few nodes"
        ),
        pytest.param(
            Floats, "plugin Floats failed in Score: scores are float64, not integers", id="floats"
        ),
        pytest.param(
            OneScore,
            "plugin OneScore failed in Score: answered scores of shape (1,) for 8 nodes",
            id="too few scores",
        ),
        pytest.param(
            Text,
            "plugin Text failed in PreFilter:"
            " answered str instead of PreFilterResult or Status or None",
            id="text for a status",
        ),
        pytest.param(
            Listed,
            "plugin Listed failed in Sign: TypeError: unhashable type: 'list'",
            id="signature that cannot be hashed",
        ),
        pytest.param(
            BarePermit,
            "plugin BarePermit failed in Permit: answered NoneType instead of tuple",
            id="permit without a time",
        ),
        pytest.param(
            OddPermit,
            "plugin OddPermit failed in Permit: answered 'no' instead of a status or None",
            id="odd permit",
        ),
        pytest.param(
            Cancelled,
            "plugin Cancelled failed in PreFilter: CancelledError: ",
            id="a cancelled future of its own",
        ),
        pytest.param(
            TextBind,
            "plugin TextBind failed in PreBind: answered str instead of Status or None",
            id="text from pre_bind",
        ),
    ],
)
async def test_an_answer_that_nobody_can_read_costs_its_pod_an_attempt(
    plugin: type[Plugin[Any]], message: str
) -> None:
    rig = Rig(plugin)
    for i in range(8):
        rig.add_node(node(f"n{i}"))

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.messages == {"a": message}
    assert [reason for _, reason, _ in rig.writes.conditions] == ["SchedulerError"]
    assert rig.cache.pod_count == 0
    assert rig.queue.counts().backoff == 1
    assert rig.queue.counts().in_flight == 0


async def test_a_fault_of_ours_costs_its_pod_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.add_node(node("n"))
    monkeypatch.setattr(rig.snapshot, "refresh", _explode)

    rig.add_pod(pod("a"))
    await rig.settle()
    assert rig.messages == {"a": "ZeroDivisionError: boom"}

    monkeypatch.undo()
    rig.clock.advance(2)
    rig.queue.flush_backoff()
    await rig.settle()
    assert rig.bound == {"a": "n"}


async def test_a_fault_while_binding_gives_the_room_back(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.add_node(node("n"))
    rig.profile.binds[:] = [("Broken", _explode)]

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.messages == {"a": "ZeroDivisionError: boom"}
    assert rig.cache.pod_count == 0
    assert rig.queue.counts().backoff == 1


async def test_a_failure_that_cannot_be_told_leaves_nothing_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    monkeypatch.setattr(rig.recorder, "event", _explode)

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.queue.counts().in_flight == 0


def _explode(*_args: Any, **_kwargs: Any) -> Any:
    raise ZeroDivisionError("boom")


class Meanwhile(fwk.PreFilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Lets something happen in the middle of the cycle."""

    happens: Any = None

    def pre_filter(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.Status | None:
        if self.happens:
            self.happens()
        return None


async def test_a_pod_that_somebody_binds_during_its_cycle_is_let_go() -> None:
    rig = Rig(Meanwhile)
    rig.add_node(node("n"))
    rig.add_node(node("m"))
    ours = pod("a")
    bound = make_pod("a").req({"cpu": "1"}).node("m").scheduler_name("pyscheduler").obj()
    plugin = rig.profile.plugins["Meanwhile"]
    assert isinstance(plugin, Meanwhile)
    plugin.happens = lambda: rig.update_pod(bound)

    rig.add_pod(ours)
    await rig.settle()

    assert rig.bound == {}
    assert rig.writes.conditions == []
    assert rig.cache.node_of(ours.uid) == "m"
    assert rig.queue.counts().in_flight == 0


async def test_a_pod_deleted_during_its_cycle_leaves_nothing_behind() -> None:
    rig = Rig(Meanwhile)
    rig.add_node(node("n"))
    ours = pod("a")
    plugin = rig.profile.plugins["Meanwhile"]
    assert isinstance(plugin, Meanwhile)
    plugin.happens = lambda: rig.delete_pod(ours)

    rig.add_pod(ours)
    await rig.settle()

    assert rig.bound == {}
    assert rig.cache.pod_count == 0
    assert rig.queue.counts().in_flight == 0


async def test_a_cancelled_cycle_leaves_the_cache_open_for_changes() -> None:
    rig = Rig(Meanwhile)
    rig.add_node(node("n"))
    plugin = rig.profile.plugins["Meanwhile"]
    assert isinstance(plugin, Meanwhile)
    rig.add_pod(pod("a"))
    entity = rig.queue.pop()
    assert entity is not None

    async def schedule() -> None:
        task = asyncio.current_task()
        assert task is not None
        plugin.happens = task.cancel
        rig.clock.advance(1)  # the slice is used up: the next checkpoint yields
        await rig.scheduler.schedule_one(entity)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(schedule())

    before = next(rig.cache.nodes())
    rig.cache.assume(pod("b"), "n")
    assert next(rig.cache.nodes()) is before


class Choosy(fwk.QueueSortPlugin, fwk.Plugin[fwk.NoArgs]):
    """Cannot sort pods named odd."""

    def sort_key(self, entity: Any) -> tuple[Any, ...]:
        if entity.pod.name == "odd":
            raise KeyError("rank")
        return (entity.pod.name,)


def test_a_pod_that_cannot_be_sorted_goes_last() -> None:
    rig = Rig()
    profile = rig.profile
    profile.plugins = {"Choosy": Choosy(fwk.NoArgs(), None)}  # type: ignore[arg-type]  # unused
    profile._points = {"queueSort": [("Choosy", 1)]}
    rig.queue._sort_key = profile._sort_key()

    for name in ("odd", "b", "a"):
        rig.add_pod(pod(name))

    popped = [entity.pod.name for _ in range(3) if (entity := rig.queue.pop())]
    assert popped == ["a", "b", "odd"]
