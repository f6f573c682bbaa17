"""What Coscheduling decides at each point, and what the scheduler relies on.

Two gangs that compete for a cluster are in the scheduler's own tests, where pods really wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pydantic
import pytest
from pyscheduler_coscheduling import Coscheduling, CoschedulingArgs, PodGroup
from pyscheduler_coscheduling.pod_groups import POD_GROUP_LABEL, POD_GROUPS, PodGroupSpec

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.meta import ObjectMeta
from pyscheduler.clock import FakeClock
from pyscheduler.testing import (
    FakeActivator,
    FakeInformers,
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
    parametrize_with_checks,
)

STATE = fwk.CycleState()


def _group(name: str, min_member: int, *, created: str = "2026-01-01T00:00:00Z") -> PodGroup:
    meta = ObjectMeta(name=name, namespace="default", creation_timestamp=created)
    return PodGroup(meta, PodGroupSpec(min_member, schedule_timeout_seconds=7))


def _member(name: str, group: str = "gang", *, node: str = "") -> Pod:
    builder = make_pod(name).label(POD_GROUP_LABEL, group)
    return (builder.node(node) if node else builder).obj()


class Rig:
    """The plugin with what the watch would deliver."""

    def __init__(self, *groups: PodGroup) -> None:
        self.informers = FakeInformers()
        self.activator = FakeActivator()
        self.clock = FakeClock()
        self.plugin = Coscheduling(
            CoschedulingArgs(),
            fake_handle(informers=self.informers, activator=self.activator, clock=self.clock),
        )
        for group in groups:
            self.informers.of(POD_GROUPS).put(group)

    def see(self, *pods: Pod) -> None:
        for pod in pods:
            self.informers.of("pods.v1").put(pod)

    def gate(self, pod: Pod) -> str:
        status = self.plugin.pre_enqueue(pod)
        return "" if status is None else status.message


def test_a_pod_on_its_own_does_not_notice() -> None:
    plugin, pod = Rig().plugin, make_pod("p").obj()

    assert plugin.pre_enqueue(pod) is None
    plugin.reserve(STATE, pod, "n")
    assert plugin.permit(STATE, pod, "n") == (None, 0)


def test_members_are_held_back_until_the_group_and_enough_of_them_exist() -> None:
    rig = Rig()
    one, two = _member("one"), _member("two")
    assert rig.gate(one) == "waiting for PodGroup default/gang to be created"

    rig.informers.of(POD_GROUPS).put(_group("gang", 2))
    assert rig.gate(one) == "waiting for 2 pods of PodGroup default/gang, 1 exist"

    assert rig.gate(two) == ""
    assert rig.gate(one) == "", "the second one is known although the watch has not told yet"


def test_placed_members_wait_and_the_others_are_activated() -> None:
    rig = Rig(_group("gang", 3))
    members = [_member(name) for name in ("one", "two", "three")]
    rig.see(*members)

    rig.plugin.reserve(STATE, members[0], "n")
    status, seconds = rig.plugin.permit(STATE, members[0], "n")

    assert status == fwk.wait("waiting for 3 pods of PodGroup default/gang")
    assert seconds == 7, "the group's own limit"
    assert rig.activator.activated == members[1:]


def test_the_last_member_goes_on_at_once() -> None:
    rig = Rig(_group("gang", 3))
    bound, here, last = _member("bound", node="n"), _member("here"), _member("last")
    rig.see(bound, here, last)
    rig.plugin.reserve(STATE, here, "n")

    rig.plugin.reserve(STATE, last, "n")

    assert rig.plugin.permit(STATE, last, "n") == (None, 0)


def test_a_member_that_lost_its_place_counts_no_more() -> None:
    rig = Rig(_group("gang", 2))
    one, two = _member("one"), _member("two")
    rig.see(one, two)
    rig.plugin.reserve(STATE, one, "n")
    rig.plugin.unreserve(STATE, one, "n")
    rig.plugin.unreserve(STATE, one, "n")

    rig.plugin.reserve(STATE, two, "n")

    assert rig.plugin.permit(STATE, two, "n")[0] is not None


async def test_a_member_that_fits_nowhere_says_what_the_group_needed() -> None:
    rig = Rig(_group("gang", 3))
    one, two = _member("one"), _member("two")
    rig.see(one, two)
    rig.plugin.reserve(STATE, one, "n")
    statuses = fwk.NodeStatuses.alike(fake_handle().snapshot.nodes, fwk.unschedulable("full"))

    answer = await rig.plugin.post_filter(STATE, two, statuses)

    assert answer == (
        None,
        fwk.unschedulable("PodGroup default/gang needs 3 places at once, found 1"),
    )


async def test_a_group_that_was_turned_down_is_held_back_then_tried_by_one_pod() -> None:
    rig = Rig(_group("gang", 2))
    one, two = _member("one"), _member("two")
    rig.see(one, two)
    nodes = fake_handle().snapshot.nodes
    statuses = fwk.NodeStatuses.alike(nodes, fwk.unschedulable("full"))
    retries = asyncio.ensure_future(rig.plugin.retry_denied())

    for seconds in (1, 2, 4):
        await rig.plugin.post_filter(STATE, two, statuses)
        assert rig.gate(one) == "PodGroup default/gang was turned down a moment ago"
        assert rig.plugin.pre_filter(STATE, two, nodes) is not None, "it was in the queue already"
        await _pass(rig.clock, seconds - 0.6)
        assert rig.activator.activated == []
        await _pass(rig.clock, 1.1)
        assert rig.activator.activated == [one]
        assert rig.gate(one) == ""
        rig.activator.activated.clear()

    retries.cancel()


async def _pass(clock: FakeClock, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        clock.advance(0.1)
        for _ in range(3):
            await asyncio.sleep(0)


def test_members_of_one_group_stand_together_by_its_age() -> None:
    old, young = (
        _group("old", 2, created="2026-01-01T00:00:00Z"),
        _group("young", 2, created="2026-01-01T00:00:01Z"),
    )
    plugin = Rig(old, young).plugin
    arrivals = [("young", 1.0), ("old", 2.0), ("young", 3.0), ("old", 4.0)]
    entities = [
        fwk.QueuedEntity(_member(f"{group}-{at}", group), timestamp=at) for group, at in arrivals
    ]

    in_order = [entity.pod.metadata.name for entity in sorted(entities, key=plugin.sort_key)]

    assert in_order == ["old-2.0", "old-4.0", "young-1.0", "young-3.0"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, _group("gang", 2), "QUEUE", id="appears"),
        pytest.param(None, _group("other", 2), "SKIP", id="another one appears"),
        pytest.param(_group("gang", 3), _group("gang", 2), "QUEUE", id="needs fewer"),
        pytest.param(_group("gang", 2), _group("gang", 2), "SKIP", id="status only"),
        pytest.param(_group("gang", 2), _group("gang", 3), "SKIP", id="needs more"),
    ],
)
def test_which_group_changes_wake_a_member(
    old: PodGroup | None, new: PodGroup, expected: str
) -> None:
    hint = Rig().plugin.after_group_change(_member("one"), old, new)

    assert hint is fwk.QueueingHint[expected]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, _member("two"), "QUEUE", id="joins"),
        pytest.param(make_pod("two").obj(), _member("two"), "QUEUE", id="labelled"),
        pytest.param(_member("two"), _member("two"), "SKIP", id="was there"),
        pytest.param(None, _member("two", "other"), "SKIP", id="of another group"),
        pytest.param(None, make_pod("two").obj(), "SKIP", id="of no group"),
    ],
)
def test_which_pod_changes_wake_a_member(old: Pod | None, new: Pod, expected: str) -> None:
    assert Rig().plugin.after_pod_change(_member("one"), old, new) is fwk.QueueingHint[expected]


def test_gangs_without_pods_are_forgotten() -> None:
    rig = Rig(_group("gang", 2))
    one, two = _member("one"), _member("two")
    rig.see(one, two)

    rig.informers.of("pods.v1").remove("default/one")
    assert len(rig.plugin.gangs) == 1
    rig.informers.of("pods.v1").remove("default/two")

    assert len(rig.plugin.gangs) == 0


def test_a_wait_beyond_permits_limit_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="permitWaitingTimeSeconds"):
        make_plugin(Coscheduling, {"permitWaitingTimeSeconds": 1000}, handle=fake_handle())


@parametrize_with_checks(
    [Rig(_group("gang", 2)).plugin],
    pods=[make_pod("p").obj(), _member("one")],
    nodes=[make_node("n").obj()],
    objects={POD_GROUPS: [_group("gang", 3), _group("gang", 2)]},
)
def test_contract(check: Callable[[], None]) -> None:
    check()
