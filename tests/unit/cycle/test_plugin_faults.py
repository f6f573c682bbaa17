"""A plugin's fault stays where it arises: told with plugin, hook and pod; the others go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import FakeClock
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.interface import Plugin, Role
from pyscheduler.framework.status import Int64Array
from tests.unit.cycle.rig import Rig, node, pod

#: what a hook does for the pod named bad, given the plugin and what the hook was called with
Deed = Callable[..., Any]

_CALLS_ASYNC = frozenset({"post_filter", "pre_bind", "bind", "post_bind"})


def broken(role: type[Role], method: str, deed: Deed, otherwise: Deed) -> type[Plugin[Any]]:
    """A plugin of one hook that does ``deed`` for the pod named bad, ``otherwise`` for others."""

    def hook(self: Any, *args: Any) -> Any:
        concerned = next(arg for arg in args if isinstance(arg, Pod))
        return (deed if concerned.name == "bad" else otherwise)(self, *args)

    async def async_hook(self: Any, *args: Any) -> Any:
        return hook(self, *args)

    members: dict[str, Any] = {
        "name": "Broken",
        "__module__": __name__,
        method: async_hook if method in _CALLS_ASYNC else hook,
    }
    if role is fwk.SignPlugin:
        members |= {"depends_on": (), "filter": lambda *_: None}
        return type("Broken", (fwk.FilterPlugin, role, Plugin), members)
    return type("Broken", (role, Plugin), members)


def nothing(*_args: Any) -> None:
    return None


def answers(answer: Any) -> Deed:
    return lambda *_: answer


def holds(plugin: Any, *_args: Any) -> None:
    clock = plugin.handle.clock
    assert isinstance(clock, FakeClock)
    clock.advance(1.5)


def holds_a_little(plugin: Any, *_args: Any) -> None:
    clock = plugin.handle.clock
    assert isinstance(clock, FakeClock)
    clock.advance(0.3)


def looks_at_something_cancelled(*_args: Any) -> Any:
    poll: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    poll.cancel()
    return poll.result()


def raises(*_args: Any) -> Any:
    raise KeyError("rank")


def refused(*_args: Any) -> Any:
    raise PySchedulerError("shop/claim: it belongs to another pod")


def exits(*_args: Any) -> Any:
    sys.exit("no licence")


def rejects_by(mask: Any, reason: Any = "no") -> Deed:
    return lambda _self, _state, _pod, nodes: nodes.verdict().reject(mask, reason)


def writes_a_column(_self: Any, _state: Any, _pod: Pod, nodes: fwk.NodeTable) -> Any:
    nodes.requested("cpu")[0] = 0


def writes_a_gathered_column(_self: Any, _state: Any, _pod: Pod, nodes: fwk.NodeTable) -> Any:
    nodes.select(np.array([0, 1])).requested("cpu")[0] = 0


def unlocks_a_column(_self: Any, _state: Any, _pod: Pod, nodes: fwk.NodeTable) -> Any:
    nodes.requested("cpu").flags.writeable = True


def unlocks_a_gathered_column(_self: Any, _state: Any, _pod: Pod, nodes: fwk.NodeTable) -> Any:
    nodes.select(np.array([0, 1])).requested("cpu").flags.writeable = True


def changes_requested(_self: Any, _state: Any, _pod: Pod, info: Any) -> Any:
    info.requested["cpu"] = 0


def changes_allocatable(_self: Any, _state: Any, _pod: Pod, info: Any) -> Any:
    info.allocatable["cpu"] = 0


def removes_pods(_self: Any, _state: Any, _pod: Pod, info: Any) -> Any:
    info.pods.clear()


def labels_a_node(_self: Any, _state: Any, _pod: Pod, info: Any) -> Any:
    info.labels["zone"] = "a"


def replaces_a_sum(_self: Any, _state: Any, _pod: Pod, info: Any) -> Any:
    info.non_zero_cpu = 0


def labels_the_pod(_self: Any, _state: Any, shared: Any, *_args: Any) -> Any:
    shared.metadata.labels["tier"] = "db"


def renames_the_pod(_self: Any, _state: Any, shared: Any, *_args: Any) -> Any:
    shared.metadata.name = "other"


def adds_a_container(_self: Any, _state: Any, shared: Any, *_args: Any) -> Any:
    shared.spec.containers.append(None)


def scores(make: Callable[[int], Any]) -> Deed:
    return lambda _self, _state, _pod, nodes: make(len(nodes))


ZEROS = scores(lambda n: np.zeros(n, dtype=np.int64))
ALLOW = answers((None, 0.0))
ALL_PASS: Deed = lambda _self, _state, _pod, nodes: nodes.verdict()  # noqa: E731  # a row's entry
WAIT = fwk.Status(fwk.Code.WAIT)
HELD = "held the event loop for 1.5 s, at most 1 s are allowed"
FROZEN_POD = "AttributeError: immutable type: 'ObjectMeta'"


#: hook -> what pods are told of a fault in it, before its text
TOLD_AS = {
    "PreFilter": 'running PreFilter plugin "Broken"',
    "Filter": 'running "Broken" filter plugin',
    "PreScore": 'running PreScore plugin "Broken"',
    "Score": 'running Score plugins: plugin "Broken" failed with',
    "Reserve": 'running Reserve plugin "Broken"',
    "Permit": 'running Permit plugin "Broken"',
    "PreBind": 'running PreBind plugin "Broken"',
    "Sign": "plugin Broken failed in Sign",
}


def row(
    role: type[Role], method: str, deed: Deed, told: str, *, otherwise: Deed = nothing, case: str
) -> Any:
    return pytest.param(broken(role, method, deed, otherwise), told, id=f"{method}: {case}")


def pre_filter(deed: Deed, told: str, *, case: str) -> Any:
    return row(fwk.PreFilterPlugin, "pre_filter", deed, f"PreFilter: {told}", case=case)


def one_node(deed: Deed, told: str, *, case: str) -> Any:
    return row(fwk.FilterPlugin, "filter", deed, f"Filter: {told}", case=case)


def all_nodes(deed: Deed, told: str, *, case: str) -> Any:
    told = f"Filter: {told}"
    return row(fwk.FilterPlugin, "filter_nodes", deed, told, otherwise=ALL_PASS, case=case)


def score_all(deed: Deed, told: str, *, case: str) -> Any:
    return row(fwk.ScorePlugin, "score_nodes", deed, f"Score: {told}", otherwise=ZEROS, case=case)


def score_one(deed: Deed, told: str, *, case: str) -> Any:
    return row(fwk.ScorePlugin, "score", deed, f"Score: {told}", otherwise=answers(0), case=case)


def permit(deed: Deed, told: str, *, case: str) -> Any:
    return row(fwk.PermitPlugin, "permit", deed, f"Permit: {told}", otherwise=ALLOW, case=case)


@pytest.mark.parametrize(
    ("plugin", "told"),
    [
        pre_filter(raises, "KeyError: 'rank'", case="raises"),
        pre_filter(exits, "SystemExit: no licence", case="ends the process"),
        pre_filter(looks_at_something_cancelled, "CancelledError: ", case="cancelled"),
        pre_filter(holds, HELD, case="holds the loop"),
        pre_filter(
            answers("no"),
            "answered str instead of PreFilterResult or Status or None",
            case="text for a status",
        ),
        pre_filter(answers(WAIT), "status Wait is not for PreFilter", case="odd code"),
        pre_filter(
            answers(fwk.Status(fwk.Code.ERROR, ("no access",))), "no access", case="error status"
        ),
        pre_filter(
            answers(fwk.Status(2, ("no",))),  # type: ignore[arg-type]  # as authors do
            "answered a status whose code is 2",
            case="number for a code",
        ),
        pre_filter(
            answers(fwk.unschedulable(7)),  # type: ignore[arg-type]  # as authors do
            "answered a status whose reasons are no texts: (7,)",
            case="number for a reason",
        ),
        pre_filter(
            answers(fwk.PreFilterResult(["n0"])),  # type: ignore[arg-type]  # as authors do
            "answered node names in a list, not in a set",
            case="list of nodes",
        ),
        pre_filter(
            labels_the_pod,
            "TypeError: a FrozenMap does not change; make a new one",
            case="labels the pod",
        ),
        pre_filter(renames_the_pod, FROZEN_POD, case="renames the pod"),
        pre_filter(
            adds_a_container,
            "AttributeError: 'tuple' object has no attribute 'append'",
            case="adds a container",
        ),
        one_node(raises, "KeyError: 'rank'", case="raises"),
        one_node(holds, HELD, case="holds the loop"),
        one_node(
            holds_a_little,
            "held the event loop for 1.2 s, at most 1 s are allowed",
            case="holds the loop node by node",
        ),
        one_node(answers(True), "answered bool instead of Status or None", case="bool"),
        one_node(
            changes_requested,
            "TypeError: 'mappingproxy' object does not support item assignment",
            case="changes what is requested",
        ),
        one_node(
            changes_allocatable,
            "TypeError: a FrozenMap does not change; make a new one",
            case="changes what is allocatable",
        ),
        one_node(
            removes_pods,
            "AttributeError: 'mappingproxy' object has no attribute 'clear'",
            case="removes pods",
        ),
        one_node(
            labels_a_node,
            "TypeError: a FrozenMap does not change; make a new one",
            case="labels a node",
        ),
        one_node(
            replaces_a_sum,
            "AttributeError: the snapshot's node n0 cannot be changed: non_zero_cpu is not set",
            case="replaces a sum",
        ),
        all_nodes(nothing, "answered NoneType instead of NodeVerdict", case="no verdict"),
        all_nodes(answers(fwk.NodeVerdict(1)), "judged 1 of 8 nodes", case="too few nodes"),
        all_nodes(
            rejects_by(np.ones(3, dtype=np.bool_)),
            "ValueError: mask has shape (3,), the table has 8 nodes",
            case="short mask",
        ),
        all_nodes(
            rejects_by(np.zeros(8, dtype=np.int64)),
            "TypeError: mask is int64, not an array of bool",
            case="mask of integers",
        ),
        all_nodes(
            rejects_by([True] * 8), "TypeError: mask is list, not an array of bool", case="list"
        ),
        all_nodes(
            rejects_by(np.ones(8, dtype=np.bool_), None),
            "TypeError: reason is None, not a text",
            case="no reason",
        ),
        all_nodes(
            writes_a_column,
            "ValueError: assignment destination is read-only",
            case="writes a column",
        ),
        all_nodes(
            writes_a_gathered_column,
            "ValueError: assignment destination is read-only",
            case="writes a gathered column",
        ),
        all_nodes(
            unlocks_a_column,
            "ValueError: cannot set WRITEABLE flag to True of this array",
            case="unlocks a column",
        ),
        all_nodes(
            unlocks_a_gathered_column,
            "ValueError: cannot set WRITEABLE flag to True of this array",
            case="unlocks a gathered column",
        ),
        row(
            fwk.PreScorePlugin,
            "pre_score",
            answers(fwk.unschedulable("no")),
            "PreScore: status Unschedulable is not for PreScore",
            case="rejects",
        ),
        score_all(holds, "answered NoneType instead of ndarray", case="no scores"),
        score_all(
            scores(lambda n: np.full(n, 0.5)), "scores are float64, not integers", case="fractions"
        ),
        score_all(
            scores(lambda n: np.full(n, np.nan)), "scores are float64, not integers", case="NaN"
        ),
        score_all(
            scores(lambda n: np.array([7] * n, dtype=object)),
            "scores are object, not integers",
            case="objects",
        ),
        score_all(
            scores(lambda n: np.ones(n, dtype=np.bool_)),
            "scores are bool, not integers",
            case="truths",
        ),
        score_all(
            scores(lambda _: np.array([7])),
            "answered scores of shape (1,) for 8 nodes",
            case="one for all",
        ),
        score_all(
            scores(lambda n: np.zeros((n, 1), dtype=np.int64)),
            "answered scores of shape (8, 1) for 8 nodes",
            case="a matrix",
        ),
        score_one(answers(0.5), "answered float instead of int or integer", case="fraction"),
        score_one(nothing, "answered NoneType instead of int or integer", case="nothing"),
        score_one(
            answers(2**70),
            "OverflowError: Python int too large to convert to C long",
            case="huge",
        ),
        row(
            fwk.ReservePlugin,
            "reserve",
            answers("no"),
            "Reserve: answered str instead of Status or None",
            case="text for a status",
        ),
        row(fwk.ReservePlugin, "reserve", holds, f"Reserve: {HELD}", case="holds the loop"),
        permit(nothing, "answered NoneType instead of tuple", case="no time"),
        permit(
            answers((None, 0, 0)),
            "answered 3 values instead of a status and seconds",
            case="three values",
        ),
        permit(answers(("no", 0.0)), "answered 'no' instead of a status or None", case="text"),
        permit(
            answers((WAIT, float("nan"))), "lets the pod wait for nan, not for seconds", case="NaN"
        ),
        permit(
            answers((WAIT, "5s")),
            "lets the pod wait for '5s', not for seconds",
            case="text for time",
        ),
        permit(answers((fwk.SKIP, 0)), "status Skip is not for Permit", case="odd code"),
        row(
            fwk.PreBindPlugin,
            "pre_bind",
            answers("no"),
            "PreBind: answered str instead of Status or None",
            case="text for a status",
        ),
        row(fwk.PreBindPlugin, "pre_bind", holds, f"PreBind: {HELD}", case="holds the loop"),
        row(
            fwk.PreBindPlugin,
            "pre_bind",
            looks_at_something_cancelled,
            "PreBind: CancelledError: ",
            case="cancelled",
        ),
        row(
            fwk.SignPlugin,
            "sign_pod",
            answers(([1],)),
            "Sign: TypeError: unhashable type: 'list'",
            otherwise=answers(()),
            case="cannot be hashed",
        ),
        row(
            fwk.SignPlugin,
            "sign_pod",
            answers("db"),
            "Sign: answered str instead of tuple or None",
            otherwise=answers(()),
            case="text",
        ),
    ],
)
async def test_a_fault_costs_its_pod_an_attempt(plugin: type[Plugin[Any]], told: str) -> None:
    rig = Rig(plugin)
    for i in range(8):
        rig.add_node(node(f"n{i}"))
    hook, _, cause = told.partition(": ")

    with capture_logs() as logs:
        rig.add_pod(pod("bad"))
        rig.add_pod(pod("good"))
        await rig.settle()

    assert rig.messages == {"bad": f"{TOLD_AS[hook]}: {cause}"}
    assert [reason for _, reason, _ in rig.writes.conditions] == ["SchedulerError"]
    assert rig.faults == [("Broken", hook)]
    (line,) = [line for line in logs if "hook" in line]
    assert (line["plugin"], line["hook"], line["pod"]) == ("Broken", hook, "default/bad")
    assert list(rig.bound) == ["good"]
    assert rig.cache.pod_count == 1
    assert rig.queue.counts().backoff == 1
    assert rig.queue.counts().in_flight == 0


async def test_an_error_that_users_understand_says_it_all() -> None:
    rig = Rig(broken(fwk.ReservePlugin, "reserve", refused, nothing))
    rig.add_node(node("n"))

    rig.add_pod(pod("bad"))
    await rig.settle()

    assert rig.messages == {
        "bad": 'running Reserve plugin "Broken": shop/claim: it belongs to another pod'
    }


class Ranks(fwk.ScorePlugin, fwk.Plugin[fwk.NoArgs]):
    """Gives every node more than the most."""

    def score(self, state: fwk.CycleState, pod: Pod, node: fwk.NodeInfo) -> int:
        return 101

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        return np.full(nodes.n, 101)


class Trips(Ranks):
    """Stumbles when it is to bring its scores into range."""

    def normalize(self, state: fwk.CycleState, pod: Pod, scores: Int64Array) -> Int64Array:
        raise KeyError("rank")


@pytest.mark.parametrize(
    ("plugin", "told", "hook"),
    [
        pytest.param(
            Ranks,
            'applying score defaultWeights on Score plugins: plugin "Ranks" returns an invalid'
            " score 101, it should in the range of [0, 100] after normalizing",
            "Score",
            id="out of range",
        ),
        pytest.param(
            Trips,
            "running Normalize on Score plugins: plugin \"Trips\" failed with: KeyError: 'rank'",
            "ScoreExtensionNormalize",
            id="normalize raises",
        ),
    ],
)
async def test_a_fault_after_scoring_is_told_so(plugin: type[Ranks], told: str, hook: str) -> None:
    rig = Rig(plugin)
    rig.add_node(node("n0"))
    rig.add_node(node("n1"))

    rig.add_pod(pod("bad"))
    await rig.settle()

    assert rig.messages == {"bad": told}
    assert rig.faults == [(plugin.__name__, hook)]


class Plain(fwk.PreBindPlugin, fwk.Plugin[fwk.NoArgs]):
    """Forgets ``async``."""

    def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> Any:
        return None


async def test_a_hook_that_should_be_async_is_told_so() -> None:
    rig = Rig(Plain)
    rig.add_node(node("n"))

    rig.add_pod(pod("a"))
    await rig.settle()

    wrong = "is no async def: answered NoneType at once"
    assert rig.messages == {"a": f'running PreBind plugin "Plain": {wrong}'}


class Slow(fwk.PreBindPlugin, fwk.Plugin[fwk.NoArgs]):
    """Waits for long, and holds nobody up."""

    async def pre_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> fwk.Status | None:
        await self.handle.clock.sleep(100)
        return None


async def test_waiting_is_not_holding() -> None:
    rig = Rig(Slow)
    rig.add_node(node("n"))

    rig.add_pod(pod("a"))
    await rig.settle()
    rig.clock.advance(100)
    await rig.turns()

    assert rig.bound == {"a": "n"}
    assert rig.faults == []


class Tell(fwk.PostBindPlugin, fwk.Plugin[fwk.NoArgs]):
    """Blocks when it is too late to take anything back."""

    async def post_bind(self, state: fwk.CycleState, pod: Pod, node_name: str) -> None:
        holds(self)


async def test_what_cannot_be_undone_stands_however_long_it_held_the_loop() -> None:
    rig = Rig(Tell)
    rig.add_node(node("n"))

    rig.add_pod(pod("a"))
    await rig.settle()

    assert rig.bound == {"a": "n"}
    assert rig.messages == {}
    assert rig.faults == [("Tell", "PostBind")]


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        pytest.param(raises, "KeyError: 'rank'", id="raises"),
        pytest.param(nothing, "answered NoneType instead of tuple", id="nothing"),
        pytest.param(
            answers((None,)), "answered 1 values instead of a result and a status", id="one value"
        ),
        pytest.param(
            answers(("n", None)), "answered 'n' instead of a result or None", id="text for a result"
        ),
        pytest.param(
            answers((fwk.PostFilterResult(None), None)),  # type: ignore[arg-type]  # as authors do
            "nominated None, which is no name of a node",
            id="no name",
        ),
        pytest.param(
            answers((None, "no")),
            "answered 'no' instead of a status or None",
            id="text for a status",
        ),
        pytest.param(holds, "answered NoneType instead of tuple", id="holds the loop, too"),
    ],
)
async def test_a_fault_of_post_filter_is_told_and_the_pod_backs_off(deed: Deed, told: str) -> None:
    rig = Rig(broken(fwk.PostFilterPlugin, "post_filter", deed, answers((None, None))))
    rig.add_node(node("n"))

    rig.add_pod(pod("bad", cpu="100"))
    rig.add_pod(pod("good"))
    await rig.settle()

    assert rig.messages == {
        "bad": "0/1 nodes are available: 1 Insufficient cpu."
        f" plugin Broken failed in PostFilter: {told}"
    }
    # no node fits it, whatever else went wrong: autoscalers go by that
    assert [reason for _, reason, _ in rig.writes.conditions] == ["Unschedulable"]
    assert rig.faults == [("Broken", "PostFilter")]
    assert rig.bound == {"good": "n"}
    assert rig.queue.counts().backoff == 1


class Door(fwk.PreEnqueuePlugin, fwk.Plugin[fwk.NoArgs]):
    """Breaks down at the pod named bad until it is mended."""

    is_mended = False

    def pre_enqueue(self, pod: Pod) -> fwk.Status | None:
        if pod.name == "bad" and not self.is_mended:
            raise KeyError("rank")
        return None


async def test_a_pod_whose_pre_enqueue_broke_down_is_asked_about_again_after_its_backoff() -> None:
    rig = Rig(Door)
    rig.add_node(node("n"))
    door = rig.profile.plugins["Door"]
    assert isinstance(door, Door)

    with capture_logs() as logs:
        rig.add_pod(pod("bad"))
        rig.add_pod(pod("good"))
        await rig.settle()
    assert rig.faults == [("Door", "PreEnqueue")]
    assert [line["pod"] for line in logs if "hook" in line] == ["default/bad"]
    assert rig.bound == {"good": "n"}
    assert (rig.queue.counts().backoff, rig.queue.counts().gated) == (1, 0)

    rig.clock.advance(2)
    rig.queue.flush_backoff()
    await rig.settle()
    assert len(rig.faults) == 2, "asked again"
    assert rig.queue.counts().backoff == 1

    door.is_mended = True
    rig.clock.advance(2)
    rig.queue.flush_backoff()
    await rig.settle()
    assert rig.queue.counts().backoff == 1, "the second backoff is longer"
    rig.clock.advance(1)
    rig.queue.flush_backoff()
    await rig.settle()
    assert set(rig.bound) == {"good", "bad"}


class Odd(fwk.QueueSortPlugin, fwk.Plugin[fwk.NoArgs]):
    """Sorts by name, but for the pods that it has another key for."""

    keys: dict[str, Any] = {}  #: replaced by each test

    def sort_key(self, entity: Any) -> Any:
        return self.keys.get(entity.pod.name, (entity.pod.name, 1))


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(None, id="nothing"),
        pytest.param((None, 1), id="has no order"),
        pytest.param((1, 1), id="another type than the others'"),
        pytest.param(("a", float("nan")), id="NaN"),
        pytest.param(("a", (1, "x")), id="nested where others are not"),
    ],
)
def test_a_key_that_cannot_be_compared_comes_last(key: Any) -> None:
    rig = Rig()
    plugin = Odd(fwk.NoArgs(), None)  # type: ignore[arg-type]  # unused
    plugin.keys = {"odd": key}
    profile = rig.profile
    profile.plugins = {"Odd": plugin}
    profile._points = {"queueSort": [("Odd", 1)]}
    rig.queue._sort_key = profile._sort_key()

    for name in ("c", "odd", "b", "a"):
        rig.add_pod(pod(name))

    popped = [entity.pod.name for _ in range(4) if (entity := rig.queue.pop())]
    assert popped == ["a", "b", "c", "odd"]
    assert rig.faults == [("Odd", "QueueSort")]
