from __future__ import annotations

import asyncio

from pyscheduler.clock import FakeClock


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock, woken = FakeClock(), list[str]()

    async def sleeper(name: str, delay_s: float) -> None:
        await clock.sleep(delay_s)
        woken.append(name)

    tasks = [asyncio.create_task(sleeper(*each)) for each in (("late", 2.0), ("early", 1.0))]
    await clock.sleep(0)
    clock.advance(0.9)
    await clock.sleep(0)
    assert woken == []
    clock.advance(1.5)
    await asyncio.gather(*tasks)

    assert woken == ["early", "late"]


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1.0))
    await clock.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    clock.advance(2.0)


def test_wall_and_monotonic_time_move_together() -> None:
    clock = FakeClock(now_s=100.0)
    clock.advance(2.5)

    assert (clock.now(), clock.monotonic()) == (102.5, 2.5)
