from __future__ import annotations

from collections.abc import Sequence

import pytest

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import FakeClock
from pyscheduler.framework.cluster_events import (
    ASSIGNED_POD_ADDED,
    EVERYTHING,
    NODE_ADDED,
    NODE_ALLOCATABLE_CHANGED,
    NODE_TAINTS_CHANGED,
    POD_ADDED,
    WILDCARD,
    ActionType,
    ClusterEvent,
    EventResource,
    HintFn,
    QueueingHint,
)
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.hints import HintIndex, HintRegistration, Requeue
from tests.unit.queueing.queue_harness import SCHEDULER, make_pod


def index(*registrations: HintRegistration) -> HintIndex:
    return HintIndex({SCHEDULER: registrations}, clock=FakeClock())


def saying(answer: QueueingHint, log: list[str] | None = None, name: str = "") -> HintFn:
    def hint(pod: Pod, old: object, new: object) -> QueueingHint:
        if log is not None:
            log.append(name)
        return answer

    return hint


def held(
    *plugins: str, pending: Sequence[str] = (), gate: str = "", uid: str = "a"
) -> QueuedEntity:
    return QueuedEntity(
        make_pod("a", uid=uid),
        timestamp=0.0,
        unschedulable_plugins=frozenset(plugins),
        pending_plugins=frozenset(pending),
        gating_plugin=gate,
    )


@pytest.mark.parametrize(
    ("registered", "incoming", "hears"),
    [
        pytest.param(NODE_ADDED, NODE_ADDED, True, id="itself"),
        pytest.param(NODE_ADDED | NODE_ALLOCATABLE_CHANGED, NODE_ADDED, True, id="one of two"),
        pytest.param(NODE_ADDED, NODE_ALLOCATABLE_CHANGED, False, id="another action"),
        pytest.param(POD_ADDED, ASSIGNED_POD_ADDED, True, id="all pods, an assigned one"),
        pytest.param(ASSIGNED_POD_ADDED, POD_ADDED, False, id="assigned pods, any pod"),
        pytest.param(
            ClusterEvent(EventResource.UNSCHEDULED_POD, ActionType.UPDATE_POD_LABEL),
            ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_LABEL),
            False,
            id="unscheduled pods, the pod itself",
        ),
        pytest.param(
            ClusterEvent(EventResource.TARGET_POD, ActionType.UPDATE_POD_LABEL),
            ClusterEvent(EventResource.UNSCHEDULED_POD, ActionType.UPDATE_POD_LABEL),
            False,
            id="the pod itself, another",
        ),
        pytest.param(
            ClusterEvent("foos.v1.example.com", ActionType.ALL),
            ClusterEvent("foos.v1.example.com", ActionType.ADD),
            True,
            id="custom resource",
        ),
        pytest.param(WILDCARD, NODE_ADDED, True, id="everything"),
    ],
)
def test_who_hears_of_what(registered: ClusterEvent, incoming: ClusterEvent, hears: bool) -> None:
    audience = index(HintRegistration("Fit", registered)).audience(incoming)
    assert bool(audience.listeners) is hears
    assert audience.is_empty is not hears


def test_a_wildcard_concerns_everybody_though_nobody_registered() -> None:
    audience = index().audience(WILDCARD)
    assert audience.is_wildcard
    assert not audience.is_empty


QUEUE, SKIP = QueueingHint.QUEUE, QueueingHint.SKIP


@pytest.mark.parametrize(
    ("entity", "answers", "verdict"),
    [
        pytest.param(held(), {}, Requeue.AFTER_BACKOFF, id="nobody rejected it"),
        pytest.param(held("A"), {"A": QUEUE}, Requeue.AFTER_BACKOFF, id="queue"),
        pytest.param(held("A"), {"A": SKIP}, Requeue.SKIP, id="skip"),
        pytest.param(held("A"), {"B": QUEUE}, Requeue.SKIP, id="not a rejector"),
        pytest.param(
            held("A", "B"), {"A": SKIP, "B": QUEUE}, Requeue.AFTER_BACKOFF, id="one of two"
        ),
        pytest.param(held(pending=["P"]), {"P": QUEUE}, Requeue.IMMEDIATELY, id="pending"),
        pytest.param(
            held("A", pending=["P"]),
            {"A": QUEUE, "P": SKIP},
            Requeue.AFTER_BACKOFF,
            id="pending says skip",
        ),
        pytest.param(
            held("A", pending=["P"]),
            {"A": QUEUE, "P": QUEUE},
            Requeue.IMMEDIATELY,
            id="pending says queue, too",
        ),
        pytest.param(held(gate="G"), {"G": QUEUE}, Requeue.AFTER_BACKOFF, id="gate"),
        pytest.param(
            held("A", gate="G"), {"A": QUEUE}, Requeue.SKIP, id="gate does not hear of it"
        ),
        pytest.param(
            held("A", gate="G"),
            {"A": QUEUE, "G": SKIP},
            Requeue.AFTER_BACKOFF,
            id="gate hears of it and leaves it to the rejector",
        ),
    ],
)
def test_verdicts(entity: QueuedEntity, answers: dict[str, QueueingHint], verdict: Requeue) -> None:
    hints = index(*(HintRegistration(p, NODE_ADDED, saying(a)) for p, a in answers.items()))
    assert hints.judge(entity, hints.audience(NODE_ADDED), None, None) is verdict


