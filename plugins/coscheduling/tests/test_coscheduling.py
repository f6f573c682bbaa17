"""What Coscheduling decides at each point, and what the scheduler relies on.

Gangs that compete for a cluster, where pods really wait, are in ``test_gang_lives``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

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
    FakeRng,
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
    parametrize_with_checks,
)

STATE = fwk.CycleState()
NOWHERE = fwk.NodeStatuses.alike(fake_handle().snapshot.nodes, fwk.unschedulable("full"))


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
        self.rng = FakeRng()
        handle = fake_handle(
            informers=self.informers, activator=self.activator, clock=self.clock, rng=self.rng
        )
        self.waiting_pods: Any = handle.waiting_pods
        self.plugin = Coscheduling(CoschedulingArgs(), handle)
        for group in groups:
            self.informers.of(POD_GROUPS).put(group)

    def wait_at_permit(self, *pods: Pod) -> list[fwk.WaitingPod]:
        """These find a place and wait there for the others."""
        for pod in pods:
            self.plugin.reserve(STATE, pod, "n")
            status, seconds = self.plugin.permit(STATE, pod, "n")
            assert status is not None
            assert status.code is fwk.Code.WAIT
            self.waiting_pods.add(pod, "n", timeouts_s={self.plugin.name: seconds})
        return list(self.waiting_pods)

    async def ends(self, waits: list[fwk.WaitingPod]) -> list[fwk.Status | None]:
        """What each wait came to."""
        async with asyncio.timeout(1.0):
            return [await self.waiting_pods.wait(wait.pod.uid) for wait in waits]

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

    answer = await rig.plugin.post_filter(STATE, two, NOWHERE)

    assert answer == (
        None,
        fwk.unschedulable("PodGroup default/gang needs 3 places at once, found 1"),
    )


async def test_a_group_that_was_turned_down_is_held_back_then_tried_by_one_pod() -> None:
    rig = Rig(_group("gang", 2))
    one, two = _member("one"), _member("two")
    rig.see(one, two)
    nodes = fake_handle().snapshot.nodes
    retries = asyncio.ensure_future(rig.plugin.retry_denied())

    for seconds in (1, 2, 4):
        await rig.plugin.post_filter(STATE, two, NOWHERE)
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


async def test_a_member_that_cannot_be_tried_does_not_keep_its_group_from_being_tried() -> None:
    rig = Rig(_group("gang", 2))
    gated, one, two = _member("gated"), _member("one"), _member("two")
    rig.see(gated, one, two)
    retries = asyncio.ensure_future(rig.plugin.retry_denied())
    await rig.plugin.post_filter(STATE, two, NOWHERE)

    await _pass(rig.clock, 3.0)  # none of them came to PreFilter
    assert rig.activator.activated[:3] == [gated, one, two]

    assert rig.plugin.pre_filter(STATE, two, fake_handle().snapshot.nodes) is None
    rig.activator.activated.clear()
    await _pass(rig.clock, 3.0)
    assert rig.activator.activated == [], "it has been tried: what comes of it decides"
    retries.cancel()


async def test_two_groups_turned_down_together_do_not_meet_again_each_time() -> None:
    rig = Rig(_group("gang", 2), _group("other", 2))
    rig.see(_member("one"), _member("two"), _member("far", "other"), _member("off", "other"))
    for pod, drawn in ((_member("one"), 0), (_member("far", "other"), 500)):
        rig.rng.drawn = drawn
        await rig.plugin.post_filter(STATE, pod, NOWHERE)

    rig.clock.advance(1.1)

    assert rig.gate(_member("one")) == ""
    assert rig.gate(_member("far", "other")) != ""


async def test_a_group_that_is_turned_down_for_days_is_tried_every_ten_seconds() -> None:
    rig = Rig(_group("gang", 2))
    one, two = _member("one"), _member("two")
    rig.see(one, two)

    for _ in range(2000):
        await rig.plugin.post_filter(STATE, two, NOWHERE)
        rig.clock.advance(10.0)
        assert rig.gate(one) == ""


def test_a_member_that_is_gone_is_no_member_when_its_place_is_given_back() -> None:
    rig = Rig(_group("gang", 2))
    one, two = _member("one"), _member("two")
    rig.see(one, two)
    rig.plugin.reserve(STATE, one, "n")
    rig.informers.of("pods.v1").remove("default/one")

    rig.plugin.unreserve(STATE, one, "n")

    assert rig.gate(two) == "waiting for 2 pods of PodGroup default/gang, 1 exist"
    rig.informers.of("pods.v1").remove("default/two")
    assert len(rig.plugin.gangs) == 0


async def test_a_member_deleted_during_its_attempt_is_no_member() -> None:
    rig = Rig(_group("gang", 2))
    one = _member("one")
    rig.see(one)
    rig.informers.of("pods.v1").remove("default/one")

    await rig.plugin.post_filter(STATE, one, NOWHERE)

    assert len(rig.plugin.gangs) == 0


def test_a_member_bound_although_its_bind_failed_keeps_its_place() -> None:
    rig = Rig(_group("gang", 2))
    one, two = _member("one"), _member("two")
    rig.see(one, two)
    rig.plugin.reserve(STATE, one, "n")
    rig.see(_member("one", node="n"))

    rig.plugin.unreserve(STATE, one, "n")
    rig.plugin.reserve(STATE, two, "n")

    assert rig.plugin.permit(STATE, two, "n") == (None, 0)


async def test_nobody_is_bound_once_the_group_is_deleted() -> None:
    rig = Rig(_group("gang", 2))
    one, two = _member("one"), _member("two")
    rig.see(one, two)
    rig.plugin.reserve(STATE, one, "n")
    rig.informers.of(POD_GROUPS).remove("default/gang")

    missing = fwk.unresolvable("waiting for PodGroup default/gang to be created")
    assert rig.plugin.pre_filter(STATE, two, fake_handle().snapshot.nodes) == missing
    assert rig.plugin.permit(STATE, one, "n") == (missing, 0)


async def test_a_group_that_comes_to_need_fewer_goes_on_with_those_that_wait() -> None:
    rig = Rig(_group("gang", 3))
    members = [_member(name) for name in ("one", "two", "three")]
    rig.see(*members)
    waiting = rig.wait_at_permit(*members[:2])

    rig.informers.of(POD_GROUPS).put(_group("gang", 2))

    assert await rig.ends(waiting) == [None, None]


async def test_a_group_that_is_deleted_gives_its_places_back_at_once() -> None:
    rig = Rig(_group("gang", 3))
    members = [_member(name) for name in ("one", "two", "three")]
    rig.see(*members)
    waiting = rig.wait_at_permit(*members[:2])

    rig.informers.of(POD_GROUPS).remove("default/gang")

    deleted = fwk.unschedulable("PodGroup default/gang was deleted").by("Coscheduling")
    assert await rig.ends(waiting) == [deleted, deleted]


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
