"""The one timer of the queue: flushes when something is due, sleeps until then.

Called by: ``app.server``, which owns the task.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from pyscheduler.clock import Clock
from pyscheduler.queueing.scheduling_queue import SchedulingQueue


async def keep_flushing(queue: SchedulingQueue, *, clock: Clock) -> NoReturn:
    """Flushes the queue whenever something is due, until cancelled.

    What falls due for a crowd is flushed in parts, with a turn for everybody else in between.
    """
    while True:
        queue.flush_backoff()
        queue.flush_unschedulable()
        flush_at = queue.next_flush()
        if flush_at is None:
            await queue.flush_sooner.wait()
        else:
            await _sleep_or_sooner(queue, clock, max(0.0, flush_at - clock.now()))


async def _sleep_or_sooner(queue: SchedulingQueue, clock: Clock, delay_s: float) -> None:
    waits = {
        asyncio.ensure_future(clock.sleep(delay_s)),
        asyncio.ensure_future(queue.flush_sooner.wait()),
    }
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
