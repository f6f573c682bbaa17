from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from pyscheduler.queueing.flushing import keep_flushing
from tests.unit.queueing.queue_harness import QueueHarness


@contextlib.asynccontextmanager
async def flushed(harness: QueueHarness) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_flushing(harness.queue, clock=harness.clock))
    try:
        await settle()
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_expired_backoff_is_flushed_when_due() -> None:
    harness = QueueHarness()
    async with flushed(harness):
        harness.run("add a \n pop a \n fail a")
        await settle()
        harness.run("pass 1.9")
        await settle()
        harness.run("backoff: a \n pass 0.1")
        await settle()
        harness.run("active: a")


async def test_a_nearer_deadline_shortens_the_sleep() -> None:
    harness = QueueHarness()
    harness.answers["Fit"] = "skip"
    async with flushed(harness):
        harness.run("add a \n add b \n pop a \n fail a Fit")
        await settle()
        harness.run("pop b \n fail b")
        await settle()
        harness.run("pass 2")
        await settle()
        harness.run("active: b \n unschedulable: a \n pass 298")
        await settle()
        harness.run("active: b a")


async def test_cancelling_leaves_no_task_behind() -> None:
    harness = QueueHarness()
    async with flushed(harness):
        harness.run("add a \n pop a \n fail a")
        await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
