"""Which extender is asked about what, in which order, and what its answers do."""

from __future__ import annotations

import pytest

from pyscheduler.api.core_v1 import Container, Pod, PodSpec, ResourceRequirements
from pyscheduler.api.extender_v1 import ExtenderFilterResult
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.cycle.extenders import Extender, ExtenderError, Extenders, is_interested
from pyscheduler.framework.cluster_events import NODE_LABELS_CHANGED
from pyscheduler.framework.status import Code, Status, unresolvable, unschedulable
from pyscheduler.preemption.candidates import Candidate, Victims
from pyscheduler.testing import make_node, make_pod
from pyscheduler.testing.tables import snapshot_of
from tests.unit.cycle.fake_extender import FakeExtender, config, node_list

POD = make_pod("p").req({"cpu": "1"}).obj()
NODES = [make_node(name).obj() for name in ("a", "b", "c")]
GPU = "example.com/gpu"
FPGA = "example.com/fpga"


def extenders(*asked: Extender) -> Extenders:
    return Extenders(asked, snapshot_of(NODES))


# --- who is asked -------------------------------------------------------------------------------


def managing(*resources: str) -> dict[str, object]:
    return {"managedResources": tuple({"name": name} for name in resources)}


def limited(**limits: str) -> Pod:
    container = Container("c", resources=ResourceRequirements(limits=FrozenMap(limits)))
    return Pod(POD.metadata, PodSpec(containers=(container,)))


@pytest.mark.parametrize(
    ("managed", "pod", "expected"),
    [
        pytest.param((), POD, True, id="one that manages nothing is asked about all pods"),
        pytest.param((GPU,), POD, False, id="a pod without the resource"),
        pytest.param((GPU,), make_pod("p").req({GPU: "1"}).obj(), True, id="a container's request"),
        pytest.param(
            (GPU,), make_pod("p").req({}).init_req({GPU: "1"}).obj(), True, id="an init container's"
        ),
        pytest.param((FPGA, GPU), limited(**{GPU: "1"}), True, id="a limit, any of several"),
        pytest.param((FPGA,), limited(**{GPU: "1"}), False, id="another resource"),
    ],
)
def test_an_extender_is_asked_about_pods_that_use_what_it_manages(
    managed: tuple[str, ...], pod: Pod, expected: bool
) -> None:
    assert is_interested(config("filter", **managing(*managed)), pod) is expected


async def test_an_extender_without_interest_is_not_asked_anything() -> None:
    other = FakeExtender(config("filter", "prioritize", "preempt", "bind", **managing(GPU)))
    several = extenders(other)
    candidates = [Candidate("a", Victims((POD,)))]

    assert not several.filters(POD)
    assert not several.prioritizes(POD)
    assert await several.rejections(POD, NODES) == {}
    assert not (await several.scores(POD, NODES)).any()
    assert await several.narrow_candidates(POD, candidates) == candidates
    assert await several.bind(POD, "a") is False
    assert other.asked == []


async def test_only_verbs_that_are_configured_are_used() -> None:
    silent = FakeExtender(config(), failed={"a": "no"}, scores=[("a", 5)])
    several = extenders(silent)

    assert await several.rejections(POD, NODES) == {}
    assert not (await several.scores(POD, NODES)).any()
    assert await several.bind(POD, "a") is False
    assert silent.asked == []


def test_one_feasible_node_is_enough_unless_an_extender_judges_nodes() -> None:
    assert not extenders().judge_nodes
    assert not extenders(FakeExtender(config("bind", "preempt"))).judge_nodes
    assert extenders(FakeExtender(config("filter"))).judge_nodes
    assert extenders(FakeExtender(config("prioritize"))).judge_nodes


def test_a_pod_that_an_extender_rejected_is_woken_by_any_event() -> None:
    registered = extenders(FakeExtender(config("filter"))).hint_registrations()

    assert {registration.plugin for registration in registered} == {"Extender"}
    assert any(registration.event.matches(NODE_LABELS_CHANGED) for registration in registered)
    assert all(registration.hint is None for registration in registered)
    assert extenders().hint_registrations() == []


# --- filter -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cached", [False, True], ids=["whole nodes", "names only"])
async def test_rejected_nodes_have_the_extenders_reason(cached: bool) -> None:
    one = FakeExtender(
        config("filter", nodeCacheCapable=cached),
        failed={"a": "too busy"},
        unresolvable={"c": "too old"},
    )

    assert await extenders(one).rejections(POD, NODES) == {
        "a": unschedulable("too busy").by("Extender"),
        "c": unresolvable("too old").by("Extender"),
    }


