"""Pods whose PreEnqueue broke down: they back off, and are let in only once it answered."""

from __future__ import annotations

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import FakeClock
from pyscheduler.framework.cluster_events import NODE_ADDED, WILDCARD
from pyscheduler.framework.status import Code, Status
from pyscheduler.queueing.hints import HintRegistration
from pyscheduler.queueing.observing import QueueCounts
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.testing import make_pod

BROKEN = Status(Code.ERROR, ("broken",), "Door")


class Door:
    """A queue before which stands a PreEnqueue that breaks down until it is mended."""

    def __init__(self, *, max_backoff_s: float = 10.0) -> None:
        self.is_mended = False
        self.asked = 0
        self.clock = FakeClock()
        self.queue = SchedulingQueue(
            clock=self.clock,
            sort_key=lambda entity: (entity.timestamp,),
            pre_enqueue=self._pre_enqueue,
            hints={"pyscheduler": [HintRegistration("Fit", NODE_ADDED)]},
            max_backoff_s=max_backoff_s,
        )

    def _pre_enqueue(self, pod: Pod, first: str) -> Status | None:
        self.asked += 1
        return None if self.is_mended else BROKEN

    def counts(self) -> QueueCounts:
        self.queue.validate()
        return self.queue.counts()

    def after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.queue.flush_backoff()


def pod(tier: str = "web") -> Pod:
    return make_pod("a").label("tier", tier).scheduler_name("pyscheduler").obj()


def test_it_backs_off_longer_each_time_and_is_not_popped_early() -> None:
    door = Door()
    door.queue.add(pod())
    assert door.counts().backoff == 1
    assert door.queue.pop() is None

    door.after(2)
    assert door.asked == 2
    assert door.counts().backoff == 1
    door.is_mended = True
    door.after(2)
    assert door.asked == 2, "the second backoff takes two seconds"
    door.after(1)

    entity = door.queue.pop()
    assert entity is not None
    assert entity.attempts == 1
    assert not entity.is_at_the_door


def test_activation_asks_at_once() -> None:
    door = Door()
    door.queue.add(pod())
    door.is_mended = True

    door.queue.activate([pod()])

    assert door.counts().active == 1


def test_events_are_not_for_it_and_changes_leave_it_where_it_is() -> None:
    door = Door()
    door.queue.add(pod())
    door.is_mended = True

    door.queue.move(WILDCARD, None, None)
    door.queue.update(pod(), pod("db"))
    assert door.counts().backoff == 1
    door.after(2)

    entity = door.queue.pop()
    assert entity is not None
    assert entity.pod.labels == {"tier": "db"}


def test_it_leaves_with_its_pod() -> None:
    door = Door()
    door.queue.add(pod())

    door.queue.delete(pod())

    assert door.counts().pending == 0


def test_who_was_rejected_before_is_not_popped_early_either() -> None:
    door = Door()
    door.is_mended = True
    door.queue.add(pod())
    entity = door.queue.pop()
    assert entity is not None
    door.queue.add_unschedulable(
        entity, unschedulable_plugins={"Fit"}, pending_plugins=(), is_error=False
    )
    door.is_mended = False

    door.queue.move(NODE_ADDED, None, None)

    assert door.counts().backoff == 1
    assert door.queue.pop() is None


def test_without_backoff_it_waits_like_a_gated_one() -> None:
    door = Door(max_backoff_s=0)
    door.queue.add(pod())

    assert door.counts().gated == 1
