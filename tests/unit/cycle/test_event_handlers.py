"""Which waiting pods hear of what the watch delivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.cache.cache import SchedulerCache
from pyscheduler.clock import FakeClock
from pyscheduler.cycle.event_diff import node_events
from pyscheduler.cycle.event_handlers import NodeEvents, PodEvents
from pyscheduler.framework.cluster_events import (
    ASSIGNED_POD_DELETED,
    ActionType,
    ClusterEvent,
    EventResource,
)
from pyscheduler.framework.status import unschedulable
from pyscheduler.queueing.hints import HintRegistration
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.testing import make_node, make_pod

OURS = "default-scheduler"
PENDING_PODS = ClusterEvent(EventResource.UNSCHEDULED_POD, ActionType.ALL)


class Told(SchedulingQueue):
    """A queue that remembers what it was told, with one plugin that hears of `events`."""

    def __init__(self, *events: ClusterEvent) -> None:
        super().__init__(
            clock=FakeClock(1000.0),
            sort_key=lambda entity: (-entity.pod.priority,),
            pre_enqueue=lambda pod, _first: (
                unschedulable("") if pod.spec.scheduling_gates else None
            ),
            hints={OURS: [HintRegistration("Fit", event) for event in events]},
        )
        self.told: list[tuple[str, object, object]] = []

    def move(
        self,
        event: ClusterEvent,
        old: object,
        new: object,
        *,
        pre_check: Callable[[Pod], bool] | None = None,
    ) -> None:
        self.told.append((event.label, old, new))
        super().move(event, old, new, pre_check=pre_check)

    def reject(self, *pods: Pod) -> None:
        """These pods wait, rejected by Fit."""
        for pod in pods:
            self.add(pod)
            entity = self.pop()
            assert entity is not None
            self.add_unschedulable(
                entity, unschedulable_plugins={"Fit"}, pending_plugins=(), is_error=False
            )

    def woken(self) -> list[str]:
        """Names of the pods that no longer wait for an event."""
        return sorted(e.pod.name for tier, e in self.pending() if tier in ("active", "backoff"))

    @property
    def labels(self) -> list[str]:
        return [label for label, _, _ in self.told]


class Rig:
    """Handlers on an empty cache and a queue with three rejected pods: low, equal, high."""

    def __init__(self, *events: ClusterEvent, waits_at_permit: Sequence[str] | None = None) -> None:
        self.cache = SchedulerCache()
        self.queue = Told(*(events or (ASSIGNED_POD_DELETED,)))
        self.waits_at_permit = waits_at_permit
        #: names of the assumed pods that were said to be on their way out
        self.deleting: list[str] = []
        self.pods = PodEvents(
            self.cache,
            self.queue,
            [OURS],
            assumed_pods=None if waits_at_permit is None else self,
        )
        self.queue.reject(
            *(
                make_pod(name).priority(priority).obj()
                for name, priority in (("low", 1), ("equal", 5), ("high", 9))
            )
        )

    def on_assumed_pod_deleting(self, pod: Pod) -> bool:
        self.deleting.append(pod.name)
        return pod.name in (self.waits_at_permit or ())

    def assume(self, pod: Pod) -> None:
        self.pods.on_add(pod, False)
        entity = self.queue.pop()
        assert entity is not None
        assert entity.uid == pod.uid
        self.cache.assume(pod, "n1")
        self.queue.done(pod.uid)


def promised(*, to: str = "n1", version: str = "1") -> Pod:
    return make_pod("promised").priority(5).nominated(to).resource_version(version).obj()


@pytest.mark.parametrize(
    ("new", "woken"),
    [
        pytest.param(promised(to="", version="2"), ["equal", "low"], id="cleared"),
        pytest.param(promised(to="n2", version="2"), ["equal", "low"], id="to another node"),
        pytest.param(
            make_pod("promised").priority(5).nominated("n1").resource_version("2").obj(),
            [],
            id="unchanged",
        ),
    ],
)
def test_a_promise_that_ends_wakes_those_who_had_to_respect_it(new: Pod, woken: list[str]) -> None:
    rig = Rig()
    old = promised()
    rig.queue.reject(old)
    rig.pods.on_update(old, new)
    assert [name for name in rig.queue.woken() if name != "promised"] == woken


def test_a_promised_pod_that_is_deleted_wakes_those_who_had_to_respect_it() -> None:
    rig = Rig()
    rig.pods.on_add(promised(), False)
    rig.pods.on_delete(promised())
    assert rig.queue.woken() == ["equal", "low"]


def test_a_gated_pod_that_was_promised_a_node_wakes_them_too() -> None:
    rig = Rig()
    gated = make_pod("gated").priority(5).gate("g").nominated("n1").obj()
    rig.pods.on_add(gated, False)
    assert rig.queue.nominator.nominated_on("n1") == (gated,)
    rig.pods.on_delete(gated)
    assert rig.queue.woken() == ["equal", "low"]


def test_a_promise_whose_write_is_under_way_is_seen_by_the_hints() -> None:
    rig = Rig()
    pod = make_pod("preemptor").priority(5).obj()
    rig.pods.on_add(pod, False)
    rig.queue.nominator.add(pod, node_name="n3")
    rig.pods.on_delete(pod)
    label, old, _ = rig.queue.told[-1]
    assert label == ASSIGNED_POD_DELETED.label
    assert isinstance(old, Pod)
    assert old.status.nominated_node_name == "n3"
    assert rig.queue.woken() == ["equal", "low"]


def test_a_pod_without_a_promise_leaves_nothing_behind() -> None:
    rig = Rig()
    pod = make_pod("plain").priority(5).obj()
    rig.pods.on_add(pod, False)
    rig.pods.on_delete(pod)
    assert rig.queue.told == []


@pytest.mark.parametrize(
    ("node", "woken"),
    [
        pytest.param("n1", [], id="bound as promised"),
        pytest.param("n2", ["equal", "low"], id="bound elsewhere"),
    ],
)
def test_a_pod_bound_to_another_node_frees_the_promised_one(node: str, woken: list[str]) -> None:
    rig = Rig()
    pod = promised()
    rig.pods.on_add(pod, False)
    bound = make_pod("promised").priority(5).node(node).resource_version("2").obj()
    rig.pods.on_update(pod, bound)
    assert rig.queue.woken() == woken


def test_a_redelivered_pod_is_no_update() -> None:
    rig = Rig()
    old = promised()
    rig.queue.reject(old)
    rig.pods.on_update(old, promised(to=""))
    assert rig.queue.woken() == []
    assert rig.queue.nominator.node_of(old.uid) == "n1"


def test_an_assumed_pod_that_is_being_deleted_gives_its_room_back_at_once() -> None:
    rig = Rig()
    pod = make_pod("a").priority(99).resource_version("1").obj()
    rig.assume(pod)
    rig.pods.on_update(pod, make_pod("a").priority(99).resource_version("2").terminating().obj())
    assert rig.cache.node_of(pod.uid) is None
    assert rig.queue.woken() == ["equal", "high", "low"]


def test_whoever_waits_at_permit_is_undone_by_its_binding_cycle() -> None:
    rig = Rig(waits_at_permit=["a"])
    pod = make_pod("a").priority(99).resource_version("1").obj()
    rig.assume(pod)
    rig.pods.on_update(pod, make_pod("a").priority(99).resource_version("2").terminating().obj())
    assert rig.cache.node_of(pod.uid) == "n1"
    assert rig.queue.told == []


def test_other_changes_of_an_assumed_pod_are_not_for_the_queue() -> None:
    rig = Rig()
    pod = make_pod("a").resource_version("1").priority(99).obj()
    rig.assume(pod)
    rig.pods.on_update(pod, make_pod("a").priority(99).resource_version("2").label("x", "y").obj())
    assert rig.cache.node_of(pod.uid) == "n1"
    assert not rig.queue.contains(pod.uid)


def test_an_assumed_pod_that_is_gone_wakes_everybody_and_ends_its_wait() -> None:
    rig = Rig(waits_at_permit=["a"])
    pod = make_pod("a").priority(99).obj()
    rig.assume(pod)
    rig.pods.on_delete(pod)
    assert rig.deleting == ["a"]
    assert rig.cache.node_of(pod.uid) is None
    assert rig.queue.woken() == ["equal", "high", "low"]


def test_pending_pods_are_no_event_unless_a_plugin_names_them() -> None:
    rig = Rig(ClusterEvent(EventResource.POD, ActionType.ALL))
    pod = make_pod("other").resource_version("1").obj()
    rig.pods.on_add(pod, False)
    rig.pods.on_update(pod, make_pod("other").resource_version("2").label("a", "b").obj())
    rig.pods.on_delete(pod)
    assert rig.queue.told == []


def test_pending_pods_are_events_for_the_others_once_a_plugin_names_them() -> None:
    rig = Rig(PENDING_PODS)
    pod = make_pod("other").priority(99).resource_version("1").obj()
    rig.pods.on_add(pod, False)
    assert rig.queue.labels == ["UnscheduledPodAdd"]
    assert rig.queue.woken() == ["equal", "high", "low", "other"]
    changed = make_pod("other").priority(99).resource_version("2").label("a", "b").obj()
    rig.pods.on_update(pod, changed)
    rig.pods.on_delete(changed)
    assert rig.queue.labels[1:] == ["UnscheduledPodUpdatePodLabel", "UnscheduledPodDelete"]


def test_a_pod_is_not_woken_by_its_own_pending_events() -> None:
    rig = Rig(PENDING_PODS)
    old = make_pod("low").priority(1).obj()
    rig.pods.on_update(old, make_pod("low").priority(1).resource_version("2").label("a", "b").obj())
    assert rig.queue.woken() == ["equal", "high"]


def test_the_cache_changes_before_the_queue_is_told_but_for_a_node_that_leaves() -> None:
    rig = Rig()
    known: list[int] = []
    rig.queue.move = lambda *event, **options: known.append(rig.cache.node_count)  # type: ignore[method-assign]  # looks at the cache
    nodes = NodeEvents(rig.cache, rig.queue)
    old, new = make_node("n1").obj(), make_node("n1").label("a", "b").obj()
    nodes.on_add(old, False)
    nodes.on_update(old, new)
    nodes.on_delete(new)
    assert known == [1, 1, 1]
    assert rig.cache.node_count == 0


def with_status(node: Node, **changes: object) -> Node:
    return msgspec.structs.replace(node, status=msgspec.structs.replace(node.status, **changes))


NODE = make_node("n1").obj()


@pytest.mark.parametrize(
    ("old", "new", "events"),
    [
        pytest.param(NODE, NODE, [], id="nothing"),
        pytest.param(
            make_node("n1").unschedulable().obj(), NODE, ["NodeUpdateNodeTaint"], id="uncordoned"
        ),
        pytest.param(NODE, make_node("n1").unschedulable().obj(), [], id="cordoned"),
        pytest.param(
            NODE,
            with_status(NODE, declared_features=("X",)),
            ["NodeUpdateNodeDeclaredFeature"],
            id="declared features",
        ),
        pytest.param(
            NODE,
            make_node("n1").label("a", "b").annotation("a", "b").obj(),
            ["NodeUpdateNodeLabel", "NodeUpdateNodeAnnotation"],
            id="one event per aspect",
        ),
    ],
)
def test_what_a_changed_node_means(old: Node, new: Node, events: list[str]) -> None:
    assert [event.label for event in node_events(old, new)] == events