async def test_a_node_in_both_lists_is_beyond_help() -> None:
    one = FakeExtender(config("filter"), failed={"a": "busy"}, unresolvable={"a": "old"})

    assert (await extenders(one).rejections(POD, NODES))["a"].code is (
        Code.UNSCHEDULABLE_AND_UNRESOLVABLE
    )


async def test_a_node_left_out_without_a_reason_is_beyond_help_and_has_none() -> None:
    one = FakeExtender(config("filter"), keeps=lambda name: name != "b")

    assert await extenders(one).rejections(POD, NODES) == {
        "b": Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (), "Extender")
    }


@pytest.mark.parametrize(
    ("cached", "answer"),
    [
        pytest.param(False, ExtenderFilterResult(), id="nothing"),
        pytest.param(False, ExtenderFilterResult(node_names=("a",)), id="names instead of nodes"),
    ],
)
async def test_an_answer_without_nodes_leaves_none(
    cached: bool, answer: ExtenderFilterResult
) -> None:
    one = FakeExtender(config("filter", nodeCacheCapable=cached), answers=answer)

    assert set(await extenders(one).rejections(POD, NODES)) == {"a", "b", "c"}


async def test_names_may_be_answered_as_nodes() -> None:
    answer = ExtenderFilterResult(nodes=node_list("b"))
    one = FakeExtender(config("filter", nodeCacheCapable=True), answers=answer)

    assert set(await extenders(one).rejections(POD, NODES)) == {"a", "c"}


async def test_each_is_asked_about_what_the_one_before_it_left() -> None:
    first = FakeExtender(config("filter"), failed={"a": "first"})
    second = FakeExtender(config("filter"), failed={"b": "second"})

    rejected = await extenders(first, second).rejections(POD, NODES)
    assert second.asked == [("filter", ["b", "c"])]
    assert {name: status.message for name, status in rejected.items()} == {
        "a": "first",
        "b": "second",
    }


async def test_nobody_is_asked_about_no_nodes() -> None:
    first = FakeExtender(config("filter"), keeps=lambda name: False)
    second = FakeExtender(config("filter"))

    await extenders(first, second).rejections(POD, NODES)
    assert second.asked == []


async def test_the_failure_of_an_extender_is_an_error() -> None:
    broken = FakeExtender(config("filter"), is_broken=True)

    with pytest.raises(ExtenderError) as raised:
        await extenders(broken).rejections(POD, NODES)
    assert str(raised.value) == ("extender failed to filter: http://extender/: no answer in 5 s")


async def test_a_node_that_nobody_asked_about_is_an_error() -> None:
    one = FakeExtender(config("filter"), answers=ExtenderFilterResult(nodes=node_list("a", "x")))

    with pytest.raises(ExtenderError, match="answered node x, about which it was not asked"):
        await extenders(one).rejections(POD, NODES)


async def test_ignorable_ones_come_last_and_are_passed_over_when_they_fail() -> None:
    ignorable = FakeExtender(config("filter", ignorable=True), is_broken=True)
    wrong = FakeExtender(
        config("filter", ignorable=True), answers=ExtenderFilterResult(nodes=node_list("x"))
    )
    needed = FakeExtender(config("filter"), failed={"a": "no"})

    rejected = await extenders(ignorable, wrong, needed).rejections(POD, NODES)
    assert set(rejected) == {"a"}
    assert ignorable.asked == wrong.asked == [("filter", ["b", "c"])]


# --- prioritize ---------------------------------------------------------------------------------


async def test_scores_are_weighted_scaled_and_added_up() -> None:
    first = FakeExtender(config("prioritize", weight=2), scores=[("a", 10), ("c", 1)])
    second = FakeExtender(config("prioritize", weight=1), scores=[("c", 5), ("c", 1), ("x", 9)])

    assert (await extenders(first, second).scores(POD, NODES)).tolist() == [200, 0, 80]


async def test_scores_wrap_around_as_gos_integers_do() -> None:
    one = FakeExtender(config("prioritize", weight=2**60), scores=[("a", 2)])

    assert (await extenders(one).scores(POD, NODES)).tolist() == [20 * 2**60 - 2**64, 0, 0]


