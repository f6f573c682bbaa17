from __future__ import annotations

from typing import ClassVar

import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.status import Code, PostFilterResult, PreFilterResult, Status
from pyscheduler.testing import make_node, make_pod
from tests.unit.cycle.rig import Rig, node, pod

Answer = tuple[PostFilterResult | None, Status | None]


class Ask(fwk.PostFilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Answers what the test wants and remembers what it was told."""

    answer: ClassVar[Answer] = (None, None)
    seen: ClassVar[dict[str, Status]] = {}

    async def post_filter(self, state: CycleState, pod: Pod, statuses: NodeStatuses) -> Answer:
        type(self).seen = dict(statuses)
        return self.answer


class AskFirst(Ask):
    pass


def of_priority(name: str, priority: int, *, cpu: str = "1", nominated: str = "") -> Pod:
    builder = make_pod(name).req({"cpu": cpu}).priority(priority).scheduler_name("pyscheduler")
    return (builder.nominated(nominated) if nominated else builder).obj()


async def test_a_lower_pod_leaves_the_room_of_a_nominated_one() -> None:
    rig = Rig()
    rig.add_node(node("n", cpu="1"))
    rig.queue.nominator.add(of_priority("waiting-elsewhere", 10), node_name="n")

    rig.add_pod(of_priority("low", 9))
    await rig.settle()

    assert rig.bound == {}
    assert rig.messages == {"low": "0/1 nodes are available: 1 Insufficient cpu."}


async def test_a_higher_pod_takes_the_room_of_a_nominated_one() -> None:
    rig = Rig()
    rig.add_node(node("n", cpu="1"))
    rig.queue.nominator.add(of_priority("waiting-elsewhere", 10), node_name="n")

    rig.add_pod(of_priority("high", 11))
    await rig.settle()

    assert rig.bound == {"high": "n"}


async def test_the_nominated_node_is_taken_although_another_scores_higher() -> None:
    rig = Rig()
    rig.add_node(node("small", cpu="2"))
    rig.add_node(node("large", cpu="64", memory="512Gi"))

    rig.add_pod(of_priority("p", 1, nominated="small"))
    await rig.settle()

    assert rig.bound == {"p": "small"}
    assert not len(rig.queue.nominator)


async def test_a_nominated_node_that_no_longer_fits_is_passed_over() -> None:
    rig = Rig()
    rig.add_node(node("small", cpu="500m"))
    rig.add_node(node("large"))

    rig.add_pod(of_priority("p", 1, nominated="small"))
    rig.add_pod(of_priority("q", 1, nominated="gone"))
    await rig.settle()

    assert rig.bound == {"p": "large", "q": "large"}


async def test_pods_of_one_class_differ_by_who_is_nominated() -> None:
    rig = Rig()
    for name in ("a", "b"):
        rig.add_node(node(name, cpu="1"))
    rig.queue.nominator.add(of_priority("urgent", 10), node_name="a")

    for name in ("p", "q"):
        rig.add_pod(of_priority(name, 0))
    await rig.settle()
    assert list(rig.bound.values()) == ["b"]
    rig.queue.nominator.delete(of_priority("urgent", 10).uid)
    rig.clock.advance(400)
    rig.queue.flush_unschedulable()
    rig.queue.flush_backoff()
    await rig.settle()

    assert sorted(rig.bound.values()) == ["a", "b"]


async def test_post_filter_sees_each_node_with_its_first_rejection() -> None:
    rig = Rig(Ask)
    rig.add_node(node("full", cpu="1"))
    rig.add_pod(make_pod("old").req({"cpu": "1"}).node("full").scheduler_name("other").obj())
    rig.add_node(make_node("tainted").capacity({"cpu": "1"}).taint("k").obj())
    rig.add_node(node("promised", cpu="1"))
    rig.queue.nominator.add(of_priority("urgent", 10), node_name="promised")

    rig.add_pod(of_priority("p", 1))
    await rig.settle()

    assert {name: (s.code, s.plugin, s.reasons) for name, s in Ask.seen.items()} == {
        "full": (Code.UNSCHEDULABLE, "NodeResourcesFit", ("Insufficient cpu",)),
        "promised": (Code.UNSCHEDULABLE, "NodeResourcesFit", ("Insufficient cpu",)),
        "tainted": (
            Code.UNSCHEDULABLE_AND_UNRESOLVABLE,
            "TaintToleration",
            ("node(s) had untolerated taint(s)",),
        ),
    }


@pytest.mark.parametrize(
    ("answer", "nominated", "clause"),
    [
        pytest.param((PostFilterResult("n"), None), "n", "", id="room is made"),
        pytest.param(
            (PostFilterResult("n"), Status(Code.SUCCESS, ("evicting 2",))),
            "n",
            " evicting 2",
            id="room is made, with words",
        ),
        pytest.param(
            (PostFilterResult(""), fwk.unschedulable("nothing helps")),
            "",
            " nothing helps",
            id="nothing helps: an earlier nomination is void",
        ),
        pytest.param(
            (None, fwk.unschedulable("not now")), None, " not now", id="the nomination stays"
        ),
        pytest.param(
            (PostFilterResult("m"), fwk.unresolvable("stop")), "m", " stop", id="nobody else"
        ),
        pytest.param((None, Status(Code.ERROR, ("broken",))), None, " broken", id="an error"),
    ],
)
async def test_post_filter_words_and_nominations(
    answer: Answer, nominated: str | None, clause: str
) -> None:
    rig = Rig(Ask)
    rig.add_node(node("n", cpu="500m"))
    Ask.answer = answer

    rig.add_pod(of_priority("p", 1, nominated="earlier"))
    await rig.settle()

    assert rig.messages == {"p": f"0/1 nodes are available: 1 Insufficient cpu.{clause}"}
    assert rig.queue.nominator.node_of(of_priority("p", 1).uid) == (
        "earlier" if nominated is None else nominated
    )
    assert [name for _, name in rig.writes.nominations] == (
        [] if nominated is None else [nominated]
    )


@pytest.mark.parametrize(
    ("in_memory", "written"),
    [
        pytest.param("promised", "", id="its write is on its way"),
        pytest.param("promised", "before", id="another one is written still"),
        pytest.param("", "before", id="it was voided, and that is on its way"),
    ],
)
async def test_a_nomination_that_stays_is_the_one_in_memory(in_memory: str, written: str) -> None:
    rig = Rig(Ask)
    rig.add_node(node("n", cpu="500m"))
    Ask.answer = None, fwk.unschedulable("not now")
    waiting = of_priority("p", 1, nominated=written)

    rig.add_pod(waiting)
    rig.queue.nominator.add(waiting, node_name=in_memory)
    await rig.settle()

    assert rig.queue.nominator.node_of(waiting.uid) == in_memory
    assert rig.writes.nominations == []


async def test_a_promise_that_ends_before_the_watch_told_of_it_wakes_whom_it_kept_out() -> None:
    rig = Rig(Ask)
    rig.add_node(node("n", cpu="1"))
    promised = of_priority("promised", 10, cpu="2")
    rig.add_pod(promised)
    Ask.answer = PostFilterResult("n"), None
    await rig.settle()
    Ask.answer = PostFilterResult(""), fwk.unschedulable("nothing helps")
    low = of_priority("low", 9)
    rig.add_pod(low)
    await rig.settle()
    assert rig.bound == {}

    rig.queue.activate([promised])
    await rig.settle()

    assert rig.bound == {"low": "n"}


async def test_post_filters_are_asked_until_one_makes_room() -> None:
    rig = Rig(AskFirst, Ask)
    rig.add_node(node("n", cpu="500m"))
    AskFirst.answer = None, fwk.unschedulable("not by me")
    Ask.answer = None, fwk.unschedulable("nor by me")

    rig.add_pod(pod("p"))
    await rig.settle()

    assert rig.messages["p"].endswith("not by me, nor by me")


async def test_a_post_filter_that_raises_costs_its_pod_nothing_but_the_help() -> None:
    rig = Rig(Ask)
    rig.add_node(node("n", cpu="500m"))
    Ask.answer = (None,)  # type: ignore[assignment]  # what a plugin may get wrong

    rig.add_pod(pod("p"))
    await rig.settle()

    assert "plugin Ask failed in PostFilter" in rig.messages["p"]


class OnlyA(fwk.PreFilterPlugin, fwk.Plugin[fwk.NoArgs]):
    """Leaves all nodes out but one."""

    def pre_filter(self, state: CycleState, pod: Pod, nodes: fwk.NodeTable) -> PreFilterResult:
        return PreFilterResult(frozenset({"a"}))


async def test_a_node_that_pre_filter_left_out_is_beyond_help_whoever_is_nominated_there() -> None:
    rig = Rig(OnlyA, Ask)
    rig.add_node(node("a", cpu="500m"))
    rig.add_node(node("b", cpu="1"))
    Ask.answer = None, fwk.unschedulable("no")
    rig.queue.nominator.add(of_priority("other", 10), node_name="b")

    rig.add_pod(of_priority("p", 1))
    await rig.settle()

    assert Ask.seen["b"].code is Code.UNSCHEDULABLE_AND_UNRESOLVABLE
    assert rig.messages["p"].startswith(
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [OnlyA]."
    )