def test_no_hint_is_asked_once_the_verdict_is_known() -> None:
    log: list[str] = []
    hints = index(
        HintRegistration("A", NODE_ADDED, saying(QUEUE, log, "A")),
        HintRegistration("B", NODE_ADDED, saying(QUEUE, log, "B")),
        HintRegistration("P", NODE_ADDED, saying(QUEUE, log, "P")),
    )
    audience = hints.audience(NODE_ADDED)
    hints.judge(held("A", "B"), audience, None, None)
    assert log == ["A"]
    log.clear()
    hints.judge(held("A", "B", pending=["P"]), audience, None, None)
    assert log == ["A", "P"]


def test_several_hints_of_a_plugin_are_asked_until_one_agrees() -> None:
    log: list[str] = []
    hints = index(
        HintRegistration("A", NODE_ADDED, saying(SKIP, log, "first")),
        HintRegistration("A", NODE_ADDED | NODE_TAINTS_CHANGED, saying(QUEUE, log, "second")),
    )
    verdict = hints.judge(held("A"), hints.audience(NODE_ADDED), None, None)
    assert verdict is Requeue.AFTER_BACKOFF
    assert log == ["first", "second"]


def test_a_wildcard_about_one_pod_leaves_the_others() -> None:
    hints = index()
    audience = hints.audience(WILDCARD)
    about = make_pod("a", uid="a")
    assert hints.judge(held("A", uid="a"), audience, None, about) is Requeue.AFTER_BACKOFF
    assert hints.judge(held("A", uid="b"), audience, None, about) is Requeue.SKIP


def test_a_pending_pod_hears_of_other_pending_pods_and_not_of_itself() -> None:
    added = ClusterEvent(EventResource.UNSCHEDULED_POD, ActionType.ADD)
    hints = index(HintRegistration("A", added))
    audience, itself = hints.audience(added), make_pod("a", uid="a")
    assert hints.judge(held("A", uid="b"), audience, None, itself) is Requeue.AFTER_BACKOFF
    assert hints.judge(held("A", uid="a"), audience, None, itself) is Requeue.SKIP
    assert hints.judge(held("A", uid="a"), audience, itself, None) is Requeue.SKIP


@pytest.mark.parametrize(
    ("registered", "resources"),
    [
        pytest.param([], set(), id="nothing"),
        pytest.param([NODE_ADDED, NODE_TAINTS_CHANGED], {"Node"}, id="one kind, twice"),
        pytest.param(
            [NODE_ADDED, ClusterEvent("foos.v1.example.com", ActionType.ADD)],
            {"Node", "foos.v1.example.com"},
            id="a custom resource",
        ),
        pytest.param(
            [WILDCARD, ClusterEvent("foos.v1.example.com", ActionType.ADD)],
            {str(known.event.resource) for known in EVERYTHING} | {"foos.v1.example.com"},
            id="everything is everything known",
        ),
    ],
)
def test_the_kinds_that_anybody_wants_to_hear_of(
    registered: list[ClusterEvent], resources: set[str]
) -> None:
    hints = HintIndex(
        {f"profile-{i}": [HintRegistration("A", event)] for i, event in enumerate(registered)},
        clock=FakeClock(),
    )
    assert hints.resources == resources


def test_profiles_have_their_own_registrations() -> None:
    hints = HintIndex({"other": [HintRegistration("A", NODE_ADDED)]}, clock=FakeClock())
    assert hints.judge(held("A"), hints.audience(NODE_ADDED), None, None) is Requeue.SKIP