async def test_an_extender_that_fails_to_prioritize_gives_no_scores() -> None:
    broken = FakeExtender(config("prioritize"), is_broken=True)
    other = FakeExtender(config("prioritize"), scores=[("b", 3)])

    assert (await extenders(broken, other).scores(POD, NODES)).tolist() == [0, 30, 0]


# --- preempt ------------------------------------------------------------------------------------

LOW = [make_pod(f"low-{i}").node(name).obj() for i, name in enumerate("abbc")]
CANDIDATES = [
    Candidate("a", Victims((LOW[0],))),
    Candidate("b", Victims((LOW[1], LOW[2]), 1)),
    Candidate("c", Victims((LOW[3],))),
]


def preempting(*asked: Extender) -> Extenders:
    return Extenders(asked, snapshot_of(NODES, LOW))


async def test_candidates_may_be_dropped_and_their_victims_changed() -> None:
    one = FakeExtender(
        config("preempt"), victims={"c": [LOW[3].uid], "b": [LOW[2].uid]}, pdb_violations=3
    )

    assert await preempting(one).narrow_candidates(POD, CANDIDATES) == [
        Candidate("b", Victims((LOW[2],), 3)),
        Candidate("c", Victims((LOW[3],), 3)),
    ]


async def test_each_sees_the_candidates_that_the_one_before_it_left() -> None:
    first = FakeExtender(config("preempt"), victims={"b": [LOW[1].uid]})
    second = FakeExtender(config("preempt"))

    left = await preempting(first, second).narrow_candidates(POD, CANDIDATES)
    assert second.asked == [("preempt", ["b"])]
    assert left == [Candidate("b", Victims((LOW[1],)))]


async def test_nobody_is_asked_once_no_candidate_is_left() -> None:
    first = FakeExtender(config("preempt"), victims={})
    second = FakeExtender(config("preempt"))

    assert await preempting(first, second).narrow_candidates(POD, CANDIDATES) == []
    assert second.asked == []


@pytest.mark.parametrize(
    ("victims", "reason"),
    [
        pytest.param({"x": ["u"]}, "node x, which is not there", id="unknown node"),
        pytest.param({"a": ["u"]}, "victim u, which is not on node a", id="unknown victim"),
        pytest.param({"a": []}, "no victim on node a", id="no victim"),
    ],
)
async def test_answers_that_cannot_be_are_errors(
    victims: dict[str, list[str]], reason: str
) -> None:
    one = FakeExtender(config("preempt"), victims=victims)

    with pytest.raises(ExtenderError, match=reason):
        await preempting(one).narrow_candidates(POD, CANDIDATES)


async def test_an_ignorable_one_only_loses_nodes_without_victims() -> None:
    one = FakeExtender(config("preempt", ignorable=True), victims={"a": [], "c": [LOW[3].uid]})

    assert await preempting(one).narrow_candidates(POD, CANDIDATES) == [CANDIDATES[2]]


async def test_an_ignorable_one_that_fails_leaves_the_candidates_as_they_were() -> None:
    broken = FakeExtender(config("preempt", ignorable=True), is_broken=True)

    assert await preempting(broken).narrow_candidates(POD, CANDIDATES) == CANDIDATES


# --- bind ---------------------------------------------------------------------------------------


async def test_the_interested_binder_binds() -> None:
    binder = FakeExtender(config("bind"))

    assert await extenders(FakeExtender(config("filter")), binder).bind(POD, "a") is True
    assert binder.asked == [("bind", ["p", "a"])]


async def test_the_failure_of_a_binder_is_an_error() -> None:
    with pytest.raises(ExtenderError, match="failed to bind"):
        await extenders(FakeExtender(config("bind"), is_broken=True)).bind(POD, "a")


async def test_plugins_bind_when_an_ignorable_binder_fails() -> None:
    broken = FakeExtender(config("bind", ignorable=True), is_broken=True)

    assert await extenders(broken).bind(POD, "a") is False


async def test_nobody_is_asked_to_bind_once_another_process_may_lead() -> None:
    binder = FakeExtender(config("bind", ignorable=True))
    fenced = Extenders([binder], snapshot_of(NODES), may_bind=lambda: False)

    with pytest.raises(ExtenderError, match="may no longer lead"):
        await fenced.bind(POD, "a")
    assert binder.asked == []
