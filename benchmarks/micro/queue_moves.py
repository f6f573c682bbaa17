"""Prints what an event costs that concerns thousands of waiting pods, and how long others wait.

All pods were rejected by one plugin. One node joins; the plugin's hint wakes all of them, or none.
Told: the microseconds per pod, and the longest time for which the event loop was held in one piece
while the queue was told, settled and (in the last row) flushed after five minutes.

    python benchmarks/micro/queue_moves.py [PODS]
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Awaitable, Callable

from pyscheduler.api.core_v1 import Pod
from pyscheduler.app.observers import QueueObserver
from pyscheduler.clock import FakeClock, SystemClock
from pyscheduler.framework.cluster_events import NODE_ADDED, QueueingHint
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.hints import HintRegistration
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.runtime.budget import Budget
from pyscheduler.runtime.instrument import Instrument
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.telemetry.metrics import SchedulerMetrics
from pyscheduler.testing import make_node, make_pod

SCHEDULER = "default-scheduler"
NODE = make_node("new").obj()


def _priority_sort(entity: QueuedEntity) -> tuple[object, ...]:
    return (-entity.pod.priority, entity.timestamp)


def _waiting(pods: int, answer: QueueingHint, clock: FakeClock) -> SchedulingQueue:
    def hint(pod: Pod, old: object, new: object) -> QueueingHint:
        return answer

    wrapped = Instrument(CurrentWork(), clock).hint("Fit", hint)
    queue = SchedulingQueue(
        clock=clock,
        sort_key=_priority_sort,
        pre_enqueue=lambda pod, first: None,
        hints={SCHEDULER: [HintRegistration("Fit", NODE_ADDED, wrapped)]},
        metrics=QueueObserver(SchedulerMetrics()),
    )
    for number in range(pods):
        queue.add(make_pod(f"pod-{number}").obj())
        entity = queue.pop()
        assert entity is not None
        queue.add_unschedulable(
            entity, unschedulable_plugins={"Fit"}, pending_plugins=(), is_error=False
        )
    return queue


async def _longest_hold(work: Awaitable[None], clock: SystemClock) -> tuple[float, float]:
    """Seconds of the whole work, and of the longest piece of it without a turn for others."""
    turns = [time.perf_counter()]
    task = asyncio.ensure_future(work)
    while not task.done():
        await clock.sleep(0)
        turns.append(time.perf_counter())
    await task
    pieces = [later - earlier for earlier, later in itertools.pairwise(turns)]
    return turns[-1] - turns[0], max(pieces)


async def _told(queue: SchedulingQueue, clock: SystemClock) -> None:
    budget = Budget(clock)
    queue.move(NODE_ADDED, None, NODE)
    await clock.sleep(0)
    budget.restart()
    await queue.settle(budget.checkpoint)


async def _flushed(queue: SchedulingQueue, clock: SystemClock) -> None:
    while queue.counts().unschedulable:
        queue.flush_unschedulable()
        await clock.sleep(0)


async def main(pods: int) -> None:
    """Prints one line per case."""
    clock = SystemClock()
    cases: dict[str, tuple[QueueingHint, Callable[[SchedulingQueue], Awaitable[None]]]] = {
        "hint wakes all": (QueueingHint.QUEUE, lambda queue: _told(queue, clock)),
        "hint wakes none": (QueueingHint.SKIP, lambda queue: _told(queue, clock)),
        "five-minute flush": (QueueingHint.SKIP, lambda queue: _flushed(queue, clock)),
    }
    for name, (answer, work) in cases.items():
        figures = []
        for _ in range(5):
            times = FakeClock(1_000_000.0)
            queue = _waiting(pods, answer, times)
            times.advance(400)
            figures.append(await _longest_hold(work(queue), clock))
            queue.validate()
        total, longest = min(figures)
        print(
            f"{name:18} {pods} pods: {total / pods * 1e6:5.2f} us a pod,"
            f" {total * 1e3:5.1f} ms in all, longest piece {longest * 1e3:5.1f} ms"
        )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
